from __future__ import annotations

import csv
import gzip
import sqlite3
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from features.engine import build_features
from features.ingest import read_tables
from features.listing import build_catalogue
from features.snapshots import build_open_snapshots, build_training_snapshots
from features.tables import Tables
from project.errors import LeadError, NotEnoughDataError, SchemaError, SettingsError
from project.folder import Project
from project.settings import Settings
from training.labels import label_snapshots
from worlds import BASIC_TOML, csv_text, lines, make_project, make_tables, rows_of, utc

FLAT = """
[leads]
file = "leads.csv"
id = "id"
columns = { "n" = "number", "c" = "category" }
%s
[outcome]
column = "won"
won = ["1"]
"""
MOSCOW = '[project]\ntimezone = "Europe/Moscow"\n'
STAGES = "id,at,stage\nold,2020-01-01T00:00:00Z,won\n"


def flat(folder: Path, rows: str, *, more: str = "", name: str = "leads.csv") -> Tables:
    text = lines(f"id,n,c,won\n{rows}")
    content = gzip.compress(text.encode()) if name.endswith(".gz") else text
    return make_tables(folder, (FLAT % more).replace("leads.csv", name), {name: content})


def dated(folder: Path, rows: str, *, toml: str = BASIC_TOML) -> Tables:
    return make_tables(folder, toml, {"leads.csv": lines(f"id,created\n{rows}"), "stages.csv": STAGES})


def rejects(folder: Path, table: str = "leads") -> list[list[str]]:
    with (folder / "state" / "rejects" / f"{table}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def numbers(tables: Tables) -> dict[object, object]:
    return dict(rows_of(tables, "SELECT lead_id, a1 FROM leads ORDER BY position"))


@pytest.mark.parametrize("name", ["leads.csv", "leads.csv.gz"])
def test_rows_that_do_not_fit_are_set_aside_with_their_row_and_reason(tmp_path: Path, name: str) -> None:
    tables = flat(
        tmp_path,
        """1,10,web,1
        2,20
        3,abc,web,1
        ,30,web,1
        1,40,"second, ""1""\",0
        4,inf,web,0
        5,1,2,3,4,5
        6,NaN,web,0
        7,,,0""",
        name=name,
    )
    assert numbers(tables) == {"1": 10.0, "7": None}
    fault = "is not a finite number; correct it, or set decimal, missing or another kind"
    assert rejects(tmp_path) == [
        ["row", "reason", "id", "won", "c", "n"],
        ["4", f"n: abc {fault}", "3", "1", "web", "abc"],
        ["5", "id: empty", "", "1", "web", "30"],
        ["6", "lead_id: stands already in row 2", "1", "0", 'second, "1"', "40"],
        ["7", f"n: inf {fault}", "4", "0", "web", "inf"],
        ["9", f"n: NaN {fault}", "6", "0", "web", "NaN"],
        ["3", "row: 2 cells where the header has 4", "2,20"],
        ["8", "row: 6 cells where the header has 4", "5,1,2,3,4,5"],
    ]
    count = tables.counts["leads"]
    assert (count.read, count.kept, count.rejected) == (9, 2, 7)
    assert sum(count.reasons.values()) == 7
    assert count.reasons["lead_id: stands already in an earlier row"] == 1
    assert count.rejects_file == tmp_path / "state" / "rejects" / "leads.csv"


def test_without_rejects_there_is_no_file_of_them_any_more(tmp_path: Path) -> None:
    flat(tmp_path, "1,10,web,1\n2,x,web,1")
    assert len(rejects(tmp_path)) == 2
    tables = flat(tmp_path, "1,10,web,1\n2,5,web,1")
    assert not (tmp_path / "state" / "rejects" / "leads.csv").exists()
    assert (tables.counts["leads"].rejected, tables.counts["leads"].rejects_file) == (0, None)


def test_the_first_good_row_of_an_id_is_the_one_that_stays(tmp_path: Path) -> None:
    tables = flat(tmp_path, "1,x,a,1\n1,2,b,1\n1,3,c,1")
    assert numbers(tables) == {"1": 2.0}
    assert [row[:2] for row in rejects(tmp_path)[2:]] == [["4", "lead_id: stands already in row 3"]]


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1 200", 1_200.0),
        ("1\u00a0200,5".replace(",", "."), 1_200.5),
        ("1\u202f234\u202f567", 1_234_567.0),
        (" 7 ", 7.0),
        ("\u00a07\u00a0", 7.0),
        ("-0.5", -0.5),
        ("+3", 3.0),
        ("1e3", 1_000.0),
        (".5", 0.5),
        ("0007", 7.0),
        ("", None),
        ("   ", None),
        ("9007199254740993", 9007199254740992.0),
    ],
)
def test_numbers_are_read_as_people_write_them(tmp_path: Path, cell: str, value: float | None) -> None:
    assert numbers(flat(tmp_path, f'1,"{cell}",web,1')) == {"1": value}


