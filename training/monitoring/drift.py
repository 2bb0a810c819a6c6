"""Whether recent leads look like those a model learnt from: value by value, with the noise of samples taken off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

    from models.columns import ModelColumn

__all__ = ["ColumnDrift", "measure_drift", "stability_index"]

_BINS = 10
_FOLKLORE = 0.1
_SURE, _MANY = 0.01, 0.2


@dataclass(frozen=True)
class ColumnDrift:
    """One column, recent leads beside those learnt from.

    Attributes
    ----------
    index
        Population stability index Σ (q − p)·ln(q / p) over the bins; `limit` is what chance alone reaches in one of a
        hundred tables with as many columns, and at least 0.1.
    missing_before, missing_now
        Shares without a value.
    unseen, usual
        Share of recent snapshots with a level that was never seen in training; and the same of the last snapshots
        learnt from, with as much time between them and those before: how fast levels are born anyway.
    """

    column: str
    words: str
    index: float
    limit: float
    missing_before: float
    missing_now: float
    unseen: float
    usual: float

    @property
    def moved(self) -> bool:
        """Whether the column drifts by more than chance."""
        return self.index > self.limit

    @property
    def lost(self) -> bool:
        """Whether values went missing for many leads."""
        return self.moved and self.missing_now - self.missing_before > _MANY

    @property
    def renamed(self) -> bool:
        """Whether many more leads have levels never seen than levels are born anyway."""
        return self.moved and self.unseen > _MANY and self.unseen > 2.0 * self.usual


def measure_drift(
    before: pd.DataFrame,
    now: pd.DataFrame,
    columns: Sequence[ModelColumn],
    *,
    leads_before: int,
    leads_now: int,
    latest: NDArray[np.bool_],
    well_before: NDArray[np.bool_],
) -> list[ColumnDrift]:
    """Compare feature frames column by column, the most drifted first.

    Parameters
    ----------
    leads_before, leads_now
        How many leads the rows belong to: they are what counts as evidence.
    latest, well_before
        Rows of `before` that stand to each other in time as `now` stands to all of `before`.
    """
    found = []
    for column in columns:
        old, new = before[column.name], now[column.name]
        missing = (float(old.isna().mean()), float(new.isna().mean()))
        if column.kind == "category":
            known = {*column.frequent, *column.rare}
            unseen = _share_outside(new, known)
            usual = _share_outside(old.loc[latest], set(old.loc[well_before].dropna().astype(str)))
            codes = (_level_codes(old, column), _level_codes(new, column))
        else:
            unseen = usual = 0.0
            codes = _number_codes(old.to_numpy(dtype=np.float64), new.to_numpy(dtype=np.float64))
        index, bins = stability_index(*codes)
        limit = _limit(bins, leads_before, leads_now, tests=len(columns))
        found.append(ColumnDrift(column.name, column.en, index, limit, *missing, unseen, usual))
    return sorted(found, key=lambda one: -(one.index / one.limit))


def _share_outside(values: pd.Series, known: set[str]) -> float:
    return float((~values.dropna().astype(str).isin(known)).sum()) / max(1, len(values))


def stability_index(before: NDArray[np.intp], now: NDArray[np.intp]) -> tuple[float, int]:
    """Return the population stability index of two samples of codes, and in how many bins they fall.

    Half a row is added to every bin: an empty one would make it infinite.

    >>> same = np.repeat([0, 1], 500)
    >>> stability_index(same, same)
    (0.0, 2)
    """
    bins = int(max(before.max(initial=0), now.max(initial=0))) + 1
    counts = [np.bincount(codes, minlength=bins).astype(np.float64) for codes in (before, now)]
    used = (counts[0] + counts[1]) > 0
    p, q = ((one[used] + 0.5) / (one[used] + 0.5).sum() for one in counts)
    return float(np.sum((q - p) * np.log(q / p))), int(used.sum())


def _limit(bins: int, before: int, now: int, *, tests: int) -> float:
    """Return what chance reaches: PSI · (1/n + 1/m)⁻¹ is about χ² with bins − 1 degrees (Yurdakul 2018)."""
    from scipy import stats

    if bins < 2:
        return _FOLKLORE
    chance = float(stats.chi2.isf(_SURE / max(1, tests), bins - 1)) * (1 / max(1, before) + 1 / max(1, now))
    return max(_FOLKLORE, chance)


def _level_codes(values: pd.Series, column: ModelColumn) -> NDArray[np.intp]:
    places = {level: place for place, level in enumerate(column.frequent)}
    rare = {level: len(places) for level in column.rare}
    other, missing = len(places) + 1, len(places) + 2
    text = values.astype(object).where(values.notna(), None)
    return np.array(
        [missing if value is None else {**rare, **places}.get(str(value), other) for value in text], dtype=np.intp
    )


def _number_codes(before: NDArray[np.float64], now: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    known = before[~np.isnan(before)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1])) if len(known) else np.empty(0)
    return tuple(  # type: ignore[return-value]
        np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="left")).astype(np.intp)
        for values in (before, now)
    )
