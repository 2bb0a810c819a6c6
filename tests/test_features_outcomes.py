"""Outcomes: where they may stand, and which of several counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from project.errors import SettingsError
from worlds import BASIC_TOML, ONE_LEAD, lines, make_tables, rows_of, utc


def test_the_first_of_each_outcome_counts(tmp_path: Path) -> None:
    stages = lines(
        """id,at,stage
        1,2024-05-09T00:00:00Z,won
        1,2024-05-05T00:00:00Z,won
        1,2024-05-07T00:00:00Z,lost
        1,2024-05-03T00:00:00Z,talked
        2,2024-05-03T00:00:00Z,talked
        3,2024-05-04T00:00:00Z, lost """
    )
    tables = make_tables(tmp_path, BASIC_TOML, {"leads.csv": ONE_LEAD, "stages.csv": stages})
    assert rows_of(tables, "SELECT lead_id, won_at, lost_at FROM outcomes ORDER BY 1") == [
        ("1", utc("2024-05-05"), utc("2024-05-07")),
        ("3", None, utc("2024-05-04")),
    ]


def test_without_a_stage_column_every_row_is_a_win(tmp_path: Path) -> None:
    toml = BASIC_TOML.replace('stage = "stage"', "").replace('won = ["won"]', "").replace('lost = ["lost"]', "")
    orders = "id,at\n1,2024-05-09T00:00:00Z\n1,2024-05-05T00:00:00Z\n"
    tables = make_tables(tmp_path, toml, {"leads.csv": ONE_LEAD, "stages.csv": orders})
    assert rows_of(tables, "SELECT lead_id, won_at, lost_at FROM outcomes") == [("1", utc("2024-05-05"), None)]


def test_dates_of_outcomes_may_stand_with_the_leads(tmp_path: Path) -> None:
    toml = '[leads]\nfile="leads.csv"\nid="id"\ncreated_at="created"\n[outcome]\nwon_at="won"\nlost_at="lost"\n'
    leads = lines(
        """id,created,won,lost
        1,2024-05-01T00:00:00Z,2024-05-05T00:00:00Z,
        2,2024-05-01T00:00:00Z,,2024-05-06T00:00:00Z
        3,2024-05-01T00:00:00Z,,
        4,2024-05-01T00:00:00Z,soon,"""
    )
    tables = make_tables(tmp_path, toml, {"leads.csv": leads})
    assert tables.dated
    assert rows_of(tables, "SELECT lead_id, won_at, lost_at FROM outcomes ORDER BY lead_id") == [
        ("1", utc("2024-05-05"), None),
        ("2", None, utc("2024-05-06")),
    ]
    assert rows_of(tables, "SELECT lead_id FROM leads ORDER BY position") == [("1",), ("2",), ("3",)]


CLOSING = """
[project]
timezone = "UTC"
[leads]
file = "leads.csv"
id = "id"
created_at = "created"
[outcome]
column = "status"
won = ["S"]
lost = ["F", "J"]
closed_at = "closed"
"""


def test_one_closing_date_counts_for_whichever_end_the_status_tells(tmp_path: Path) -> None:
    leads = """id,created,status,closed
        won,2024-05-01,S,2024-05-04
        lost,2024-05-01,J,2024-05-03
        planned,2024-05-01,P,2024-05-09
        unstated,2024-05-01,,2024-05-09
        undated,2024-05-01,S,"""
    tables = make_tables(tmp_path, CLOSING, {"leads.csv": lines(leads)})
    assert tables.dated
    assert rows_of(tables, "SELECT lead_id, won_at, lost_at FROM outcomes ORDER BY 1") == [
        ("lost", None, utc("2024-05-03")),
        ("won", utc("2024-05-04"), None),
    ]
    assert rows_of(tables, "SELECT lead_id, converted, closed FROM leads ORDER BY 1") == [
        (name, None, False) for name in ("lost", "planned", "unstated", "won")
    ]
    assert tables.observed_until == utc("2024-05-04")


def test_a_closing_date_without_a_date_of_creation_leaves_the_history_flat(tmp_path: Path) -> None:
    toml = CLOSING.replace('created_at = "created"', "")
    tables = make_tables(tmp_path, toml, {"leads.csv": "id,status,closed\n1,S,\n2,F,2024-05-01\n3,P,\n"})
    assert not tables.dated
    assert rows_of(tables, "SELECT lead_id, converted, closed FROM leads ORDER BY 1") == [
        ("1", True, True),
        ("2", False, True),
        ("3", False, False),
    ]


def test_a_flat_outcome_tells_who_converted_and_who_is_closed(tmp_path: Path) -> None:
    toml = '[leads]\nfile="leads.csv"\nid="id"\n[outcome]\ncolumn="end"\nwon=["Won","Выиграно"]\nlost=["Lost"]\n'
    leads = "id,end\n1,Won\n2,Lost\n3,\n4,waiting\n5, Выиграно \n6,won\n"
    tables = make_tables(tmp_path, toml, {"leads.csv": leads})
    assert rows_of(tables, "SELECT lead_id, converted, closed FROM leads ORDER BY position") == [
        ("1", True, True),
        ("2", False, True),
        ("3", None, False),
        ("4", False, False),
        ("5", True, True),
        ("6", False, False),
    ]
    assert not tables.dated


def test_a_misspelt_won_stage_is_an_error_that_lists_the_stages_found(tmp_path: Path) -> None:
    stages = "id,at,stage\n1,2024-05-09T00:00:00Z,Won\n1,2024-05-05T00:00:00Z,talked\n1,2024-05-06T00:00:00Z,talked\n"
    with pytest.raises(SettingsError, match=r"outcome names 'won', but the stages found are 'talked', 'Won'"):
        make_tables(tmp_path, BASIC_TOML, {"leads.csv": ONE_LEAD, "stages.csv": stages})
