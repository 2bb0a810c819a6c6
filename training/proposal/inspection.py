"""What a file holds, column by column: counts and values that any guess about it starts from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from features.encoding import find_encoding
from features.forms import ColumnToRead, Form, guess_form
from features.ingest import connect
from features.sources import open_source, read_header
from features.spreadsheet import SPREADSHEETS, read_sheet_header
from features.tables import quote
from features.written import has_zone, moment_of, number_text
from project.errors import SchemaError, StorageError, name_some
from project.source_settings import CellSettings, SourceSettings

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = [
    "NEARLY",
    "ColumnProfile",
    "InspectedFile",
    "find_link",
    "inspect_file",
    "need_column",
    "pick",
    "read_column",
    "spell",
]

NEARLY = 0.95
_MOST_ROWS, _FEW_LEVELS, _OVERLAP = 300_000, 200, 0.05
_PARQUET = {".parquet", ".pq"}
_MISSING = ("Select", "N/A", "n/a", "NULL", "null", "-", "—", "не указано", "Не указано", "не закрыта")
_TIMELY_NAME = r"\b(creat\w*|clos\w*|updat\w*|changed|occurred|at|date|time|timestamp|дата|время|когда)\b"


@dataclass(frozen=True)
class ColumnProfile:
    """One column, counted over the rows that were read; an empty cell or a missing token is no value.

    Cells with a value are `filled`, of which `numbers` read as finite numbers, `times` as times, and `unzoned` as times
    without a zone. `listed` are all levels by falling frequency if there are at most 200, else none. The forms say how
    its numbers and times are written.
    """

    header: str
    rows: int
    filled: int
    levels: int
    numbers: int
    times: int
    unzoned: int
    listed: tuple[str, ...]
    number_form: Form
    time_form: Form

    @property
    def names_rows(self) -> bool:
        """Whether every row has a value and none stands twice."""
        return self.levels == self.filled == self.rows

    @property
    def numeric(self) -> bool:
        """Whether at least 95 % of the values are numbers."""
        return self.filled > 0 and self.numbers >= NEARLY * self.filled

    @property
    def timely(self) -> bool:
        """Whether at least 95 % of the values are times."""
        return self.filled > 0 and not self.numeric and self.times >= NEARLY * self.filled


@dataclass(frozen=True)
class InspectedFile:
    """A file that was read for guessing: how to read it again, its columns by header, and its cells as text.

    `whole` tells whether all rows were read, not only the first 300,000. Columns without a header, or with one that
    stands twice, are `unusable`. `cells` has text columns `c0`, `c1` … in the order of `columns`.
    """

    path: Path
    source: SourceSettings
    rows: int
    whole: bool
    columns: Mapping[str, ColumnProfile]
    unusable: tuple[str, ...]
    cells: pa.Table


def inspect_file(path: Path, *, folder: Path) -> InspectedFile:
    """Read at most 300,000 rows of a CSV or Parquet file and count what its columns hold.

    Raises
    ------
    StorageError
        There is no such file, or it cannot be read.
    SchemaError
        It has no rows, or is no table.
    """
    if not path.is_file():
        raise StorageError(f"{path}: there is no such file. Correct the path on the command line.")
    source = _describe_source(path, folder)
    header = _read_header(path, source, folder)
    usable = [name for name in header if name and header.count(name) == 1]
    table, whole = _read_rows(source, usable, folder)
    if table.num_rows == 0:
        raise SchemaError(f"{path.name}: no rows under a header. Give a CSV or Parquet file with a header.")
    cells, source = _clean(table, source)
    unusable = tuple(dict.fromkeys(name for name in header if name not in usable))
    columns = _profile(cells, usable)
    return InspectedFile(path, _pin_forms(source, columns), table.num_rows, whole, columns, unusable, cells)


def spell(header: str) -> str:
    """Return a header's words in lower case, one blank between them.

    >>> spell("LeadID"), spell("closed_won date"), spell("Компания ID"), spell("createdAt")
    ('lead id', 'closed won date', 'компания id', 'created at')
    """
    apart = re.sub(r"(?<=[a-zа-яё0-9])(?=[A-ZА-ЯЁ])", " ", header)
    return " ".join(re.findall(r"[^\W_]+|№", apart)).lower()


def pick(headers: Iterable[str], patterns: Sequence[str], *, never: str = r"(?!)") -> str | None:
    """Return the first header in which the earliest possible pattern is found; an empty pattern takes any.

    >>> pick(["updated_at", "Date", "created_at"], (r"created", r"date"))
    'created_at'
    """
    allowed = [header for header in headers if not re.search(never, spell(header))]
    return next((name for pattern in patterns for name in allowed if re.search(pattern, spell(name))), None)


def find_link(file: InspectedFile, ids: set[str], *, named: str) -> str | None:
    """Return the column whose values are `ids` more than any other's; a header that fits `named` counts fourfold."""
    scores = {}
    for header in (header for header, column in file.columns.items() if column.filled and not column.timely):
        values = set(read_column(file, header, "text").dropna())
        hits = len(values & ids)
        if hits >= max(1, _OVERLAP * len(values)):
            scores[header] = (4 if re.search(named, spell(header)) else 1) * hits * hits / len(values)
    return max(scores, key=lambda header: scores[header], default=None)


