"""The tables as they would be if something had been otherwise; nothing of it stays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from features.tables import Tables

__all__ = ["with_event", "with_value", "without_news"]

_JUST_BEFORE = timedelta(seconds=1)


@contextmanager
def _pretending(tables: Tables) -> Iterator[None]:
    tables.connection.execute("BEGIN TRANSACTION")
    try:
        yield
    finally:
        tables.connection.execute("ROLLBACK")


@contextmanager
def without_news(tables: Tables, lead_ids: Sequence[str], since: datetime) -> Iterator[None]:
    """Pretend that leads and everybody else of their accounts did nothing from a moment on (UTC).

    What was known by then stays as it was known: corrections that came later have not come, nor have new leads and
    purchases of the account.
    """
    import pyarrow as pa

    with _pretending(tables):
        tables.connection.register("asked", pa.table({"lead_id": pa.array(lead_ids, pa.string())}))
        try:
            tables.connection.execute("CREATE TEMP TABLE asked_for AS FROM asked")
            tables.connection.execute(
                "CREATE TEMP TABLE quiet AS SELECT lead_id FROM leads WHERE account_id IN "
                "(SELECT account_id FROM leads SEMI JOIN asked_for USING (lead_id))"
            )
        finally:
            tables.connection.unregister("asked")
        for change in (
            "DELETE FROM events WHERE lead_id IN (FROM quiet) AND recorded_at >= $since",
            "UPDATE events SET superseded_at = NULL WHERE lead_id IN (FROM quiet) AND superseded_at >= $since",
            "UPDATE events SET opens_until = NULL WHERE lead_id IN (FROM quiet) AND opens_until >= $since",
            "UPDATE outcomes SET won_at = NULL WHERE lead_id IN (FROM quiet) AND won_at >= $since",
            # they stay leads of the history, but are nobody's colleagues
            "UPDATE leads SET account_id = 'lead ' || lead_id WHERE lead_id IN (FROM quiet) AND created_at >= $since "
            "AND lead_id NOT IN (FROM asked_for)",
        ):
            tables.connection.execute(change, {"since": since})
        yield


@contextmanager
def with_event(tables: Tables, lead_id: str, kind: str, as_of: datetime) -> Iterator[None]:
    """Pretend that a lead did something one second before a moment; its value is not known."""
    at = as_of - _JUST_BEFORE
    with _pretending(tables):
        tables.connection.execute("INSERT INTO events VALUES (?, ?, ?, NULL, NULL, ?, NULL)", [lead_id, at, at, kind])
        yield


@contextmanager
def with_value(tables: Tables, lead_id: str, header: str, value: float | str) -> Iterator[None]:
    """Pretend that a declared column of a lead holds another value."""
    column = next(attribute.column for attribute in tables.lead_attributes if attribute.header == header)
    with _pretending(tables):
        tables.connection.execute(f"UPDATE leads SET {column} = ? WHERE lead_id = ?", [value, lead_id])
        yield
