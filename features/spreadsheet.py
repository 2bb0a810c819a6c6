"""Read one sheet of an Excel or OpenDocument file as the text that a CSV file of the same table has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from features.batches import Source, check_columns, name_apart
from project.errors import SchemaError, SettingsError, StorageError, name_some
from project.files import hash_file

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["SPREADSHEETS", "open_spreadsheet", "read_sheet_header"]

SPREADSHEETS = frozenset({".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"})
_CHUNK = 20_000
_LONGEST_WHOLE = 1e15  # beyond it Excel itself has rounded the digits away


def open_spreadsheet(path: Path, wanted: Sequence[str], *, sheet: str | None) -> Source:
    """Open a sheet (the first one with rows, if none is named) for the wanted columns.

    The first row with a value is the header; the rows above it count, so that a row's number is the one Excel shows.

    Raises
    ------
    SettingsError
        There is no such sheet.
    SchemaError
        A wanted column is not there.
    StorageError
        The file cannot be read.
    """
    rows, start, header = _read_rows(path, sheet)
    check_columns(path.name, header, wanted)
    places = [header.index(name) for name in wanted]
    source = Source(path.name, tuple(header), iter(()), data_hash=hash_file(path))
    source.batches = _batches(rows, places, wanted, first=start + 1)
    return source


def read_sheet_header(path: Path, *, sheet: str | None = None) -> list[str]:
    """Return the header cells of a sheet."""
    return _read_rows(path, sheet)[2]


def _read_rows(path: Path, sheet: str | None) -> tuple[Iterator[Sequence[object]], int, list[str]]:
    """Return the rows under the header, the header's row number as Excel shows it, and its cells."""
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        book = CalamineWorkbook.from_path(str(path))
        names = book.sheet_names
        if sheet is not None and sheet not in names:
            raise SettingsError(f"{path.name}: no sheet {sheet!r}. Found: {name_some(map(repr, names), most=20)}.")
        for name in [sheet] if sheet is not None else names:
            table = book.get_sheet_by_name(name)
            rows = iter(table.iter_rows())
            for place, row in enumerate(rows, start=1):
                if any(cell not in ("", None) for cell in row):
                    return rows, place, name_apart([_write_cell(cell) or "" for cell in row])
    except (CalamineError, OSError, ValueError) as error:
        if isinstance(error, SettingsError):
            raise
        raise StorageError(f"{path}: cannot be read as a spreadsheet ({error}). Is it whole?") from error
    raise SchemaError(f"{path.name}: no sheet has a row. Name the right file, or export it again.")


def _batches(
    rows: Iterator[Sequence[object]], places: Sequence[int], wanted: Sequence[str], *, first: int
) -> Iterator[pa.Table]:
    kept: list[list[str | None]] = []
    numbers: list[int] = []
    for number, row in enumerate(rows, start=first):
        cells = [_write_cell(row[place]) if place < len(row) else None for place in places]
        if any(cell not in ("", None) for cell in row):
            kept.append(cells)
            numbers.append(number)
        if len(kept) == _CHUNK:
            yield _table(kept, numbers, wanted)
            kept, numbers = [], []
    if kept:
        yield _table(kept, numbers, wanted)


def _table(rows: Sequence[Sequence[str | None]], numbers: Sequence[int], wanted: Sequence[str]) -> pa.Table:
    import pyarrow as pa

    columns = [pa.array([row[place] for row in rows], pa.string()) for place in range(len(wanted))]
    return pa.table([*columns, pa.array(numbers, pa.int64())], names=[*wanted, "row"])


def _write_cell(cell: object) -> str | None:
    """Write a cell as a CSV file has it.

    >>> _write_cell(120.0), _write_cell(0.1), _write_cell(datetime(2024, 5, 1)), _write_cell("007"), _write_cell(True)
    ('120', '0.1', '2024-05-01', '007', 'true')
    """
    if cell is None or isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < _LONGEST_WHOLE else repr(cell)
    if isinstance(cell, datetime):
        midnight = cell.time() == time()
        return cell.date().isoformat() if midnight else cell.isoformat(sep=" ")
    if isinstance(cell, timedelta):
        return str(cell)
    return cell.isoformat() if isinstance(cell, date | time) else str(cell)