@pytest.mark.parametrize(
    "cell",
    ["abc", "inf", "-Infinity", "nan", "1e999", "12 kg", "0x1F", "1_200", "–5", "NULL", "true"],
)
def test_what_is_no_number_is_set_aside(tmp_path: Path, cell: str) -> None:
    tables = flat(tmp_path, f'1,1,web,1\n2,"{cell}",web,1')
    assert numbers(tables) == {"1": 1.0}
    assert rejects(tmp_path)[1][1].startswith(f"n: {cell} is not a finite number")


def test_decimal_commas_and_semicolons_are_read_if_declared(tmp_path: Path) -> None:
    text = "id;n;c;won\n1;1\u00a0200,75;a,b;1\n2;-0,5;c;0\n3;12;d;0\n"
    tables = make_tables(tmp_path, FLAT % 'decimal = ","', {"leads.csv": text})
    assert numbers(tables) == {"1": 1_200.75, "2": -0.5, "3": 12.0}
    assert rows_of(tables, "SELECT a0 FROM leads ORDER BY position") == [("a,b",), ("c",), ("d",)]


def test_with_decimal_commas_a_point_is_no_decimal_sign(tmp_path: Path) -> None:
    # 1.200 in such a file means twelve hundred; to read it as 1.2 in silence would be wrong by a thousand
    text = "id;n;c;won\n1;5;a;1\n2;1.200;a;1\n"
    found = numbers(make_tables(tmp_path, FLAT % 'decimal = ","', {"leads.csv": text}))
    assert found.get("2") != 1.2


def test_declared_tokens_are_no_value_and_nothing_else_is(tmp_path: Path) -> None:
    tables = flat(tmp_path, "1,-,-,1\n2, n/a ,NA,1\n3,3,None,-\n4,4,null,1\n5,5,N/A,1", more='missing = ["-", "n/a"]')
    assert numbers(tables) == {"1": None, "2": None, "3": 3.0, "4": 4.0, "5": 5.0}
    texts = dict(rows_of(tables, "SELECT lead_id, a0 FROM leads"))
    assert texts == {"1": None, "2": "NA", "3": "None", "4": "null", "5": "N/A"}
    assert rows_of(tables, "SELECT lead_id FROM leads WHERE converted IS NULL") == [("3",)]


def test_companies_called_nothing_stay_and_ids_keep_their_zeros(tmp_path: Path) -> None:
    toml = BASIC_TOML.replace('id = "id"', 'id = "id"\naccount = "company"', 1)
    companies = ["NA", "None", "null", "NaN", "nan", "007", "1e5", "TRUE", ""]
    ids = ["007", "7", "7.0", "1e3", "00012345678901234567890", "NA", "None", "ё", "-"]
    rows = [["id", "company", "created"]]
    rows += [[lead, company, "2024-05-01T00:00:00Z"] for lead, company in zip(ids, companies, strict=True)]
    tables = make_tables(tmp_path, toml, {"leads.csv": csv_text(rows), "stages.csv": STAGES})
    found = rows_of(tables, "SELECT lead_id, account_id FROM leads ORDER BY position")
    assert [lead for lead, _ in found] == ids
    assert [account for _, account in found][:-1] == companies[:-1]
    assert len({account for _, account in found}) == len(ids)


def test_cells_with_quoted_newlines_count_as_one_row(tmp_path: Path) -> None:
    text = 'id,n,c,won\n1,1,"a\nb\r\nc",1\n2,bad,x,1\n'
    tables = make_tables(tmp_path, FLAT % "", {"leads.csv": text})
    assert rows_of(tables, "SELECT a0 FROM leads") == [("a\nb\r\nc",)]
    assert rejects(tmp_path)[1][0] == "3"


