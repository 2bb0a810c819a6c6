"""Proportional odds of when conversions come, with priors as strong as the conversions themselves speak for.

With cells between horizons, a conversion in the cell above horizon k and below k + 1 has the likelihood
σ(a_k+1 + z) − σ(a_k + z) = σ(a_k+1 + z) · σ(−a_k − z) · (1 − exp(a_k − a_k+1)), which is concave in a and z.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Fitted", "fit_levels"]

Vector = NDArray[np.float64]
_PRECISIONS = (3.0, 10.0, 30.0, 100.0)
_PSEUDO = 0.5
_STEPS, _HALVINGS, _CLOSE = 50, 20, 1e-10


@dataclass(frozen=True)
class Fitted:
    """What was fitted, in the units of what was given.

    Attributes
    ----------
    levels
        a_h of each horizon, rising.
    by_margin, by_age
        Coefficients; 0 where the conversions speak for none.
    evidence
        Log of the marginal likelihood, but for a constant.
    """

    levels: Vector
    by_margin: float
    by_age: Vector
    evidence: float


def fit_levels(cell: NDArray[np.intp], counts: Vector, margin: Vector, by_age: Vector, *, start: Vector) -> Fitted:
    """Fit levels, a slope and shifts by age, each of the latter two with a normal prior around 0.

    The priors' precisions are those with the highest marginal likelihood (empirical Bayes, by Laplace's formula) among
    a few, or infinite ones, which leave one curve for all: differences that chance may have made are not followed.

    Parameters
    ----------
    cell, counts
        Row by row: the first horizon within which it came, as a number (that of horizons if none), and its weight.
    margin, by_age
        Log-odds of each row, centred and scaled, shape (rows,); a column for each age, shape (rows, ages).
    start
        Levels of the pooled curve, shape (horizons,), rising.
    """
    return max(_tries(cell, counts, margin, by_age, start), key=lambda one: one.evidence)


def _tries(cell: NDArray[np.intp], counts: Vector, margin: Vector, by_age: Vector, start: Vector) -> Iterator[Fitted]:
    ages = by_age.shape[1]
    # no prior: no such coefficient; one age has nobody to differ from
    of_margin = [(), *((one,) for one in _PRECISIONS if np.any(margin))]
    of_age = [(), *((one,) * ages for one in _PRECISIONS if ages > 1)]
    for first, second in itertools.product(of_margin, of_age):
        columns = np.column_stack([margin[:, None][:, : len(first)], by_age[:, : len(second)]])
        levels, told, evidence = _climb(cell, counts, columns, np.array([*first, *second]), start)
        shifts = told[len(first) :] if second else np.zeros(ages)
        yield Fitted(levels, float(told[0]) if first else 0.0, shifts, evidence)


def _climb(
    cell: NDArray[np.intp], counts: Vector, columns: Vector, prior: Vector, start: Vector
) -> tuple[Vector, Vector, float]:
    """Climb to the penalised maximum with Newton's steps, halved where they lead down."""
    most, extra = len(start), len(prior)
    # for each cell half a conversion that nothing is known of, so that none is ever impossible
    cell = np.concatenate([cell, np.arange(most + 1)])
    counts = np.concatenate([counts, np.full(most + 1, _PSEUDO)])
    columns = np.vstack([columns, np.zeros((most + 1, extra))])
    above, below = cell < most, cell > 0
    level = np.eye(most)
    sides = [
        (np.hstack([level[cell[above]], columns[above]]), counts[above], -1.0),
        (np.hstack([level[cell[below] - 1], columns[below]]), counts[below], 1.0),
    ]
    between = np.asarray(np.bincount(cell, weights=counts, minlength=most + 1)[1:most], dtype=np.float64)
    gaps = np.diff(np.hstack([level, np.zeros((most, extra))]), axis=0)
    penalty = np.concatenate([np.zeros(most), prior])
    place = np.concatenate([start, np.zeros(extra)])
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
    return place[:most], place[most:], evidence


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
