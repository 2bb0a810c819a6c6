"""Read a sheet of an Excel or OpenDocument file as the text that the same table has in a CSV file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from features.batches import Source, check_columns, name_columns
from project.errors import SchemaError, StorageError, name_some
from project.files import hash_file

if TYPE_CHECKING:
    import pyarrow as pa
    from python_calamine import CalamineSheet

    from project.source_settings import SourceSettings

__all__ = ["SPREADSHEETS", "open_spreadsheet", "read_sheet_header", "spell_cell"]

SPREADSHEETS = frozenset({".ods", ".xls", ".xlsb", ".xlsm", ".xlsx"})
_ROWS = 20_000

CellValue = float | str | bool | date | time | timedelta


def open_spreadsheet(path: Path, settings: SourceSettings, wanted: Sequence[str]) -> Source:
    """Open the declared sheet, or the first one with cells; its first row with cells is the header.

    Row numbers are those of the sheet. The whole sheet is held in memory: it has about a million rows at most.
    """
    rows = _find_rows(path, settings.sheet)
    first, header = _take_header(path, rows)
    check_columns(path.name, header, wanted)
    source = Source(path.name, tuple(header), iter(()), data_hash=hash_file(path))
    source.batches = _batch_rows(rows, wanted, [header.index(column) for column in wanted], first + 1)
    return source


def read_sheet_header(path: Path, *, sheet: str | None = None) -> list[str]:
    """Return the names of the columns of a sheet."""
    return _take_header(path, _find_rows(path, sheet))[1]


def _find_rows(path: Path, sheet: str | None) -> Iterator[list[CellValue]]:
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        workbook = CalamineWorkbook.from_path(path)
        if sheet is not None and sheet not in workbook.sheet_names:
            found = name_some(map(repr, workbook.sheet_names), most=20)
            raise SchemaError(f"{path.name}: no sheet {sheet!r}. Found: {found}. Correct `sheet` in leads.toml.")
        for name in [sheet] if sheet is not None else workbook.sheet_names:
            found_sheet: CalamineSheet = workbook.get_sheet_by_name(name)
            if found_sheet.total_height:
                return iter(found_sheet.iter_rows())
    except (CalamineError, OSError, ValueError) as error:
        if isinstance(error, SchemaError):
            raise
        raise StorageError(f"{path}: cannot be read as a spreadsheet ({error}). Is it whole, and unlocked?") from error
    raise SchemaError(f"{path.name}: no sheet holds cells. Give a file with a header, or set `sheet` in leads.toml.")


def _take_header(path: Path, rows: Iterator[list[CellValue]]) -> tuple[int, list[str]]:
    for number, row in enumerate(rows, start=1):
        cells = [(spell_cell(value) or "").strip() for value in row]
        if any(cells):
            return number, name_columns(cells)
    raise SchemaError(f"{path.name}: the sheet holds no cells. Give one with a header, or set `sheet` in leads.toml.")


def _batch_rows(
    rows: Iterator[list[CellValue]], wanted: Sequence[str], places: Sequence[int], first: int
) -> Iterator[pa.Table]:
    from itertools import islice

    import pyarrow as pa

    numbered = enumerate(rows, start=first)
    while chunk := list(islice(numbered, _ROWS)):
        filled = [(number, row) for number, row in chunk if any(value != "" for value in row)]
        columns = [pa.array([spell_cell(row[place]) for _, row in filled], pa.string()) for place in places]
        numbers = pa.array([number for number, _ in filled], pa.int64())
        yield pa.Table.from_arrays([*columns, numbers], names=[*wanted, "row"])


def spell_cell(value: CellValue) -> str | None:
    """Write a cell's value as a CSV export of the table does; an empty cell, or an error such as #N/A, is none.

    >>> spell_cell(12.0), spell_cell(0.1), spell_cell(True), spell_cell("007"), spell_cell("")
    ('12', '0.1', 'TRUE', '007', None)
    >>> spell_cell(datetime(2024, 5, 1, 9, 30)), spell_cell(date(2024, 5, 1))
    ('2024-05-01 09:30:00', '2024-05-01')
    """
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return str(value) or None
