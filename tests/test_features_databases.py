"""Database files as sources: a query answers as a file would, and says what is wrong without the password."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import duckdb
import pytest

from features.sources import open_source
from opened_sources import read
from project.errors import LeadError, SchemaError, StorageError
from project.source_settings import SourceSettings

QUERY = "SELECT id, name, total FROM t WHERE id <> '3' ORDER BY id"


def fill(connection: sqlite3.Connection | duckdb.DuckDBPyConnection) -> None:
    connection.execute("CREATE TABLE t (id VARCHAR, name VARCHAR, total DOUBLE)")
    connection.execute("INSERT INTO t VALUES ('01', 'Ёж \"и\" к''', 2.5), ('02', NULL, NULL), ('3', 'x', 1)")
    if isinstance(connection, sqlite3.Connection):
        connection.commit()
    connection.close()


@pytest.mark.parametrize("url", ["sqlite:///t.db", "duckdb:///t.duckdb"])
def test_a_query_answers_as_a_file_would(tmp_path: Path, url: str) -> None:
    fill(sqlite3.connect(tmp_path / "t.db"))
    fill(duckdb.connect(str(tmp_path / "t.duckdb")))
    source = open_source(SourceSettings(url=url, query=QUERY), ["total", "id", "name"], folder=tmp_path)
    assert read(source) == [(2, "2.5", "01", 'Ёж "и" к\''), (3, None, "02", None)]
    with pytest.raises(SchemaError, match=r"query SELECT id, name.*no column 'x'\. Found: id, name, total"):
        open_source(SourceSettings(url=url, query=QUERY), ["x"], folder=tmp_path)


@pytest.mark.parametrize(
    "url", ["sqlite:///t.db", "duckdb:///t.duckdb", "duckdb:///nope.duckdb", "oracle://u:secret@h/x"]
)
def test_a_query_that_fails_is_a_storage_error_without_the_password(tmp_path: Path, url: str) -> None:
    fill(sqlite3.connect(tmp_path / "t.db"))
    fill(duckdb.connect(str(tmp_path / "t.duckdb")))
    with pytest.raises(StorageError, match=r"the query failed|no driver for oracle") as caught:
        open_source(SourceSettings(url=url, query="SELECT * FROM nothing"), ["a"], folder=tmp_path)
    assert "secret" not in str(caught.value)


def test_a_url_that_is_none_is_an_error_with_a_cure(tmp_path: Path) -> None:
    with pytest.raises(LeadError):
        open_source(SourceSettings(url="no url at all", query="SELECT 1"), ["a"], folder=tmp_path)


def test_the_hash_of_a_query_follows_its_answer(tmp_path: Path) -> None:
    fill(sqlite3.connect(tmp_path / "t.db"))
    hashes = []
    for limit in (1, 2, 2):
        query = f"SELECT id FROM t ORDER BY id LIMIT {limit}"
        source = open_source(SourceSettings(url="sqlite:///t.db", query=query), ["id"], folder=tmp_path)
        read(source)
        hashes.append(source.data_hash)
    assert hashes[0] != hashes[1] == hashes[2]


def test_a_query_without_rows_has_no_rows(tmp_path: Path) -> None:
    fill(sqlite3.connect(tmp_path / "t.db"))
    fill(duckdb.connect(str(tmp_path / "t.duckdb")))
    for url in ("sqlite:///t.db", "duckdb:///t.duckdb"):
        query = "SELECT id FROM t WHERE id = 'x'"
        assert read(open_source(SourceSettings(url=url, query=query), ["id"], folder=tmp_path)) == []
