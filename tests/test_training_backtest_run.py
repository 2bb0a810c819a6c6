"""A whole backtest on small histories: nothing later has a part in it, and what comes out."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conftest import Ran, run_leads
from features.engine import build_features
from features.ingest import read_tables
from features.snapshots import build_open_snapshots
from project.folder import find_project
from training.backtest.lesson import learn_by
from training.demo import write_demo_project
from worlds import csv_text, iso, make_project, rows_of, utc

MOMENT = utc("2025-09-01")


def _change_all_later(folder: Path, at: datetime) -> None:
    """Invent another future: leads, stages, events and accounts from `at` on are others, those before stay."""
    moment = pd.Timestamp(at, tz="UTC")
    data = folder / "data"
    chance = np.random.default_rng(7)

    def later(frame: pd.DataFrame, *columns: str) -> pd.Series:
        return sum(pd.to_datetime(frame[column], utc=True, format="ISO8601") >= moment for column in columns) > 0

    leads = pd.read_csv(data / "leads.csv", dtype="str")
    new = later(leads, "created_at")
    for column in ("channel", "campaign", "role", "company_size_answer"):
        leads.loc[new, column] = chance.permutation(leads.loc[new, column].to_numpy())
    # later leads that share an address with two earlier ones would join what was apart
    leads.loc[new, "email"] = chance.choice(leads.loc[~new, "email"].dropna().to_numpy(), int(new.sum()))
    leads.loc[~new | (chance.random(len(leads)) < 0.7)].to_csv(data / "leads.csv", index=False)

    stages = pd.read_csv(data / "stages.csv", dtype="str")
    new = later(stages, "changed_at")
    other = stages["stage"].map({"won": "lost", "lost": "won"}).fillna(stages["stage"])
    stages.loc[new, "stage"] = other[new]
    stages.loc[new, "reason"] = np.where(stages.loc[new, "stage"] == "lost", "spam", None)
    # junk takes a lead out of what is learnt altogether, so half of those still open turn out to be junk a day later
    closed = set(stages.loc[~new & stages["stage"].isin(["won", "lost"]), "lead_id"])
    still = [lead for lead in leads.loc[~later(leads, "created_at"), "lead_id"] if lead not in closed][::2]
    junk = {"stage": "lost", "changed_at": iso(at + timedelta(days=1)), "reason": "spam"}
    stages = pd.concat([stages, pd.DataFrame([{"lead_id": lead, **junk} for lead in still])], ignore_index=True)
    stages.to_csv(data / "stages.csv", index=False)

    events = pd.read_csv(data / "events.csv.gz", dtype="str")
    new = later(events, "occurred_at", "recorded_at")
    events.loc[new, "kind"] = chance.permutation(events.loc[new, "kind"].to_numpy())
    events.loc[~new | (chance.random(len(events)) < 0.5)].to_csv(data / "events.csv.gz", index=False)

    accounts = pd.read_csv(data / "accounts.csv", dtype="str")
    new = later(accounts, "valid_from")
    accounts.loc[new, "employees"] = "7"
    accounts.to_csv(data / "accounts.csv", index=False)


def _forbid_what_comes_later(folder: Path, at: datetime) -> None:
    """Leave out a feature of a kind of events that nobody had seen before `at`."""
    path = folder / "data" / "events.csv.gz"
    events = pd.read_csv(path, dtype="str")
    new = pd.to_datetime(events["occurred_at"], utc=True, format="ISO8601") >= pd.Timestamp(at, tz="UTC")
    events.loc[new & (np.arange(len(events)) % 20 == 0), "kind"] = "tour"
    events.to_csv(path, index=False)
    toml = folder / "leads.toml"
    said = "[features]\n"
    text = toml.read_text("utf-8").replace(said, said + 'forbidden = { tour_count_30d = "a trial" }\n')
    toml.write_text(text, encoding="utf-8")


def test_nothing_that_happens_later_has_any_part_in_what_was_learnt_and_said(tmp_path: Path) -> None:
    said, wins = [], []
    for name in ("as it was", "another future"):
        folder = tmp_path / name
        write_demo_project(folder, n_leads=1_500, seed=5)
        _forbid_what_comes_later(folder, MOMENT)
        if name == "another future":
            _change_all_later(folder, MOMENT)
        project = find_project(folder)
        tables = read_tables(project)
        lesson = learn_by(project, MOMENT)
        asked = build_open_snapshots(tables, MOMENT)
        frame = build_features(asked, tables, lesson.catalogue)
        probability, log_odds = lesson.score(frame)
        said.append((asked["lead_id"].tolist(), probability, log_odds, lesson.odoo.probability(frame), lesson.leads))
        wins.append(rows_of(tables, "SELECT lead_id FROM outcomes WHERE won_at IS NOT NULL ORDER BY 1"))
    one, other = said
    # a feature that was left out before there was any is no wrong name then
    assert "forbidden = { tour_count_30d" in (tmp_path / "as it was" / "leads.toml").read_text("utf-8")
    assert wins[0] != wins[1]  # the futures do differ
    assert one[0] == other[0]
    assert len(one[0]) > 100
    assert len(np.unique(one[1])) > 50
    for place in (1, 2, 3):
        np.testing.assert_array_equal(one[place], other[place])
    assert one[4] == other[4]


START = datetime(2024, 1, 1)
DAYS = 364
UNTIL = START + timedelta(days=DAYS)
TOML = """
[project]
name = "Воронка"
[leads]
file = "leads.csv"
id = "id"
created_at = "created"
columns = { "размер" = "number", source = "category", spam = "rule" }
[stages]
file = "stages.csv"
lead = "id"
at = "at"
stage = "stage"
[outcome]
horizon = "20d"
won = ["won"]
lost = ["lost"]
observed_until = UNTIL
[snapshots]
ages = ["0d", "3d"]
[capacity]
leads_per_week = 3
cost_per_call = 10
value_per_win = 100
[[rules]]
name = "spam"
column = "spam"
equals = ["yes"]
[[definitions]]
name = "Крупные"
when = "размер >= 1"
present = true
[[definitions]]
name = "Вебинар"
when = 'source in ("webinar", "Вебинар")'
""".replace("UNTIL", f"{UNTIL:%Y-%m-%d}T00:00:00Z")


def _files(*, days: int = DAYS) -> dict[str, str]:
    """Four leads a day; the larger, the more likely to win after five days or so; spam wins at once, if one let it."""
    chance = np.random.default_rng(11)
    leads, stages = [["id", "created", "размер", "source", "spam"]], [["id", "at", "stage"]]
    for number in range(4 * days):
        created = START + timedelta(days=number / 4)
        size, spam = chance.normal(), number % 40 == 0
        source = str(chance.choice(["web", "Вебинар", "ads"]))
        won = spam or chance.random() < 1 / (1 + np.exp(2.5 - 1.8 * size - (source == "Вебинар")))
        end = created + timedelta(days=float(chance.uniform(1, 9)))
        leads.append([f"l{number:04}", iso(created), f"{size:.3f}", source, "yes" if spam else ""])
        if end < START + timedelta(days=days):
            stages.append([f"l{number:04}", iso(end), "won" if won else "lost"])
    return {"leads.csv": csv_text(leads), "stages.csv": csv_text(stages)}


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    """A year of leads, and the backtest of its last ten weeks. Do not change it."""
    folder = make_project(tmp_path_factory.mktemp("year"), TOML, _files()).folder
    return folder, run_leads("backtest", "-p", folder, "--weeks", "10", "--retrain", "6w", "--json")


def test_everybody_makes_the_same_calls_and_a_model_that_knows_more_reaches_more(replayed: tuple[Path, Ran]) -> None:
    _, ran = replayed
    assert ran.exit_code == 0, ran.output
    answer = ran.answer
    assert {one["calls"] for one in answer["policies"]} == {30}
    wins = {one["title"]: one["wins"]["value"] for one in answer["policies"]}
    assert wins["our model"] > wins["Крупные, newest first"] > wins["first come, first served"]
    assert all(one["wins_by_week"][-1] == one["wins"]["value"] for one in answer["policies"])
    assert wins["our model"] <= answer["within_reach"]
    ours, present = answer["policies"][:2]
    assert ours["money"]["value"] == 100 * wins["our model"] - 10 * 30
    assert present["present"]
    assert present["ours_less_this"]["value"] == wins["our model"] - wins["Крупные"]
    assert "in use today" in answer["headline"]
    assert "not what a call changes" in ran.output


def test_no_week_is_replayed_whose_horizon_is_not_over(replayed: tuple[Path, Ran]) -> None:
    answer = replayed[1].answer
    weeks = [datetime.fromisoformat(week) for week in answer["weeks"]]
    assert weeks[-1] + timedelta(days=20) <= UNTIL < weeks[-1] + timedelta(days=27)
    assert {week.weekday() for week in weeks} == {0}
    assert len(weeks) == 10
    assert [one["at"] for one in answer["trainings"]] == [answer["weeks"][0], answer["weeks"][6]]


def test_the_date_being_replayed_is_told_and_the_answer_is_one_document(replayed: tuple[Path, Ran]) -> None:
    _, ran = replayed
    first, change = ran.answer["weeks"][0], ran.answer["weeks"][6]
    assert f"Training on what was known on {change}" in ran.output
    assert f"Replaying {first} to " in ran.output


def test_file_and_page_are_kept_and_name_no_lead(replayed: tuple[Path, Ran]) -> None:
    folder, ran = replayed
    file, page = Path(ran.answer["file"]), Path(ran.answer["page"])
    assert file.parent == page.parent == folder / "state" / "backtests"
    kept = json.loads(file.read_text("utf-8"))
    assert {key: kept[key] for key in ("headline", "policies")} == {
        key: ran.answer[key] for key in ("headline", "policies")
    }
    text = page.read_text("utf-8")
    assert "Крупные" in text
    assert "Вебинар" in text
    for written in (text, file.read_text("utf-8")):
        assert "l0" not in written.replace("xml", "")


def test_spam_that_a_rule_disqualifies_is_called_by_nobody(replayed: tuple[Path, Ran]) -> None:
    # one lead of forty is spam and always wins: a policy that called it would have it among the wins within reach
    folder, ran = replayed
    tables = read_tables(find_project(folder))
    first, last = ran.answer["weeks"][0], ran.answer["weeks"][-1]
    (clean,), (every,) = (
        rows_of(
            tables,
            "SELECT count(DISTINCT lead_id) FROM leads JOIN outcomes USING (lead_id) JOIN (SELECT TIMESTAMP "
            f"'{first}' + to_days(CAST(7 * n AS INTEGER)) AS week FROM range(10) weeks(n)) ON created_at <= week "
            f"AND won_at >= week AND coalesce(lost_at >= week, true) AND week <= TIMESTAMP '{last}' "
            f"AND {condition}",
        )[0]
        for condition in ("a1 IS NULL", "true")
    )
    assert ran.answer["within_reach"] == clean < every


def test_the_same_history_gives_the_same_answer(replayed: tuple[Path, Ran], tmp_path: Path) -> None:
    _, ran = replayed
    folder = make_project(tmp_path, TOML, _files()).folder
    again = run_leads("backtest", "-p", folder, "--weeks", "10", "--retrain", "6w", "--json").answer
    assert Path(again["file"]).name == Path(ran.answer["file"]).name
    assert again["policies"] == ran.answer["policies"]


def test_where_the_first_weeks_have_too_little_before_them_it_begins_later_and_says_so(tmp_path: Path) -> None:
    toml = TOML.replace(f"{UNTIL:%Y-%m-%d}", "2024-05-30").replace("leads_per_week = 3", "")
    folder = make_project(tmp_path, toml, _files(days=150)).folder
    ran = run_leads("backtest", "-p", folder, "--weeks", "17", "--json")
    assert ran.exit_code == 0, ran.output
    assert 2 <= len(ran.answer["weeks"]) < 17
    assert f"The replay begins on {ran.answer['weeks'][0]}, not on " in " ".join(ran.answer["notes"])
    assert not ran.answer["by_capacity"]
    assert ran.answer["per_week"] == pytest.approx(0.2 * 28)  # a fifth of four a day
    assert ran.answer["drawn"] == ("weeks" if len(ran.answer["weeks"]) >= 8 else "accounts")


def test_too_little_history_is_said_with_the_code_for_it(tmp_path: Path) -> None:
    folder = make_project(tmp_path, TOML.replace(f"{UNTIL:%Y-%m-%d}", "2024-02-10"), _files(days=40)).folder
    ran = run_leads("backtest", "-p", folder, "--weeks", "4", "--json")
    assert ran.exit_code == 3
    assert ran.answer["error"]


def test_wrong_words_are_named(tmp_path: Path) -> None:
    toml = TOML.replace("размер >= 1", "размеры >= 1")
    folder = make_project(tmp_path, toml, _files(days=60)).folder
    ran = run_leads("backtest", "-p", folder)
    assert ran.exit_code == 2
    assert "definition 'Крупные': at character 1 of 'размеры >= 1': no feature is called 'размеры'" in ran.output
    assert "Did you mean 'размер'?" in ran.output
    assert run_leads("backtest", "-p", folder, "--retrain", "soon").exit_code == 2
    assert run_leads("backtest", "-p", folder, "--retrain", "1d").exit_code == 2


def test_leads_without_dates_cannot_be_replayed(tmp_path: Path) -> None:
    toml = (
        '[leads]\nfile = "l.csv"\nid = "id"\ncolumns = { size = "number" }\n[outcome]\ncolumn = "end"\nwon = ["won"]\n'
    )
    rows = [[f"l{n}", n % 7, "lost" if n % 3 else "won"] for n in range(60)]
    folder = make_project(tmp_path, toml, {"l.csv": csv_text([["id", "size", "end"], *rows])}).folder
    ran = run_leads("backtest", "-p", folder)
    assert ran.exit_code == 5
    assert "Declare leads.created_at" in ran.output
