"""Read the rows of an SQL query as text: DuckDB files by DuckDB, every other database through SQLAlchemy."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from features.batches import Source, check_columns, number_rows
from project.errors import SchemaError, StorageError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from project.source_settings import SourceSettings

__all__ = ["open_query"]

_SQL_ROWS = 50_000


def open_query(settings: SourceSettings, wanted: Sequence[str], *, folder: Path) -> Source:
    """Run a query and give its wanted columns in batches of text."""
    url, query = str(settings.url), str(settings.query)
    if url.startswith("duckdb:"):
        header, rows = _query_duckdb(url, query, folder=folder)
    else:
        header, rows = _query_sqlalchemy(url, query, folder=folder)
    name = "query " + " ".join(query.split())[:60]
    try:
        check_columns(name, header, wanted)
    except SchemaError:
        rows.close()
        raise
    source = Source(name, header, iter(()))
    source.batches = _batch_rows(source, rows, [header.index(column) for column in wanted])
    return source


def _batch_rows(
    source: Source, chunks: Iterator[Sequence[Sequence[object]]], places: Sequence[int]
) -> Iterator[pa.Table]:
    import pyarrow as pa

    digest, seen = hashlib.sha256(), 0
    for chunk in chunks:
        columns = [[_text_of(row[place]) for row in chunk] for place in places]
        digest.update(repr(columns).encode())
        names = [source.header[place] for place in places]
        batch = pa.RecordBatch.from_arrays([pa.array(column, pa.string()) for column in columns], names=names)
        yield number_rows(batch, names, first=seen, left_out=())
        seen += len(chunk)
    source.data_hash = digest.hexdigest()


def _text_of(value: object) -> str | None:
    if value is None:
        return None
    return value.isoformat() if isinstance(value, datetime | date) else str(value)


Rows = Generator[Sequence[Sequence[object]], None, None]


def _query_duckdb(url: str, query: str, *, folder: Path) -> tuple[tuple[str, ...], Rows]:
    import duckdb

    path = folder / url.removeprefix("duckdb:").removeprefix("///")
    try:
        connection = duckdb.connect(str(path), read_only=True)
        header = tuple(str(row[0]) for row in connection.execute(f"DESCRIBE {query}").fetchall())
        texts = ", ".join(f'CAST("{name}" AS VARCHAR)' for name in header)
        connection.execute(f"SELECT {texts} FROM ({query})")
    except duckdb.Error as error:
        raise StorageError(f"{url}: the query failed: {error}") from error
    return header, _started(_fetch_duckdb(connection))


def _fetch_duckdb(connection: duckdb.DuckDBPyConnection) -> Rows:
    with connection:
        yield []
        while chunk := connection.fetchmany(_SQL_ROWS):
            yield chunk


def _started(rows: Rows) -> Rows:
    """Take the empty first chunk, so that closing an unread query closes its connection."""
    next(rows)
    return rows


def _query_sqlalchemy(url: str, query: str, *, folder: Path) -> tuple[tuple[str, ...], Rows]:
    import sqlalchemy

    if url.startswith("sqlite:///") and not url.startswith("sqlite:////"):
        url = f"sqlite:///{folder / url.removeprefix('sqlite:///')}"
    engine = None
    try:
        engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
        connection = engine.connect().execution_options(stream_results=True)
        result = connection.execute(sqlalchemy.text(query))
    except (sqlalchemy.exc.SQLAlchemyError, ImportError) as error:
        if engine is not None:
            engine.dispose()
        raise StorageError(f"{url.split('@')[-1]}: the query failed: {error}") from error

    def fetch() -> Rows:
        try:
            yield []
            yield from result.partitions(_SQL_ROWS)
        finally:
            connection.close()
            engine.dispose()

    return tuple(result.keys()), _started(fetch())
