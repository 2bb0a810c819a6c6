"""Proportional odds of when conversions come, with priors as strong as the conversions themselves speak for.

With cells between horizons, a conversion in the cell above horizon k and below k + 1 has the likelihood
σ(u_k+1) − σ(u_k) = σ(u_k+1) · σ(−u_k) · (1 − exp(u_k − u_k+1)) with u_k = a_k + z + d_k, which is concave in all.
The shifts by age may differ between horizons (partial proportional odds, Peterson & Harrell 1990): a conversion takes
its time from creation on, so that a new lead lacks the early ones altogether.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

__all__ = ["Fitted", "fit_levels"]

Vector = NDArray[np.float64]
_PRECISIONS = (3.0, 10.0, 30.0, 100.0)
_PRECISIONS_APART = (0.3, 1.0, 3.0, 10.0, 30.0)
_PSEUDO = 0.5
_STEPS, _HALVINGS, _CLOSE = 50, 20, 1e-10


@dataclass(frozen=True)
class Fitted:
    """What was fitted, in the units of what was given.

    Attributes
    ----------
    levels
        a_h of each horizon, rising.
    by_margin
        Slope; 0 if the conversions speak for none.
    by_age
        Shift of every level at every age, shape (ages, horizons), the levels with it still rising; 0 where the
        conversions speak for none.
    evidence
        Log of the marginal likelihood, but for a constant.
    """

    levels: Vector
    by_margin: float
    by_age: Vector
    evidence: float


def fit_levels(cell: NDArray[np.intp], counts: Vector, margin: Vector, by_age: Vector, *, start: Vector) -> Fitted:
    """Fit levels, a slope, shifts by age, and what each horizon adds to these, the last three with normal priors at 0.

    The priors' precisions are those with the highest marginal likelihood (empirical Bayes, by Laplace's formula) among
    a few, or infinite ones, which leave one curve for all: differences that chance may have made are not followed.
    Horizons are taken apart last, beside the best that holds for all of them.

    Parameters
    ----------
    cell, counts
        Row by row: the first horizon within which it came, as a number (that of horizons if none), and its weight.
    margin, by_age
        Log-odds of each row, centred and scaled, shape (rows,); a column of 0 and 1 for each age, shape (rows, ages).
    start
        Levels of the pooled curve, shape (horizons,), rising.
    """
    ages = by_age.shape[1]
    # no prior: no such coefficient; one age has nobody to differ from
    of_margin = [None, *(_PRECISIONS if np.any(margin) else ())]
    of_age = [None, *(_PRECISIONS if ages > 1 else ())]
    data = cell, counts, margin, by_age, start
    best = max((_climb(*data, _Priors(*pair)) for pair in itertools.product(of_margin, of_age)), key=_evidence)
    if ages < 2 or len(start) < 2:
        return best[0]
    apart = (_climb(*data, replace(best[1], apart=one)) for one in _PRECISIONS_APART)
    return max((best, *apart), key=_evidence)[0]


@dataclass(frozen=True)
class _Priors:
    """Precisions of the coefficients; null: there are none."""

    margin: float | None = None
    age: float | None = None
    apart: float | None = None


def _evidence(tried: tuple[Fitted, _Priors]) -> float:
    return tried[0].evidence


def _climb(
    cell: NDArray[np.intp], counts: Vector, margin: Vector, by_age: Vector, start: Vector, priors: _Priors
) -> tuple[Fitted, _Priors]:
    """Climb to the penalised maximum with Newton's steps, halved where they lead down."""
    most, ages = len(start), by_age.shape[1]
    # for each cell half a conversion that nothing is known of, so that none is ever impossible
    cell = np.concatenate([cell, np.arange(most + 1)])
    counts = np.concatenate([counts, np.full(most + 1, _PSEUDO)])
    margin = np.concatenate([margin, np.zeros(most + 1)])
    by_age = np.vstack([by_age, np.zeros((most + 1, ages))])

    def describe(horizon: NDArray[np.intp], margin: Vector, by_age: Vector) -> Vector:
        level = np.eye(most)[horizon]
        apart = (level[:, :, None] * by_age[:, None, :]).reshape(len(horizon), -1)
        optional = (margin[:, None], priors.margin), (by_age, priors.age), (apart, priors.apart)
        return np.hstack([level, *(columns for columns, prior in optional if prior is not None)])

    above, below = cell < most, cell > 0
    sides = [
        (describe(cell[above], margin[above], by_age[above]), counts[above], -1.0),
        (describe(cell[below] - 1, margin[below], by_age[below]), counts[below], 1.0),
    ]
    # the gap between two horizons is that of the age, or of no age
    kinds = np.vstack([np.zeros(ages), np.eye(ages)]) if priors.apart is not None else np.zeros((1, ages))
    kind = by_age @ np.arange(1.0, ages + 1) if priors.apart is not None else np.zeros(len(cell))
    place_of = kind.astype(np.intp) * (most + 1) + cell
    counted = np.bincount(place_of, weights=counts, minlength=len(kinds) * (most + 1)).reshape(len(kinds), -1)
    between = np.asarray(counted[:, 1:most].ravel(), dtype=np.float64)
    all_levels = [describe(np.arange(most), np.zeros(most), np.tile(one, (most, 1))) for one in kinds]
    gaps = np.vstack([np.diff(levels, axis=0) for levels in all_levels])
    optional = (priors.margin, 1), (priors.age, ages), (priors.apart, most * ages)
    prior = np.concatenate([np.zeros(0), *(np.full(many, one) for one, many in optional if one is not None)])
    penalty = np.concatenate([np.zeros(most), prior])
    place = np.concatenate([start, np.zeros(len(prior))])
    looked = _look(place, sides, between, gaps, penalty)
    for _ in range(_STEPS):
        value, slope, bend = looked
        step = np.linalg.solve(bend, slope)
        if step @ slope < _CLOSE:
            break
        lower = (
            (where, found)
            for where in (place - 0.5**halved * step for halved in range(_HALVINGS))
            if (found := _look(where, sides, between, gaps, penalty))[0] < value
        )
        place, looked = next(lower, (place, looked))
    value, _, bend = looked
    evidence = -value + 0.5 * float(np.log(prior).sum()) - 0.5 * float(np.linalg.slogdet(bend)[1])
    parts = iter(np.split(place[most:], np.cumsum([many for one, many in optional if one is not None])[:-1]))
    by_margin = float(next(parts)[0]) if priors.margin is not None else 0.0
    shifts = np.zeros((ages, most))
    if priors.age is not None:
        shifts = shifts + next(parts)[:, None]
    if priors.apart is not None:
        shifts = shifts + next(parts).reshape(most, ages).T
    return Fitted(place[:most], by_margin, shifts, evidence), priors


def _look(
    place: Vector, sides: list[tuple[Vector, Vector, float]], between: Vector, gaps: Vector, penalty: Vector
) -> tuple[float, Vector, Vector]:
    """Return the penalised loss at a place, its slope and its second derivatives; infinite where levels do not rise."""
    from scipy import special

    gap = gaps @ place
    if not np.all(gap > 0):
        return np.inf, place, np.eye(len(place))
    kept = -np.expm1(-gap)
    value = float(0.5 * penalty @ place**2 - between @ np.log(kept))
    slope = penalty * place - gaps.T @ (between * np.exp(-gap) / kept)
    bend = np.diag(penalty) + (gaps.T * (between * np.exp(-gap) / kept**2)) @ gaps
    for matrix, weight, sign in sides:
        moved = sign * (matrix @ place)
        value -= float(weight @ special.log_expit(-moved))
        share = special.expit(moved)
        slope = slope + sign * (matrix.T @ (weight * share))
        bend = bend + (matrix.T * (weight * share * (1 - share))) @ matrix
    return value, slope, bend
