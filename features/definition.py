"""The one definition of the features, as SQL text that DuckDB and Spark compute alike.

It is put together from steps (common table expressions): behaviour, accounts and colleagues, track records. Only
constructs on which both engines agree are used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from features.behaviour import behaviour_steps
from features.catalogue import Catalogue, Criterion, Feature
from features.company import account_step, colleague_steps
from features.portable import days_between
from features.tables import quote
from features.track_record import track_record_steps

__all__ = ["features_sql"]

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_COUNTED = {"count", "day_count", "session_count", "sum", "leads", "wins"}


def features_sql(catalogue: Catalogue, *, lead_columns: Mapping[str, str], account_columns: Mapping[str, str]) -> str:
    """Return the query that answers every feature of the catalogue for every snapshot.

    It reads the tables `snapshots` (`snapshot_id`, `lead_id`, `as_of`), `leads`, `accounts`, `events`, `outcomes` and
    `matured` (only those that the catalogue needs), and gives `snapshot_id` and then `f0`, `f1`, … in the catalogue's
    order: doubles for numbers, text for categories. Rows come in no order.

    Parameters
    ----------
    lead_columns, account_columns
        From a declared header to the internal column of `leads` and `accounts`.
    """
    by_origin: dict[str, list[tuple[int, Feature]]] = {}
    for place, feature in enumerate(catalogue.features):
        by_origin.setdefault(feature.origin, []).append((place, feature))
    asked = {origin: tuple(features) for origin, features in by_origin.items()}
    steps: list[str] = []
    joined: list[str] = []
    criteria = catalogue.ideal_customer if "ideal_customer" in asked else ()
    versions: list[Feature | Criterion] = [feature for _, feature in asked.get("account", ())]
    versions += [criterion for criterion in criteria if criterion.origin == "account"]
    if versions:
        steps.append(account_step(account_columns, alive=versions[0].window))
        joined.append("account_then")
    makers: dict[str, Callable[[tuple[tuple[int, Feature], ...]], list[str]]] = {
        "behaviour": lambda features: behaviour_steps(features, catalogue.subjects),
        "colleagues": colleague_steps,
        "track_record": lambda features: track_record_steps(features, lead_columns),
    }
    for origin, make in makers.items():
        if origin in asked:
            steps += make(asked[origin])
            joined.append(f"{origin}_then")
    selected = ["snapshots.snapshot_id AS snapshot_id"] + [
        f"{_expression(feature, place, criteria, lead_columns, account_columns)} AS f{place}"
        for place, feature in enumerate(catalogue.features)
    ]
    before = f"WITH {', '.join(steps)} " if steps else ""
    joins = "".join(f" LEFT JOIN {name} ON {name}.snapshot_id = snapshots.snapshot_id" for name in joined)
    return f"{before}SELECT {', '.join(selected)} FROM snapshots JOIN leads ON leads.lead_id = snapshots.lead_id{joins}"


def _expression(
    feature: Feature,
    place: int,
    criteria: tuple[Criterion, ...],
    lead_columns: Mapping[str, str],
    account_columns: Mapping[str, str],
) -> str:
    match feature.origin:
        case "lead":
            return f"leads.{lead_columns[feature.subject]}"
        case "account":
            return f"account_then.{account_columns[feature.subject]}"
        case "clock":
            return _clock(feature)
        case "ideal_customer":
            return _fit(criteria, lead_columns, account_columns)
    value = f"{feature.origin}_then.b{place}"
    if feature.statistic in {"since_last", "since_first"}:
        return days_between("snapshots.as_of", value)
    return f"coalesce({value}, 0.0)" if feature.statistic in _COUNTED else value


def _clock(feature: Feature) -> str:
    created = "leads.created_at"
    match feature.statistic:
        case "age":
            return days_between("snapshots.as_of", created)
        case "hour":
            return f"CAST(extract(HOUR FROM {created}) AS DOUBLE)"
        case "month":
            return _choose(f"extract(MONTH FROM {created})", dict(enumerate(_MONTHS, start=1)))
        case _:
            # 1 January 1900 was a Monday
            day = f"extract(DAY FROM (date_trunc('day', {created}) - TIMESTAMP '1900-01-01 00:00:00')) % 7"
            return _choose(day, dict(enumerate(_WEEKDAYS)))


def _choose(expression: str, names: Mapping[int, str]) -> str:
    return f"CASE {' '.join(f'WHEN {expression} = {number} THEN {quote(name)}' for number, name in names.items())} END"


def _fit(criteria: tuple[Criterion, ...], lead_columns: Mapping[str, str], account_columns: Mapping[str, str]) -> str:
    """Return the share of the criteria met among those whose column is known; null where none is."""
    columns = [
        f"leads.{lead_columns[one.subject]}" if one.origin == "lead" else f"account_then.{account_columns[one.subject]}"
        for one in criteria
    ]
    known = " + ".join(f"CASE WHEN {column} IS NOT NULL THEN 1.0 ELSE 0.0 END" for column in columns)
    met = " + ".join(
        f"CASE WHEN {_meets(one, column)} THEN 1.0 ELSE 0.0 END" for one, column in zip(criteria, columns, strict=True)
    )
    return f"CAST({met} AS DOUBLE) / nullif(CAST({known} AS DOUBLE), 0.0)"


def _meets(criterion: Criterion, column: str) -> str:
    if criterion.levels:
        return f"lower({column}) IN ({', '.join(quote(level.lower()) for level in criterion.levels)})"
    bounds = [f"{column} >= {criterion.low!r}"] if criterion.low is not None else []
    bounds += [f"{column} <= {criterion.high!r}"] if criterion.high is not None else []
    return " AND ".join(bounds) or f"{column} IS NOT NULL"
