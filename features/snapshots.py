"""The questions: which lead, as of which moment, while it was still open."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from features.lake import Lake
    from features.tables import Tables

__all__ = ["build_open_snapshots", "build_training_snapshots", "default_as_of", "open_snapshots_sql"]

_COLUMNS = "lead_id, as_of, created_at, account_id, group_id, position, flag"


def build_training_snapshots(tables: Tables, ages: Sequence[timedelta]) -> pd.DataFrame:
    """Ask about every lead at every age at which it was still open.

    A lead is open at `as_of` if it neither converted nor was lost before it: an outcome exactly at `as_of` belongs to
    the label. Moments outside [observed_from, observed_until) are not asked about, since outcomes were not recorded.
    Leads that are set apart (`flag`) are not asked about at all.

    Returns
    -------
    DataFrame
        `lead_id` text, `as_of` and `created_at` datetime64[us] in UTC (missing in a flat file), `account_id` and
        `group_id` text, `position` int64 (order in the source), `flag` text, in that order of lead and time.
    """
    if not tables.dated:
        known = "SELECT *, CAST(NULL AS TIMESTAMP) AS as_of FROM leads WHERE converted IS NOT NULL AND flag IS NULL"
        return _fetch(tables, f"SELECT {_COLUMNS} FROM ({known})")
    seconds = ", ".join(f"({round(age.total_seconds())})" for age in ages)
    return _fetch(
        tables,
        f"""SELECT {_COLUMNS} FROM (
            SELECT leads.*, created_at + to_seconds(age) AS as_of, won_at, lost_at
            FROM leads LEFT JOIN outcomes USING (lead_id) CROSS JOIN (VALUES {seconds}) ages(age))
        WHERE flag IS NULL AND (won_at IS NULL OR won_at >= as_of) AND (lost_at IS NULL OR lost_at >= as_of)
          AND as_of >= {_moment(tables.observed_from)} AND as_of < {_moment(tables.observed_until)}""",
    )


def build_open_snapshots(tables: Tables, as_of: datetime | None, *, closed_too: bool = False) -> pd.DataFrame:
    """Ask about every lead that is open at `as_of` (or every lead that exists then, if `closed_too`).

    Returns
    -------
    DataFrame
        As `build_training_snapshots`, one row a lead.
    """
    return _fetch(tables, open_snapshots_sql(as_of, dated=tables.dated, closed_too=closed_too))


def open_snapshots_sql(as_of: datetime | None, *, dated: bool, closed_too: bool) -> str:
    """Return the query of `build_open_snapshots`, in the words that DuckDB and Spark share.

    It reads `leads` and `outcomes` and gives `lead_id`, `as_of`, `created_at`, `account_id` and `position`.
    """
    if not dated or as_of is None:
        still_open = "" if closed_too else "WHERE NOT closed"
        moment = f"CAST({_moment(as_of)} AS TIMESTAMP)" if as_of else "CAST(NULL AS TIMESTAMP)"
        return f"SELECT {_COLUMNS} FROM (SELECT *, {moment} AS as_of FROM leads {still_open})"
    still_open = (
        "" if closed_too else "AND (won_at IS NULL OR won_at >= as_of) AND (lost_at IS NULL OR lost_at >= as_of)"
    )
    return f"""SELECT {_COLUMNS} FROM (
            SELECT leads.*, {_moment(as_of)} AS as_of, won_at, lost_at FROM leads LEFT JOIN outcomes USING (lead_id))
        WHERE created_at <= as_of {still_open}"""


def default_as_of(tables: Tables | Lake, *, not_after: datetime | None = None) -> datetime | None:
    """Return the first whole second after everything in the tables: all of it is known, nothing of it is ahead.

    Rows dated after `not_after` (the present, UTC) do not pull it into the future. Null for a flat file.
    """
    if tables.data_until is None:
        return None
    moment = tables.data_until.replace(microsecond=0) + timedelta(seconds=1)
    return moment if not_after is None else min(moment, not_after.replace(microsecond=0))


def _moment(when: datetime | None) -> str:
    return f"TIMESTAMP '{when:%Y-%m-%d %H:%M:%S.%f}'" if when is not None else "NULL"


def _fetch(tables: Tables, sql: str) -> pd.DataFrame:
    frame = tables.connection.execute(f"{sql} ORDER BY position, as_of").df()
    for column in ("as_of", "created_at"):
        frame[column] = frame[column].astype("datetime64[us]")
    return frame.astype({"lead_id": "str", "account_id": "str", "group_id": "str", "position": "int64", "flag": "str"})
