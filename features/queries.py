"""Read the rows of an SQL query as text, from whatever database its `url` names.

A query that ends in ORDER BY keeps the order it gives; it should name enough columns to leave no ties. Without one the
rows come in no order to rely on: the database is made to sort them by the wanted columns, so that the same rows are
the same source with the same hash, and the same lead comes first, in every run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from features.batches import Source
from features.databases import Query, Rows, read_any, read_duckdb, read_sqlite
from features.postgres import is_postgres, read_postgres
from project.environment import fill_variables

if TYPE_CHECKING:
    import pyarrow as pa

    from project.source_settings import SourceSettings

__all__ = ["open_query"]


def open_query(
    settings: SourceSettings, wanted: Sequence[str], *, folder: Path, environment: Mapping[str, str]
) -> Source:
    """Run a query and give its wanted columns in batches of text, as a CSV file of the same table would.

    Raises
    ------
    SettingsError
        `url` names a variable that is not set, or is no address of a database.
    SchemaError
        A wanted column is not in the answer, or stands there twice.
    StorageError
        The database cannot be reached, or refuses the query; the message has its words, never a password.
    """
    query = Query(str(settings.query).strip().rstrip("; \n"), tuple(wanted))
    rows = _ask(fill_variables(str(settings.url), environment), query, folder=folder)
    header = tuple(str(name) for name in next(rows)[0])
    source = Source(query.name, header, iter(()))
    source.batches = _batch_rows(source, rows, query.wanted)
    return source


def _ask(url: str, query: Query, *, folder: Path) -> Rows:
    if is_postgres(url):
        return read_postgres(url, query)
    for scheme, read in (("duckdb:", read_duckdb), ("sqlite:", read_sqlite)):
        if url.startswith(scheme):
            return read(folder / url.removeprefix(scheme).removeprefix("///"), query)
    return read_any(url, query)


def _batch_rows(source: Source, rows: Rows, wanted: Sequence[str]) -> Iterator[pa.Table]:
    """Give chunks as tables, the rows numbered as under a header; the hash does not depend on how they were cut."""
    import numpy as np
    import pyarrow as pa

    digest, first = hashlib.sha256(repr(wanted).encode()), 2
    with closing(rows):
        for chunk in rows:
            digest.update("".join(map(repr, map(tuple, chunk))).encode())
            columns = [pa.array(column, pa.string()) for column in zip(*chunk, strict=True)]
            numbers = pa.array(np.arange(first, first + len(chunk)))
            yield pa.table([*columns, numbers], names=[*wanted, "row"])
            first += len(chunk)
    source.data_hash = digest.hexdigest()
