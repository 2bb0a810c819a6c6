"""Readers: any declared source becomes batches of text, with each row's number in its file.

Nothing is converted here. What cannot even be split into the right number of cells comes back as a `BadRow`.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

from project.errors import SchemaError, SettingsError, StorageError, name_some
from project.files import hash_file

if TYPE_CHECKING:
    import pyarrow as pa

    from project.settings import SourceSettings

__all__ = ["BadRow", "Source", "open_source", "read_header"]

_BLOCK_BYTES = 8 << 20
_SQL_ROWS = 50_000
_DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class BadRow:
    """A row that could not be split into the header's cells."""

    row: int
    text: str
    reason: str


@dataclass
class Source:
    """A source opened once: its header, its batches, and what could not be read.

    `batches` yields tables of text columns (the wanted headers) and one `row` column, counted as a spreadsheet does:
    the header is row 1. `bad_rows` and `data_hash` are complete when `batches` has ended.
    """

    name: str
    header: tuple[str, ...]
    batches: Iterator[pa.Table]
    bad_rows: list[BadRow] = field(default_factory=list)
    data_hash: str = ""


def open_source(settings: SourceSettings, wanted: Sequence[str], *, folder: Path) -> Source:
    """Open a CSV (also .gz), a Parquet file or an SQL query for the `wanted` columns.

    Raises
    ------
    SchemaError
        A wanted column is not there, or stands there twice; the message lists the header.
    StorageError
        The file or database cannot be opened.
    """
    if settings.url is not None:
        return _open_query(settings, wanted, folder=folder)
    path = folder / str(settings.file)
    if not path.is_file():
        raise StorageError(f"{path}: there is no such file. Correct `file` in leads.toml.")
    if path.suffix.lower() in {".parquet", ".pq"}:
        return _open_parquet(path, wanted)
    return _open_csv(path, settings, wanted)


def read_header(path: Path, *, encoding: str = "utf-8", delimiter: str | None = None) -> tuple[list[str], str]:
    """Return the header cells of a CSV file and the delimiter that splits them.

    Without a declared delimiter it is the one of comma, semicolon, tab and bar that splits the header into most cells.
    """
    try:
        with _open_text(path, encoding) as file:
            candidates = [delimiter] if delimiter else list(_DELIMITERS)
            line = next(csv.reader(file, delimiter="\x00", quotechar="\x01"), [""])
            rows = {mark: next(csv.reader([line[0] if line else ""], delimiter=mark), []) for mark in candidates}
    except UnicodeDecodeError as error:
        raise _wrong_encoding(path, encoding) from error
    except LookupError as error:
        raise SettingsError(f"{path.name}: encoding {encoding!r} is unknown; write utf-8 or cp1251.") from error
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror or error}).") from error
    best = max(candidates, key=lambda mark: len(rows[mark]))
    return [cell.strip() for cell in rows[best]], best


def _open_text(path: Path, encoding: str) -> IO[str]:
    known = "utf-8-sig" if encoding.lower().replace("_", "-") in {"utf-8", "utf8"} else encoding
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding=known, newline="")
    return path.open(encoding=known, newline="")


def _wrong_encoding(path: Path, encoding: str) -> SchemaError:
    cure = 'Set encoding = "cp1251" (or what it is) for it in leads.toml.'
    return SchemaError(f"{path.name}: holds bytes that are not {encoding}. {cure}")


def _check_columns(name: str, header: Sequence[str], wanted: Sequence[str]) -> None:
    absent = [column for column in wanted if column not in header]
    if absent:
        raise SchemaError(
            f"{name}: no column {name_some(map(repr, absent))}. Found: {name_some(header, most=40)}. "
            "Correct the names in leads.toml."
        )
    twice = [column for column in wanted if list(header).count(column) > 1]
    if twice:
        raise SchemaError(
            f"{name}: column {name_some(map(repr, twice))} stands there more than once. Rename one of them."
        )


