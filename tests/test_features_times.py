"""Times of a table: zones, formats, and what is no usable time."""

from __future__ import annotations

from pathlib import Path

import pytest

from project.errors import LeadError, SchemaError
from worlds import BASIC_TOML, MOSCOW, make_dated, read_rejects, rows_of, utc


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
    tables = make_dated(tmp_path, f"1,{cell}", toml=zone + BASIC_TOML)
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
    tables = make_dated(tmp_path, f"1,{cell}", toml=MOSCOW + BASIC_TOML)
    assert rows_of(tables, "SELECT created_at FROM leads") == [(utc(moment),)]


def test_times_without_a_zone_are_an_error_that_names_them_and_the_cure(tmp_path: Path) -> None:
    rows = """1,2024-05-01T09:00:00Z
        2,2024-05-01 09:00:00
        3,2024-05-01T09:00:00
        4,2024-05-01T09:00:00+03:00
        5,2024-05-01 09:00
        6,2024-05-01 09:00:00.5"""
    with pytest.raises(SchemaError) as caught:
        make_dated(tmp_path, rows)
    assert str(caught.value) == (
        "leads.csv: column 'created' has 4 times without a zone (rows 3, 4, 6 and 1 more). "
        'Write them as 2024-05-01T09:00:00Z, or set timezone = "UTC" (or yours) in [project] of leads.toml.'
    )


def test_dates_alone_have_no_zone_either(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="column 'created' has 1 times without a zone"):
        make_dated(tmp_path, "1,2024-05-01T09:00:00Z\n2,2024-05-01")


def test_declared_formats_without_a_zone_need_the_zone_too(tmp_path: Path) -> None:
    toml = BASIC_TOML.replace('id = "id"', 'id = "id"\ndate_format = "%d.%m.%Y %H:%M"', 1)
    with pytest.raises(SchemaError, match="column 'created' has 1 times without a zone"):
        make_dated(tmp_path, "1,03.04.2026 10:00", toml=toml)


def test_times_in_a_declared_format_are_read_in_the_zone_of_the_project(tmp_path: Path) -> None:
    toml = MOSCOW + BASIC_TOML.replace('id = "id"', 'id = "id"\ndate_format = "%d.%m.%Y %H:%M"', 1)
    tables = make_dated(tmp_path, "1,03.04.2024 10:00\n2,2024-04-03 10:00\n3,31.02.2024 10:00", toml=toml)
    assert rows_of(tables, "SELECT lead_id, created_at FROM leads") == [("1", utc("2024-04-03 07:00:00"))]
    assert [row[0] for row in read_rejects(tmp_path)] == ["row", "3", "4"]


def test_a_declared_format_may_hold_the_zone(tmp_path: Path) -> None:
    toml = MOSCOW + BASIC_TOML.replace('id = "id"', 'id = "id"\ndate_format = "%d/%m/%Y %H:%M %z"', 1)
    tables = make_dated(tmp_path, "1,03/04/2024 10:00 +0500", toml=toml)
    assert rows_of(tables, "SELECT created_at FROM leads") == [(utc("2024-04-03 05:00:00"),)]


def test_a_date_format_that_is_none_is_an_error_with_a_cure(tmp_path: Path) -> None:
    toml = MOSCOW + BASIC_TOML.replace('id = "id"', 'id = "id"\ndate_format = "%Q %"', 1)
    with pytest.raises(LeadError, match="date_format"):
        make_dated(tmp_path, "1,03.04.2024 10:00", toml=toml)


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
        tables = make_dated(
            tmp_path, f"1,2024-05-01T00:00:00Z\n2,{cell}\n3,2024-05-02T00:00:00Z", toml=zone + BASIC_TOML
        )
    except SchemaError as error:
        assert not zone
        assert "without a zone" in str(error)
        return
    assert rows_of(tables, "SELECT lead_id FROM leads ORDER BY position") == [("1",), ("3",)]
    assert read_rejects(tmp_path)[1][0] == "3"
    assert read_rejects(tmp_path)[1][1].startswith("created: ")


@pytest.mark.parametrize("zone", ["localtime", "right/UTC"])
def test_a_zone_that_only_some_libraries_know_is_a_named_error(tmp_path: Path, zone: str) -> None:
    with pytest.raises(LeadError, match="timezone"):
        make_dated(tmp_path, "1,2024-05-01 09:00:00", toml=f'[project]\ntimezone = "{zone}"\n{BASIC_TOML}')


def test_the_zone_of_the_machine_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        tables = make_dated(tmp_path, "1,2024-05-01 09:00:00", toml=MOSCOW + BASIC_TOML)
        assert rows_of(tables, "SELECT created_at FROM leads") == [(utc("2024-05-01 06:00:00"),)]
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_year_of_two_digits_that_may_come_first_is_asked_about(tmp_path: Path) -> None:
    rows = "1,24-05-01\n2,24-05-02\n3,24-06-03"
    with pytest.raises(SchemaError, match=r"'24-05-01', and its last number .* Set date_format = \"%y-%m-%d\""):
        make_dated(tmp_path, rows, toml=MOSCOW + BASIC_TOML)
    toml = MOSCOW + BASIC_TOML.replace('id = "id"', 'id = "id"\ndate_format = "%y-%m-%d"', 1)
    found = rows_of(make_dated(tmp_path, rows, toml=toml), "SELECT created_at FROM leads ORDER BY position LIMIT 1")
    assert found == [(utc("2024-04-30 21:00:00"),)]
