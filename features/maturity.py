"""Leads whose whole horizon is over: whether they converted in it, and since when that is known."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

    from project.settings import Settings

__all__ = ["finish_matured"]


def finish_matured(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    *,
    observed_from: datetime | None,
    observed_until: datetime | None,
) -> None:
    """Make the table `matured` for track records; it is empty where none is asked for.

    A lead counts if it came in while outcomes were recorded, and its horizon ended before they stop being so. Flagged
    leads, and leads whose loss within the horizon says nothing of them, do not count.
    """
    connection.execute("CREATE TABLE matured (lead_id VARCHAR, known_at TIMESTAMP, converted INTEGER)")
    if not settings.features.track_record:
        return
    horizon = f"to_microseconds({round(settings.outcome.horizon.total_seconds() * 1e6)})"
    connection.execute(
        f"""INSERT INTO matured
        SELECT leads.lead_id, created_at + {horizon}, CAST(coalesce(won_at >= created_at AND won_at < created_at
            + {horizon}, false) AS INTEGER)
        FROM leads LEFT JOIN outcomes ON outcomes.lead_id = leads.lead_id
        WHERE created_at >= ? AND created_at + {horizon} <= ? AND flag IS NULL
            AND (coalesce(won_at < created_at + {horizon}, false) OR coalesce(lost_at >= created_at + {horizon}, true)
                OR lost_as = 'lost')""",
        [observed_from, observed_until],
    )
