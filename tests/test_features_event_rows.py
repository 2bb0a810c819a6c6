"""Rows of the events' table."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from worlds import BASIC_TOML, OLD_WIN, ONE_LEAD, lines, make_dated, make_tables, read_rejects, rows_of, utc

EVENTS_TOML = (
    BASIC_TOML
    + """
[events]
file = "events.csv"
lead = "lead"
at = "at"
kind = "kind"
value = "value"
recorded_at = "seen"
"""
)


def test_an_event_was_recorded_when_it_occurred_or_later(tmp_path: Path) -> None:
    events = lines(
        """lead,at,kind,value,seen
        1,2024-05-02T00:00:00Z,a,1.5,
        1,2024-05-02T00:00:00Z,b,,2024-05-01T00:00:00Z
        1,2024-05-02T00:00:00Z,c,-0.000001,2024-05-03T00:00:00Z
        1,2024-05-02T00:00:00Z,,1,
        ,2024-05-02T00:00:00Z,a,1,
        1,,a,1,
        1,2024-05-02T00:00:00Z,a,many,
        1,2024-05-02T00:00:00Z,a,1,soon"""
    )
    tables = make_tables(tmp_path, EVENTS_TOML, {"leads.csv": ONE_LEAD, "stages.csv": OLD_WIN, "events.csv": events})
    assert rows_of(tables, "SELECT kind, occurred_at, recorded_at, value FROM events ORDER BY kind") == [
        ("a", utc("2024-05-02"), utc("2024-05-02"), Decimal("1.5")),
        ("b", utc("2024-05-02"), utc("2024-05-02"), None),
        ("c", utc("2024-05-02"), utc("2024-05-03"), Decimal("-0.000001")),
    ]
    table = read_rejects(tmp_path, "events")
    assert [row[0] for row in table] == ["row", "5", "6", "7", "8", "9"]
    assert [row[1].split(":")[0] for row in table[1:]] == ["kind", "lead", "at", "value", "seen"]
    assert tables.counts["events"].rejected == 5
    assert tables.counts["leads"].rejected == 0


@pytest.mark.parametrize("cell", ["inf", "nan", "1e40", "1e400"])
def test_a_value_that_is_no_amount_is_set_aside(tmp_path: Path, cell: str) -> None:
    events = f'lead,at,kind,value,seen\n1,2024-05-02T00:00:00Z,a,"{cell}",\n1,2024-05-02T00:00:00Z,a,2,\n'
    tables = make_tables(tmp_path, EVENTS_TOML, {"leads.csv": ONE_LEAD, "stages.csv": OLD_WIN, "events.csv": events})
    assert rows_of(tables, "SELECT value FROM events") == [(Decimal(2),)]


def test_without_events_the_table_is_empty(tmp_path: Path) -> None:
    assert rows_of(make_dated(tmp_path, "1,2024-05-01T00:00:00Z"), "SELECT count(*) FROM events") == [(0,)]
