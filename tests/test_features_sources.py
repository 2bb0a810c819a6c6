"""Delimited files and Parquet as sources: cells, headers, delimiters, encodings, row numbers, and what is wrong."""

from __future__ import annotations

import csv
import gzip
import io
import random
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from features.sources import open_source, read_header
from opened_sources import opened, read, write
from project.errors import LeadError, SchemaError, SettingsError, StorageError
from project.source_settings import SourceSettings
from worlds import csv_text, lines


def test_only_the_wanted_columns_come_in_the_wanted_order(tmp_path: Path) -> None:
    source = opened(tmp_path, "a,b,c\n1,2,3\n4,5,6\n", "c", "a")
    assert source.header == ("a", "b", "c")
    assert read(source) == [(2, "3", "1"), (3, "6", "4")]
    assert source.bad_rows == []


def test_cells_stay_the_text_they_are(tmp_path: Path) -> None:
    text = 'a,b\n007,NA\nNone,null\n"", nan \n1e5,TRUE\n'
    assert read(opened(tmp_path, text, "a", "b")) == [
        (2, "007", "NA"),
        (3, "None", "null"),
        (4, "", " nan "),
        (5, "1e5", "TRUE"),
    ]


def test_quoted_cells_hold_separators_quotes_and_newlines(tmp_path: Path) -> None:
    text = 'a,b\n"one, two","say ""hi"""\n"first\nsecond\r\nthird",x\nlast,y\n'
    assert read(opened(tmp_path, text, "a", "b")) == [
        (2, "one, two", 'say "hi"'),
        (3, "first\nsecond\r\nthird", "x"),
        (4, "last", "y"),
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["unix", "windows", "old mac"])
def test_any_line_end_will_do(tmp_path: Path, end: str) -> None:
    assert read(opened(tmp_path, end.join(["a,b", "1,2", "3,4"]), "b")) == [(2, "2"), (3, "4")]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_in_the_header(tmp_path: Path, mark: str) -> None:
    text = csv_text([["id", "a;b|c,d\te", "x"], ["1", "2", "3"]], delimiter=mark)
    assert read_header(tmp_path / write(tmp_path, text)) == (["id", "a;b|c,d\te", "x"], mark)
    assert read(opened(tmp_path, text, "x", "id")) == [(2, "3", "1")]


def test_a_declared_delimiter_is_taken(tmp_path: Path) -> None:
    assert read(opened(tmp_path, "a,b;c\n1,2;3\n", "c", delimiter=";")) == [(2, "3")]
    assert read(opened(tmp_path, "a^b,c^d\n1^2,2^3\n", "d", delimiter="^")) == [(2, "3")]


@pytest.mark.parametrize("mark", ["ж", '"', "\n"])
def test_a_delimiter_that_cannot_be_one_is_an_error_with_a_cure(tmp_path: Path, mark: str) -> None:
    with pytest.raises(LeadError):
        read(opened(tmp_path, "a,b\n1,2\n", "a", delimiter=mark))


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path: Path, name: str) -> None:
    content = b"\xef\xbb\xbf" + '"id",б\n1,2\n'.encode()
    assert read(opened(tmp_path, content, "id", "б", name=name)) == [(2, "1", "2")]


def test_headers_are_trimmed(tmp_path: Path) -> None:
    assert read(opened(tmp_path, " id ,\ta b \n1,2\n", "id", "a b")) == [(2, "1", "2")]


def test_a_header_may_hold_a_newline_inside_quotes(tmp_path: Path) -> None:
    text = 'id,"Lead\nsource",created\n1,web,now\n2,ads,then\n'
    assert read(opened(tmp_path, text, "id", "created")) == [(2, "1", "now"), (3, "2", "then")]


def test_cyrillic_in_cp1251_is_read_if_declared(tmp_path: Path) -> None:
    content = "номер;имя\n1;Ёжик – №5\n".encode("cp1251")
    assert read(opened(tmp_path, content, "номер", "имя", encoding="cp1251")) == [(2, "1", "Ёжик – №5")]
    assert read(opened(tmp_path, content, "имя", name="t.csv.gz", encoding="windows-1251")) == [(2, "Ёжик – №5")]


def test_utf_16_is_read_if_declared(tmp_path: Path) -> None:
    content = "id\tимя\n1\tЁж\n".encode("utf-16")
    assert read(opened(tmp_path, content, "id", "имя", encoding="utf-16")) == [(2, "1", "Ёж")]


