"""What every reader gives: batches of text, each row with its number, and what could not be split into cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from project.errors import SchemaError, name_some

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["BadRow", "Source", "check_columns", "name_apart", "number_rows"]


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
    the header is row 1. `bad_rows`, `blank_rows` and `data_hash` are complete when `batches` has ended.
    `written` tells that all cells are text by origin: numbers in it have the marks of whoever wrote the file.
    """

    name: str
    header: tuple[str, ...]
    batches: Iterator[pa.Table]
    bad_rows: list[BadRow] = field(default_factory=list)
    blank_rows: list[int] = field(default_factory=list)
    data_hash: str = ""
    written: bool = False


def name_apart(header: Sequence[str]) -> list[str]:
    """Tell headers apart that stand there more than once by a number behind them.

    >>> name_apart(["id", "Status", "Status", "", ""])
    ['id', 'Status (1)', 'Status (2)', '', '']
    """
    seen: dict[str, int] = {}
    named = []
    for name in (cell.strip() for cell in header):
        seen[name] = seen.get(name, 0) + 1
        named.append(f"{name} ({seen[name]})" if name and list(map(str.strip, header)).count(name) > 1 else name)
    return named


def check_columns(name: str, header: Sequence[str], wanted: Sequence[str]) -> None:
    """Refuse a wanted column that is absent or stands there twice."""
    absent = [column for column in wanted if column not in header]
    several = [column for column in absent if f"{column} (1)" in header]
    if several:
        raise SchemaError(
            f"{name}: column {name_some(map(repr, several))} stands there more than once. Write "
            f"{f'{several[0]} (1)'!r} for the first, {f'{several[0]} (2)'!r} for the second."
        )
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


def number_rows(batch: pa.RecordBatch, names: Sequence[str], *, first: int, left_out: Sequence[int]) -> pa.Table:
    """Name the columns of a batch and add `row`, each row's number in its file; `left_out` rows never arrived."""
    import numpy as np
    import pyarrow as pa

    bad = np.unique(np.array(left_out, dtype=np.int64))
    kept = np.arange(first, first + batch.num_rows, dtype=np.int64)
    # before the k-th row that arrived stand all bad rows that come before it: their own number less what precedes them
    rows = kept + 2 + np.searchsorted(bad - 2 - np.arange(len(bad)), kept, side="right")
    table = pa.Table.from_batches([batch]).rename_columns(list(names))
    return table.append_column("row", pa.array(rows))