def _open_csv(path: Path, settings: SourceSettings, wanted: Sequence[str]) -> Source:
    from pyarrow import csv as arrow_csv
    from pyarrow import lib, string

    header, delimiter = read_header(path, encoding=settings.encoding, delimiter=settings.delimiter)
    _check_columns(path.name, header, wanted)
    positions = {column: f"f{header.index(column)}" for column in wanted}
    source = Source(path.name, tuple(header), iter(()), data_hash=hash_file(path))

    def set_aside(row: lib.InvalidRow) -> str:
        reason = f"row: {row.actual_columns} cells where the header has {row.expected_columns}"
        source.bad_rows.append(BadRow(int(row.number), row.text, reason))
        return "skip"

    def read() -> Iterator[pa.Table]:
        reader = arrow_csv.open_csv(
            path,
            read_options=arrow_csv.ReadOptions(
                use_threads=False,
                block_size=_BLOCK_BYTES,
                encoding=settings.encoding,
                column_names=[f"f{place}" for place in range(len(header))],
                skip_rows=1,
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=set_aside
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types={place: string() for place in positions.values()},
                include_columns=list(positions.values()),
                strings_can_be_null=False,
            ),
        )
        seen = 0
        for batch in reader:
            yield _number_rows(batch, list(positions), first=seen, bad_rows=source.bad_rows)
            seen += batch.num_rows

    source.batches = _translate_errors(read(), path, settings.encoding)
    return source


def _translate_errors(batches: Iterator[pa.Table], path: Path, encoding: str) -> Iterator[pa.Table]:
    from pyarrow import ArrowInvalid

    try:
        yield from batches
    except (ArrowInvalid, UnicodeDecodeError) as error:
        if isinstance(error, UnicodeDecodeError) or "UTF8" in str(error):
            raise _wrong_encoding(path, encoding) from error
        if "Empty CSV" in str(error):
            return
        raise SchemaError(f"{path.name}: cannot be read as CSV: {error}.") from error
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error}).") from error


def _number_rows(batch: pa.RecordBatch, names: Sequence[str], *, first: int, bad_rows: Sequence[BadRow]) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    bad = np.array([row.row for row in bad_rows], dtype=np.int64)
    candidates = np.arange(2, first + batch.num_rows + len(bad) + 2, dtype=np.int64)
    rows = np.setdiff1d(candidates, bad)[first : first + batch.num_rows]
    table = pa.Table.from_batches([batch]).rename_columns(list(names))
    return table.append_column("row", pa.array(rows))


def _open_parquet(path: Path, wanted: Sequence[str]) -> Source:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise StorageError(f"{path}: cannot be read as Parquet ({error}).") from error
    header = tuple(file.schema_arrow.names)
    _check_columns(path.name, header, wanted)

    def read() -> Iterator[pa.Table]:
        seen = 0
        for batch in file.iter_batches(columns=list(wanted)):
            columns = [_as_text(batch.column(name)) for name in wanted]
            texts = pa.RecordBatch.from_arrays(columns, names=list(wanted))
            yield _number_rows(texts, wanted, first=seen, bad_rows=())
            seen += batch.num_rows

    return Source(path.name, header, read(), data_hash=hash_file(path))


def _as_text(column: pa.Array) -> pa.Array:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(pa.string())


def _open_query(settings: SourceSettings, wanted: Sequence[str], *, folder: Path) -> Source:
    url, query = str(settings.url), str(settings.query)
    if url.startswith("duckdb:"):
        header, rows = _query_duckdb(url, query, folder=folder)
    else:
        header, rows = _query_sqlalchemy(url, query, folder=folder)
    name = "query " + " ".join(query.split())[:60]
    _check_columns(name, header, wanted)
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
        yield _number_rows(batch, names, first=seen, bad_rows=())
        seen += len(chunk)
    source.data_hash = digest.hexdigest()


def _text_of(value: object) -> str | None:
    if value is None:
        return None
    return value.isoformat() if isinstance(value, datetime | date) else str(value)


Rows = Iterator[Sequence[Sequence[object]]]


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
    return header, iter(lambda: connection.fetchmany(_SQL_ROWS), [])


def _query_sqlalchemy(url: str, query: str, *, folder: Path) -> tuple[tuple[str, ...], Rows]:
    import sqlalchemy

    if url.startswith("sqlite:///") and not url.startswith("sqlite:////"):
        url = f"sqlite:///{folder / url.removeprefix('sqlite:///')}"
    try:
        connection = sqlalchemy.create_engine(url).connect().execution_options(stream_results=True)
        result = connection.execute(sqlalchemy.text(query))
    except (sqlalchemy.exc.SQLAlchemyError, ImportError) as error:
        raise StorageError(f"{url.split('@')[-1]}: the query failed: {error}") from error

    def rows() -> Rows:
        try:
            yield from result.partitions(_SQL_ROWS)
        finally:
            connection.close()

    return tuple(result.keys()), rows()
