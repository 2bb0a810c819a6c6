"""The one door to every source: CSV, Parquet, a spreadsheet or a query becomes batches of text with row numbers.

Nothing is converted here. What cannot even be split into the right number of cells comes back as a `BadRow`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from features.batches import BadRow, Source, check_columns, number_rows
from features.delimited import open_csv, read_header
from features.queries import open_query
from features.spreadsheet import SPREADSHEETS, open_spreadsheet
from project.errors import SchemaError, StorageError
from project.files import hash_file

if TYPE_CHECKING:
    import pyarrow as pa

    from project.source_settings import SourceSettings

__all__ = ["BadRow", "Source", "open_source", "read_header"]


_NOTHING_SET: Mapping[str, str] = MappingProxyType({})


def open_source(
    settings: SourceSettings, wanted: Sequence[str], *, folder: Path, environment: Mapping[str, str] = _NOTHING_SET
) -> Source:
    """Open a CSV (also .gz), a Parquet file, a spreadsheet or an SQL query for the `wanted` columns.

    `environment` holds the variables that a `url` may name.

    Raises
    ------
    SchemaError
        A wanted column is not there, or stands there twice; the message lists the header.
    StorageError
        The file or database cannot be opened.
    """
    if settings.url is not None:
        return open_query(settings, wanted, folder=folder, environment=environment)
    path = folder / str(settings.file)
    if not path.is_file():
        raise StorageError(f"{path}: there is no such file. Correct `file` in leads.toml.")
    if path.suffix.lower() in {".parquet", ".pq"}:
        return _open_parquet(path, wanted)
    if path.suffix.lower() in SPREADSHEETS:
        return open_spreadsheet(path, wanted, sheet=settings.sheet)
    return open_csv(path, settings, wanted)


def _open_parquet(path: Path, wanted: Sequence[str]) -> Source:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise StorageError(f"{path}: cannot be read as Parquet ({error}).") from error
    header = tuple(file.schema_arrow.names)
    check_columns(path.name, header, wanted)

    def read() -> Iterator[pa.Table]:
        seen = 0
        for batch in file.iter_batches(columns=list(wanted)):
            columns = [_as_text(batch.column(name), where=f"{path.name}: column {name!r}") for name in wanted]
            texts = pa.RecordBatch.from_arrays(columns, names=list(wanted))
            yield number_rows(texts, wanted, first=seen, left_out=())
            seen += batch.num_rows

    return Source(path.name, header, read(), data_hash=hash_file(path))


def _as_text(column: pa.Array, *, where: str) -> pa.Array:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    try:
        return column.cast(pa.string())
    except pa.ArrowNotImplementedError as error:
        raise SchemaError(f"{where}: holds {column.type}, not one value a cell. Take it out of leads.toml.") from error
