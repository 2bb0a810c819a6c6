"""From typed rows to the canonical events: versions of one event, pages by group, sessions, and touches of sales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from features.portable import one_of
from features.tables import PAGE_MARK, TOUCH, quote

if TYPE_CHECKING:
    import duckdb

    from project.settings import Settings

__all__ = ["finish_events"]

_SHAPE = (
    "lead_id VARCHAR, occurred_at TIMESTAMP, recorded_at TIMESTAMP, superseded_at TIMESTAMP, opens_until TIMESTAMP, "
    "kind VARCHAR, value DECIMAL(28, 6)"
)
_TICK = timedelta(microseconds=1)


def finish_events(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Make the table `events` from `typed_events` and, where they may be features, `typed_touches`.

    - An event was recorded when it occurred, unless the source says later.
    - What a duplicate did counts for its survivor, as known from the moment the duplicate came in.
    - Rows with one `id` are versions of one event: each counts until the next one was recorded. Of versions recorded
      at one moment the last row counts.
    - An event on a page of a group has the group behind its kind; the first group that fits decides.
    - An event is the first of a session as long as no other event of its lead, less than `session_gap` before it, is
      known. Of events at one instant the one recorded first opens it. Ignored kinds and touches have no part in it.
    """
    connection.execute(f"CREATE TABLE events ({_SHAPE})")
    events, touches = settings.events, settings.touches
    if events is not None:
        versions = "lead(recorded_at) OVER (PARTITION BY id ORDER BY recorded_at, row)" if events.id else "NULL"
        superseded = f"CASE WHEN id IS NOT NULL THEN {versions} END" if events.id else "CAST(NULL AS TIMESTAMP)"
        connection.execute(
            f"""INSERT INTO events WITH clocked AS (
                SELECT coalesce(survivor_id, lead_id) AS lead_id, occurred_at,
                    greatest({_recorded(connection)}, since) AS recorded_at, row,
                    {"id" if events.id else "NULL AS id"}, {_kind(events.page, events.page_groups)} AS kind,
                    {"value" if events.value else "CAST(NULL AS DECIMAL(28, 6)) AS value"}
                FROM typed_events LEFT JOIN duplicates USING (lead_id) WHERE reason_aside IS NULL)
            SELECT lead_id, occurred_at, recorded_at, {superseded}, {_opens_until(events.session_gap, events.ignore)},
                kind, value FROM clocked"""
        )
    if touches is not None and touches.as_features:
        connection.execute(
            "INSERT INTO events SELECT coalesce(survivor_id, lead_id), occurred_at, greatest(occurred_at, since), "
            f"NULL, occurred_at, {quote(TOUCH)} || kind, NULL FROM typed_touches LEFT JOIN duplicates USING (lead_id) "
            "WHERE reason_aside IS NULL"
        )


def _recorded(connection: duckdb.DuckDBPyConnection) -> str:
    found = {str(row[0]) for row in connection.execute("DESCRIBE typed_events").fetchall()}
    return "greatest(occurred_at, coalesce(recorded_at, occurred_at))" if "recorded_at" in found else "occurred_at"


def _kind(page: str | None, groups: Mapping[str, Sequence[str]]) -> str:
    if page is None or not groups:
        return "kind"
    cases = " ".join(
        f"WHEN {' OR '.join(f'page ILIKE {quote(_like(pattern))} ESCAPE {quote(_ESCAPE)}' for pattern in patterns)} "
        f"THEN kind || {quote(PAGE_MARK + name)}"
        for name, patterns in groups.items()
    )
    return f"CASE {cases} ELSE kind END"


_ESCAPE = "!"


def _like(pattern: str) -> str:
    """Turn a pattern with `*` into one for LIKE.

    >>> _like("*/pricing_2*")
    '%/pricing!_2%'
    """
    for letter in (_ESCAPE, "%", "_"):
        pattern = pattern.replace(letter, _ESCAPE + letter)
    return pattern.replace("*", "%")


def _opens_until(gap: timedelta, ignored: Sequence[str]) -> str:
    """Return the moment from which an event is known not to open a session; itself where it never does."""
    before = f"INTERVAL '{(gap - _TICK) // _TICK}' MICROSECOND PRECEDING AND INTERVAL '1' MICROSECOND PRECEDING"
    part = f"PARTITION BY lead_id, {one_of('kind', ignored)}" if ignored else "PARTITION BY lead_id"
    never = f"{one_of('kind', ignored)} OR " if ignored else ""
    return f"""CASE WHEN {never}row_number() OVER ({part}, occurred_at ORDER BY recorded_at, row) > 1 THEN occurred_at
        ELSE min(recorded_at) OVER ({part} ORDER BY occurred_at RANGE BETWEEN {before}) END"""
