"""Tables as they stood at an earlier moment."""

from __future__ import annotations

from datetime import datetime

import pytest

from features.ingest import read_tables
from features.tables import Tables
from project.folder import Project
from worlds import BASIC_TOML, lines, make_project, rows_of, utc

TOML = (
    BASIC_TOML.replace(
        'created_at = "created"', 'created_at = "created"\naccount = "firm"\ncolumns = { city = "category" }'
    )
    + """
[leads.identity]
email = "mail"

[events]
file = "events.csv"
lead = "id"
at = "at"
recorded_at = "recorded"
kind = "kind"
id = "event"

[accounts]
file = "accounts.csv"
id = "firm"
valid_from = "since"
columns = { size = "number" }

[features]
track_record = ["city"]
"""
)
LEADS = """
    id,created,firm,city,mail
    a,2024-01-01T00:00:00Z,f1,Тверь,a@one.ru
    b,2024-01-05T00:00:00Z,f2,Омск,b@two.ru
    c,2024-02-10T00:00:00Z,f1,Омск,a@one.ru
    d,2024-03-01T00:00:00Z,f3,Омск,b@two.ru
"""
STAGES = """
    id,at,stage
    a,2024-01-08T00:00:00Z,won
    b,2024-02-20T00:00:00Z,won
    c,2024-02-01T00:00:00Z,new
    d,2024-03-05T00:00:00Z,lost
"""
EVENTS = """
    event,id,at,recorded,kind
    1,a,2024-01-02T00:00:00Z,2024-01-02T00:00:00Z,visit
    2,b,2024-01-20T00:00:00Z,2024-02-25T00:00:00Z,late
    3,a,2024-01-03T00:00:00Z,2024-01-03T00:00:00Z,mail
    3,a,2024-01-03T00:00:00Z,2024-02-22T00:00:00Z,call
    4,d,2024-03-02T00:00:00Z,2024-03-02T00:00:00Z,visit
"""
ACCOUNTS = """
    firm,since,size
    f1,2024-01-01T00:00:00Z,5
    f1,2024-02-12T00:00:00Z,50
"""
MOMENT = utc("2024-02-12")
TABLES = {
    "leads": "SELECT lead_id, created_at, group_id, flag FROM leads ORDER BY lead_id",
    "events": "SELECT lead_id, occurred_at, kind, superseded_at FROM events ORDER BY ALL",
    "outcomes": "SELECT * FROM outcomes ORDER BY lead_id",
    "matured": "SELECT * FROM matured ORDER BY lead_id",
    "accounts": "SELECT * FROM accounts ORDER BY ALL",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    files = {"leads.csv": LEADS, "stages.csv": STAGES, "events.csv": EVENTS, "accounts.csv": ACCOUNTS}
    return make_project(tmp_path_factory.mktemp("p"), TOML, {name: lines(text) for name, text in files.items()})


def _show(tables: Tables) -> dict[str, list[tuple[object, ...]]]:
    return {name: rows_of(tables, sql) for name, sql in TABLES.items()}


def _day(text: str) -> datetime:
    return utc(text)


def test_what_came_at_or_after_the_moment_is_not_there(project: Project) -> None:
    tables = read_tables(project, known_until=MOMENT)
    found = _show(tables)
    assert [row[0] for row in found["leads"]] == ["a", "b", "c"]
    assert found["events"] == [
        ("a", _day("2024-01-02"), "visit", None),
        ("a", _day("2024-01-03"), "mail", None),  # the correction of it was not known yet
    ]
    assert found["outcomes"] == [("a", _day("2024-01-08"), None, None)]
    assert found["matured"] == [("a", _day("2024-01-11"), 1), ("b", _day("2024-01-15"), 0)]
    assert len(found["accounts"]) == 1
    assert tables.observed_until == MOMENT


def test_a_later_lead_links_no_earlier_ones_but_an_earlier_one_still_makes_a_duplicate(project: Project) -> None:
    then, now = (_show(read_tables(project, known_until=moment))["leads"] for moment in (MOMENT, None))
    flags = {row[0]: row[3] for row in then}
    assert flags == {"a": None, "b": None, "c": "duplicate of a"}
    assert {row[0]: row[3] for row in now}["d"] == "duplicate of b"


def test_without_a_moment_everything_is_there(project: Project) -> None:
    assert len(_show(read_tables(project))["events"]) == 5


def test_all_stages_may_be_named_though_none_of_them_had_happened(project: Project) -> None:
    tables = read_tables(project, known_until=utc("2024-01-07"))
    assert _show(tables)["outcomes"] == []
