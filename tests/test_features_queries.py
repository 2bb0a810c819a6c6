"""Queries: every database gives what a CSV file of the same table would, in the same order in every run."""

from __future__ import annotations

import csv
import sqlite3
import sys
from collections.abc import Generator
from pathlib import Path

import duckdb
import psycopg
import pytest
from private_postgres import Server

from features import queries
from features.databases import Query, has_order
from features.ingest import read_tables
from features.sources import Source, open_source
from project.errors import SchemaError, SettingsError, StorageError
from project.folder import find_project
from project.source_settings import SourceSettings
from worlds import make_project, rows_of

ROWS = [
    ("007", "2024-05-01T09:00:00.250000+00:00", "Ёж, «и» к'о", "12.50", "0.1", "true", "yes"),
    ("10", "2024-05-02T23:59:59+00:00", None, "99999999999999.123456", "1e-07", "false", "no"),
    ("9", "2024-05-03T00:00:00+00:00", "line\nbreak", None, None, None, "no"),
]
NAMES = ("id", "moment", "name", "price", "share", "active", "bought")
DECLARED = (
    "id text, moment timestamptz, name text, price numeric(28, 6), share double precision, active boolean, bought text"
)
TOML = """
[leads]
{source}
id = "id"
created_at = "moment"
columns = {{ name = "category", price = "number", share = "number", active = "category" }}

[outcome]
column = "bought"
won = ["yes"]
"""
TABLE = 'query = "SELECT * FROM deals ORDER BY price NULLS LAST, id"'


def settings(url: str, query: str) -> SourceSettings:
    return SourceSettings(url=url, query=query)


def read(source: Source) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for batch in source.batches for row in batch.to_pylist()]


def canonical(folder: Path, source: str) -> list[tuple[object, ...]]:
    tables = read_tables(make_project(folder, TOML.format(source=source), {}))
    return rows_of(tables, "SELECT * EXCLUDE (position) FROM leads ORDER BY lead_id")


def test_one_table_is_the_same_from_every_kind_of_source(tmp_path: Path, postgres: Server) -> None:
    postgres.run(f"CREATE TABLE deals ({DECLARED})")
    with psycopg.connect(postgres.url) as server:
        server.cursor().executemany("INSERT INTO deals VALUES (%s, %s, %s, %s, %s, %s, %s)", ROWS)
    with duckdb.connect(str(tmp_path / "t.duckdb")) as file:
        file.execute(f"CREATE TABLE deals ({DECLARED})")
        file.executemany("INSERT INTO deals VALUES (?, ?, ?, ?, ?, ?, ?)", ROWS)
        file.execute(f"COPY deals TO '{tmp_path / 't.parquet'}'")
    light = sqlite3.connect(tmp_path / "t.db")
    light.execute(
        "CREATE TABLE deals (id TEXT, moment TEXT, name TEXT, price TEXT, share REAL, active TEXT, bought TEXT)"
    )
    light.executemany("INSERT INTO deals VALUES (?, ?, ?, ?, ?, ?, ?)", ROWS)
    light.commit()
    light.close()
    with (tmp_path / "t.csv").open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([NAMES, *ROWS])
    wanted = canonical(tmp_path, 'file = "t.csv"')
    assert [row[0] for row in wanted] == ["007", "10", "9"]
    sources = [f'url = "{url}"\n{TABLE}' for url in (postgres.url, "duckdb:///t.duckdb", "sqlite:///t.db")]
    for source in ['file = "t.parquet"', *sources]:
        assert canonical(tmp_path, source) == wanted


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("timestamptz '2024-05-01 09:00:00.5+03'", "2024-05-01T06:00:00.5+00:00"),
        ("timestamp '2024-05-01 09:00:00'", "2024-05-01T09:00:00"),
        ("date '2024-05-01'", "2024-05-01"),
        ("12345678901234567890.1200::numeric", "12345678901234567890.1200"),
        ("0.1::float8 + 0.2::float8", "0.30000000000000004"),
        ("250::float8", "250"),
        ("true", "true"),
        ("""'{"имя": [1]}'::jsonb""", '{"имя": [1]}'),
        ("'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        (r"'\x00ff'::bytea", r"\x00ff"),
        ("NULL::integer", None),
    ],
)
def test_postgres_values_are_written_as_in_a_csv_file(postgres: Server, value: str, text: str | None) -> None:
    source = open_source(settings(postgres.url, f"SELECT {value} AS v"), ["v"], folder=Path())
    assert read(source) == [(text, 2)]


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_scheme_of_postgres_is_read(postgres: Server, scheme: str) -> None:
    url = postgres.url.replace("postgresql", scheme, 1)
    assert read(open_source(settings(url, "VALUES (1), (2);"), ["column1"], folder=Path())) == [("1", 2), ("2", 3)]


