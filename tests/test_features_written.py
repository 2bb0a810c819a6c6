"""Numbers and times as people write them, and what a column must prove before it is read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from features.forms import ColumnToRead, Form, decide_forms
from features.written import has_zone, moment_of, number_text
from project.errors import SchemaError
from worlds import make_tables, rows_of, utc

NBSP, THIN, NARROW, MINUS = "\u00a0", "\u2009", "\u202f", "\u2212"


def ask_one(expression: str, cell: str) -> object:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found: tuple[object, ...] = connection.execute(
            f"SELECT {expression} FROM (SELECT ?::VARCHAR AS cell)", [cell]
        ).fetchall()[0]
    return found[0]


@pytest.mark.parametrize(
    ("cell", "mark", "value"),
    [
        # thousands
        ("1 234,5", ",", "1234.5"),
        (f"1{NBSP}234,5", ",", "1234.5"),
        (f"1{THIN}234{NARROW}567", ".", "1234567"),
        ("1'234.5", ".", "1234.5"),
        ("1.234.567,8", ",", "1234567.8"),
        ("1,234,567.8", ".", "1234567.8"),
        # money
        ("$1,234.50", ".", "1234.5"),
        ("-€5", ".", "-5"),
        ("€ -5", ".", "-5"),
        ("1 234 ₽", ".", "1234"),
        ("1234 руб.", ".", "1234"),
        ("10 р.", ".", "10"),
        ("500 тг", ".", "500"),
        ("USD 5", ".", "5"),
        ("5 eur", ".", "5"),
        # a percent is a hundredth, to the last digit
        ("12,5 %", ",", "0.125"),
        ("7.1%", ".", "0.071"),
        ("100%", ".", "1"),
        # signs
        (f"{MINUS}5", ".", "-5"),
        ("(1 234)", ".", "-1234"),
        ("($1,234.50)", ".", "-1234.5"),
        ("+7", ".", "7"),
        ("1e3", ".", "1000"),
        # none of these is a number
        ("12,34", ".", None),
        ("1.234", ",", "1234"),
        ("1.23", ",", None),
        ("5 apples", ".", None),
        ("nan", ".", None),
        ("%", ".", None),
        ("1e5%", ".", None),
        ("1%2%", ".", None),
        ("€", ".", None),
        ("1 2,3 4", ".", None),
    ],
)
def test_numbers_as_people_write_them(cell: str, mark: str, value: str | None) -> None:
    found = ask_one(f"try_cast({number_text('cell', mark)} AS DECIMAL(28, 6))", cell)
    assert found == (None if value is None else Decimal(value))
    exact = ask_one(f"try_cast({number_text('cell', mark)} AS DOUBLE)", cell)
    assert exact == (None if value is None else float(value))


@pytest.mark.parametrize(
    ("cell", "order", "moment", "zoned"),
    [
        # ISO, with every zone
        ("2024-05-01", None, "2024-05-01", False),
        ("2024-05-01T09:00:00+0300", None, "2024-05-01 06:00:00", True),
        ("2024-05-01 09:00:00.123456 +03", None, "2024-05-01 06:00:00.123456", True),
        ("2024-05-01T09:00Z", None, "2024-05-01 09:00:00", True),
        ("2024-05-01 09:00:00 UTC", None, "2024-05-01 09:00:00", True),
        # the day first, the month first
        ("03.04.2026", "dmy", "2026-04-03", False),
        ("03.04.2026", "mdy", "2026-03-04", False),
        ("03.04.2026", None, None, False),
        ("1.5.24 9:05", "dmy", "2024-05-01 09:05:00", False),
        ("5/1/1999 09:05:06 PM", "mdy", "1999-05-01 21:05:06", False),
        ("5/1/24 12:00 AM", "mdy", "2024-05-01", False),
        ("5/1/24 12:30 p.m.", "mdy", "2024-05-01 12:30:00", False),
        ("01-05-2024, 23:59:59,5", "dmy", "2024-05-01 23:59:59.5", False),
        ("01.05.2024T10:00Z", "dmy", "2024-05-01 10:00:00", True),
        # the year first, months in words
        ("2024/5/1 10:00", None, "2024-05-01 10:00:00", False),
        ("12 Mar 2024", None, "2024-03-12", False),
        ("12-Mar-2024", None, "2024-03-12", False),
        ("March 12, 2024 5:05 pm", None, "2024-03-12 17:05:00", False),
        ("12 марта 2024 г. в 10:15", None, "2024-03-12 10:15:00", False),
        ("31 мая 2024", None, "2024-05-31", False),
        ("Tue, 12 Mar 2024 10:00:00 +0300", None, "2024-03-12 07:00:00", True),
        ("5/1/24 9:05:07.5 pm", "mdy", "2024-05-01 21:05:07.5", False),
        # one number
        ("20240501", None, "2024-05-01", False),
        ("45413", None, "2024-05-01", False),
        ("45413,5", None, "2024-05-01 12:00:00", False),
        ("1714554000", None, "2024-05-01 09:00:00", True),
        ("1714554000123", None, "2024-05-01 09:00:00.123", True),
        # none of these is a time
        ("31.02.2024", "dmy", None, False),
        ("13.13.2024", "dmy", None, False),
        ("01.05.2024 25:00", "dmy", None, False),
        ("01.05.2024 13:00 PM", "dmy", None, False),
        ("yesterday", "dmy", None, False),
        ("12 Foo 2024", None, None, False),
        ("1.5", "dmy", None, False),
        ("12", None, None, False),
    ],
)
def test_times_as_people_write_them(cell: str, order: str | None, moment: str | None, zoned: bool) -> None:
    found = ask_one(f"timezone('UTC', {moment_of('cell', order)})", cell)
    assert found == (None if moment is None else utc(moment))
    assert ask_one(has_zone("cell"), cell) is zoned


def decide(kind: str, *columns: Sequence[str], declared: str | None = None) -> list[Form]:
    with duckdb.connect() as connection:
        names = [f"c{place}" for place in range(len(columns))]
        connection.execute(f"CREATE TABLE t ({', '.join(f'{name} VARCHAR' for name in names)})")
        marks = ", ".join("?" * len(columns))
        connection.executemany(f"INSERT INTO t VALUES ({marks})", list(zip(*columns, strict=True)))
        asked = [ColumnToRead(name, name, kind, declared) for name in names]
        return list(decide_forms(connection, "t", asked, name="t.csv").values())


@pytest.mark.parametrize(
    ("cells", "form"),
    [
        (["2024-05-01", "2024-05-02T10:00:00Z"], Form(True, None)),
        (["03.04.2024", "13.04.2024"], Form(False, "dmy")),
        (["03/04/2024", "03/14/2024"], Form(False, "mdy")),
        (["1714554000", "1714554001"], Form(False, None)),
    ],
)
def test_a_day_over_twelve_proves_the_order(cells: list[str], form: Form) -> None:
    assert decide("time", cells) == [form]


def test_a_column_without_proof_follows_its_sibling_written_alike() -> None:
    assert decide("time", ["03.04.2024"], ["25.12.2024"]) == [Form(False, "dmy")] * 2
    with pytest.raises(SchemaError, match=r"t\.csv: column 'c0' is written like '03/04/2024'.*date_format"):
        decide("time", ["03/04/2024"], ["25.12.2024"])


def test_an_order_that_nothing_proves_is_asked_for_and_can_be_given() -> None:
    with pytest.raises(SchemaError, match=r'Set date_format = "dmy" \(the day first\) or "mdy"'):
        decide("time", ["03.04.2024", "05.06.2024"])
    assert decide("time", ["03.04.2024", "05.06.2024"], declared="mdy") == [Form(False, "mdy")]


def test_a_column_that_proves_both_orders_shows_both() -> None:
    with pytest.raises(SchemaError, match=r"the day first in '13\.04\.2024' and the month first in '04\.13\.2024'"):
        decide("time", ["13.04.2024", "04.13.2024"])


def test_a_stray_cell_in_doubt_does_not_stop_a_file() -> None:
    assert decide("time", ["2024-05-01"] * 30 + ["03.04.2024"]) == [Form(False, None)]


@pytest.mark.parametrize(
    ("cells", "mark"),
    [
        (["1,5", "2"], ","),
        (["1.234,5", "2"], ","),
        (["0,125"], ","),
        (["1.234.567"], ","),
        (["$ 1,234.5"], "."),
        (["1,234,567"], "."),
        (["1,234", "7,5"], ","),
        (["1,234", "7.5"], "."),
    ],
)
def test_a_number_proves_its_mark(cells: list[str], mark: str) -> None:
    assert decide("number", cells)[0].mark == mark


def test_a_comma_that_nothing_explains_is_asked_for() -> None:
    with pytest.raises(SchemaError, match=r"t\.csv: column 'c0' is written like '1,234'.*Set decimal"):
        decide("number", ["1,234", "2"])
    assert [form.mark for form in decide("number", ["1,234"], ["0,5"])] == [",", ","]


def test_marks_that_contradict_each_other_are_shown() -> None:
    with pytest.raises(SchemaError, match=r"a decimal comma in '1,5' and a decimal point in '1\.5'"):
        decide("number", ["1,5", "1.5"])


COLUMNS = """
[project]
timezone = "UTC"
[leads]
file = "l.csv"
id = "id"
created_at = "made"
missing = ["NA", "-"]
columns = { company = "category", "Status (2)" = "category", worth = "number" }
[leads.cells.company]
missing = ["-"]
[leads.cells.made]
date_format = "mdy"
[stages]
file = "s.csv"
lead = "lead"
at = "at"
[outcome]
"""


def test_a_column_may_be_written_otherwise_than_its_file(tmp_path: Path) -> None:
    text = "id,made,company,Status,Status,worth\n1,03/04/2024,NA,old,new,NA\n2,03/05/2024,-,old,-,5\n"
    files = {"l.csv": text, "s.csv": "lead,at\n1,2024-06-01T00:00:00Z\n"}
    tables = make_tables(tmp_path, COLUMNS, files)
    assert rows_of(tables, "SELECT created_at, a0, a1, a2 FROM leads ORDER BY lead_id") == [
        (datetime(2024, 3, 4), "new", "NA", None),
        (datetime(2024, 3, 5), None, None, 5.0),
    ]


def test_headers_that_stand_there_twice_are_asked_for_by_number(tmp_path: Path) -> None:
    files = {"l.csv": "id,made,company,Status,Status,worth\n", "s.csv": "lead,at\n"}
    with pytest.raises(SchemaError, match=r"'Status' stands there more than once\. Write 'Status \(1\)'"):
        make_tables(tmp_path, COLUMNS.replace('"Status (2)"', '"Status"'), files)
