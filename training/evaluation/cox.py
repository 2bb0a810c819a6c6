"""The level and the slope of conversions along what was said: 0 and 1 where it is right (Cox 1958)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Line", "fit_level", "fit_line", "to_margin"]

Vector = NDArray[np.float64]
_STEPS, _HALVINGS, _CLOSE = 50, 20, 1e-10
_SINGULAR = 1e12  # condition number
_ALIKE = 1e-9
_FARTHEST = 30.0  # log-odds


@dataclass(frozen=True)
class Line:
    """The line logit P(converted) = a + b · logit(probability) as it was fitted.

    Attributes
    ----------
    design
        1 and the centred and scaled log-odds of each row, shape (rows, 2).
    place
        The fitted numbers in these units, shape (2,).
    scale
        Log-odds that one unit stands for.
    residual, spread
        Weight · (outcome minus what the line says), and weight · variance of what it says, shape (rows,).
    """

    design: Vector
    place: Vector
    scale: float
    residual: Vector
    spread: Vector

    @property
    def slope(self) -> float:
        """The number b."""
        return float(self.place[1] / self.scale)

    def influence(self) -> Vector:
        """Return how far each row pulls b, times the number of rows, shape (rows,)."""
        pull = self.design * self.residual[:, None]
        curvature = (self.design * self.spread[:, None]).T @ self.design
        return np.asarray(len(pull) * pull @ np.linalg.inv(curvature)[:, 1] / self.scale)


def to_margin(probability: Vector) -> Vector:
    """Return log-odds, shape (rows,); 0 and 1 count as 1e-9 away from where they are."""
    from scipy import special

    return np.asarray(special.logit(np.clip(probability, _ALIKE, 1 - _ALIKE)))


def fit_level(probability: Vector, wins: Vector, weight: Vector | None = None) -> float:
    """Return the shift of log-odds with which as many are expected as converted; nan if all did, or none.

    >>> round(fit_level(np.full(4, 0.5), np.array([1.0, 0.0, 0.0, 0.0])), 3)
    -1.099
    """
    from scipy import optimize, special

    if not 0 < wins.sum() < len(wins):
        return float("nan")
    margin, counts = to_margin(probability), np.ones(len(wins)) if weight is None else weight

    def too_many(shift: float) -> float:
        return float(np.sum(counts * (special.expit(margin + shift) - wins)))

    return float(optimize.brentq(too_many, -_FARTHEST, _FARTHEST))


def fit_line(probability: Vector, wins: Vector, weight: Vector | None = None) -> Line | None:
    """Return the line; null where nothing tells its slope.

    Nothing does if all leads are said to be alike, all or none converted, or those that converted are all above the
    others, or all below, so that no slope is steep enough (Albert & Anderson 1984).

    Parameters
    ----------
    probability, wins, weight
        Row by row: what was said, 1 or 0, and what the row counts (null: all alike).

    >>> said, wins = np.repeat([0.1, 0.5], [10, 2]), np.repeat([1.0, 0.0, 1.0, 0.0], [2, 8, 1, 1])
    >>> line = fit_line(said, wins)
    >>> round(line.slope, 3), line.influence().round(1).tolist()[0]
    (0.631, -2.7)
    """
    from scipy import special

    margin, won, counts = to_margin(probability), wins > 0, np.ones(len(wins)) if weight is None else weight
    if won.all() or not won.any() or (scale := float(margin.std())) < _ALIKE:
        return None
    if margin[won].min() >= margin[~won].max() or margin[won].max() <= margin[~won].min():
        return None
    design = np.column_stack([np.ones(len(margin)), (margin - np.average(margin, weights=counts)) / scale])
    place = np.array([float(special.logit(np.average(wins, weights=counts))), 0.0])

    def loss(where: Vector) -> float:
        line = design @ where
        return float(counts @ (np.logaddexp(0.0, line) - wins * line))

    for _ in range(_STEPS):
        chance = special.expit(design @ place)
        residual, spread = counts * (wins - chance), counts * chance * (1 - chance)
        curvature = (design * spread[:, None]).T @ design
        if np.linalg.cond(curvature) > _SINGULAR:
            return None
        step = np.linalg.solve(curvature, design.T @ residual)
        if np.abs(step).max() < _CLOSE:
            return Line(design, place + step, scale, residual, spread)
        # far outliers can throw a whole step beyond what is best: the loss is convex, so part of it always helps
        halved = (step * 0.5**times for times in range(_HALVINGS))
        place = place + next((part for part in halved if loss(place + part) < loss(place)), step)
    return None
