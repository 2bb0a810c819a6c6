"""Fitted estimators: from encoded rows to log-odds, and each column's exact additive share of them.

All of them are values: nothing is learnt when scoring, and a row's result does not depend on the rows beside it. That
is why sums run column by column in a fixed order and transcendental functions come from SciPy's scalar loops: BLAS and
SIMD tails may round a row differently in another batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from models.linear import Logistic

if TYPE_CHECKING:
    import lightgbm

__all__ = ["BaseRate", "Blend", "BoostedTrees", "Estimator"]

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
_ROWS_WORTH_THREADS = 2_000


class Estimator(Protocol):
    """What every fitted estimator can do.

    `contributions` has shape (rows, columns); a row's contributions plus `base` are its log-odds.
    """

    @property
    def kind(self) -> str:
        """Its name in the manifest and in reports."""
        ...

    def log_odds(self, matrix: Matrix) -> Vector:
        """Return log-odds before calibration, shape (rows,)."""
        ...

    def contributions(self, matrix: Matrix) -> tuple[Matrix, float]:
        """Return each column's share of the log-odds, and the base."""
        ...


@dataclass(frozen=True)
class BaseRate:
    """The same log-odds for everybody: the rate of the calibration period."""

    value: float
    kind: Literal["base_rate"] = "base_rate"

    def log_odds(self, matrix: Matrix) -> Vector:
        """Return the base for every row."""
        return np.full(len(matrix), self.value)

    def contributions(self, matrix: Matrix) -> tuple[Matrix, float]:
        """Return nothing for every column: there is no reason to tell."""
        return np.zeros(matrix.shape), self.value


@dataclass(frozen=True)
class BoostedTrees:
    """LightGBM, kept as its own text; contributions are TreeSHAP (Lundberg et al. 2020), computed by LightGBM.

    Attributes
    ----------
    inputs
        Places of the matrix's inputs that the trees were grown on, in their order; empty means all.
    """

    text: str
    inputs: tuple[int, ...] = ()
    kind: Literal["lightgbm"] = "lightgbm"

    @cached_property
    def booster(self) -> lightgbm.Booster:
        """The parsed text."""
        import lightgbm

        return lightgbm.Booster(model_str=self.text)

    def log_odds(self, matrix: Matrix) -> Vector:
        """Return the raw scores of the trees."""
        if not len(matrix):
            return np.empty(0)
        rows = self._pick(matrix)
        return np.asarray(self.booster.predict(rows, raw_score=True, num_threads=_threads(rows)), dtype=np.float64)

    def contributions(self, matrix: Matrix) -> tuple[Matrix, float]:
        """Return path-dependent SHAP values in log-odds, and the expected raw score."""
        sample = matrix if len(matrix) else np.full((1, matrix.shape[1]), np.nan)
        rows = self._pick(sample)
        found = np.asarray(self.booster.predict(rows, pred_contrib=True, num_threads=_threads(rows)))
        shares = np.zeros(matrix.shape)
        shares[:, list(self.inputs) or slice(None)] = found[: len(matrix), :-1]
        return shares, float(found[0, -1])

    def _pick(self, matrix: Matrix) -> Matrix:
        return np.ascontiguousarray(matrix[:, list(self.inputs)]) if self.inputs else matrix


@dataclass(frozen=True)
class Blend:
    """A weighted sum of estimators' log-odds; contributions are the same sum of theirs, so they add up exactly.

    Bags of trees fitted on different accounts with different seeds are blended so, which makes reasons and bands
    steadier than one big model's; so are trees and a logistic regression.
    """

    parts: tuple[BaseRate | BoostedTrees | Logistic, ...]
    weights: tuple[float, ...]
    kind: Literal["blend"] = "blend"

    def log_odds(self, matrix: Matrix) -> Vector:
        """Return the weighted sum, added in the order of the parts."""
        total = np.zeros(len(matrix))
        for part, weight in zip(self.parts, self.weights, strict=True):
            total += weight * part.log_odds(matrix)
        return total

    def spread(self, matrix: Matrix) -> Vector:
        """Return how far the parts are apart that are averaged, the standard deviation of their log-odds, (rows,)."""
        return self.log_odds_and_spread(matrix)[1]

    def log_odds_and_spread(self, matrix: Matrix) -> tuple[Vector, Vector]:
        """Return both at the price of one."""
        said = [part.log_odds(matrix) for part in self.parts]
        total = np.zeros(len(matrix))
        for own, weight in zip(said, self.weights, strict=True):
            total += weight * own
        averaged = [own for own, weight in zip(said, self.weights, strict=True) if weight < 1.0]
        if len(averaged) < 2:
            return total, np.zeros(len(matrix))
        return total, np.asarray(np.column_stack(averaged).std(axis=1))

    def contributions(self, matrix: Matrix) -> tuple[Matrix, float]:
        """Return the weighted sums of the parts' contributions and bases."""
        total, base = np.zeros(matrix.shape), 0.0
        for part, weight in zip(self.parts, self.weights, strict=True):
            shares, own = part.contributions(matrix)
            total += weight * shares
            base += weight * own
        return total, base


def _threads(matrix: Matrix) -> int:
    """Return 0 (all cores) for a big batch and one for a small one, where threads cost more than they give."""
    return 0 if len(matrix) >= _ROWS_WORTH_THREADS else 1