def read_column(file: InspectedFile, header: str, kind: Literal["text", "number", "time"]) -> pd.Series:
    """Return a column as str, float64, or datetime64[us] in UTC (a time without a zone is taken as UTC) without one."""
    import pyarrow as pa

    cells = file.cells.column(list(file.columns).index(header))
    if kind == "text":
        texts: pd.Series = cells.to_pandas().astype("str")
        return texts
    profile = file.columns[header]
    expression = _number_of("cell", profile.number_form) if kind == "number" else _time_of("cell", profile.time_form)
    with connect() as connection:
        connection.register("texts", pa.table({"cell": cells}))
        values: pd.Series = connection.sql(f"SELECT {expression} AS value FROM texts").df()["value"]
        return values.astype("float64") if kind == "number" else values.astype("datetime64[us]")


def need_column(file: InspectedFile, header: str | None, what: str) -> str:
    """Return the header, or say that no column does `what`."""
    if header is None:
        found = name_some(map(repr, file.columns), most=40)
        raise SchemaError(f"{file.path.name}: no column {what}. Found: {found}. Correct the file, or leave it out.")
    return header


def _describe_source(path: Path, folder: Path) -> SourceSettings:
    full, base = path.resolve(), folder.resolve()
    near = full.relative_to(base) if full.is_relative_to(base) else full
    encoding = None if path.suffix.lower() in _PARQUET | SPREADSHEETS else find_encoding(path)
    return SourceSettings(file=near.as_posix(), encoding=None if encoding == "utf-8" else encoding)


def _read_header(path: Path, source: SourceSettings, folder: Path) -> list[str]:
    if path.suffix.lower() in SPREADSHEETS:
        return read_sheet_header(path)
    if path.suffix.lower() not in _PARQUET:
        return read_header(path, encoding=source.encoding or "utf-8")[0]
    import pyarrow as pa
    from pyarrow import parquet

    open_source(source, [], folder=folder)
    schema = parquet.read_schema(path)
    return [name for name, kind in zip(schema.names, schema.types, strict=True) if not pa.types.is_nested(kind)]


def _read_rows(source: SourceSettings, headers: Sequence[str], folder: Path) -> tuple[pa.Table, bool]:
    import pyarrow as pa

    batches: list[pa.Table] = []
    rows = 0
    for batch in open_source(source, headers, folder=folder).batches if headers else ():
        batches.append(batch.select(list(headers)).rename_columns([f"c{place}" for place in range(len(headers))]))
        rows += batch.num_rows
        if rows > _MOST_ROWS:
            break
    table = pa.concat_tables(batches).slice(0, _MOST_ROWS) if rows else pa.table({})
    return table, rows <= _MOST_ROWS


