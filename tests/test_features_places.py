"""One table from a CSV file, Parquet, SQLite and DuckDB."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from pyarrow import parquet

from features.ingest import read_tables
from project.errors import SchemaError
from worlds import csv_text, make_project, rows_of, utc

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
