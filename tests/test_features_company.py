"""The company behind a lead: versions of its attributes, what colleagues did, and the ideal customer."""

from __future__ import annotations

import math
import random
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from features.catalogue import Catalogue, Feature, Statistic
from features.engine import build_features
from features.ingest import read_tables
from features.listing import build_catalogue
from features.tables import Tables
from worlds import ask, csv_text, days, iso, lines, make_project, make_tables, utc

TOML = """
[leads]
file = "leads.csv"
id = "id"
created_at = "created"
account = "company"

[events]
file = "events.csv"
lead = "lead"
at = "at"
kind = "kind"
recorded_at = "recorded"

[stages]
file = "stages.csv"
lead = "lead"
at = "at"

[outcome]
"""
WINDOW = 86_400 * 30


def colleagues(statistic: Statistic, window: int | None = None) -> Feature:
    return Feature(statistic, "number", "colleagues", "account", statistic, window, "", "", "")


EVERYTHING = Catalogue(
    (colleagues("leads"), colleagues("wins"), colleagues("count", WINDOW), colleagues("since_last")), ()
)


def random_company(seed: int) -> tuple[dict[str, list[list[str]]], list[tuple[str, datetime]], list[list[float]]]:
    """Invent leads of three companies with events and wins; answer every question with plain loops."""
    chance = random.Random(seed)
    start = datetime(2024, 3, 1, 7, 30)
    leads = [(f"l{n}", start + days(chance.randrange(60)), chance.choice(["a", "b", ""])) for n in range(14)]
    events = []
    for lead, created, _ in leads * 4:
        at = created + days(chance.uniform(-5, 60))
        events.append((lead, at, at + chance.choice([timedelta(0), days(3)])))
    wins = {lead: created + days(chance.randrange(40)) for lead, created, _ in leads if chance.random() < 0.4}
    questions = [(lead, created + chance.choice([days(0), days(10), days(45)])) for lead, created, _ in leads]
    answers = []
    for lead, as_of in questions:
        company = next(company for name, _, company in leads if name == lead)
        others = {
            name for name, created, its in leads if company and its == company and name != lead and created < as_of
        }
        seen = [at for name, at, recorded in events if name in others and max(at, recorded) < as_of]
        won = sum(wins[name] < as_of for name in others if name in wins)
        since = (as_of - max(seen)) // timedelta(seconds=1) / 86_400 if seen else math.nan
        answers.append([len(others), won, sum(at >= as_of - days(30) for at in seen), since])
    rows = {
        "leads": [["id", "created", "company"], *([lead, iso(created), company] for lead, created, company in leads)],
        "events": [
            ["lead", "at", "kind", "recorded"],
            *([lead, iso(at), "visit", iso(recorded)] for lead, at, recorded in events),
        ],
        "stages": [["lead", "at"], *([lead, iso(at)] for lead, at in wins.items())],
    }  # fmt: skip
    return rows, questions, answers


def tables_of(folder: Path, rows: dict[str, list[list[str]]]) -> Tables:
    return make_tables(folder, TOML, {f"{name}.csv": csv_text(table) for name, table in rows.items()})


@pytest.mark.parametrize("seed", range(8))
def test_colleagues_equal_a_plain_loop(tmp_path: Path, seed: int) -> None:
    rows, questions, answers = random_company(seed)
    frame = build_features(ask(*questions), tables_of(tmp_path, rows), EVERYTHING)
    np.testing.assert_allclose(frame.to_numpy(), np.array(answers, dtype=float), rtol=1e-12)
    assert frame.sum().min() > 0


