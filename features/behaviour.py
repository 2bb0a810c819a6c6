"""What a lead did, as steps of the definition: one join of snapshots and events, then two groupings, nothing distinct.

Events are grouped to (snapshot, kind) with every window counted at once, then to one row a snapshot. Distinct days are
the set bits of one mask a window: bit n is the n-th calendar day that the window touches. Masks of several kinds
are combined by OR, which a DISTINCT count could not do, and stay exact at a window's edge, which daily buckets are not.
"""

from __future__ import annotations

from collections.abc import Sequence

from features.catalogue import Feature, Subject
from features.portable import days_between, one_of, seconds
from features.tables import TOUCH

__all__ = ["behaviour_steps"]

_BITS = 62  # days in one mask: a signed 64-bit number on both engines, with room to spare
_DAY = 86_400


def behaviour_steps(behaviour: Sequence[tuple[int, Feature]], subjects: Sequence[Subject]) -> list[str]:
    """Return the steps that end in `behaviour_then`: `snapshot_id`, and `b<place>` for each (place, feature).

    A moment stands for `since_last` and `since_first`.
    """
    features = [feature for _, feature in behaviour]
    by_name = {subject.name: subject for subject in subjects}
    # a share is of all that the lead itself did, whatever kinds are left of the catalogue
    own = tuple(sorted({kind for subject in subjects for kind in subject.kinds if not kind.startswith(TOUCH)}))
    kinds = sorted({*own, *(kind for feature in features for kind in by_name[feature.subject].kinds)})
    columns = ", ".join(
        f"{_summary(feature, by_name[feature.subject], own=own)} AS b{place}" for place, feature in behaviour
    )
    return [
        _asked_step(features),
        _per_kind_step(features, kinds),
        f"behaviour_then AS (SELECT snapshot_id, {columns} FROM per_kind GROUP BY snapshot_id)",
    ]


def _asked_step(features: Sequence[Feature]) -> str:
    """Work out once a snapshot where each window begins, instead of once an event."""
    lengths = {length for feature in features for length in _lengths(feature)}
    starts = "".join(f", as_of - {seconds(length)} AS from_{length}" for length in sorted(lengths))
    days = "".join(
        f", date_trunc('day', as_of - {seconds(length)}) AS day_{length}" for length in _windows(features, "day_count")
    )
    return f"asked AS (SELECT snapshot_id, lead_id, as_of{starts}{days} FROM snapshots)"


def _per_kind_step(features: Sequence[Feature], kinds: Sequence[str]) -> str:
    def inside(length: int) -> str:
        return f"events.occurred_at >= asked.from_{length}"

    counted = sorted({length for feature in features for length in _count_windows(feature)})
    columns = [f"count(*) FILTER (WHERE {inside(length)}) AS n_{length}" for length in counted]
    columns += [
        f"sum(events.value) FILTER (WHERE {inside(length)}) AS v_{length}" for length in _windows(features, "sum")
    ]
    opens = "coalesce(events.opens_until >= asked.as_of, true)"
    columns += [
        f"count(*) FILTER (WHERE {inside(length)} AND {opens}) AS s_{length}"
        for length in _windows(features, "session_count")
    ]
    for length in _windows(features, "day_count"):
        columns += [
            f"bit_or({_bit(length, word)}) FILTER (WHERE {inside(length)}) AS d_{length}_{word}"
            for word in range(_words(length))
        ]
    if any(feature.statistic in {"since_first", "span"} for feature in features):
        columns.append("min(events.occurred_at) AS first_at")
    if any(feature.statistic in {"since_last", "span"} for feature in features):
        columns.append("max(events.occurred_at) AS last_at")
    return f"""per_kind AS (SELECT asked.snapshot_id, events.kind, {", ".join(columns)}
        FROM asked JOIN events ON events.lead_id = asked.lead_id
            AND events.occurred_at < asked.as_of AND events.recorded_at < asked.as_of
            AND (events.superseded_at IS NULL OR events.superseded_at >= asked.as_of)
        WHERE {one_of("events.kind", kinds)} GROUP BY asked.snapshot_id, events.kind)"""


def _windows(features: Sequence[Feature], statistic: str) -> list[int]:
    return sorted({feature.window for feature in features if feature.statistic == statistic and feature.window})


def _count_windows(feature: Feature) -> list[int]:
    if feature.window is None or feature.statistic not in {"count", "share", "trend"}:
        return []
    return [feature.window, _recent(feature.window)] if feature.statistic == "trend" else [feature.window]


def _lengths(feature: Feature) -> list[int]:
    if feature.statistic in {"sum", "session_count", "day_count"} and feature.window is not None:
        return [feature.window]
    return _count_windows(feature)


def _recent(window: int) -> int:
    """Return the last quarter of a window in seconds: what "of late" means for a trend."""
    return window // 4


def _words(length: int) -> int:
    """Return how many masks hold the days that a window touches: one more than it is long."""
    return (-(-length // _DAY) + 1 + _BITS - 1) // _BITS


def _bit(length: int, word: int) -> str:
    """Set the bit of an event's calendar day, counted from the first day that the window touches."""
    day = f"extract(DAY FROM (events.occurred_at - asked.day_{length}))"
    low, high = word * _BITS, word * _BITS + _BITS - 1
    shift = f"{day} - {low}" if low else day
    return f"CASE WHEN {day} BETWEEN {low} AND {high} THEN CAST(1 AS BIGINT) << CAST({shift} AS INTEGER) END"


def _summary(feature: Feature, subject: Subject, *, own: Sequence[str]) -> str:
    mine, all_own = one_of("kind", subject.kinds), one_of("kind", own or subject.kinds)
    window = feature.window or 0

    def total(column: str) -> str:
        return f"CAST(sum({column}) FILTER (WHERE {mine}) AS DOUBLE)"

    match feature.statistic:
        case "count":
            return total(f"n_{window}")
        case "sum":
            return total(f"v_{window}")
        case "session_count":
            return total(f"s_{window}")
        case "day_count":
            masks = [f"bit_or(d_{window}_{word}) FILTER (WHERE {mine})" for word in range(_words(window))]
            return " + ".join(f"CAST(bit_count(coalesce({mask}, 0)) AS DOUBLE)" for mask in masks)
        case "share":
            everything = f"CAST(sum(n_{window}) FILTER (WHERE {all_own}) AS DOUBLE)"
            return f"coalesce({total(f'n_{window}')}, 0.0) / nullif({everything}, 0.0)"
        case "trend":
            pace = window / _recent(window)
            return f"coalesce({total(f'n_{_recent(window)}')}, 0.0) * {pace!r} / nullif({total(f'n_{window}')}, 0.0)"
        case "since_last":
            return f"max(last_at) FILTER (WHERE {mine})"
        case "since_first":
            return f"min(first_at) FILTER (WHERE {mine})"
        case "span":
            return days_between(f"max(last_at) FILTER (WHERE {mine})", f"min(first_at) FILTER (WHERE {mine})")
    raise AssertionError(feature.statistic)