def test_a_header_alone_is_not_enough_data(tmp_path: Path) -> None:
    with pytest.raises(NotEnoughDataError, match="No lead is left"):
        make_tables(tmp_path, FLAT % "", {"leads.csv": "id,n,c,won\n"})


def test_bad_rows_only_are_not_enough_data_and_can_be_looked_up(tmp_path: Path) -> None:
    with pytest.raises(NotEnoughDataError, match=r"state/rejects/leads\.csv"):
        flat(tmp_path, "1,x,a,1\n2,y,a,1")
    assert [row[0] for row in rejects(tmp_path)] == ["row", "2", "3"]


def test_a_missing_column_is_named_with_the_header(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"leads\.csv: no column 'n'\. Found: id, N, c, won"):
        make_tables(tmp_path, FLAT % "", {"leads.csv": "id,N,c,won\n1,1,1,1\n"})


# times


@pytest.mark.parametrize(
    ("cell", "moment"),
    [
        ("2024-05-01T09:00:00Z", "2024-05-01 09:00:00"),
        ("2024-05-01 09:00:00+03:00", "2024-05-01 06:00:00"),
        ("2024-05-01T09:00:00+0300", "2024-05-01 06:00:00"),
        ("2024-05-01T09:00:00+03", "2024-05-01 06:00:00"),
        ("2024-05-01T23:30:00-05:30", "2024-05-02 05:00:00"),
        ("2024-05-01T09:00:00.123456Z", "2024-05-01 09:00:00.123456"),
        (" 2024-05-01 09:00Z ", "2024-05-01 09:00:00"),
        ("2024-02-29T00:00:00Z", "2024-02-29 00:00:00"),
        ("2024-05-01 09:00:00 UTC", "2024-05-01 09:00:00"),
    ],
)
@pytest.mark.parametrize("zone", ["", MOSCOW], ids=["no zone declared", "Moscow declared"])
def test_times_with_a_zone_become_utc(tmp_path: Path, cell: str, moment: str, zone: str) -> None:
    tables = dated(tmp_path, f"1,{cell}", toml=zone + BASIC_TOML)
    assert rows_of(tables, "SELECT created_at FROM leads") == [(utc(moment),)]


@pytest.mark.parametrize(
    ("cell", "moment"),
    [
        ("2024-05-01 09:00:00", "2024-05-01 06:00:00"),
        ("2024-05-01T00:30:00", "2024-04-30 21:30:00"),
        ("2012-07-01 12:00:00", "2012-07-01 08:00:00"),
        ("2024-05-01", "2024-04-30 21:00:00"),
    ],
    ids=["day", "across midnight", "Moscow was four hours ahead in 2012", "a date alone begins at midnight there"],
)
def test_times_without_a_zone_are_those_of_the_project(tmp_path: Path, cell: str, moment: str) -> None:
    tables = dated(tmp_path, f"1,{cell}", toml=MOSCOW + BASIC_TOML)
    assert rows_of(tables, "SELECT created_at FROM leads") == [(utc(moment),)]


def test_times_without_a_zone_are_an_error_that_names_them_and_the_cure(tmp_path: Path) -> None:
    rows = """1,2024-05-01T09:00:00Z
        2,2024-05-01 09:00:00
        3,2024-05-01T09:00:00
        4,2024-05-01T09:00:00+03:00
        5,2024-05-01 09:00
        6,2024-05-01 09:00:00.5"""
    with pytest.raises(SchemaError) as caught:
        dated(tmp_path, rows)
    assert str(caught.value) == (
        "leads.csv: column 'created' has 4 times without a zone (rows 3, 4, 6 and 1 more). "
        'Write them as 2024-05-01T09:00:00Z, or set timezone = "UTC" (or yours) in [project] of leads.toml.'
    )


def test_dates_alone_have_no_zone_either(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="column 'created' has 1 times without a zone"):
        dated(tmp_path, "1,2024-05-01T09:00:00Z\n2,2024-05-01")


def test_declared_formats_without_a_zone_need_the_zone_too(tmp_path: Path) -> None:
    toml = BASIC_TOML.replace('id = "id"', 'id = "id"\ndate_format = "%d.%m.%Y %H:%M"', 1)
    with pytest.raises(SchemaError, match="column 'created' has 1 times without a zone"):
        dated(tmp_path, "1,03.04.2026 10:00", toml=toml)


