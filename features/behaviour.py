"""The one definition of the features, as SQL text.

Only constructs that DuckDB and Spark compute alike are used. Events are joined to snapshots once and grouped twice:
first to (snapshot, kind, day), then to one row a snapshot; no daily pre-buckets, which are wrong at a window's edge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from features.catalogue import Catalogue, Feature, Subject
from features.tables import quote

__all__ = ["features_sql"]

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def features_sql(catalogue: Catalogue, *, lead_columns: Mapping[str, str], account_columns: Mapping[str, str]) -> str:
    """Return the query that answers every feature of the catalogue for every snapshot.

    It reads the tables `snapshots` (`snapshot_id`, `lead_id`, `as_of`), `leads`, `accounts` and `events`, and gives
    `snapshot_id` and then `f0`, `f1`, … in the catalogue's order: doubles for numbers, text for categories.

    Parameters
    ----------
    lead_columns, account_columns
        From a declared header to the internal column of `leads` and `accounts`.
    """
    subjects = {subject.name: subject for subject in catalogue.subjects}
    selected = [
        f"{_expression(feature, place, lead_columns, account_columns)} AS f{place}"
        for place, feature in enumerate(catalogue.features)
    ]
    behaviour = [(place, entry) for place, entry in enumerate(catalogue.features) if entry.origin == "behaviour"]
    joins = ""
    steps = [_accounts_step(account_columns)] if any(f.origin == "account" for f in catalogue.features) else []
    if steps:
        joins += " LEFT JOIN account_then ON account_then.snapshot_id = snapshots.snapshot_id"
    if behaviour:
        steps += [_daily_step([feature for _, feature in behaviour]), _summary_step(behaviour, subjects)]
        joins += " LEFT JOIN summary ON summary.snapshot_id = snapshots.snapshot_id"
    before = f"WITH {', '.join(steps)} " if steps else ""
    columns = ", ".join(["snapshots.snapshot_id AS snapshot_id", *selected])
    return (
        f"{before}SELECT {columns} FROM snapshots JOIN leads ON leads.lead_id = snapshots.lead_id{joins} "
        "ORDER BY snapshot_id"
    )


def _accounts_step(columns: Mapping[str, str]) -> str:
    names = "".join(f", accounts.{column}" for column in columns.values())
    # DuckDB puts nulls last by itself, Spark first
    ties = "".join(f", accounts.{column} NULLS LAST" for column in columns.values())
    return f"""account_then AS (SELECT * FROM (
        SELECT snapshots.snapshot_id{names}, row_number() OVER (
            PARTITION BY snapshots.snapshot_id ORDER BY accounts.valid_from DESC NULLS LAST{ties}) AS place
        FROM snapshots JOIN leads ON leads.lead_id = snapshots.lead_id
        JOIN accounts ON accounts.account_id = leads.account_id
            AND (accounts.valid_from IS NULL OR snapshots.as_of IS NULL OR accounts.valid_from <= snapshots.as_of)
        ) WHERE place = 1)"""


def _daily_step(features: Sequence[Feature]) -> str:
    counted = sorted({seconds for feature in features for seconds in _count_windows(feature)})
    summed = sorted({feature.window for feature in features if feature.statistic == "sum" and feature.window})
    counts = "".join(f", count(*) FILTER (WHERE {_inside('events.occurred_at', s)}) AS n_{s}" for s in counted)
    sums = "".join(f", sum(events.value) FILTER (WHERE {_inside('events.occurred_at', s)}) AS v_{s}" for s in summed)
    return f"""daily AS (
        SELECT snapshots.snapshot_id, snapshots.as_of, events.kind, date_trunc('day', events.occurred_at) AS day,
            min(events.occurred_at) AS first_at, max(events.occurred_at) AS last_at{counts}{sums}
        FROM snapshots JOIN events ON events.lead_id = snapshots.lead_id
            AND events.occurred_at < snapshots.as_of AND events.recorded_at < snapshots.as_of
        GROUP BY snapshots.snapshot_id, snapshots.as_of, events.kind, date_trunc('day', events.occurred_at))"""


def _count_windows(feature: Feature) -> list[int]:
    if feature.window is None or feature.statistic not in {"count", "share", "trend"}:
        return []
    return [feature.window, _recent(feature.window)] if feature.statistic == "trend" else [feature.window]


def _recent(window: int) -> int:
    """Return the last quarter of a window in seconds: what "of late" means for a trend."""
    return window // 4


def _inside(moment: str, seconds: int, as_of: str = "snapshots.as_of") -> str:
    length = f"INTERVAL '{seconds // 86_400}' DAY" if seconds % 86_400 == 0 else f"INTERVAL '{seconds}' SECOND"
    return f"{moment} >= {as_of} - {length}"


def _summary_step(behaviour: Sequence[tuple[int, Feature]], subjects: Mapping[str, Subject]) -> str:
    every = tuple(sorted({kind for subject in subjects.values() for kind in subject.kinds}))
    columns = ", ".join(
        f"{_summary(feature, subjects[feature.subject], every=every)} AS b{place}" for place, feature in behaviour
    )
    return f"summary AS (SELECT snapshot_id, {columns} FROM daily GROUP BY snapshot_id)"


def _summary(feature: Feature, subject: Subject, *, every: Sequence[str]) -> str:
    kinds, known = (f"kind IN ({', '.join(map(quote, names))})" for names in (subject.kinds, every))
    window = feature.window or 0

    def total(column: str) -> str:
        return f"CAST(sum({column}) FILTER (WHERE {kinds}) AS DOUBLE)"

    match feature.statistic:
        case "count":
            return total(f"n_{window}")
        case "sum":
            return total(f"v_{window}")
        case "day_count":
            # a day counts if its last event lies inside the window; days of several kinds must not count twice
            what = "count(*)" if len(subject.kinds) == 1 else "count(DISTINCT day)"
            return f"CAST({what} FILTER (WHERE {kinds} AND {_inside('last_at', window, 'as_of')}) AS DOUBLE)"
        case "share":
            all_events = f"CAST(sum(n_{window}) FILTER (WHERE {known}) AS DOUBLE)"
            return f"coalesce({total(f'n_{window}')}, 0) / nullif({all_events}, 0)"
        case "trend":
            pace = window / _recent(window)
            return f"coalesce({total(f'n_{_recent(window)}')}, 0) * {pace!r} / nullif({total(f'n_{window}')}, 0)"
        case "since_last":
            return _days_before("as_of", f"max(last_at) FILTER (WHERE {kinds})", any_as_of=True)
        case "since_first":
            return _days_before("as_of", f"min(first_at) FILTER (WHERE {kinds})", any_as_of=True)
    raise AssertionError(feature.statistic)


def _days_before(later: str, earlier: str, *, any_as_of: bool = False) -> str:
    """Days between two moments to the whole second, from parts that both engines extract alike."""
    span = f"(max({later}) - {earlier})" if any_as_of else f"({later} - {earlier})"
    seconds = (
        f"extract(HOUR FROM {span}) * 3600 + extract(MINUTE FROM {span}) * 60 + floor(extract(SECOND FROM {span}))"
    )
    return f"(extract(DAY FROM {span}) + CAST({seconds} AS DOUBLE) / 86400)"


def _expression(
    feature: Feature, place: int, lead_columns: Mapping[str, str], account_columns: Mapping[str, str]
) -> str:
    if feature.origin == "lead":
        return f"leads.{lead_columns[feature.subject]}"
    if feature.origin == "account":
        return f"account_then.{account_columns[feature.subject]}"
    if feature.origin == "behaviour":
        return f"coalesce(b{place}, 0.0)" if feature.statistic in {"count", "day_count", "sum"} else f"b{place}"
    match feature.statistic:
        case "age":
            return _days_before("snapshots.as_of", "leads.created_at")
        case "hour":
            return "CAST(extract(HOUR FROM leads.created_at) AS DOUBLE)"
        case _:
            # 1 January 1900 was a Monday
            day = "extract(DAY FROM (date_trunc('day', leads.created_at) - TIMESTAMP '1900-01-01 00:00:00')) % 7"
            return "CASE " + " ".join(f"WHEN {day} = {n} THEN '{name}'" for n, name in enumerate(_WEEKDAYS)) + " END"
