"""The company behind a lead, as steps of the definition: its attributes then, and what colleagues had done by then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from features.catalogue import Feature
from features.portable import between_moments, seconds
from features.tables import TOUCH, quote

__all__ = ["account_step", "colleague_steps"]

_MOST_COLLEAGUES = 50  # the first of an account: a collecting account of thousands must not multiply itself


def account_step(columns: Mapping[str, str], *, alive: int | None) -> str:
    """Return the step `account_then`: `snapshot_id` and the attributes of the latest version valid by `as_of`.

    A version that began more than `alive` seconds before counts as known no longer, and no earlier one stands in.
    """
    names = "".join(f", accounts.{column}" for column in columns.values())
    # DuckDB puts nulls last by itself, Spark first
    ties = "".join(f", accounts.{column} NULLS LAST" for column in columns.values())
    fresh = (
        "" if alive is None else f" AND (valid_from IS NULL OR as_of IS NULL OR valid_from >= as_of - {seconds(alive)})"
    )
    return f"""account_then AS (SELECT * FROM (
        SELECT snapshots.snapshot_id, snapshots.as_of, accounts.valid_from{names}, row_number() OVER (
            PARTITION BY snapshots.snapshot_id ORDER BY accounts.valid_from DESC NULLS LAST{ties}) AS place
        FROM snapshots JOIN leads ON leads.lead_id = snapshots.lead_id
        JOIN accounts ON accounts.account_id = leads.account_id
            AND (accounts.valid_from IS NULL OR snapshots.as_of IS NULL OR accounts.valid_from <= snapshots.as_of)
        ) AS versions WHERE place = 1{fresh})"""


def colleague_steps(colleagues: Sequence[tuple[int, Feature]]) -> list[str]:
    """Return the steps that end in `colleagues_then`: `snapshot_id`, and `b<place>` for each feature.

    Colleagues are the other leads of the account that came in before `as_of`, of the first fifty that it ever had: who
    is among these no later lead can change. A moment stands for `since_last`. Who is a colleague is asked in a CASE: as
    conditions of the join they have led DuckDB to join every snapshot with every lead, by time.
    """
    asked = {feature.statistic for _, feature in colleagues}
    steps = [
        """ranked AS (SELECT lead_id, account_id, created_at, row_number() OVER (
            PARTITION BY account_id ORDER BY created_at, position, lead_id) AS place
        FROM leads WHERE created_at IS NOT NULL AND flag IS NULL)""",
        f"""colleague AS (SELECT snapshots.snapshot_id, snapshots.as_of, ranked.lead_id
        FROM snapshots JOIN leads ON leads.lead_id = snapshots.lead_id
        JOIN ranked ON ranked.account_id = leads.account_id AND ranked.place <= {_MOST_COLLEAGUES}
        WHERE CASE WHEN ranked.lead_id <> leads.lead_id AND ranked.created_at < snapshots.as_of
            THEN 1 ELSE 0 END = 1)""",
    ]
    joins, columns = "", []
    if asked & {"leads", "wins"}:
        steps.append(
            """colleague_leads AS (SELECT colleague.snapshot_id, count(*) AS leads,
            count(*) FILTER (WHERE outcomes.won_at < colleague.as_of) AS wins
        FROM colleague LEFT JOIN outcomes ON outcomes.lead_id = colleague.lead_id GROUP BY colleague.snapshot_id)"""
        )
        joins += " LEFT JOIN colleague_leads ON colleague_leads.snapshot_id = snapshots.snapshot_id"
    if asked & {"count", "since_last"}:
        steps.append(_event_step([feature for _, feature in colleagues]))
        joins += " LEFT JOIN colleague_events ON colleague_events.snapshot_id = snapshots.snapshot_id"
    for place, feature in colleagues:
        columns.append(f"{_answer(feature)} AS b{place}")
    steps.append(f"colleagues_then AS (SELECT snapshots.snapshot_id, {', '.join(columns)} FROM snapshots{joins})")
    return steps


def _event_step(features: Sequence[Feature]) -> str:
    lengths = sorted({feature.window for feature in features if feature.statistic == "count" and feature.window})
    counts = "".join(
        f", count(*) FILTER (WHERE {between_moments('events.occurred_at', length, 'colleague.as_of')}) AS n_{length}"
        for length in lengths
    )
    return f"""colleague_events AS (SELECT colleague.snapshot_id, max(events.occurred_at) AS last_at{counts}
        FROM colleague JOIN events ON events.lead_id = colleague.lead_id
            AND events.occurred_at < colleague.as_of AND events.recorded_at < colleague.as_of
            AND (events.superseded_at IS NULL OR events.superseded_at >= colleague.as_of)
        WHERE substr(events.kind, 1, {len(TOUCH)}) <> {quote(TOUCH)} GROUP BY colleague.snapshot_id)"""


def _answer(feature: Feature) -> str:
    match feature.statistic:
        case "leads" | "wins":
            return f"CAST(colleague_leads.{feature.statistic} AS DOUBLE)"
        case "count":
            return f"CAST(colleague_events.n_{feature.window} AS DOUBLE)"
        case "since_last":
            return "colleague_events.last_at"
    raise AssertionError(feature.statistic)