def test_times_in_a_declared_format_are_read_in_the_zone_of_the_project(tmp_path: Path) -> None:
    toml = MOSCOW + BASIC_TOML.replace('id = "id"', 'id = "id"\ndate_format = "%d.%m.%Y %H:%M"', 1)
    tables = dated(tmp_path, "1,03.04.2024 10:00\n2,2024-04-03 10:00\n3,31.02.2024 10:00", toml=toml)
    assert rows_of(tables, "SELECT lead_id, created_at FROM leads") == [("1", utc("2024-04-03 07:00:00"))]
    assert [row[0] for row in rejects(tmp_path)] == ["row", "3", "4"]


def test_a_declared_format_may_hold_the_zone(tmp_path: Path) -> None:
    toml = MOSCOW + BASIC_TOML.replace('id = "id"', 'id = "id"\ndate_format = "%d/%m/%Y %H:%M %z"', 1)
    tables = dated(tmp_path, "1,03/04/2024 10:00 +0500", toml=toml)
    assert rows_of(tables, "SELECT created_at FROM leads") == [(utc("2024-04-03 05:00:00"),)]


def test_a_date_format_that_is_none_is_an_error_with_a_cure(tmp_path: Path) -> None:
    toml = MOSCOW + BASIC_TOML.replace('id = "id"', 'id = "id"\ndate_format = "%Q %"', 1)
    with pytest.raises(LeadError, match="date_format"):
        dated(tmp_path, "1,03.04.2024 10:00", toml=toml)


@pytest.mark.parametrize(
    "cell",
    """yesterday|2024-02-30T00:00:00Z|2024-13-01T00:00:00Z||0001-01-01T00:00:00Z|epoch|now|
    9999-12-31T00:00:00Z|1970-01-01T00:00:00Z|infinity|-infinity|2024-05-01T25:00:00Z""".replace("\n    ", "").split(
        "|"
    ),
)
@pytest.mark.parametrize("zone", ["", MOSCOW], ids=["no zone declared", "Moscow declared"])
def test_what_is_no_usable_time_is_set_aside(tmp_path: Path, cell: str, zone: str) -> None:
    # without a zone the file may also be refused as a whole
    try:
        tables = dated(tmp_path, f"1,2024-05-01T00:00:00Z\n2,{cell}\n3,2024-05-02T00:00:00Z", toml=zone + BASIC_TOML)
    except SchemaError as error:
        assert not zone
        assert "without a zone" in str(error)
        return
    assert rows_of(tables, "SELECT lead_id FROM leads ORDER BY position") == [("1",), ("3",)]
    assert rejects(tmp_path)[1][0] == "3"
    assert rejects(tmp_path)[1][1].startswith("created: ")


@pytest.mark.parametrize("zone", ["localtime", "right/UTC"])
def test_a_zone_that_only_some_libraries_know_is_a_named_error(tmp_path: Path, zone: str) -> None:
    with pytest.raises(LeadError, match="timezone"):
        dated(tmp_path, "1,2024-05-01 09:00:00", toml=f'[project]\ntimezone = "{zone}"\n{BASIC_TOML}')


def test_the_zone_of_the_machine_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        tables = dated(tmp_path, "1,2024-05-01 09:00:00", toml=MOSCOW + BASIC_TOML)
        assert rows_of(tables, "SELECT created_at FROM leads") == [(utc("2024-05-01 06:00:00"),)]
    finally:
        monkeypatch.undo()
        time.tzset()


TWO_NUMBERS = FLAT.replace('"c" = "category"', '"c" = "number"') % 'delimiter = ";"'


@pytest.mark.parametrize(
    ("cells", "should"),
    [
        # the file proves a decimal comma: its points part thousands
        ("1.234;12,5 2.500;0,75", {"1": 1_234.0, "2": 2_500.0}),
        # the file proves a decimal point: its commas part thousands
        ("1,234;12.50 2,500;0.75", {"1": 1_234.0, "2": 2_500.0}),
        # a long number without marks: no thousands are parted here
        ("1.234;12,5 12345;0,75", {"1": 1.234, "2": 12_345.0}),
        # the column itself knows
        ("1.234;12,5 0.5;0,75", {"1": 1.234, "2": 0.5}),
        # nobody says otherwise
        ("1.234;12 2.500;7", {"1": 1.234, "2": 2.5}),
    ],
)
def test_a_mark_before_three_digits_follows_what_the_file_proves(
    tmp_path: Path, cells: str, should: dict[str, float]
) -> None:
    rows = "".join(f"{place};{pair};1\n" for place, pair in enumerate(cells.split(), start=1))
    assert numbers(make_tables(tmp_path, TWO_NUMBERS, {"leads.csv": f"id;n;c;won\n{rows}"})) == should