@pytest.mark.parametrize("rows_before", [0, 20_000], ids=["at the beginning", "a long way down"])
def test_bytes_that_are_not_of_the_declared_encoding_are_an_error_with_the_cure(
    tmp_path: Path, rows_before: int
) -> None:
    content = b"id,name\n" + b"1,plain\n" * rows_before + "2,Иван\n".encode("cp1251")
    with pytest.raises(SchemaError, match=r't\.csv: holds bytes that are not utf-8\. Set encoding = "cp1251"'):
        read(opened(tmp_path, content, "id", "name", encoding="utf-8"))
    assert read(opened(tmp_path, content, "id", "name"))[-1] == (rows_before + 2, "2", "Иван")


def test_a_header_that_is_not_of_the_declared_encoding_is_an_error_with_the_cure(tmp_path: Path) -> None:
    content = "Номер,Имя\n1,2\n".encode("cp1251")
    with pytest.raises(SchemaError, match='Set encoding = "cp1251"'):
        opened(tmp_path, content, "Имя", encoding="utf-8")
    assert read(opened(tmp_path, content, "Имя")) == [(2, "2")]


def test_an_unknown_encoding_is_a_settings_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="encoding 'utf-9' is unknown; write utf-8 or cp1251"):
        opened(tmp_path, "a\n1\n", "a", encoding="utf-9")


def test_a_missing_column_is_an_error_that_lists_the_header(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"t\.csv: no column 'nope', 'nor this'\. Found: id, Имя, x\. Correct"):
        opened(tmp_path, "id,Имя,x\n1,2,3\n", "id", "nope", "nor this")


def test_a_column_that_stands_there_twice_is_an_error_if_it_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="column 'x' stands there more than once"):
        opened(tmp_path, "id,x,x\n1,2,3\n", "x")
    assert read(opened(tmp_path, "id,x,x\n1,2,3\n", "id")) == [(2, "1")]


@pytest.mark.parametrize("content", ["a,b", "a,b\n", "a,b\r\n"])
def test_a_header_alone_has_no_rows(tmp_path: Path, content: str) -> None:
    assert read(opened(tmp_path, content, "a")) == []


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet"])
def test_an_empty_file_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(LeadError, match=r"t\."):
        opened(tmp_path, b"", "a", name=name)


def test_a_file_that_is_not_there_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"nope\.csv: there is no such file"):
        open_source(SourceSettings(file="nope.csv"), ["a"], folder=tmp_path)


@pytest.mark.parametrize("kept", [0.0001, 0.1, 0.5, 0.97])
def test_a_gz_file_that_was_cut_short_is_a_storage_error(tmp_path: Path, kept: float) -> None:
    chance = random.Random(0)
    whole = gzip.compress(csv_text([["a", "b"], *([chance.random(), chance.random()] for _ in range(9_000))]).encode())
    (tmp_path / "t.csv.gz").write_bytes(whole[: round(len(whole) * kept)])
    with pytest.raises(StorageError, match=r"t\.csv\.gz"):
        read(open_source(SourceSettings(file="t.csv.gz"), ["a"], folder=tmp_path))


@pytest.mark.parametrize("content", [b"no gzip at all", b"\x1f\x8b\x08\x00" + b"\xff" * 60], ids=["text", "garbage"])
def test_a_gz_file_that_is_none_is_a_storage_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.csv.gz").write_bytes(content)
    with pytest.raises(StorageError, match=r"t\.csv\.gz"):
        read(open_source(SourceSettings(file="t.csv.gz"), ["a"], folder=tmp_path))


def test_a_cell_of_megabytes_is_read_or_refused_by_name(tmp_path: Path) -> None:
    text = 'a,b\n1,"' + "x" * (9 << 20) + '"\n'
    try:
        rows = read(opened(tmp_path, text, "a"))
    except LeadError as error:
        assert "t.csv" in str(error)
    else:
        assert rows == [(2, "1")]


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_ragged_rows_are_set_aside_and_the_rest_keeps_its_numbers(tmp_path: Path, name: str) -> None:
    text = lines(
        """a,b,c
        1,2,3
        4,5
        6,7,8
        9,10,11,12
        13
        14,15,16"""
    )
    source = opened(tmp_path, text, "a", name=name)
    assert read(source) == [(2, "1"), (4, "6"), (7, "14")]
    assert [(bad.row, bad.text, bad.reason) for bad in source.bad_rows] == [
        (3, "4,5", "row: 2 cells where the header has 3"),
        (5, "9,10,11,12", "row: 4 cells where the header has 3"),
        (6, "13", "row: 1 cells where the header has 3"),
    ]


