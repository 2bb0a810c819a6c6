"""Chance for intervals: whole groups drawn again, for every number of one table at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["clustered_error", "resample_ratios", "sum_by_group"]

Vector = NDArray[np.float64]
_DRAWS = 500
_AT_ONCE = 8


def sum_by_group(values: Vector, groups: NDArray[np.int64]) -> Vector:
    """Return the sums of values over groups, in the order of the groups' numbers, shape (groups,).

    >>> sum_by_group(np.array([1.0, 2.0, 4.0]), np.array([7, 3, 7])).tolist()
    [2.0, 5.0]
    """
    _, place = np.unique(groups, return_inverse=True)
    return np.asarray(np.bincount(place, weights=values), dtype=np.float64)


def resample_ratios(above: Vector, below: Vector, *, seed: int, draws: int = _DRAWS) -> Vector:
    """Draw the groups with replacement and return the ratios of sums, shape (draws, columns).

    Every column sees the same draws, so the difference of two columns is a paired one.

    Parameters
    ----------
    above, below
        Sums by group, shape (groups, columns); a `below` of one column serves all columns.
    """
    from threadpoolctl import threadpool_limits

    random = np.random.default_rng(seed)
    groups, wide = above.shape
    table = np.ascontiguousarray(np.column_stack([above, below]))
    sums = np.empty((draws, table.shape[1]))
    weights = np.empty((_AT_ONCE, groups))
    with threadpool_limits(limits=1, user_api="blas"):  # sums in another order would round otherwise
        for start in range(0, draws, _AT_ONCE):
            many = min(_AT_ONCE, draws - start)
            for row in range(many):
                weights[row] = np.bincount(random.integers(0, groups, groups), minlength=groups)
            sums[start : start + many] = weights[:many] @ table
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios: Vector = sums[:, :wide] / sums[:, wide:]
    return ratios


def clustered_error(influence: Vector, groups: NDArray[np.int64]) -> float:
    """Return the standard error of a number from each row's pull on it, rows of one group pulling together.

    The infinitesimal jackknife: √(G / (G − 1) · Σ over groups of (Σ of its rows' influence / rows)²); one group has 0.
    """
    pulls = sum_by_group(influence, groups) / len(influence)
    count = len(pulls)
    return float(np.sqrt(count / (count - 1) * np.sum(pulls**2))) if count > 1 else 0.0
