"""How earlier leads of a source did, as known then; and what a season needs."""

from __future__ import annotations

import math
import random
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from features.engine import build_features
from features.ingest import read_tables
from features.listing import build_catalogue
from project.folder import Project
from worlds import ask, csv_text, days, iso, make_project, utc

TOML = """
[leads]
file = "leads.csv"
id = "id"
created_at = "created"
columns = { source = "category" }

[stages]
file = "stages.csv"
lead = "lead"
at = "at"
stage = "stage"

[outcome]
horizon = "10d"
won = ["won"]
lost = ["lost"]
%s

[features]
track_record = ["source"]
"""
HORIZON = days(10)
Lead = tuple[str, datetime, str, datetime | None]


def random_leads(seed: int) -> list[Lead]:
    chance = random.Random(seed)
    start = datetime(2024, 3, 1)
    leads: list[Lead] = []
    for number in range(120):
        created = start + days(chance.choice([chance.uniform(0, 80), chance.randrange(80)]))
        won = created + days(chance.choice([0, 3, 9.99999, 10, 20])) if chance.random() < 0.4 else None
        leads.append((f"l{number}", created, chance.choice(["web", "fair", ""]), won))
    return leads


def project_of(folder: Path, leads: list[Lead], more: str = "") -> Project:
    stages = [[lead, iso(won), "won"] for lead, _, _, won in leads if won]
    return make_project(
        folder,
        TOML % more,
        {
            "leads.csv": csv_text([["id", "created", "source"], *([lead, iso(at), of] for lead, at, of, _ in leads)]),
            "stages.csv": csv_text([["lead", "at", "stage"], *stages]),
        },
    )


def known(leads: list[Lead], as_of: datetime, until: datetime) -> list[Lead]:
    """Keep leads whose horizon was over by the start of the day of as_of, and within what was observed."""
    day = as_of.replace(hour=0, minute=0, second=0, microsecond=0)
    return [lead for lead in leads if lead[1] + HORIZON <= min(day, until)]


def wins(leads: list[Lead]) -> int:
    return sum(won is not None and created <= won < created + HORIZON for _, created, _, won in leads)


@pytest.mark.parametrize("seed", range(6))
def test_track_records_equal_a_plain_loop(tmp_path: Path, seed: int) -> None:
    leads = random_leads(seed)
    project = project_of(tmp_path, leads)
    tables = read_tables(project)
    until = tables.observed_until
    assert until is not None
    chance = random.Random(seed)
    questions = [(lead, created + days(chance.choice([0, 1, 9.5, 30]))) for lead, created, _, _ in leads]
    frame = build_features(ask(*questions), tables, build_catalogue(tables, project.settings))
    rates, most = [], 0
    for (_, as_of), (_, _, source, _) in zip(questions, leads, strict=True):
        all_of_them = known(leads, as_of, until)
        same = [lead for lead in all_of_them if source and lead[2] == source]
        share = wins(all_of_them) / len(all_of_them) if all_of_them else math.nan
        rates.append((wins(same) + 20 * share) / (len(same) + 20))
        most = max(most, len(same))
    np.testing.assert_allclose(frame["source_win_rate"], rates, rtol=1e-12)
    assert most > 20
    assert len(set(rates)) > 20


def test_the_future_changes_no_track_record(tmp_path: Path) -> None:
    leads = random_leads(3)
    as_of = datetime(2024, 4, 20, 13)
    questions = ask(*((lead, as_of) for lead, created, _, _ in leads if created < as_of))
    frames = []
    more = [(f"new {lead}", as_of + days(n % 7), source, None) for n, (lead, _, source, _) in enumerate(leads)]
    later = [(lead, at, of, won if won and won < as_of else None) for lead, at, of, won in leads if at < as_of]
    for name, world in (("as it is", leads), ("with more", [*leads, *more]), ("cut", [*later, more[0]])):
        project = project_of(tmp_path / name, world, "observed_until = 2024-09-01T00:00:00Z")
        tables = read_tables(project)
        frame = build_features(questions, tables, build_catalogue(tables, project.settings))
        frames.append(frame.filter(like="win_").round(12))
    assert frames[0].equals(frames[1])
    assert frames[0].equals(frames[2])
    assert frames[0]["source_win_rate"].nunique() > 1


def test_nothing_is_known_of_a_source_before_a_horizon_is_over(tmp_path: Path) -> None:
    leads: list[Lead] = [(f"l{n}", datetime(2024, 3, 1), "web", None) for n in range(4)]
    project = project_of(tmp_path, leads, "observed_until = 2024-09-01T00:00:00Z")
    tables = read_tables(project)
    catalogue = build_catalogue(tables, project.settings)
    frame = build_features(ask(("l0", datetime(2024, 3, 10)), ("l0", datetime(2024, 3, 11))), tables, catalogue)
    assert math.isnan(frame["source_win_rate"][0])
    assert frame["source_win_rate"][1] == 0


def test_leads_lost_for_an_unknown_reason_are_no_evidence(tmp_path: Path) -> None:
    why = {"won": "", "gone": "no need", "away": "unreachable", "late": "unreachable", "robot": "spam"}
    leads = "id,created,source\n" + "".join(f"{name},2024-03-01T00:00:00Z,web\n" for name in [*why, "open"])
    days_of = {"won": 5, "gone": 5, "away": 5, "late": 25, "robot": 5}
    stages = "lead,at,stage,why\n" + "".join(
        f"{name},2024-03-{day:02}T00:00:00Z,{'won' if name == 'won' else 'lost'},{why[name]}\n"
        for name, day in days_of.items()
    )
    toml = TOML.replace('stage = "stage"', 'stage = "stage"\nreason = "why"') % "observed_until = 2024-09-01T00:00:00Z"
    tables = read_tables(make_project(tmp_path, toml, {"leads.csv": leads, "stages.csv": stages}))
    found = tables.connection.execute("SELECT lead_id, converted FROM matured ORDER BY 1").fetchall()
    # what was lost after its horizon was still no win within it
    assert found == [("gone", 0), ("late", 0), ("open", 0), ("won", 1)]


@pytest.mark.parametrize(("last", "months"), [("2025-12-31", 0), ("2026-02-01", 1)])
def test_a_season_needs_two_years(tmp_path: Path, last: str, months: int) -> None:
    leads: list[Lead] = [("a", utc("2024-01-05"), "web", None), ("b", utc(last), "web", None)]
    project = project_of(tmp_path, leads)
    tables = read_tables(project)
    catalogue = build_catalogue(tables, project.settings)
    assert catalogue.names.count("created_month") == months
    if months:
        frame = build_features(ask(("a", utc("2024-02-01")), ("b", utc("2026-02-02"))), tables, catalogue)
        assert frame["created_month"].tolist() == ["Jan", "Feb"]
