"""What changed since the last decision, in parts that add up and in words."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from scipy import special

from conftest import SECOND, read_scored, run_leads
from features.engine import build_features
from features.ingest import read_tables
from features.snapshots import build_open_snapshots
from project.folder import find_project
from project.language import speak
from serving.ledger.changes import Change, Part, find_changes, say_change
from serving.ledger.ledger import Decision, last_decisions
from serving.load import load_named_model


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
    first, second = read_scored(scored_twice / "a.csv"), read_scored(scored_twice / "b.csv")
    assert first["changed"].isna().all()
    assert first["probability_before"].isna().all()
    both = second.merge(first, on="lead_id", suffixes=("", "_then"))
    assert np.array_equal(both["probability_before"], both["probability_then"])
    told = both.loc[both["changed"].notna()]
    moved = (both["probability"] - both["probability_before"]).abs() >= 0.005
    assert set(both.loc[moved, "lead_id"]) <= set(told["lead_id"])
    assert told["changed"].str.contains("points since 10 December 2025: ").all()
    assert second.loc[~second["lead_id"].isin(first["lead_id"]), "changed"].isna().all()


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
    assert read_scored(out)["probability_before"].notna().sum() > 100
    assert read_scored(out)["changed"].isna().all()


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
