"""Small SQL expressions that DuckDB and Spark compute alike."""

from __future__ import annotations

from collections.abc import Iterable

from features.tables import quote

__all__ = ["between_moments", "days_between", "one_of", "seconds"]


def seconds(length: int) -> str:
    """Write a length as an interval.

    >>> seconds(604_800), seconds(21_600)
    ("INTERVAL '7' DAY", "INTERVAL '21600' SECOND")
    """
    return f"INTERVAL '{length // 86_400}' DAY" if length % 86_400 == 0 else f"INTERVAL '{length}' SECOND"


def one_of(column: str, values: Iterable[str]) -> str:
    """Write the condition that a column holds one of some texts; there must be one at least.

    >>> one_of("kind", ["a", "b's"])
    "kind IN ('a', 'b''s')"
    """
    return f"{column} IN ({', '.join(map(quote, values))})"


def between_moments(moment: str, length: int, as_of: str) -> str:
    """Write the condition that a moment, known to lie before `as_of`, lies in [as_of - length, as_of)."""
    return f"{moment} >= {as_of} - {seconds(length)}"


def days_between(later: str, earlier: str) -> str:
    """Write the days from `earlier` to `later`, to the whole second, from parts that both engines extract alike."""
    span = f"({later} - {earlier})"
    within = f"extract(HOUR FROM {span}) * 3600 + extract(MINUTE FROM {span}) * 60 + floor(extract(SECOND FROM {span}))"
    return f"(extract(DAY FROM {span}) + CAST({within} AS DOUBLE) / 86400)"
