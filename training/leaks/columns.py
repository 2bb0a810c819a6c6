"""Every column of a source as it stands, declared or not, for the leads under trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from features.forms import ORDERS, ColumnToRead, guess_form
from features.ingest import connect
from features.sources import open_source
from features.tables import quote
from features.written import moment_of, number_text

if TYPE_CHECKING:
    import duckdb

    from project.source_settings import SourceSettings

__all__ = ["read_header_of", "read_whole_source"]

_NEARLY = 0.95
_BLANKS = "' \t\r\n\u00a0'"


def read_header_of(source: SourceSettings, key: str, *, folder: Path) -> list[str]:
    """Return the headers that name a column: neither blank nor twice there."""
    header = open_source(source, [key], folder=folder).header
    return [name for name in header if name and header.count(name) == 1]


def read_whole_source(
    source: SourceSettings,
    key: str,
    ids: pd.Series,
    *,
    folder: Path,
    timezone: str | None,
    kinds: Mapping[str, str],
    latest_by: str | None = None,
) -> dict[str, pd.Series]:
    """Read all columns of one row of each of the `ids`, in their order: the first, or the last in time.

    Parameters
    ----------
    kinds
        Header → declared kind; a column that is not declared is a number or a time if nearly all its cells are.
    latest_by
        The column whose latest time chooses the row.

    Returns
    -------
    dict
        Header → float64, datetime64[us] in UTC, or `str`; a row that is not there is missing.
    """
    import pyarrow as pa

    headers = read_header_of(source, key, folder=folder)
    opened = open_source(source, headers, folder=folder)
    names = {header: f"h{place}" for place, header in enumerate(headers)}
    with connect() as connection:
        connection.execute(f"SET TimeZone = {quote(timezone or 'UTC')}")
        connection.register("wanted", pa.table({"id": ids.to_list(), "place": range(len(ids))}))
        connection.execute(f"CREATE TABLE raw (row BIGINT, {', '.join(f'{name} VARCHAR' for name in names.values())})")
        keep = f"trim({names[key]}, {_BLANKS}) IN (SELECT id FROM wanted)"
        for batch in opened.batches:
            connection.register("batch", batch.rename_columns([*names.values(), "row"]))
            connection.execute(f"INSERT INTO raw BY NAME SELECT * FROM batch WHERE {keep}")
            connection.unregister("batch")
        newest = ""
        if latest_by is not None:
            newest = f"{_moment(connection, 'raw', names[latest_by], latest_by, source)} DESC NULLS LAST, "
        cells = ", ".join(f"{_cell(name, header, source)} AS {name}" for header, name in names.items())
        one = f"row_number() OVER (PARTITION BY trim({names[key]}, {_BLANKS}) ORDER BY {newest}row) = 1"
        connection.execute(
            f"CREATE TABLE kept AS SELECT place, {cells} FROM wanted LEFT JOIN (SELECT * FROM raw QUALIFY {one}) "
            f"ON trim({names[key]}, {_BLANKS}) = id"
        )
        typed = {
            header: (
                _number(connection, "kept", name, header, source),
                _moment(connection, "kept", name, header, source),
            )
            for header, name in names.items()
        }
        counts = connection.execute(
            f"SELECT {', '.join(f'count({names[h]}), count({n}), count({t})' for h, (n, t) in typed.items())} FROM kept"
        ).fetchall()[0]
        chosen = []
        for place, header in enumerate(headers):
            filled, numbers, times = map(int, counts[3 * place : 3 * place + 3])
            kind = kinds.get(header)
            number, moment = typed[header]
            if kind == "number" or (kind is None and filled and numbers >= _NEARLY * filled):
                chosen.append(number)
            elif kind is None and filled and times >= _NEARLY * filled:
                chosen.append(f"CAST(timezone('UTC', {moment}) AS TIMESTAMP)")
            else:
                chosen.append(names[header])
        listed = ", ".join(f"{one} AS {name}" for one, name in zip(chosen, names.values(), strict=True))
        frame = connection.execute(f"SELECT {listed} FROM kept ORDER BY place").df()
    return {header: _settle(frame[name]) for header, name in names.items()}


def _settle(values: pd.Series) -> pd.Series:
    if values.dtype.kind == "M":
        return values.astype("datetime64[us]")
    return values.astype("float64") if values.dtype.kind in "fi" else values.astype("str")


def _cell(column: str, header: str, source: SourceSettings) -> str:
    own = source.cells[header].missing if header in source.cells else None
    tokens: Sequence[str] = source.missing if own is None else own
    trimmed = f"nullif(trim({column}, {_BLANKS}), '')"
    return f"CASE WHEN {trimmed} NOT IN ({', '.join(map(quote, tokens))}) THEN {trimmed} END" if tokens else trimmed


def _number(connection: duckdb.DuckDBPyConnection, table: str, column: str, header: str, source: SourceSettings) -> str:
    own = source.cells.get(header)
    declared = (own.decimal if own else None) or source.decimal
    form = guess_form(connection, table, ColumnToRead(header, column, "number", declared))
    number = f"try_cast({number_text(column, form.mark or '.')} AS DOUBLE)"
    return f"CASE WHEN isfinite({number}) THEN {number} END"


def _moment(connection: duckdb.DuckDBPyConnection, table: str, column: str, header: str, source: SourceSettings) -> str:
    own = source.cells.get(header)
    declared = (own.date_format if own else None) or source.date_format
    form = guess_form(connection, table, ColumnToRead(header, column, "time", declared))
    if form.mark is not None and form.mark not in ORDERS:
        moment = f"CAST(try_strptime({column}, {quote(form.mark)}) AS TIMESTAMPTZ)"
    else:
        moment = moment_of(column, form.mark)
    return f"CASE WHEN year({moment}) BETWEEN 1990 AND 2099 THEN {moment} END"