def test_later_leads_events_and_wins_of_a_company_change_nothing(tmp_path: Path) -> None:
    rows, questions, _ = random_company(1)
    as_of = sorted(moment for _, moment in questions)[7]
    asked = ask(*((lead, moment) for lead, moment in questions if moment <= as_of))
    before = build_features(asked, tables_of(tmp_path / "before", rows), EVERYTHING)
    moments = [iso(as_of + gap) for gap in (timedelta(0), timedelta(microseconds=1), days(3))]
    rows["leads"] += [[f"new {at} {company}", at, company] for at in moments for company in "ab"]
    rows["events"] += [[lead[0], at, "visit", at] for lead in rows["leads"][1:] for at in moments]
    rows["stages"] += [[lead[0], at] for lead in rows["leads"][1:] for at in moments]
    after = build_features(asked, tables_of(tmp_path / "after", rows), EVERYTHING)
    assert before.equals(after)


def test_a_collecting_account_of_many_leads_counts_its_first_fifty(tmp_path: Path) -> None:
    start = utc("2024-03-01")
    rows = {
        "leads": [["id", "created", "company"], *([f"l{n:03}", iso(start + days(n)), "all"] for n in range(80))],
        "events": [["lead", "at", "kind", "recorded"]],
        "stages": [["lead", "at"]],
    }
    questions = [("l010", start + days(20)), ("l079", start + days(100))]
    frame = build_features(ask(*questions), tables_of(tmp_path, rows), EVERYTHING)
    assert frame["leads"].tolist() == [19, 50]


VERSIONS = """
[leads]
file = "leads.csv"
id = "id"
created_at = "created"
account = "company"
columns = { role = "category", size = "number" }

[accounts]
file = "accounts.csv"
id = "company"
valid_from = "since"
columns = { staff = "number", field = "category" }
%s

[stages]
file = "stages.csv"
lead = "lead"
at = "at"

[outcome]

[features]
colleagues = false
%s
"""
FILES = {
    "leads.csv": lines(
        """id,created,company,role,size
        1,2024-05-01T00:00:00Z,a,Owner,60
        2,2024-05-01T00:00:00Z,a,clerk,
        3,2024-05-01T00:00:00Z,b,,"""
    ),
    "accounts.csv": lines(
        """company,since,staff,field
        a,2024-01-01T00:00:00Z,10,IT
        a,2024-04-01T00:00:00Z,60,it"""
    ),
    "stages.csv": "lead,at\n",
}


@pytest.mark.parametrize(
    ("as_of", "staff"),
    [("2024-05-01", 60.0), ("2024-06-30", 60.0), ("2024-06-30 00:00:00.000001", None), ("2024-09-01", None)],
)
def test_a_version_older_than_its_time_to_live_is_not_known(tmp_path: Path, as_of: str, staff: float | None) -> None:
    project = make_project(tmp_path, VERSIONS % ('time_to_live = "90d"', ""), FILES)
    tables = read_tables(project)
    frame = build_features(ask(("1", utc(as_of))), tables, build_catalogue(tables, project.settings))
    assert [None if math.isnan(value) else value for value in frame["staff"]] == [staff]
    # the earlier version does not stand in for one that is no longer known
    assert frame["field"].isna().tolist() == [staff is None]


def test_the_fit_with_the_ideal_customer_is_the_share_met_of_what_is_known(tmp_path: Path) -> None:
    ideal = 'ideal_customer = { role = ["owner", "director"], size = { min = 50, max = 500 }, staff = { min = 60 } }'
    project = make_project(tmp_path, VERSIONS % ("", ideal), FILES)
    tables = read_tables(project)
    catalogue = build_catalogue(tables, project.settings)
    questions = [("1", utc("2024-05-02")), ("1", utc("2024-03-01")), ("2", utc("2024-05-02")), ("3", utc("2024-05-02"))]
    fit = build_features(ask(*questions), tables, catalogue)["ideal_customer_fit"].tolist()
    assert fit[:3] == [1.0, 2 / 3, 0.5]
    assert math.isnan(fit[3])
    alone = catalogue.keep(["ideal_customer_fit"])
    assert build_features(ask(*questions), tables, alone)["ideal_customer_fit"].tolist()[:3] == fit[:3]
    assert Catalogue.from_json(alone.to_json()) == alone  # type: ignore[arg-type]
