"""The tables as they stood at an earlier moment: what came later is forgotten before anything is made of it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

__all__ = ["forget_later_rows"]

# the column that says since when a row of a source was known; the later of two where both are there
_KNOWN_SINCE = {
    "leads": ("created_at",),
    "events": ("occurred_at", "recorded_at"),
    "touches": ("occurred_at",),
    "accounts": ("valid_from",),
}


def forget_later_rows(connection: duckdb.DuckDBPyConnection, moment: datetime) -> None:
    """Delete every typed row of leads, events, touches and accounts that was not known before `moment` (UTC).

    Changes of stage and other dates of an outcome are left to `read_outcomes`, which needs all stages to check how
    leads.toml calls them. Cells of a lead have no dates: they stay as they stand.
    """
    found = {str(name) for (name,) in connection.execute("SHOW TABLES").fetchall()}
    for table, columns in _KNOWN_SINCE.items():
        if f"typed_{table}" not in found:
            continue
        there = {str(row[0]) for row in connection.execute(f"DESCRIBE typed_{table}").fetchall()}
        moments = ", ".join(column for column in columns if column in there)
        if moments:
            connection.execute(f"DELETE FROM typed_{table} WHERE greatest({moments}) >= ?", [moment])
