"""Log-odds taken apart: contributions by column and by group, points of probability, and where parts disagree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.columns import ModelColumn, own_contributions
from models.estimators import Blend, Estimator

if TYPE_CHECKING:
    from models.calibration import Calibrator

__all__ = ["Breakdown", "group_places", "take_apart"]

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
_AGREED = 0.8  # by weight; a reason that fewer parts of an ensemble point to is chance
_CLOSE = 1e-6


@dataclass(frozen=True)
class Breakdown:
    """Rows taken apart.

    Attributes
    ----------
    log_odds
        Before calibration, shape (rows,).
    base
        Log-odds of a typical lead; base plus a row's contributions are its log-odds.
    contributions
        In log-odds, shape (rows, columns).
    places
        For each group the places of its columns.
    spread
        How far the averaged parts of an ensemble are apart, in log-odds, shape (rows,); zero for other models.
    agreed
        Whether at least four fifths of an ensemble, by weight, give a group the sign that it has, (rows, groups).
    """

    log_odds: Vector
    base: float
    contributions: Matrix
    places: tuple[tuple[int, ...], ...]
    spread: Vector
    agreed: NDArray[np.bool_]

    @cached_property
    def by_group(self) -> Matrix:
        """Contributions of groups in log-odds, shape (rows, groups)."""
        return _add_up(self.contributions, self.places)

    def points(self, calibrator: Calibrator) -> tuple[Matrix, float]:
        """Return groups' shares of the calibrated probability, shape (rows, groups), and that of a typical lead.

        By the secant rule φ · (c(f) − c(f₀)) / (f − f₀), with f the row's log-odds, f₀ the base and c the calibrated
        probability: the shares have the signs and the order of the contributions, and base plus shares is the
        probability exactly. Where f is f₀ the secant is the tangent.
        """
        start = float(calibrator.probability(np.array([self.base]))[0])
        way = self.log_odds - self.base
        far = np.abs(way) > _CLOSE
        slope = (calibrator.probability(self.log_odds) - start) / np.where(far, way, 1.0)
        around = calibrator.probability(np.array([self.base - _CLOSE, self.base + _CLOSE]))
        tangent = float(around[1] - around[0]) / (2 * _CLOSE)
        return self.by_group * np.where(far, slope, tangent)[:, None], start


def group_places(columns: Sequence[ModelColumn]) -> tuple[tuple[int, ...], ...]:
    """Return the places of each group's columns, groups in the order of their first column."""
    places: dict[str, list[int]] = {}
    for place, column in enumerate(columns):
        places.setdefault(column.group, []).append(place)
    return tuple(map(tuple, places.values()))


def take_apart(estimator: Estimator, matrix: Matrix, columns: Sequence[ModelColumn]) -> Breakdown:
    """Take encoded rows apart.

    Parameters
    ----------
    matrix
        As `encode_frame` gives it, shape (rows, inputs).
    """
    places = group_places(columns)
    if not isinstance(estimator, Blend):
        shares, base = estimator.contributions(matrix)
        own = own_contributions(shares, columns)
        agreed = np.ones((len(matrix), len(places)), dtype=np.bool_)
        return Breakdown(estimator.log_odds(matrix), base, own, places, np.zeros(len(matrix)), agreed)
    log_odds, spread = estimator.log_odds_and_spread(matrix)
    total = np.zeros((len(matrix), len(columns)))
    base = 0.0
    added = np.zeros((len(matrix), len(places)))
    members: list[tuple[float, Matrix]] = []
    for part, weight in zip(estimator.parts, estimator.weights, strict=True):
        shares, own_base = part.contributions(matrix)
        own = own_contributions(shares, columns)
        total += weight * own
        base += weight * own_base
        if weight < 1.0:
            members.append((weight, _add_up(own, places)))
        else:
            added += weight * _add_up(own, places)
    sign = np.sign(_add_up(total, places))
    agreed = np.ones(sign.shape, dtype=np.bool_)
    if len(members) > 1:
        votes = sum(weight * (np.sign(shares + added) == sign) for weight, shares in members)
        agreed = np.asarray(votes) >= _AGREED * sum(weight for weight, _ in members) - 1e-9
    return Breakdown(log_odds, base, total, places, spread, agreed)


def _add_up(contributions: Matrix, places: Sequence[Sequence[int]]) -> Matrix:
    """Sum columns by group, in their order: BLAS would round a row by what stands beside it."""
    sums = np.zeros((len(contributions), len(places)))
    for group, columns in enumerate(places):
        for column in columns:
            sums[:, group] += contributions[:, column]
    return sums
