"""How well the order of leads is told: areas under curves and gains, their intervals by whole groups.

No resampling: each row's pull on the number is known in closed form, so 300,000 rows cost one sort.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.evaluation.decomposition import recalibrate
from training.evaluation.evaluate import Interval
from training.evaluation.resample import clustered_error

__all__ = [
    "auc_with_interval",
    "average_precision_with_interval",
    "best_per_lead",
    "gains_with_intervals",
    "pull_on_auc",
]

Vector = NDArray[np.float64]
Flags = NDArray[np.bool_]
_TWO_SIDED_95 = 1.959963984540054
_NOTHING = Interval(float("nan"), float("nan"), float("nan"))


def auc_with_interval(
    probability: Vector, converted: Flags, *, groups: NDArray[np.int64], weight: Vector | None = None
) -> Interval:
    """Return the area under the ROC curve with a 95 % interval; `nan` if all or none converted.

    The pull of a lead that converted is the share of the others that it outranks, ties counting half, and the other way
    round (DeLong, DeLong & Clarke-Pearson 1988), summed over groups (Obuchowski 1997).

    Parameters
    ----------
    weight
        How many rows each stands for, above 0, shape (rows,); null if each stands for itself.
    """
    if not 0 < converted.sum() < len(converted):
        return _NOTHING
    area, pull = pull_on_auc(probability, converted, weight=weight)
    return _on_logit_scale(area, clustered_error(pull, groups))


def pull_on_auc(said: Vector, converted: Flags, *, weight: Vector | None = None) -> tuple[float, Vector]:
    """Return the area under the ROC curve, and each row's pull on it, shape (rows,), with mean 0.

    Some rows have to be converted, and some not; `weight` is that of `auc_with_interval`.
    """
    count = _relative(weight, len(converted))
    _, place = np.unique(said, return_inverse=True)
    won, lost = (np.bincount(place, weights=count * side) for side in (converted, ~converted))
    outranked = (lost.cumsum() - 0.5 * lost)[place] / lost.sum()
    outranking = 1.0 - (won.cumsum() - 0.5 * won)[place] / won.sum()
    area = float(np.average(outranked[converted], weights=count[converted]))
    share = won.sum() / len(converted)
    return area, count * np.where(converted, (outranked - area) / share, (outranking - area) / (1.0 - share))


def average_precision_with_interval(probability: Vector, converted: Flags, *, groups: NDArray[np.int64]) -> Interval:
    """Return the area under the precision-recall curve (steps, no interpolation) with a 95 % interval.

    AP = Σ yᵢPᵢ / Σ yᵢ, Pᵢ the share that converted among rows with at least the probability of row i. A weight on row k
    changes the sum directly and each Pᵢ of the rows below it, which gives its pull in closed form.
    """
    wins = int(converted.sum())
    if wins in (0, len(converted)):
        return _NOTHING
    _, place, rows = np.unique(-probability, return_inverse=True, return_counts=True)
    won = np.bincount(place, weights=converted)
    reached = rows.cumsum()
    precision = won.cumsum() / reached
    area = float(won @ precision / wins)
    below, below_precision = (np.cumsum(part[::-1])[::-1] for part in (won / reached, won * precision / reached))
    pull = converted * (precision[place] - area + below[place]) - below_precision[place]
    return _on_logit_scale(area, clustered_error(pull * len(converted) / wins, groups))


def gains_with_intervals(
    probability: Vector,
    converted: Flags,
    *,
    groups: NDArray[np.int64],
    shares: Vector,
    weight: Vector | None = None,
) -> NDArray[np.float64]:
    """Return for each share of leads from the top the share of conversions reached, with 95 % intervals.

    A row pulls by what it holds itself and by moving the threshold, where leads convert at the rate that the isotonic
    fit gives there. Leads with equal probability stand on a straight piece.

    Parameters
    ----------
    weight
        How many rows each stands for, above 0, shape (rows,); null if each stands for itself.

    Returns
    -------
    array of shape (shares, 4)
        Share, reached, low, high; `nan` if nobody converted.
    """
    table = np.full((len(shares), 4), np.nan)
    table[:, 0] = shares
    if not converted.any():
        return table
    count = _relative(weight, len(converted))
    _, place = np.unique(-probability, return_inverse=True)
    width = np.bincount(place, weights=count) / len(probability)
    ends = width.cumsum()
    starts = ends - width
    rate = float(np.average(converted, weights=count))
    local = np.zeros(len(width))
    local[place] = recalibrate(probability, converted, weight=count)
    _, group = np.unique(groups, return_inverse=True)
    for line, share in enumerate(shares.tolist()):
        level = min(int(np.searchsorted(ends, share - 1e-12)), len(ends) - 1)
        inside = np.clip((share - starts) / width, 0.0, 1.0)[place]
        reached = float(inside @ (count * converted)) / (rate * len(converted))
        influence = (inside * (converted - local[level]) + share * local[level] - reached * converted) / rate
        found = _on_logit_scale(reached, clustered_error(count * influence, group))
        table[line, 1:] = found.value, found.low, found.high
    return table


def best_per_lead(
    leads: NDArray[np.int64], probability: Vector, converted: Flags, groups: NDArray[np.int64]
) -> tuple[Vector, Flags, NDArray[np.int64]]:
    """Return one row a lead: the highest probability it reached, whether any of its rows converted, and its group."""
    _, first, place = np.unique(leads, return_index=True, return_inverse=True)
    best = np.zeros(len(first))
    np.maximum.at(best, place, probability)
    return best, np.bincount(place, weights=converted) > 0, groups[first]


def _relative(weight: Vector | None, rows: int) -> Vector:
    """Return weights with mean 1."""
    return np.ones(rows) if weight is None else weight / weight.mean()


def _on_logit_scale(value: float, error: float) -> Interval:
    """Return value ± 1.96 standard errors, laid on the log-odds so that it stays between nought and one."""
    if not 1e-9 < value < 1 - 1e-9:
        # every order is perfect in a sample without a single slip: nothing there tells how far it may be from it
        return Interval(value, float("nan"), float("nan"))
    centre, half = np.log(value / (1 - value)), _TWO_SIDED_95 * error / (value * (1 - value))
    low, high = 1 / (1 + np.exp(-(centre - half))), 1 / (1 + np.exp(-(centre + half)))
    return Interval(value, float(low), float(high))