def test_rows_without_an_order_are_the_same_source_in_any_order(tmp_path: Path, postgres: Server) -> None:
    postgres.run("CREATE TABLE a (id text, n integer)", "CREATE TABLE b (id text, n integer)")
    postgres.run("INSERT INTO a VALUES ('1', 2), ('1', 1), ('Б', 3), ('a', 4)")
    postgres.run("INSERT INTO b SELECT * FROM a ORDER BY n DESC")
    light = sqlite3.connect(tmp_path / "t.db")
    light.execute("CREATE TABLE b (id TEXT, n INTEGER)")
    light.executemany("INSERT INTO b VALUES (?, ?)", [("a", 4), ("Б", 3), ("1", 2), ("1", 1)])
    light.commit()
    light.close()
    with duckdb.connect(str(tmp_path / "t.duckdb")) as file:
        file.execute("CREATE TABLE b AS SELECT * FROM (VALUES ('a', 4), ('Б', 3), ('1', 2), ('1', 1)) AS t(id, n)")
    places = [
        (postgres.url, "a"),
        (postgres.url, "b"),
        ("sqlite:///t.db", "b"),
        ("duckdb:///t.duckdb", "b"),
        ("sqlite+pysqlite:///" + str(tmp_path / "t.db"), "b"),
    ]
    hashes = set()
    for url, table in places:
        source = open_source(settings(url, f"SELECT * FROM {table}"), ["id", "n"], folder=tmp_path)
        assert [row[:2] for row in read(source)] == [("1", "1"), ("1", "2"), ("a", "4"), ("Б", "3")]
        hashes.add(source.data_hash)
    assert len(hashes) == 1


def test_an_order_that_is_given_is_kept_and_the_chunks_do_not_matter(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = "SELECT i AS id, 'x' AS unwanted FROM generate_series(1, 25) i ORDER BY (i * 7) % 25, i"
    found = []
    for chunk in (3, 25, 1000):
        monkeypatch.setattr(queries, "Query", lambda text, wanted, chunk=chunk: Query(text, wanted, chunk))
        source = open_source(settings(postgres.url, query), ["id"], folder=Path())
        found.append((read(source), source.data_hash))
    assert found[0] == found[1] == found[2]
    assert [row[0] for row in found[0][0]][:3] == ["25", "18", "11"]


@pytest.mark.parametrize(
    ("query", "ordered"),
    [
        ("SELECT 1 ORDER\n BY 1", True),
        ("SELECT * FROM (SELECT 1 ORDER BY 1) t", False),
        ("SELECT 'order by' AS \"order by\" /* order by */", False),
        ("SELECT $a$ order by ( $a$, f(g(1)) -- order by", False),
        ("WITH t AS (SELECT 1 AS x ORDER BY x) SELECT x FROM t order by (x)", True),
    ],
)
def test_only_the_outermost_order_counts(query: str, ordered: bool) -> None:
    assert has_order(query) is ordered


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT * FROM nothing", 'relation "nothing" does not exist'),
        ("SELECT nope FROM pg_class", 'column "nope" does not exist'),
        ("SELECT 1 / (i - 5) AS id FROM generate_series(1, 9) i ORDER BY i", "division by zero"),
        ("SELECT set_config('transaction_read_only', 'off', false) AS id", "read-write"),
        ("SELECT nextval('counter') AS id", "read-only transaction"),
    ],
)
def test_a_refused_query_has_the_words_of_the_server(postgres: Server, query: str, words: str) -> None:
    postgres.run("CREATE SEQUENCE IF NOT EXISTS counter")
    with pytest.raises(StorageError, match=r"the query failed: .*Correct `query`") as caught:
        read(open_source(settings(postgres.url, query), ["id"], folder=Path()))
    assert words in str(caught.value)
    assert postgres.password not in str(caught.value)


