"""How earlier leads of the same source or campaign did, as known then: steps of the definition.

Known at the start of the day of `as_of` are the leads whose whole horizon was over by then (`matured`). With n such
leads of the level, w of them converted, and the share π among all of them, the win rate is (w + a·π) / (n + a): a level
seen seldom says little more than all leads do. How many leads there were is no feature: it tells the date.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from features.catalogue import Feature

__all__ = ["track_record_steps"]

_PRIOR = 20.0  # a: how many leads the share among all weighs


def track_record_steps(records: Sequence[tuple[int, Feature]], lead_columns: Mapping[str, str]) -> list[str]:
    """Return the steps that end in `track_record_then`: `snapshot_id`, and `b<place>` for each feature."""
    headers = list(dict.fromkeys(feature.subject for _, feature in records))
    names = {header: f"record_{place}" for place, header in enumerate(headers)}
    steps = ["asked_days AS (SELECT DISTINCT date_trunc('day', as_of) AS day FROM snapshots)"]
    steps += _running_steps("record_all", "matured_all", "SELECT day FROM asked_days", by="")
    steps.insert(
        1, f"matured_all AS (SELECT {_NEXT_DAY} AS day, count(*) AS n, sum(converted) AS w FROM matured GROUP BY 1)"
    )
    for header, name in names.items():
        column = lead_columns[header]
        steps.append(
            f"""{name}_matured AS (SELECT leads.{column} AS level, {_NEXT_DAY} AS day, count(*) AS n,
            sum(matured.converted) AS w FROM matured JOIN leads ON leads.lead_id = matured.lead_id
        WHERE leads.{column} IS NOT NULL GROUP BY 1, 2)"""
        )
        asked = (
            f"SELECT DISTINCT leads.{column} AS level, date_trunc('day', snapshots.as_of) AS day "
            f"FROM snapshots JOIN leads ON leads.lead_id = snapshots.lead_id WHERE leads.{column} IS NOT NULL"
        )
        steps += _running_steps(name, f"{name}_matured", asked, by="level")
    joins = "".join(
        f" LEFT JOIN {name} ON {name}.level = leads.{lead_columns[header]} AND {name}.day = {_DAY_OF_AS_OF}"
        for header, name in names.items()
    )
    columns = ", ".join(f"{_answer(names[feature.subject])} AS b{place}" for place, feature in records)
    steps.append(
        f"""track_record_then AS (SELECT snapshots.snapshot_id, {columns} FROM snapshots
        JOIN leads ON leads.lead_id = snapshots.lead_id
        LEFT JOIN record_all ON record_all.day = {_DAY_OF_AS_OF}{joins})"""
    )
    return steps


_DAY_OF_AS_OF = "date_trunc('day', snapshots.as_of)"
# what became known at midnight is known on the day that begins then, anything later on the next
_NEXT_DAY = (
    "CASE WHEN matured.known_at = date_trunc('day', matured.known_at) THEN matured.known_at "
    "ELSE date_trunc('day', matured.known_at) + INTERVAL '1' DAY END"
)


def _running_steps(name: str, counts: str, asked: str, *, by: str) -> list[str]:
    """Return the step `name` (`level`, `day`, `n`, `w`): everything known by the start of each asked day."""
    level = f"{by}, " if by else ""
    partition = f"PARTITION BY {by} " if by else ""
    over = f"OVER ({partition}ORDER BY day, asked ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)"
    return [
        f"""{name}_ledger AS (SELECT {level}day, 0 AS asked, n, w FROM {counts}
        UNION ALL SELECT {level}day, 1 AS asked, 0 AS n, 0 AS w FROM ({asked}) AS asked_for)""",
        f"""{name} AS (SELECT * FROM (SELECT {level}day, asked, CAST(sum(n) {over} AS DOUBLE) AS n,
            CAST(sum(w) {over} AS DOUBLE) AS w FROM {name}_ledger) AS running WHERE asked = 1)""",
    ]


def _answer(name: str) -> str:
    prior = "record_all.w / nullif(record_all.n, 0.0)"
    return f"(coalesce({name}.w, 0.0) + {_PRIOR!r} * {prior}) / (coalesce({name}.n, 0.0) + {_PRIOR!r})"
