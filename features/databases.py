"""Ask a database file, or any database that SQLAlchemy knows, and read the answer as text.

Every reader here and in `postgres.py` is a generator of chunks of rows. The first chunk holds one row, the header of
the whole answer, as a CSV file has it; the rows after it hold the wanted columns only.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from urllib.parse import quote

from features.batches import check_columns
from project.errors import SettingsError, StorageError

__all__ = [
    "Query",
    "Rows",
    "has_order",
    "read_any",
    "read_duckdb",
    "read_sqlite",
    "refuse_url",
    "write_cell",
    "write_moment",
]

Rows = Generator[Sequence[Sequence[str | None]], None, None]

_CHUNK = 10_000
_NO_CODE = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|\$(\w*)\$.*?\$\1\$|--[^\n]*|/\*.*?\*/", re.DOTALL)
_INNERMOST = re.compile(r"\([^()]*\)")


@dataclass(frozen=True)
class Query:
    """What is asked of a database: the text of a query, and the columns wanted of its answer."""

    text: str
    wanted: tuple[str, ...]
    chunk: int = _CHUNK

    @property
    def name(self) -> str:
        """How messages call it."""
        return "query " + " ".join(self.text.split())[:60]

    def find_places(self, header: Sequence[str]) -> list[int]:
        """Return where the wanted columns stand in the answer, or refuse it."""
        check_columns(self.name, header, self.wanted)
        return [header.index(column) for column in self.wanted]


def has_order(query: str) -> bool:
    """Tell whether a query puts its own rows in order; an ORDER BY inside brackets does not.

    >>> has_order("SELECT id FROM leads ORDER BY id")
    True
    >>> has_order("SELECT id, row_number() OVER (ORDER BY at) AS n FROM leads -- order by hand")
    False
    """
    text, found = _NO_CODE.sub(" ", query), 1
    while found:
        text, found = _INNERMOST.subn(" ", text)
    return re.search(r"\border\s+by\b", text, re.IGNORECASE) is not None


def write_cell(value: object) -> str | None:
    r"""Write a value as a CSV file of the same table has it; nothing stays nothing.

    >>> write_cell(True), write_cell(0.1), write_cell(250.0), write_cell(b"\x00\xff"), write_cell(date(2024, 5, 1))
    ('true', '0.1', '250', '\\x00ff', '2024-05-01')
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        return "\\x" + bytes(value).hex()
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


def write_moment(text: str) -> str:
    """Write a time that a database gives in UTC, with or without its zone, in the long ISO form.

    >>> write_moment("2024-05-01 09:00:00.5+00"), write_moment("2024-05-01 09:00:00")
    ('2024-05-01T09:00:00.5+00:00', '2024-05-01T09:00:00')
    """
    return text.replace(" ", "T", 1) + (":00" if text.endswith("+00") else "")


def read_duckdb(path: Path, query: Query) -> Rows:
    """Ask a DuckDB file."""
    import duckdb

    with _naming(path, duckdb.Error), duckdb.connect(str(path), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        described = connection.execute(f"DESCRIBE {query.text}").fetchall()
        header = tuple(str(row[0]) for row in described)
        places, kinds = query.find_places(header), [str(row[1]) for row in described]
        yield [header]
        names = ", ".join(f"c{place}" for place in range(len(header)))
        cells = ", ".join(_write_in_duckdb(f"c{place}", kinds[place]) for place in places)
        order = "" if has_order(query.text) else " ORDER BY ALL"
        connection.execute(f"SELECT {cells} FROM ({query.text}\n) AS answer({names}){order}")
        while chunk := connection.fetchmany(query.chunk):
            yield chunk


def _write_in_duckdb(column: str, kind: str) -> str:
    text = f"CAST({column} AS VARCHAR)"
    if kind.startswith("TIMESTAMP"):
        return rf"regexp_replace(regexp_replace({text}, ' ', 'T'), '\+00$', '+00:00')"
    if kind in {"DOUBLE", "FLOAT"}:
        return rf"regexp_replace({text}, '\.0$', '')"
    return rf"'\x' || lower(hex({column}))" if kind == "BLOB" else text


def read_sqlite(path: Path, query: Query) -> Rows:
    """Ask an SQLite file, which is opened for reading only."""
    if not path.is_file():
        raise StorageError(f"{path}: there is no such file. Correct `url` in leads.toml.")
    address = f"file:{quote(str(path))}?mode=ro"
    with _naming(path, sqlite3.Error), closing(sqlite3.connect(address, uri=True)) as connection:
        answer = connection.execute(query.text)
        header = tuple(str(column[0]) for column in answer.description or ())
        places = query.find_places(header)
        yield [header]
        if not has_order(query.text):
            answer.close()
            answer = connection.execute(f"SELECT * FROM ({query.text}\n) ORDER BY {_ordinals(places)}")
        while chunk := answer.fetchmany(query.chunk):
            yield _pick(chunk, places)


def read_any(url: str, query: Query) -> Rows:
    """Ask any other database through SQLAlchemy."""
    import sqlalchemy

    try:
        address = sqlalchemy.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise refuse_url() from None
    shown = sqlalchemy.URL.create(
        address.drivername, host=address.host, port=address.port, database=address.database
    ).render_as_string()
    secrets = [text for text in (address.password, *map(str, address.query.values())) if text]
    try:
        engine = sqlalchemy.create_engine(address, poolclass=sqlalchemy.NullPool)
    except (sqlalchemy.exc.SQLAlchemyError, ImportError) as error:
        raise StorageError(
            f"{shown}: no driver for {address.drivername} is installed ({error}). Install it beside this program."
        ) from None
    with _naming(shown, sqlalchemy.exc.SQLAlchemyError, secrets=secrets), engine.connect() as opened:
        connection = opened.execution_options(stream_results=True, no_parameters=True)
        ordered = has_order(query.text)
        inner = f"({query.text}\n) answer"
        answer = connection.exec_driver_sql(query.text if ordered else f"SELECT * FROM {inner} WHERE 1 = 0")
        header = tuple(answer.keys())
        with closing(answer):
            places = query.find_places(header)
            yield [header]
            if ordered:
                yield from (_pick(chunk, places) for chunk in answer.partitions(query.chunk))
        if not ordered:
            sorting = f"SELECT * FROM {inner} ORDER BY {_ordinals(places)}"
            with closing(connection.exec_driver_sql(sorting)) as answer:
                yield from (_pick(chunk, places) for chunk in answer.partitions(query.chunk))


def _ordinals(places: Sequence[int]) -> str:
    return ", ".join(str(place + 1) for place in places)


def _pick(chunk: Sequence[Sequence[object]], places: Sequence[int]) -> list[tuple[str | None, ...]]:
    return [tuple(write_cell(row[place]) for place in places) for row in chunk]


@contextmanager
def _naming(where: object, kind: type[Exception], *, secrets: Sequence[str] = ()) -> Iterator[None]:
    """Say where an error came from, in the database's own words but for what is secret."""
    try:
        yield
    except kind as error:
        words = str(getattr(error, "orig", None) or error)
        for secret in secrets:
            words = words.replace(secret, "***")
        raise StorageError(f"{where}: the query failed: {words}. Correct `url` or `query` in leads.toml.") from None


def refuse_url() -> SettingsError:
    """Return the error of a `url` that cannot be read; it is not shown, for it may hold a password."""
    return SettingsError(
        "url is not the address of a database. Write scheme://user:password@host/database in leads.toml; in user and "
        "password write @ as %40, : as %3A and / as %2F, or let ${A_VARIABLE} hold them."
    )