def test_blank_lines_count_as_rows_of_the_spreadsheet(tmp_path: Path) -> None:
    source = opened(tmp_path, "a,b\n1,2\n\n3,4\n\n5\n6,7\n", "a")
    assert read(source) == [(2, "1"), (4, "3"), (7, "6")]
    assert [bad.row for bad in source.bad_rows] == [6]


def messy(seed: int) -> str:
    """Write a file with ragged rows and quoted newlines here and there."""
    chance = random.Random(seed)
    rows: list[list[object]] = [["id", "b", "c"]]
    for place in range(400):
        cells = [
            f"id{place}",
            chance.choice(["x", "two\nlines", 'a "quote"', "с запятой, да"]),
            "z" * chance.randrange(9),
        ]
        rows.append(cells[: chance.choice([3, 3, 3, 3, 2])] + ["more"] * chance.choice([0, 0, 0, 0, 2]))
    return csv_text(rows)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_row_numbers_are_those_of_a_spreadsheet_over_many_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, name: str
) -> None:
    monkeypatch.setattr("features.delimited._BLOCK_BYTES", 300)
    text = messy(seed)
    table = list(enumerate(csv.reader(io.StringIO(text, newline="")), start=1))[1:]
    source = opened(tmp_path, text, "id", "b", name=name)
    assert read(source) == [(row, cells[0], cells[1]) for row, cells in table if len(cells) == 3]
    assert [bad.row for bad in source.bad_rows] == [row for row, cells in table if len(cells) != 3]


def test_the_hash_follows_the_bytes_of_the_file(tmp_path: Path) -> None:
    one = opened(tmp_path, "a\n1\n", "a")
    other = opened(tmp_path, "a\n2\n", "a", name="u.csv")
    again = opened(tmp_path, "a\n1\n", "a", name="v.csv")
    for source in (one, other, again):
        read(source)
    assert one.data_hash == again.data_hash != other.data_hash


def test_parquet_columns_become_text(tmp_path: Path) -> None:
    table = pa.table(
        {
            "id": pa.array([1, 2, None], pa.int64()),
            "total.value": pa.array([0.1, 1e20, None], pa.float64()),
            "at": pa.array([datetime(2024, 5, 1, 9, 0, 0, 250_000, UTC), None, None], pa.timestamp("us", tz="UTC")),
            "kind": pa.array(["a", None, "ё"]).dictionary_encode(),
            "yes": pa.array([True, False, None]),
        }
    )
    parquet.write_table(table, tmp_path / "t.parquet")
    names = ["yes", "total.value", "id", "kind"]
    rows = read(open_source(SourceSettings(file="t.parquet"), names, folder=tmp_path))
    assert [row[0] for row in rows] == [2, 3, 4]
    assert [row[1] for row in rows] == ["true", "false", None]
    assert [float(str(row[2])) if row[2] else None for row in rows] == [0.1, 1e20, None]
    assert [row[3:] for row in rows] == [("1", "a"), ("2", None), (None, "ё")]


def test_parquet_row_groups_are_numbered_on(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"a": [str(n) for n in range(1_000)]}), tmp_path / "t.parquet", row_group_size=90)
    rows = read(open_source(SourceSettings(file="t.parquet"), ["a"], folder=tmp_path))
    assert rows == [(n + 2, str(n)) for n in range(1_000)]


def test_a_parquet_column_that_holds_lists_is_a_schema_error(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"id": ["1"], "tags": [["a", "b"]]}), tmp_path / "t.parquet")
    with pytest.raises(SchemaError, match="tags"):
        read(open_source(SourceSettings(file="t.parquet"), ["id", "tags"], folder=tmp_path))


def test_parquet_without_a_wanted_column_lists_the_header(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"id": ["1"]}), tmp_path / "t.parquet")
    with pytest.raises(SchemaError, match=r"t\.parquet: no column 'x'\. Found: id\."):
        open_source(SourceSettings(file="t.parquet"), ["x"], folder=tmp_path)


def test_a_long_cell_among_the_first_rows_is_no_fault_of_the_header(tmp_path: Path) -> None:
    assert read(opened(tmp_path, f"a,b\n1,{'x' * 200_000}\n2,y\n", "a")) == [(2, "1"), (3, "2")]
