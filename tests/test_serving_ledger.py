from __future__ import annotations

import hashlib
import html
import json
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import special

from conftest import Ran, run_leads
from features.engine import build_features
from features.ingest import read_tables
from features.snapshots import build_open_snapshots
from project.errors import SettingsError, StorageError
from project.folder import find_project
from project.language import speak
from serving.ledger.changes import Change, Part, find_changes, say_change
from serving.ledger.forget import forget_lead
from serving.ledger.ledger import Decision, find_decision, last_decisions, ledger_file, open_ledger, to_frame
from serving.load import load_named_model
from worlds import make_project

FIRST, SECOND = "2025-12-10T00:00:00Z", "2025-12-20T06:30:00Z"


@pytest.fixture(scope="module")
def scored_twice(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the demo that was scored at two moments, `a.csv` and `b.csv`."""
    folder = tmp_path_factory.mktemp("twice") / "crm"
    shutil.copytree(demo, folder)
    ledger_file(folder / "state").unlink(missing_ok=True)
    for moment, name in ((FIRST, "a.csv"), (SECOND, "b.csv")):
        ran = run_leads("score", "-p", folder, "--as-of", moment, "--out", folder / name)
        assert ran.exit_code == 0, ran.output
    return folder


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype={"lead_id": "str"}, keep_default_na=False, na_values=[""])


def test_every_scored_lead_is_in_the_ledger_to_the_last_bit(scored_twice: Path) -> None:
    scored = read(scored_twice / "b.csv")
    found = last_decisions(scored_twice / "state", scored["lead_id"].to_list(), before=None)
    assert len(found) == len(scored) > 100
    for row in scored.head(50).itertuples():
        one = found[str(row.lead_id)]
        assert (one.decision_id, one.probability, one.log_odds) == (row.decision_id, row.probability, row.log_odds)
        assert (one.band, one.band_rule, one.as_of) == (row.band, row.band_rule, "2025-12-20T06:30:00.000000Z")
        assert row.reason_for_1 is np.nan or row.reason_for_1 in one.reasons


def test_scoring_the_same_again_adds_nothing_and_says_the_same(scored_twice: Path, tmp_path: Path) -> None:
    out = tmp_path / "again.csv"
    with open_ledger(scored_twice / "state") as connection:
        before = connection.execute("SELECT count(*) FROM decisions").fetchall()
    run_leads("score", "-p", scored_twice, "--as-of", SECOND, "--out", out)
    with open_ledger(scored_twice / "state") as connection:
        assert connection.execute("SELECT count(*) FROM decisions").fetchall() == before
    same = [name for name in read(out).columns if name != "scored_at"]
    pd.testing.assert_frame_equal(read(out)[same], read(scored_twice / "b.csv")[same])


def test_the_ledger_can_only_be_added_to(scored_twice: Path) -> None:
    with (
        pytest.raises(StorageError, match="only added to"),
        open_ledger(scored_twice / "state") as connection,
    ):
        connection.execute("UPDATE decisions SET probability = 1.0")


def test_the_decision_before_is_the_latest_from_strictly_before(scored_twice: Path) -> None:
    leads = read(scored_twice / "a.csv")["lead_id"].to_list()

    def moments(before: datetime | None) -> set[str]:
        return {one.as_of[:10] for one in last_decisions(scored_twice / "state", leads, before=before).values()}

    assert moments(datetime(2025, 12, 10)) == set()
    assert moments(datetime(2025, 12, 10, 0, 0, 1)) == {"2025-12-10"}
    assert moments(datetime(2025, 12, 20, 6, 30)) == {"2025-12-10"}
    assert moments(None) >= {"2025-12-20"}
    assert last_decisions(scored_twice / "state", [], before=None) == {}


def test_a_damaged_ledger_is_a_clear_error(scored_twice: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    ledger_file(state).write_bytes(b"no database at all, but long enough to be looked at " * 100)
    with pytest.raises(StorageError, match=r"ledger\.db: the ledger cannot be used"):
        last_decisions(state, ["L1"], before=None)


def test_a_decision_is_replayed_in_another_process_to_the_last_bit(scored_twice: Path) -> None:
    for decision in read(scored_twice / "b.csv")["decision_id"].iloc[[0, 40]]:
        code = "import sys; sys.argv[0] = 'leads'; import leads; leads.main()"
        done = subprocess.run(
            [sys.executable, "-c", code, "replay", decision, "-p", str(scored_twice), "--json"],
            capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1],
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout.strip().splitlines()[-1])
        assert answer["same"] is True
        assert answer["probability"] == answer["decision"]["probability"]


def test_a_replay_that_differs_says_so(scored_twice: Path, tmp_path: Path) -> None:
    folder = tmp_path / "crm"
    shutil.copytree(scored_twice, folder)
    decision = read(folder / "b.csv")["decision_id"].iloc[0]
    with sqlite3.connect(ledger_file(folder / "state")) as connection:
        connection.execute("DROP TRIGGER only_added_to")
        connection.execute("UPDATE decisions SET probability = probability + 1e-12 WHERE decision_id = ?", [decision])
    connection.close()
    ran = run_leads("replay", decision, "-p", folder)
    assert ran.exit_code == 6
    assert "Not the same." in ran.output


def test_an_unknown_decision_is_a_usage_error(scored_twice: Path) -> None:
    with pytest.raises(SettingsError, match="There is no decision 'D0'"):
        find_decision(scored_twice / "state", "D0")


def split_changes(folder: Path) -> tuple[dict[str, Change], dict[str, Decision]]:
    project = find_project(folder)
    model, catalogue = load_named_model(project)
    tables = read_tables(project)
    moment = datetime(2025, 12, 20, 6, 30)
    snapshots = build_open_snapshots(tables, moment)
    earlier = last_decisions(project.state, snapshots["lead_id"].to_list(), before=moment)
    snapshots = snapshots.loc[snapshots["lead_id"].isin(earlier)].reset_index(drop=True)
    frame = build_features(snapshots, tables, catalogue)
    found = find_changes(earlier, snapshots, frame, tables, model=model, then=(model, catalogue), language="en")
    return found, earlier


def test_the_four_parts_add_up_to_the_way_above_the_threshold(scored_twice: Path) -> None:
    found, earlier = split_changes(scored_twice)
    model, _ = load_named_model(find_project(scored_twice))
    assert len(found) > 100
    for lead, change in found.items():
        was, now = special.logit(earlier[lead].probability), special.logit(change.after)
        threshold = special.logit(model.policy.sql)
        assert change.total == pytest.approx((now - threshold) - (was - threshold), abs=1e-9)
        assert sum(part.log_odds for part in change.parts) == pytest.approx(change.total, abs=1e-9)
        points = sum(part.points or 0.0 for part in change.parts)
        assert points == pytest.approx(change.after - change.before, abs=1e-9)
        assert [part.kind for part in change.parts] == ["did", "time", "model", "threshold"]


def test_a_lead_that_did_nothing_only_aged_and_one_that_did_something_is_told_what(scored_twice: Path) -> None:
    found, _ = split_changes(scored_twice)
    tables = read_tables(find_project(scored_twice))
    within = "BETWEEN TIMESTAMP '2025-12-10' AND TIMESTAMP '2025-12-20 06:29:59.999999'"

    def leads(sql: str) -> set[str]:
        return {str(lead) for (lead,) in tables.connection.execute(sql).fetchall()}

    active = leads(f"SELECT lead_id FROM events WHERE recorded_at {within}")
    of_company = leads(
        "SELECT lead_id FROM leads WHERE account_id IN (SELECT account_id FROM leads LEFT JOIN events USING (lead_id) "
        f"LEFT JOIN outcomes USING (lead_id) WHERE recorded_at {within} OR created_at {within} OR won_at {within} "
        f"UNION SELECT account_id FROM accounts WHERE valid_from {within})"
    )
    silent = [change for lead, change in found.items() if lead not in of_company]
    busy = [change for lead, change in found.items() if lead in active]
    assert len(silent) > 20
    assert len(busy) > 20
    assert all(change.parts[0].log_odds == pytest.approx(0.0, abs=1e-9) for change in silent)
    assert all(change.parts[0].causes == () for change in silent)
    assert np.mean([bool(change.parts[0].causes) for change in busy]) > 0.9
    assert all(change.parts[2].log_odds == 0.0 for change in found.values())


def test_another_model_and_another_threshold_have_parts_of_their_own(scored_twice: Path) -> None:
    project = find_project(scored_twice)
    model, catalogue = load_named_model(project)
    tables = read_tables(project)
    moment = datetime(2025, 12, 20, 6, 30)
    snapshots = build_open_snapshots(tables, moment).head(30).reset_index(drop=True)
    earlier = last_decisions(project.state, snapshots["lead_id"].to_list(), before=moment)
    snapshots = snapshots.loc[snapshots["lead_id"].isin(earlier)].reset_index(drop=True)
    frame = build_features(snapshots, tables, catalogue)
    other = replace(
        model,
        calibrator=model.calibrator.shifted(0.3),
        policy=replace(model.policy, sql=model.policy.sql * 1.5, mql=model.policy.mql),
    )
    found = find_changes(earlier, snapshots, frame, tables, model=other, then=(model, catalogue), language="ru")
    expected = special.logit(model.policy.sql) - special.logit(other.policy.sql)
    words = speak("ru")
    moved = f"с {words.percent(model.policy.sql)} до {words.percent(other.policy.sql)}"
    for change in found.values():
        assert change.parts[3].causes == (moved,)
        assert change.parts[2].log_odds == pytest.approx(0.3, abs=1e-9)
        assert change.parts[3].log_odds == pytest.approx(expected, abs=1e-9)
        assert sum(part.log_odds for part in change.parts) == pytest.approx(change.total, abs=1e-9)


def test_a_retrained_model_says_what_it_weighs_differently(scored_twice: Path) -> None:
    from models.estimators import BaseRate

    project = find_project(scored_twice)
    model, catalogue = load_named_model(project)
    tables = read_tables(project)
    moment = datetime(2025, 12, 20, 6, 30)
    snapshots = build_open_snapshots(tables, moment).head(40).reset_index(drop=True)
    earlier = last_decisions(project.state, snapshots["lead_id"].to_list(), before=moment)
    snapshots = snapshots.loc[snapshots["lead_id"].isin(earlier)].reset_index(drop=True)
    frame = build_features(snapshots, tables, catalogue)
    flat = replace(model, estimator=BaseRate(-2.0), manifest={**model.manifest, "model_id": "another"})
    found = find_changes(earlier, snapshots, frame, tables, model=flat, then=(model, catalogue), language="en")
    apart = model.take_apart(frame)
    titles = [column.wording.group_en for column in model.columns if column.wording is not None]
    for row, lead in enumerate(snapshots["lead_id"]):
        causes = found[lead].parts[2].causes
        assert 1 <= len(causes) <= 2
        largest = int(np.argmax(np.abs(apart.by_group[row])))
        # what spoke for it most no longer does, and the other way round
        assert ("against" in causes[0]) == (apart.by_group[row, largest] > 0)
        assert any(causes[0].startswith(title) for title in titles)


def test_the_scored_file_says_what_changed_in_words(scored_twice: Path) -> None:
    first, second = read(scored_twice / "a.csv"), read(scored_twice / "b.csv")
    assert first["changed"].isna().all()
    assert first["probability_before"].isna().all()
    both = second.merge(first, on="lead_id", suffixes=("", "_then"))
    assert np.array_equal(both["probability_before"], both["probability_then"])
    told = both.loc[both["changed"].notna()]
    moved = (both["probability"] - both["probability_before"]).abs() >= 0.005
    assert set(both.loc[moved, "lead_id"]) <= set(told["lead_id"])
    assert told["changed"].str.contains("points since 10 December 2025: ").all()
    assert second.loc[~second["lead_id"].isin(first["lead_id"]), "changed"].isna().all()


def test_a_lead_leaves_its_band_only_clearly_below_the_threshold(scored_twice: Path) -> None:
    first, second = read(scored_twice / "a.csv"), read(scored_twice / "b.csv")
    policy = load_named_model(find_project(scored_twice))[0].policy
    both = second.merge(first, on="lead_id", suffixes=("", "_then"))
    leave = policy.mql * (1 - policy.hysteresis)
    was_above = both["band_then"].isin(["SQL", "MQL"]) & both["band_rule_then"].str.contains("probability")
    below = both["probability"].between(leave, policy.mql, inclusive="left")
    kept = both.loc[was_above & below]
    assert len(kept) > 3
    assert set(kept["band"]) == {"MQL"}
    assert kept["band_rule"].str.startswith("kept MQL: ").all()
    others = both.loc[below & (both["band_then"] == "nurture")]
    assert set(others["band"]) == {"nurture"}


def test_clocks_run_from_the_decision_that_put_a_lead_into_its_band(scored_twice: Path) -> None:
    first, second = read(scored_twice / "a.csv"), read(scored_twice / "b.csv")
    both = second.merge(first, on="lead_id", suffixes=("", "_then"))
    stayed = both["band"] == both["band_then"]
    for band in ("SQL", "MQL"):
        own = both.loc[both["band"] == band]
        assert (own.loc[stayed, "due_at"] == own.loc[stayed, "due_at_then"]).all()
        assert (own.loc[~stayed, "due_at"] > "2025-12-20").all()
    sent = both.loc[(both["band"] == "nurture") & stayed]
    assert (sent["come_back_at"] == "2026-01-09T00:00:00Z").all()
    assert second.loc[second["band"].isin(["SQL", "MQL"]), "come_back_at"].isna().all()
    assert second.loc[second["band"].isin(["nurture", "disqualified"]), "due_at"].isna().all()


def test_nurture_comes_back_for_three_new_events_and_not_for_two(scored_twice: Path) -> None:
    second = read(scored_twice / "b.csv")
    tables = read_tables(find_project(scored_twice))
    counted = tables.connection.execute(
        "SELECT lead_id, count(*) AS n FROM events WHERE recorded_at >= TIMESTAMP '2025-12-10' AND "
        "recorded_at < TIMESTAMP '2025-12-20 06:30:00' AND kind NOT LIKE 'touch%' GROUP BY lead_id"
    ).df()
    first = read(scored_twice / "a.csv")
    stayed = first.loc[first["band"] == "nurture", "lead_id"]
    waiting = second.loc[(second["band"] == "nurture") & second["lead_id"].isin(stayed)].merge(counted, how="left")
    back = waiting["come_back_because"].notna()
    assert (waiting.loc[back, "n"] >= 3).all()
    assert (waiting.loc[~back, "n"].fillna(0) < 3).all()
    assert waiting.loc[back, "come_back_because"].str.fullmatch(r"\d+ new events since 10 December 2025").all()


def test_todays_list_never_exceeds_the_cap_and_the_rest_overflows(scored_twice: Path) -> None:
    settings = find_project(scored_twice).settings
    cap = settings.bands.cap_of_a_day(settings.capacity)
    scored = read(scored_twice / "b.csv")
    today = scored.loc[scored["band"] == "SQL", "today"]
    places = today.loc[today != "overflow"].astype(float)
    assert cap is not None
    assert sorted(places) == list(range(1, min(cap, len(today)) + 1))
    assert scored.loc[scored["band"] != "SQL", "today"].isna().all()
    best = scored.loc[scored["band"] == "SQL"].sort_values("expected_value", ascending=False)
    assert best["today"].head(cap).astype(float).tolist() == list(range(1, min(cap, len(best)) + 1))


def test_rows_of_the_ledger_are_the_frame_that_the_model_saw(scored_twice: Path) -> None:
    project = find_project(scored_twice)
    model, catalogue = load_named_model(project)
    tables = read_tables(project)
    snapshots = build_open_snapshots(tables, datetime(2025, 12, 20, 6, 30))
    frame = build_features(snapshots, tables, catalogue)
    kept = last_decisions(project.state, snapshots["lead_id"].to_list(), before=None)
    rebuilt = to_frame([kept[lead] for lead in snapshots["lead_id"]], model)
    pd.testing.assert_frame_equal(rebuilt, frame[list(rebuilt.columns)])


@pytest.fixture(scope="module")
def forgotten(scored_twice: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Ran]:
    folder = tmp_path_factory.mktemp("forgotten") / "crm"
    shutil.copytree(scored_twice, folder)
    hygiene = (folder / "state" / "reports" / "hygiene.csv").read_text("utf-8")
    predicted = next((folder / "state" / "predictions").glob("*.csv")).read_text("utf-8")
    scored = read(folder / "b.csv")["lead_id"]
    lead = (
        next(one for one in scored if f"of {one}," in hygiene)
        if any(f"of {one}," in hygiene for one in scored)
        else scored[0]
    )
    assert run_leads("explain", lead, "-p", folder, "--page").exit_code == 0
    (folder / "state" / "rejects").mkdir(exist_ok=True)
    (folder / "state" / "rejects" / "events.csv").write_text(
        f"row,reason,lead_id\n7,bad date,{lead}\n8,bad date,{lead}0\n", encoding="utf-8"
    )
    assert lead in hygiene + predicted + str(scored.to_list())
    return folder, str(lead), run_leads("forget", lead, "-p", folder, "--json")


def test_a_person_that_is_forgotten_leaves_no_byte_under_state(forgotten: tuple[Path, str, Ran]) -> None:
    folder, lead, ran = forgotten
    assert ran.exit_code == 0, ran.output
    for path in sorted((folder / "state").rglob("*")):
        if path.is_file():
            content = path.read_bytes().replace(f"{lead}0".encode(), b"")
            assert lead.encode() not in content, path
    assert ran.answer["decisions"] >= 2
    assert ran.answer["pages"] == 1
    assert ran.answer["lines"]["rejects/events.csv"] == 1
    assert ran.answer["look_at"] == []


def test_nobody_else_is_forgotten_with_them(forgotten: tuple[Path, str, Ran], scored_twice: Path) -> None:
    folder, lead, _ = forgotten
    scored = read(scored_twice / "b.csv")
    others = scored.loc[
        (scored["lead_id"] != lead) & (scored["band_rule"] != f"duplicate of {lead}"), "lead_id"
    ].to_list()
    assert last_decisions(folder / "state", others, before=None).keys() == set(others)
    assert f"8,bad date,{lead}0" in (folder / "state" / "rejects" / "events.csv").read_text("utf-8")
    assert run_leads("info", "-p", folder).exit_code == 0


def test_the_receipt_proves_who_was_forgotten_to_those_who_know_the_id_only(forgotten: tuple[Path, str, Ran]) -> None:
    folder, lead, ran = forgotten
    (kept,) = (folder / "state" / "forgotten").glob("*.json")
    receipt = json.loads(kept.read_text("utf-8"))
    assert receipt["receipt"] == ran.answer["receipt"]
    assert receipt["person"] == hashlib.sha256(f"{receipt['salt']}{lead}".encode()).hexdigest()
    again = run_leads("forget", lead, "-p", folder, "--json")
    assert (again.exit_code, again.answer["decisions"], again.answer["lines"]) == (0, 0, {})


NUMBERS = """
[leads]
file = "leads.csv"
id = "№"
[leads.columns]
size = "number"
[outcome]
column = "sold"
won = ["1"]
lost = ["0"]
"""


def test_short_ids_and_ids_with_signs_are_forgotten_and_nobody_else(tmp_path: Path) -> None:
    project = make_project(tmp_path, NUMBERS, {"leads.csv": "№,size,sold\n1,2,0\n"})
    rejects = project.state / "rejects" / "leads.csv"
    stories = project.state / "stories"
    hygiene = project.state / "reports" / "hygiene.csv"
    for folder in (rejects.parent, stories, hygiene.parent):
        folder.mkdir(parents=True)
    kept = 'row,reason,№,size\r\n1,bad,44,1\r\n44,bad,7,x\r\n3,"short line","1;44;9"\r\n4,bad,Иванов,44\r\n'
    rejects.write_text(kept, encoding="utf-8")
    hygiene.write_text(
        'lead_id,flag,evidence\n5,duplicate of 44,"same phone as 44, 2 days later"\n6,duplicate of 4,a\n',
        encoding="utf-8",
    )
    for lead in ("44", "7", "<i>&", "Иванов", "Иванов-Петров"):
        mark = hashlib.sha256(f"about {lead}".encode()).hexdigest()
        (stories / f"{mark[:9]}.html").write_text(
            f'<meta name="about" content="{mark}"> {html.escape(lead)}: 44 times in the last 7 days', encoding="utf-8"
        )
    gone = forget_lead(project, "44", now=datetime(2026, 1, 1))
    assert (gone.lines, gone.pages) == ({"rejects/leads.csv": 2, "reports/hygiene.csv": 1}, 1)
    assert rejects.read_text("utf-8").splitlines()[1:] == ["44,bad,7,x", "4,bad,Иванов,44"]
    assert forget_lead(project, "<i>&", now=datetime(2026, 1, 1)).pages == 1
    assert forget_lead(project, "Иванов", now=datetime(2026, 1, 1)).pages == 1
    assert len(list(stories.iterdir())) == 2
    with pytest.raises(SettingsError, match="No lead is named"):
        forget_lead(project, " ", now=datetime(2026, 1, 1))


def test_a_huge_cell_does_not_stop_forgetting(tmp_path: Path) -> None:
    project = make_project(tmp_path, NUMBERS, {"leads.csv": "№,size,sold\n1,2,0\n"})
    table = project.state / "rejects" / "events.csv"
    table.parent.mkdir(parents=True)
    table.write_text(f"row,reason,№\n1,{'x' * 200_000},L1\n2,bad,L2\n", encoding="utf-8")
    assert forget_lead(project, "L1", now=datetime(2026, 1, 1)).lines == {"rejects/events.csv": 1}


def test_a_moved_threshold_alone_is_told_as_such_and_nothing_as_nothing() -> None:
    def change(*log_odds: float) -> Change:
        kinds = ("did", "time", "model", "threshold")
        parts = tuple(Part(kind, by, None, ()) for kind, by in zip(kinds, log_odds, strict=True))
        return Change("2025-12-10T00:00:00Z", 0.2, 0.2, "MQL", sum(log_odds), parts)

    english, russian = speak("en"), speak("ru")
    assert say_change(change(0.0, 0.0, 1e-16, 0.0), english).endswith("nothing worth telling")
    assert say_change(change(0.0, 0.0, 1e-16, -0.4), english).endswith("the threshold of SQL moved")
    assert say_change(change(0.1, -0.5, 0.0, 0.0), russian).endswith("время шло, а нового не было")


def test_what_cannot_be_worked_out_any_more_is_left_out_and_scoring_goes_on(scored_twice: Path, tmp_path: Path) -> None:
    folder = tmp_path / "crm"
    shutil.copytree(scored_twice, folder)
    settings = folder / "leads.toml"
    text = settings.read_text("utf-8").replace('budget_answer = "category"\n', "").replace(', "budget_answer"', "")
    settings.write_text(
        text.replace('budget_answer = { en = "Budget, as answered", ru = "Бюджет по ответу" }\n', ""), "utf-8"
    )
    trained = run_leads("train", "-p", folder, "--json")
    assert trained.exit_code == 0, trained.output
    out = folder / "c.csv"
    ran = run_leads("score", "-p", folder, "--as-of", SECOND, "--model", trained.answer["model_id"], "--out", out)
    assert ran.exit_code == 0, ran.output
    assert read(out)["probability_before"].notna().sum() > 100
    assert read(out)["changed"].isna().all()


def test_a_trial_of_another_model_leaves_no_record_unless_it_is_asked_for(scored_twice: Path, tmp_path: Path) -> None:
    folder = tmp_path / "crm"
    shutil.copytree(scored_twice, folder)
    name = read(folder / "b.csv")["model_id"].iloc[0]
    moment = ("--as-of", "2025-12-22T00:00:00Z")

    def count() -> int:
        with open_ledger(folder / "state") as connection:
            return int(connection.execute("SELECT count(*) FROM decisions").fetchall()[0][0])

    before = count()
    assert run_leads("score", "-p", folder, "--model", name, *moment).exit_code == 0
    assert count() == before
    assert run_leads("score", "-p", folder, "--model", name, "--record", *moment).exit_code == 0
    assert count() > before


def test_a_change_told_of_one_lead_is_the_same_in_any_batch(scored_twice: Path) -> None:
    project = find_project(scored_twice)
    model, catalogue = load_named_model(project)
    tables = read_tables(project)
    moment = datetime(2026, 5, 1)  # far enough that leads matured in between
    snapshots = build_open_snapshots(tables, moment)
    earlier = last_decisions(project.state, snapshots["lead_id"].to_list(), before=moment)
    snapshots = snapshots.loc[snapshots["lead_id"].isin(earlier)].reset_index(drop=True)
    frame = build_features(snapshots, tables, catalogue)
    then = (model, catalogue)
    together = find_changes(earlier, snapshots, frame, tables, model=model, then=then, language="en")
    for row in range(0, len(snapshots), max(1, len(snapshots) // 12)):
        one, own = (table.iloc[[row]].reset_index(drop=True) for table in (snapshots, frame))
        alone = find_changes(earlier, one, own, tables, model=model, then=then, language="en")
        lead = str(snapshots["lead_id"].iloc[row])
        assert alone[lead] == together[lead]


def test_scoring_can_leave_no_record(demo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "crm"
    shutil.copytree(demo, folder)
    ledger_file(folder / "state").unlink(missing_ok=True)
    out = tmp_path / "scored.csv"
    assert run_leads("score", "-p", folder, "--no-record", "--out", out).exit_code == 0
    assert not ledger_file(folder / "state").is_file()
    assert read(out)["decision_id"].str.fullmatch("D[0-9a-f]{20}").all()