def test_numbers_that_have_a_type_do_not_follow_texts_of_their_table(tmp_path: Path) -> None:
    toml = (FLAT % "").replace("leads.csv", "t.parquet").replace('"c" = "category"', '"c" = "number"')
    table = {"id": ["1", "2"], "n": [1.234, 2.125], "c": ["12,5", "0,75"], "won": ["1", "0"]}
    parquet.write_table(pa.table(table), tmp_path / "t.parquet")
    assert numbers(make_tables(tmp_path, toml, {})) == {"1": 1.234, "2": 2.125}


def test_a_year_of_two_digits_that_may_come_first_is_asked_about(tmp_path: Path) -> None:
    rows = "1,24-05-01\n2,24-05-02\n3,24-06-03"
    with pytest.raises(SchemaError, match=r"'24-05-01', and its last number .* Set date_format = \"%y-%m-%d\""):
        dated(tmp_path, rows, toml=MOSCOW + BASIC_TOML)
    toml = MOSCOW + BASIC_TOML.replace('id = "id"', 'id = "id"\ndate_format = "%y-%m-%d"', 1)
    found = rows_of(dated(tmp_path, rows, toml=toml), "SELECT created_at FROM leads ORDER BY position LIMIT 1")
    assert found == [(utc("2024-04-30 21:00:00"),)]


# encodings


def test_a_cp1251_file_keeps_its_cyrillic_if_declared(tmp_path: Path) -> None:
    content = "id,n,c,won\n1,5,Щёлково – №1,1\n".encode("cp1251")
    tables = make_tables(tmp_path, FLAT % 'encoding = "cp1251"', {"leads.csv": content})
    assert rows_of(tables, "SELECT a0 FROM leads") == [("Щёлково – №1",)]


def test_a_cp1251_file_is_told_by_its_words(tmp_path: Path) -> None:
    content = "id,n,c,won\n1,5,Щёлково,1\n".encode("cp1251")
    tables = make_tables(tmp_path, FLAT % "", {"leads.csv": content})
    assert rows_of(tables, "SELECT a0 FROM leads") == [("Щёлково",)]


def test_a_byte_order_mark_changes_nothing(tmp_path: Path) -> None:
    tables = make_tables(tmp_path, FLAT % "", {"leads.csv": b"\xef\xbb\xbfid,n,c,won\n1,5,x,1\n"})
    assert numbers(tables) == {"1": 5.0}


# events


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
LEADS = "id,created\n1,2024-05-01T00:00:00Z\n"


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
    tables = make_tables(tmp_path, EVENTS_TOML, {"leads.csv": LEADS, "stages.csv": STAGES, "events.csv": events})
    assert rows_of(tables, "SELECT kind, occurred_at, recorded_at, value FROM events ORDER BY kind") == [
        ("a", utc("2024-05-02"), utc("2024-05-02"), Decimal("1.5")),
        ("b", utc("2024-05-02"), utc("2024-05-02"), None),
        ("c", utc("2024-05-02"), utc("2024-05-03"), Decimal("-0.000001")),
    ]
    table = rejects(tmp_path, "events")
    assert [row[0] for row in table] == ["row", "5", "6", "7", "8", "9"]
    assert [row[1].split(":")[0] for row in table[1:]] == ["kind", "lead", "at", "value", "seen"]
    assert tables.counts["events"].rejected == 5
    assert tables.counts["leads"].rejected == 0


@pytest.mark.parametrize("cell", ["inf", "nan", "1e40", "1e400"])
def test_a_value_that_is_no_amount_is_set_aside(tmp_path: Path, cell: str) -> None:
    events = f'lead,at,kind,value,seen\n1,2024-05-02T00:00:00Z,a,"{cell}",\n1,2024-05-02T00:00:00Z,a,2,\n'
    tables = make_tables(tmp_path, EVENTS_TOML, {"leads.csv": LEADS, "stages.csv": STAGES, "events.csv": events})
    assert rows_of(tables, "SELECT value FROM events") == [(Decimal(2),)]


