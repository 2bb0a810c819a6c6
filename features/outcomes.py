"""Outcomes: the first win and the first loss of each lead, and what the loss says."""

from __future__ import annotations

import difflib
from datetime import datetime
from typing import TYPE_CHECKING

from features.portable import one_of
from features.reasons import says_duplicate_sql, tell_reason_sql
from project.errors import SettingsError, name_some

if TYPE_CHECKING:
    import duckdb

    from project.settings import Settings

__all__ = ["read_outcomes"]


def read_outcomes(
    connection: duckdb.DuckDBPyConnection, settings: Settings, *, known_until: datetime | None = None
) -> None:
    """Make `outcomes` out of the view `changes`; what became of a duplicate counts for its survivor.

    A duplicate itself never converts; once it is closed it counts as lost, for a reason that says nothing. Changes at
    or after `known_until` (UTC; null: none) are forgotten.
    """
    earlier = f" WHERE changed_at < TIMESTAMP '{known_until}'" if known_until is not None else ""
    connection.execute(f"CREATE VIEW changes AS SELECT * FROM ({_changes_sql(connection, settings)}){earlier}")
    connection.execute(
        """CREATE TABLE outcomes AS
        WITH counted AS (
            SELECT changes.lead_id, changed_at, won AND survivor_id IS NULL AS won,
                lost OR (won AND survivor_id IS NOT NULL) AS lost,
                CASE WHEN survivor_id IS NULL THEN lost_as ELSE 'unknown' END AS lost_as
            FROM changes LEFT JOIN duplicates USING (lead_id)
            UNION ALL
            SELECT survivor_id, greatest(changed_at, since), won, lost, lost_as
            FROM changes JOIN duplicates USING (lead_id) WHERE NOT says_duplicate)
        SELECT lead_id, min(changed_at) FILTER (WHERE won) AS won_at, min(changed_at) FILTER (WHERE lost) AS lost_at,
            min_by(lost_as, (changed_at, lost_as)) FILTER (WHERE lost) AS lost_as
        FROM counted WHERE (won OR lost) AND changed_at IS NOT NULL GROUP BY lead_id"""
    )
    if not settings.dated and settings.outcome.reason is not None:
        meaning = tell_reason_sql("reason", settings.outcome.reasons)
        connection.execute(
            f"""INSERT INTO outcomes SELECT lead_id, NULL, NULL, {meaning} FROM leads
            JOIN typed_leads USING (lead_id) ANTI JOIN outcomes USING (lead_id)
            WHERE converted = false AND typed_leads.reason_aside IS NULL AND reason IS NOT NULL"""
        )


def _changes_sql(connection: duckdb.DuckDBPyConnection, settings: Settings) -> str:
    """Write the query of every dated change: `lead_id`, `changed_at`, `won`, `lost`, `lost_as`, `says_duplicate`."""
    outcome = settings.outcome
    parts = []
    if settings.stages is not None:
        if settings.stages.stage is None:
            won, lost = "true", "false"
        else:
            _check_won_stage(connection, settings)
            won, lost = one_of("stage", outcome.won), one_of("stage", outcome.lost) if outcome.lost else "false"
        reason, source = "reason" if settings.stages.reason is not None else "NULL", "typed_stages"
        if outcome.reason is not None:
            with_lead = "CASE WHEN lost THEN lead_reason END"
            reason = f"coalesce(reason, {with_lead})" if settings.stages.reason is not None else with_lead
            source += (
                " LEFT JOIN (SELECT lead_id, reason AS lead_reason FROM typed_leads WHERE reason_aside IS NULL) "
                "USING (lead_id)"
            )
        parts.append(
            f"SELECT *, {reason} AS why FROM (SELECT *, {won} AS won, {lost} AS lost FROM {source} "
            "WHERE reason_aside IS NULL)"
        )
    for header, target in ((outcome.won_at, "won"), (outcome.lost_at, "lost")):
        if header is not None:
            why = "reason" if target == "lost" and outcome.reason is not None else "NULL"
            parts.append(
                f"SELECT lead_id, {target}_at AS changed_at, {target == 'won'} AS won, {target == 'lost'} AS lost, "
                f"{why} AS why FROM typed_leads WHERE reason_aside IS NULL"
            )
    if settings.dated and outcome.closed_at is not None:
        won, lost = one_of("outcome", outcome.won), one_of("outcome", outcome.lost) if outcome.lost else "false"
        why = "reason" if outcome.reason is not None else "NULL"
        parts.append(
            f"SELECT lead_id, closed_at AS changed_at, {won} AS won, {lost} AS lost, {why} AS why FROM typed_leads "
            f"WHERE reason_aside IS NULL AND ({won} OR {lost})"
        )
    none = "SELECT NULL::VARCHAR AS lead_id, NULL::TIMESTAMP AS changed_at, false AS won, false AS lost, NULL AS why"
    every = " UNION ALL ".join(
        f"SELECT lead_id, changed_at, won, lost, CAST(why AS VARCHAR) AS why FROM ({part})"
        for part in parts or [f"{none} WHERE false"]
    )
    return (
        f"SELECT lead_id, changed_at, won, lost, CASE WHEN lost THEN {tell_reason_sql('why', outcome.reasons)} END AS "
        f"lost_as, {says_duplicate_sql('why')} AS says_duplicate FROM ({every})"
    )


def _check_won_stage(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    found = connection.execute(
        "SELECT stage FROM typed_stages WHERE reason_aside IS NULL GROUP BY 1 ORDER BY count(*) DESC, 1"
    ).fetchall()
    stages = [str(stage) for (stage,) in found]
    absent = [name for name in (*settings.outcome.won, *settings.outcome.lost) if name not in stages]
    alike = {stage.strip().casefold() for stage in stages}
    misspelt = [name for name in absent if difflib.get_close_matches(name.strip().casefold(), alike, n=1, cutoff=0.85)]
    if misspelt:
        raise SettingsError(
            f"outcome names {name_some(map(repr, misspelt))}, but the stages found are "
            f"{name_some(map(repr, stages), most=20)}. Correct it in leads.toml."
        )
    if stages and not set(settings.outcome.won) & set(stages):
        raise SettingsError(
            f"outcome.won names {name_some(map(repr, absent))}, but the stages found are {name_some(stages, most=20)}. "
            "Correct it in leads.toml."
        )