def _pin_forms(source: SourceSettings, columns: Mapping[str, ColumnProfile]) -> SourceSettings:
    """Write down the forms that a later file might not prove: once for the source, and where a column differs."""
    times = {name: one.time_form.mark for name, one in columns.items() if one.timely and one.time_form.mark}
    marks = {name: one.number_form.mark for name, one in columns.items() if one.numeric and one.number_form.mark}
    order = max(sorted(set(times.values())), key=list(times.values()).count, default=None)
    comma = "," in marks.values()
    cells: dict[str, CellSettings] = {
        name: CellSettings(date_format=mark) for name, mark in times.items() if mark != order
    }
    cells |= {name: CellSettings(decimal=".") for name, mark in marks.items() if comma and mark == "."}
    return source.model_copy(update={"date_format": order, "decimal": "," if comma else None, "cells": cells})


def _clean(table: pa.Table, source: SourceSettings) -> tuple[pa.Table, SourceSettings]:
    """Trim every cell, and empty those that hold a missing token; the tokens that occurred become settings."""
    names = table.column_names
    tokens = f"({', '.join(map(quote, _MISSING))})"
    with connect() as connection:
        connection.register("texts", table)
        trimmed = ", ".join(f"nullif(trim({name}, ' \t\r\n\u00a0'), '') AS {name}" for name in names)
        connection.execute(f"CREATE TABLE trimmed AS SELECT {trimmed} FROM texts")
        either = " UNION ".join(f"SELECT {name} FROM trimmed WHERE {name} IN {tokens}" for name in names)
        found = {str(token) for (token,) in connection.execute(either).fetchall()}
        kept = ", ".join(f"CASE WHEN {name} NOT IN {tokens} THEN {name} END AS {name}" for name in names)
        cells = connection.sql(f"SELECT {kept} FROM trimmed").to_arrow_table()
    return cells, source.model_copy(update={"missing": tuple(token for token in _MISSING if token in found)})


def _number_of(cell: str, form: Form) -> str:
    number = f"try_cast({number_text(cell, form.mark or '.')} AS DOUBLE)"
    return f"CASE WHEN isfinite({number}) THEN {number} END"


def _time_of(cell: str, form: Form) -> str:
    moment = f"try_cast({cell} AS TIMESTAMPTZ)" if form.plain else moment_of(cell, form.mark)
    return f"CASE WHEN year({moment}) BETWEEN 1990 AND 2099 THEN timezone('UTC', {moment}) END"


def _profile(cells: pa.Table, headers: Sequence[str]) -> dict[str, ColumnProfile]:
    profiles = {}
    with connect() as connection:
        connection.register("cells", cells)
        for place, header in enumerate(headers):
            cell = f"c{place}"
            counting = guess_form(connection, "cells", ColumnToRead(header, cell, "number"))
            dating = guess_form(connection, "cells", ColumnToRead(header, cell, "time"))
            moment = _time_of(cell, dating)
            counts = connection.execute(
                f"SELECT count({cell}), count(DISTINCT {cell}), count({_number_of(cell, counting)}), count({moment}), "
                f"count(*) FILTER (WHERE {moment} IS NOT NULL AND NOT {has_zone(cell)}) FROM cells"
            ).fetchall()[0]
            filled, levels, numbers, times, unzoned = map(int, counts)
            if 0 < filled == numbers == times and re.search(_TIMELY_NAME, spell(header)):
                numbers = 0  # Unix or Excel times, which are numbers too
            frequent = f"SELECT {cell} FROM cells WHERE {cell} IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC, 1"
            found = connection.execute(frequent).fetchall() if levels <= _FEW_LEVELS else []
            listed = tuple(str(value) for (value,) in found)
            profiles[header] = ColumnProfile(
                header, cells.num_rows, filled, levels, numbers, times, unzoned, listed, counting, dating
            )
    return profiles