def test_without_events_the_table_is_empty(tmp_path: Path) -> None:
    assert rows_of(dated(tmp_path, "1,2024-05-01T00:00:00Z"), "SELECT count(*) FROM events") == [(0,)]


# outcomes


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
    tables = make_tables(tmp_path, BASIC_TOML, {"leads.csv": LEADS, "stages.csv": stages})
    assert rows_of(tables, "SELECT lead_id, won_at, lost_at FROM outcomes ORDER BY 1") == [
        ("1", utc("2024-05-05"), utc("2024-05-07")),
        ("3", None, utc("2024-05-04")),
    ]


def test_without_a_stage_column_every_row_is_a_win(tmp_path: Path) -> None:
    toml = BASIC_TOML.replace('stage = "stage"', "").replace('won = ["won"]', "").replace('lost = ["lost"]', "")
    orders = "id,at\n1,2024-05-09T00:00:00Z\n1,2024-05-05T00:00:00Z\n"
    tables = make_tables(tmp_path, toml, {"leads.csv": LEADS, "stages.csv": orders})
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
        make_tables(tmp_path, BASIC_TOML, {"leads.csv": LEADS, "stages.csv": stages})


# the same table from other places

ROWS = [
    ("01", "Ёж", "2024-05-01T09:00:00.250000", 2.5),
    ("02", 'say "hi", ok', "2024-02-29T23:59:59.000000", None),
    ("3", None, "2023-12-31T00:00:00.000000", -1e-7),
    ("4", "None", "2024-01-01T12:30:00.000000", 1e15),
]
PLACES = """
[leads]
%s
id = "id"
created_at = "at"
columns = { "name" = "category", "n" = "number" }
[outcome]
won_at = "at"
"""


def as_file(folder: Path) -> str:
    rows = [["id", "name", "at", "n"], *([row[0], row[1], f"{row[2]}Z", row[3]] for row in ROWS)]
    (folder / "t.csv").write_text(csv_text(rows), encoding="utf-8")
    return 'file = "t.csv"'


def columns(kind: str) -> dict[str, pa.Array]:
    moments = [datetime.fromisoformat(row[2]) for row in ROWS]
    types: dict[str, Any] = {
        "microseconds": pa.timestamp("us", tz="UTC"),
        "nanoseconds": pa.timestamp("ns", tz="UTC"),
        "milliseconds": pa.timestamp("ms", tz="UTC"),
    }
    at = pa.array([moment - timedelta(0) for moment in moments], pa.timestamp("us")).cast(types[kind])
    return {
        "id": pa.array([row[0] for row in ROWS]),
        "name": pa.array([row[1] for row in ROWS]),
        "at": at,
        "n": pa.array([row[3] for row in ROWS], pa.float64()),
    }


def contents(folder: Path, source: str) -> list[tuple[object, ...]]:
    tables = read_tables(make_project(folder, PLACES % source, {}))
    assert tables.counts["leads"].rejected == 0
    return rows_of(tables, "SELECT position, lead_id, created_at, a0, a1 FROM leads ORDER BY position")


WANTED = [
    (place, row[0], utc(row[2]), row[3], row[1])  # attributes stand in the order of their headers: n, name
    for place, row in enumerate(ROWS, start=1)
]


def test_a_csv_source_holds_what_was_written(tmp_path: Path) -> None:
    assert contents(tmp_path, as_file(tmp_path)) == WANTED


@pytest.mark.parametrize("kind", ["microseconds", "nanoseconds", "milliseconds"])
def test_a_parquet_source_equals_the_csv_one(tmp_path: Path, kind: str) -> None:
    parquet.write_table(pa.table(columns(kind)), tmp_path / "t.parquet")
    assert contents(tmp_path, 'file = "t.parquet"') == WANTED


def test_parquet_times_of_another_zone_become_utc(tmp_path: Path) -> None:
    table = columns("microseconds")
    table["at"] = table["at"].cast(pa.timestamp("us", tz="Asia/Kolkata"))
    parquet.write_table(pa.table(table), tmp_path / "t.parquet")
    assert contents(tmp_path, 'file = "t.parquet"') == WANTED


