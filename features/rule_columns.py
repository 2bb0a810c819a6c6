"""What decisions ask of a lead: its columns as they stand, whether it did something by a moment, and what is new."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from features.engine import read_lead_columns
from features.portable import seconds
from features.tables import PAGE_MARK, TOUCH, quote
from project.duration import format_duration

if TYPE_CHECKING:
    import pandas as pd

    from features.tables import Tables

__all__ = [
    "DID",
    "Asking",
    "count_new_events",
    "did_sql",
    "find_unheard_of",
    "name_answer",
    "read_rule_columns",
    "split_rules",
]

DID = "yes"


class Asking(Protocol):
    """A rule: the column that it reads; where `event` is given, that column holds whether the lead did it."""

    @property
    def column(self) -> str: ...  # noqa: D102
    @property
    def event(self) -> str | None: ...  # noqa: D102
    @property
    def within(self) -> int | None: ...  # noqa: D102


def name_answer(event: str, within: int | None) -> str:
    """Name the column that holds whether a lead did something, within so many seconds before a moment or ever.

    >>> name_answer("demo_request", 604_800), name_answer("звонок", None)
    ('event demo_request within 7d', 'event звонок')
    """
    return f"event {event}" + (f" within {format_duration(timedelta(seconds=within))}" if within is not None else "")


def read_rule_columns(
    tables: Tables, snapshots: pd.DataFrame, rules: Sequence[Asking], *, more: Sequence[str] = ()
) -> pd.DataFrame:
    """Return every column that rules read, and some more of the leads table, one row a snapshot in the given order.

    Columns of the leads table are read as they stand. Whether a lead did something is asked as of the snapshot: events
    that happened or were recorded at or after `as_of` are unknown, and so is a version that was corrected before it.

    Parameters
    ----------
    snapshots
        `lead_id` text and `as_of` datetime64[us] UTC.

    Raises
    ------
    SchemaError
        A column is not declared in leads.toml.
    """
    import pyarrow as pa

    headers, asked = split_rules(rules)
    headers = sorted({*headers, *more})
    frame = read_lead_columns(tables, snapshots["lead_id"].to_list(), headers)
    if not asked:
        return frame
    questions = pa.table(
        {
            "snapshot_id": pa.array(range(len(snapshots)), pa.int64()),
            "lead_id": pa.array(snapshots["lead_id"], pa.string()),
            "as_of": pa.array(snapshots["as_of"], pa.timestamp("us")),
        }
    )
    sql = did_sql(list(asked.values()), snapshots="asked")
    tables.connection.register("asked", questions)
    try:
        answers = tables.connection.execute(f"{sql} ORDER BY snapshot_id").df()
    finally:
        tables.connection.unregister("asked")
    answers = answers.drop(columns="snapshot_id").set_axis(list(asked), axis=1)
    return frame.join(answers) if headers else answers


def split_rules(rules: Sequence[Asking]) -> tuple[list[str], dict[str, tuple[str, int | None]]]:
    """Return the headers of the leads table that rules read, and by the name of its answer each event they ask for.

    Both are sorted by name; a deed is (kind of event, seconds for which it counts, null: for ever).
    """
    headers = sorted({rule.column for rule in rules if rule.event is None})
    asked = {rule.column: (rule.event, rule.within) for rule in rules if rule.event is not None}
    return headers, dict(sorted(asked.items()))


def did_sql(asked: Sequence[tuple[str, int | None]], *, snapshots: str = "snapshots") -> str:
    """Return the query whether leads did what is asked, in words that DuckDB and Spark share.

    It reads `snapshots` (`snapshot_id`, `lead_id`, `as_of`) and `events`, and gives `snapshot_id` and `did_<place>` for
    each (kind of event, seconds for which it counts, null: for ever): `yes`, or null.
    """
    kinds = [_is_kind(event) for event, _ in asked]
    columns = "".join(
        f", max(CASE WHEN {kind}{_in_time(within)} THEN {quote(DID)} END) AS did_{place}"
        for place, (kind, (_, within)) in enumerate(zip(kinds, asked, strict=True))
    )
    return f"""SELECT asking.snapshot_id{columns}
        FROM {snapshots} asking LEFT JOIN events ON events.lead_id = asking.lead_id AND ({" OR ".join(kinds)})
            AND events.occurred_at < asking.as_of AND events.recorded_at < asking.as_of
            AND (events.superseded_at IS NULL OR events.superseded_at >= asking.as_of)
        GROUP BY asking.snapshot_id"""


def find_unheard_of(tables: Tables, rules: Sequence[Asking]) -> list[str]:
    """Return the events that rules ask for and that no lead ever did: misspelt, perhaps."""
    return [
        event
        for event in sorted({rule.event for rule in rules if rule.event is not None})
        if not tables.connection.execute(f"SELECT 1 FROM events WHERE {_is_kind(event)} LIMIT 1").fetchall()
    ]


def _is_kind(event: str) -> str:
    """Write the condition that an event is of a kind, on whatever page."""
    start = event + PAGE_MARK
    return f"(events.kind = {quote(event)} OR substr(events.kind, 1, {len(start)}) = {quote(start)})"


def _in_time(within: int | None) -> str:
    return f" AND events.occurred_at >= asking.as_of - {seconds(within)}" if within is not None else ""


def count_new_events(tables: Tables, decided: pd.DataFrame, *, ignore: Sequence[str] = ()) -> NDArray[np.int64]:
    """Count what became known of each lead since a decision: events recorded in [`decided_at`, `as_of`).

    What sales did does not count, nor do the kinds in `ignore`, nor does a version that was corrected before `as_of`; a
    correction does.

    Parameters
    ----------
    decided
        `lead_id` text, `decided_at` and `as_of` datetime64[us] UTC, one row a question.
    """
    import pyarrow as pa

    questions = pa.table(
        {
            "place": pa.array(range(len(decided)), pa.int64()),
            "lead_id": pa.array(decided["lead_id"], pa.string()),
            "decided_at": pa.array(decided["decided_at"], pa.timestamp("us")),
            "as_of": pa.array(decided["as_of"], pa.timestamp("us")),
        }
    )
    tables.connection.register("decided", questions)
    try:
        counts = tables.connection.execute(
            f"""SELECT count(events.lead_id) AS n
            FROM decided LEFT JOIN events ON events.lead_id = decided.lead_id
                AND substr(events.kind, 1, {len(TOUCH)}) <> {quote(TOUCH)}
                AND NOT ({" OR ".join(map(_is_kind, ignore)) or "false"})
                AND events.recorded_at >= decided.decided_at AND events.recorded_at < decided.as_of
                AND (events.superseded_at IS NULL OR events.superseded_at >= decided.as_of)
            GROUP BY place ORDER BY place"""
        ).df()
    finally:
        tables.connection.unregister("decided")
    return counts["n"].to_numpy(dtype=np.int64)
