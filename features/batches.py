"""What every reader gives: batches of text, each row with its number, and what could not be split into cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from project.errors import SchemaError, name_some

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["BadRow", "Source", "check_columns", "name_columns", "number_rows"]


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
    """

    name: str
    header: tuple[str, ...]
    batches: Iterator[pa.Table]
    bad_rows: list[BadRow] = field(default_factory=list)
    blank_rows: list[int] = field(default_factory=list)
    data_hash: str = ""


def name_columns(header: Sequence[str]) -> list[str]:
    """Name every column so that it can be asked for: those that share a header are counted.

    >>> name_columns(["id", "Status", "Status", ""])
    ['id', 'Status (1)', 'Status (2)', '']
    """
    taken, names, counts = set(header), [], dict.fromkeys(header, 0)
    for cell in header:
        name = cell
        while cell and list(header).count(cell) > 1 and name in taken:
            counts[cell] += 1
            name = f"{cell} ({counts[cell]})"
        taken.add(name)
        names.append(name)
    return names


def check_columns(name: str, header: Sequence[str], wanted: Sequence[str]) -> None:
    """Refuse a wanted column that is absent or stands there twice."""
    counted = {column: [name for name in header if name.rpartition(" (")[0] == column] for column in wanted}
    shared = [column for column in wanted if column not in header and len(counted[column]) > 1]
    if shared:
        cures = name_some(repr(name) for name in counted[shared[0]])
        raise SchemaError(
            f"{name}: column {name_some(map(repr, shared))} stands there more than once. Write {cures} in leads.toml."
        )
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


def number_rows(batch: pa.RecordBatch, names: Sequence[str], *, first: int, left_out: Sequence[int]) -> pa.Table:
    """Name the columns of a batch and add `row`, each row's number in its file; `left_out` rows never arrived."""
    import numpy as np
    import pyarrow as pa

    bad = np.sort(np.array(left_out, dtype=np.int64))
    candidates = np.arange(first + 2, first + batch.num_rows + len(bad) + 2, dtype=np.int64)
    arrived = candidates[~np.isin(candidates, bad)]
    ranks = arrived - 2 - np.searchsorted(bad, arrived)
    rows = arrived[(ranks >= first) & (ranks < first + batch.num_rows)]
    table = pa.Table.from_batches([batch]).rename_columns(list(names))
    return table.append_column("row", pa.array(rows))