def test_parquet_times_without_a_zone_are_an_error_with_the_cure(tmp_path: Path) -> None:
    table = columns("microseconds")
    table["at"] = table["at"].cast(pa.timestamp("us", tz="UTC")).cast(pa.timestamp("us"))
    parquet.write_table(pa.table(table), tmp_path / "t.parquet")
    with pytest.raises(
        SchemaError, match=r"t\.parquet: column 'at' has 4 times without a zone \(rows 2, 3, 4 and 1 more"
    ):
        contents(tmp_path, 'file = "t.parquet"')


def test_parquet_days_without_a_zone_are_an_error_with_the_cure(tmp_path: Path) -> None:
    table = columns("microseconds")
    table["at"] = table["at"].cast(pa.date32())
    parquet.write_table(pa.table(table), tmp_path / "t.parquet")
    with pytest.raises(SchemaError, match=r"t\.parquet: column 'at' has 4 times without a zone"):
        contents(tmp_path, 'file = "t.parquet"')


def test_an_sqlite_source_equals_the_csv_one(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "t.db") as connection:
        connection.execute("CREATE TABLE t (id TEXT, name TEXT, at TEXT, n REAL)")
        connection.executemany("INSERT INTO t VALUES (?, ?, ? || 'Z', ?)", ROWS)
    connection.close()
    assert contents(tmp_path, 'url = "sqlite:///t.db"\nquery = "SELECT * FROM t ORDER BY rowid"') == WANTED


@pytest.mark.parametrize("kind", ["VARCHAR", "TIMESTAMPTZ"])
def test_a_duckdb_source_equals_the_csv_one(tmp_path: Path, kind: str) -> None:
    connection = duckdb.connect(str(tmp_path / "t.duckdb"))
    connection.execute(f'CREATE TABLE t (id VARCHAR, name VARCHAR, "at" {kind}, n DOUBLE)')
    connection.executemany("INSERT INTO t VALUES (?, ?, ? || 'Z', ?)", ROWS)
    connection.close()
    assert contents(tmp_path, 'url = "duckdb:///t.duckdb"\nquery = "SELECT * FROM t"') == WANTED


def test_the_data_hash_changes_with_any_table(tmp_path: Path) -> None:
    files = {"leads.csv": LEADS, "stages.csv": STAGES}
    one = make_tables(tmp_path / "1", BASIC_TOML, files).data_hash
    assert make_tables(tmp_path / "2", BASIC_TOML, files).data_hash == one
    assert (
        make_tables(tmp_path / "3", BASIC_TOML, {**files, "leads.csv": LEADS + "2,2024-05-02T00:00:00Z\n"}).data_hash
        != one
    )
    assert make_tables(tmp_path / "4", BASIC_TOML, {**files, "stages.csv": STAGES + "\n"}).data_hash != one


def test_odd_headers_and_settings_are_only_words(tmp_path: Path) -> None:
    odd = 'it\'s; DROP TABLE leads; -- "x" {y} %s'
    settings_of_it = Settings.model_validate(
        {
            "leads": {
                "file": "l.csv",
                "delimiter": ",",
                "id": odd,
                "columns": {f"{odd} 2": "number"},
                "missing": [odd, "'"],
            },
            "outcome": {"column": f"{odd} 3", "won": [odd, "yes'"]},
        }
    )
    rows = [[odd, f"{odd} 2", f"{odd} 3"], ["1", odd, "yes'"], ["2", "x'y", "'"], ["3", "5", "no"]]
    (tmp_path / "l.csv").write_text(csv_text(rows), encoding="utf-8")
    tables = read_tables(Project(tmp_path, settings_of_it))
    found = rows_of(tables, "SELECT lead_id, a0, converted FROM leads ORDER BY 1")
    assert found == [("1", None, True), ("3", 5.0, False)]
    assert rejects(tmp_path)[1][1].startswith(f"{odd} 2: x'y is not a finite number")


# anything at all in a file

EXAMPLES = 30
TRIMMED = " \t\r\n\u00a0"
ANYTHING = st.text(max_size=6)
TRICKY = st.text(alphabet=" ,;|\t\n\r\"'\\\u00a0\ufeff\x00%{}7aёя💥", max_size=6)
CELL = st.one_of(ANYTHING, TRICKY, st.sampled_from(["", "1", "2.5", "2024-05-01T00:00:00Z", "won", "NaN", "infinity"]))


