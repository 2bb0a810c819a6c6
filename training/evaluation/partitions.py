"""Ways to part the test period into slices: months, ages, and every category with few levels."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from features.catalogue import Catalogue
from project.duration import format_duration
from training.evaluation.slices import Partition

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["part_by_age", "part_by_level", "part_by_month", "part_examples"]

_MOST_LEVELS = 30
_MOST_NAMED = 11
_MOST_AGES = 12
OTHERS, UNKNOWN = "all others", "not known"


def part_examples(snapshots: pd.DataFrame, frame: pd.DataFrame, catalogue: Catalogue) -> list[Partition]:
    """Part by month and age (with dates), then by each category of the lead or its company with 2 to 30 levels.

    Parameters
    ----------
    snapshots
        `as_of`, `created_at`.
    frame
        Features of the same rows, the catalogue's columns.
    """
    dated = [] if snapshots["as_of"].isna().all() else [part_by_month(snapshots), part_by_age(snapshots)]
    levels = [
        part_by_level(frame[feature.name], kind=feature.en)
        for feature in catalogue.features
        if feature.kind == "category" and feature.origin in {"lead", "account"}
        if frame[feature.name].nunique() <= _MOST_LEVELS
    ]
    return _drop_twins([partition for partition in [*dated, *levels] if len(partition.names) > 1])


def _drop_twins(partitions: list[Partition]) -> list[Partition]:
    """Leave out what parts the rows exactly as an earlier one does, under other names."""
    seen: dict[bytes, Partition] = {}
    for partition in partitions:
        _, first, place = np.unique(partition.place, return_index=True, return_inverse=True)
        in_order = np.argsort(np.argsort(first))[place]
        seen.setdefault(in_order.astype(np.int64).tobytes(), partition)
    return list(seen.values())


def part_by_month(snapshots: pd.DataFrame) -> Partition:
    """Part by the month of `as_of`, the earliest first."""
    names, place = np.unique(snapshots["as_of"].dt.strftime("%Y-%m").to_numpy(dtype=str), return_inverse=True)
    return Partition("Month", tuple(names.tolist()), place)


def part_by_age(snapshots: pd.DataFrame) -> Partition:
    """Part by `as_of` − `created_at`, the youngest first; more than twelve ages are cut into eight of equal size."""
    age = snapshots["as_of"] - snapshots["created_at"]
    days = age.dt.total_seconds().to_numpy(dtype=np.float64) / 86_400
    ages, place = np.unique(days, return_inverse=True)
    if len(ages) <= _MOST_AGES:
        named = (format_duration(timedelta(days=one)) if one else "on arrival" for one in ages.tolist())
        return Partition("Age", tuple(named), place)
    edges = np.unique(np.quantile(days, np.linspace(0, 1, 9)[1:-1]))
    place = np.searchsorted(edges, days, side="right")
    ends = [*(f"under {edge:.3g}d" for edge in edges), f"{edges[-1]:.3g}d and more"]
    return Partition("Age", tuple(ends), place)


def part_by_level(values: pd.Series, *, kind: str) -> Partition:
    """Part by the level of a category, the most frequent first; beyond eleven they share one slice."""
    words = values.astype(object).where(values.notna(), UNKNOWN).astype(str)
    counts = words.value_counts()
    ordered = sorted(counts.index, key=lambda word: (-int(counts[word]), word))
    named = ordered if len(ordered) <= _MOST_NAMED + 1 else [*ordered[:_MOST_NAMED], OTHERS]
    number = {word: place for place, word in enumerate(named)}
    place = np.array([number.get(word, len(named) - 1) for word in words], dtype=np.intp)
    return Partition(kind, tuple(named), place)