def test_a_column_that_is_not_there_lists_what_is(postgres: Server) -> None:
    with pytest.raises(SchemaError, match=r"no column 'x'\. Found: id, n"):
        open_source(settings(postgres.url, "SELECT 1 AS id, 2 AS n"), ["x"], folder=Path())


def test_a_server_that_is_down_or_a_wrong_password_is_an_error_with_the_cure(postgres: Server) -> None:
    cases = [(postgres.password, "hushhush", "password authentication failed"), (str(postgres.port), "1", "refused")]
    for right, wrong, words in cases:
        with pytest.raises(StorageError, match=rf"cannot connect: .*{words}.* Start the server, or correct") as caught:
            open_source(settings(postgres.url.replace(right, wrong), "SELECT 1 AS id"), ["id"], folder=Path())
        assert "hushhush" not in str(caught.value)
        assert postgres.password not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["postgresql://u:se@cret@h/db", "postgres://u:se/cret@h/db", "postgresql://u:1/cret@h/db", "u:secret@h"]
)
def test_an_address_that_cannot_be_read_is_not_shown(url: str) -> None:
    with pytest.raises(SettingsError, match="url is not the address of a database") as caught:
        open_source(settings(url, "SELECT 1"), ["id"], folder=Path())
    assert "cret" not in str(caught.value)


def test_a_missing_driver_names_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg.types.string", None)
    with pytest.raises(StorageError, match=r"pip install 'lead-conversion-predictor\[postgres\]'"):
        open_source(settings("postgresql://h/db", "SELECT 1"), ["id"], folder=Path())


def test_an_sqlite_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="there is no such file"):
        open_source(settings("sqlite:///t.db", "SELECT 1"), ["id"], folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_url_is_filled_from_the_environment_and_the_settings_keep_the_names(
    tmp_path: Path, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.url.replace(postgres.password, "${CRM_PASSWORD}")
    source = f'url = "{url}"\nquery = "SELECT \'1\' AS id, true AS bought"'
    text = f'[leads]\n{source}\nid = "id"\n[outcome]\ncolumn = "bought"\nwon = ["true"]\n'
    monkeypatch.delenv("CRM_PASSWORD", raising=False)
    without = make_project(tmp_path, text, {})
    with pytest.raises(SettingsError, match=r"url names \$\{CRM_PASSWORD\}, but no such environment variable is set"):
        read_tables(without)
    monkeypatch.setenv("CRM_PASSWORD", postgres.password)
    project = find_project(tmp_path)
    assert rows_of(read_tables(project), "SELECT lead_id, converted FROM leads") == [("1", True)]
    assert project.settings.hash == without.settings.hash
    assert postgres.password not in repr(project)


def test_a_source_left_half_way_closes_its_session(postgres: Server) -> None:
    query = "SELECT i AS id FROM generate_series(1, 50000) i ORDER BY i"
    source = open_source(settings(postgres.url, query), ["id"], folder=Path())
    assert isinstance(source.batches, Generator)
    next(source.batches)
    source.batches.close()
    count = "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'leads' AND pid <> pg_backend_pid()"
    for _ in range(50):
        if read(open_source(settings(postgres.url, count), ["n"], folder=Path())) == [("0", 2)]:
            return
    pytest.fail("a session is still open")