@st.composite
def files(draw: st.DrawFn, *, header: st.SearchStrategy[str]) -> tuple[list[list[str]], str]:
    width = draw(st.integers(1, 5))
    names = draw(st.lists(header, min_size=width, max_size=width))
    rows = draw(st.lists(st.lists(CELL, min_size=width, max_size=width), max_size=5))
    return [names, *rows], draw(st.sampled_from(",;\t|"))


def write_with_csv(path: Path, table: list[list[str]], delimiter: str) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows(table)


@settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(made=files(header=CELL), places=st.lists(st.integers(0, 4), min_size=7, max_size=7), declared=st.booleans())
def test_no_file_raises_anything_but_a_named_error(
    tmp_path: Path, made: tuple[list[list[str]], str], places: list[int], declared: bool
) -> None:
    table, delimiter = made
    write_with_csv(tmp_path / "t.csv", table, delimiter)
    names = [table[0][place % len(table[0])] for place in places]
    source = {"file": "t.csv", "delimiter": delimiter if declared else None}
    try:
        read_all(tmp_path, source, names, won=table[-1][places[-1] % len(table[0])])
    except LeadError as error:
        assert str(error)


def read_all(folder: Path, source: dict[str, Any], names: list[str], *, won: str) -> None:
    """Read the one file as leads, events and stages, and go on to labels and features."""
    chosen = Settings.model_validate(
        {
            "project": {"timezone": "UTC"},
            "leads": {**source, "id": names[0], "created_at": names[1], "columns": {names[2]: "category"}},
            "events": {**source, "lead": names[0], "at": names[1], "kind": names[3], "value": names[4]},
            "stages": {**source, "lead": names[0], "at": names[1], "stage": names[5]},
            "outcome": {"won": [won]},
        }
    )
    tables = read_tables(Project(folder, chosen))
    go_on(tables, chosen)


def go_on(tables: Tables, chosen: Settings) -> None:
    snapshots = build_training_snapshots(tables, chosen.snapshots.ages)
    label_snapshots(snapshots, tables, chosen.outcome.horizon)
    catalogue = build_catalogue(tables, chosen)
    build_features(build_open_snapshots(tables, tables.observed_until), tables, catalogue)


GOOD_HEADERS = st.just(["id", "n", "c", "t", "won"])
GOOD_ROW = st.tuples(
    st.one_of(st.sampled_from("123"), ANYTHING, TRICKY),
    CELL,
    CELL,
    st.sampled_from(["2024-05-01T00:00:00Z", "2024-05-02T00:00:00Z"]),
    CELL,
)


@settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.lists(GOOD_ROW, min_size=1, max_size=6), delimiter=st.sampled_from(",;\t|"))
def test_any_text_comes_in_as_it_was_written_but_for_its_edges(
    tmp_path: Path, rows: list[tuple[str, ...]], delimiter: str
) -> None:
    write_with_csv(tmp_path / "t.csv", [["id", "n", "c", "t", "won"], *map(list, rows)], delimiter)
    chosen = Settings.model_validate(
        {
            "leads": {"file": "t.csv", "id": "id", "created_at": "t", "columns": {"c": "category", "won": "rule"}},
            "events": {"file": "t.csv", "lead": "id", "at": "t", "kind": "c"},
            "outcome": {"won_at": "t"},
        }
    )
    firsts: dict[str, tuple[str, str]] = {}
    for row in rows:
        if row[0].strip(TRIMMED):
            firsts.setdefault(row[0].strip(TRIMMED), (row[2].strip(TRIMMED), row[4].strip(TRIMMED)))
    if not firsts:
        with pytest.raises(NotEnoughDataError):
            read_tables(Project(tmp_path, chosen))
        return
    tables = read_tables(Project(tmp_path, chosen))
    found = rows_of(tables, "SELECT lead_id, coalesce(a0, ''), coalesce(a1, '') FROM leads ORDER BY position")
    assert found == [(lead, *cells) for lead, cells in firsts.items()]
    kinds = sorted(row[2].strip(TRIMMED) for row in rows if row[0].strip(TRIMMED) and row[2].strip(TRIMMED))
    assert sorted(str(kind) for (kind,) in rows_of(tables, "SELECT kind FROM events")) == kinds
    go_on(tables, chosen)
