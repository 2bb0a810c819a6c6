"""Fit a regularised logistic regression whose lines may bend, on labels that may be half known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.columns import ModelColumn
from models.linear import Logistic
from training.fitting.design import Design
from training.thin import thin

__all__ = ["FitData", "find_strength", "fit_logistic"]

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
_STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
_MIDDLE = 0.1
_MOST_ROWS, _SEARCH_ROWS = 150_000, 20_000
_LATE_SHARE = 0.15


@dataclass(frozen=True)
class FitData:
    """Encoded rows to fit on.

    Attributes
    ----------
    columns
        Of the model; the matrix has one more input for each of them with rates.
    matrix
        Shape (rows, inputs).
    target
        Probability that a row converted: 0 or 1 where it is known, between where it is not yet, shape (rows,).
    arrived
        Order in which the row's lead came in; rows of one lead share it. The latest choose strength and rounds.
    weight
        What one row counts, in leads.
    inputs
        Places of the matrix to learn from; the others are left alone.
    importance
        What a row counts beside the others, shape (rows,) with mean 1; null if all count alike.
    """

    columns: Sequence[ModelColumn]
    matrix: Matrix
    target: Vector
    arrived: NDArray[np.int64]
    weight: float = 1.0
    inputs: tuple[int, ...] = ()
    importance: Vector | None = None

    @property
    def weights(self) -> Vector:
        """What each row counts, in leads, shape (rows,)."""
        return np.full(len(self.target), self.weight) * (1.0 if self.importance is None else self.importance)

    @property
    def rate(self) -> float:
        """Share of the rows that converted, within (0, 1)."""
        return float(np.clip(np.average(self.target, weights=self.weights), 1e-6, 1 - 1e-6))

    def late(self) -> NDArray[np.bool_]:
        """Return which rows belong to the last 15 % of the leads."""
        arrivals = np.unique(self.arrived)
        return np.asarray(self.arrived >= arrivals[int(len(arrivals) * (1 - _LATE_SHARE))])

    def part(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> FitData:
        """Return some of the rows."""
        return replace(
            self,
            matrix=self.matrix[rows],
            target=self.target[rows],
            arrived=self.arrived[rows],
            importance=None if self.importance is None else self.importance[rows],
        )

    def thin(self, most: int) -> FitData:
        """Return at most about so many rows, which count for all."""
        rows = thin(len(self.target), most)
        if len(rows) == len(self.target):
            return self
        return replace(self.part(rows), weight=self.weight * len(self.target) / len(rows))

    @property
    def used(self) -> tuple[int, ...]:
        """The places to learn from."""
        return self.inputs or tuple(range(self.matrix.shape[1]))


def fit_logistic(data: FitData, *, strength: float) -> Logistic:
    """Fit logistic regression with ridge; `strength` is one over its precision, where rows weigh in leads.

    Numbers are standardised, skewed ones after sign(x)·log(1 + |x|), and their lines bend at four quantiles; categories
    are one-hot; missing values have a weight of their own. Of a long history 150,000 rows say enough.
    """
    rows = thin(len(data.target), _MOST_ROWS)
    design = Design.of(data, rows if len(rows) < len(data.target) else None)
    weight = (data.weights * (len(data.target) / max(1, len(rows))))[rows]
    return design.read(design.fit(data.target[rows], strength=strength, weight=weight))


def find_strength(data: FitData) -> float:
    """Return the strength that is best for the last leads of the data when fitted on the others."""
    late = data.late()
    early, check = data.part(~late).thin(_SEARCH_ROWS), data.part(late).thin(_SEARCH_ROWS)
    if not 0 < early.target.sum() < len(early.target):
        return _MIDDLE
    design, numbers, losses = Design.of(early), None, []
    for strength in _STRENGTHS:
        numbers = design.fit(early.target, strength=strength, weight=early.weights, start=numbers)
        margin = design.read(numbers).log_odds(check.matrix)
        losses.append(float(np.average(np.logaddexp(0.0, margin) - check.target * margin, weights=check.weights)))
    return _STRENGTHS[int(np.argmin(losses))]
