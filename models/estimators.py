"""Fitted estimators: from encoded rows to log-odds, and each column's exact additive share of them.

All of them are values: nothing is learnt when scoring, and a row's result does not depend on the rows beside it. That
is why sums run column by column in a fixed order and transcendental functions come from SciPy's scalar loops: BLAS and
SIMD tails may round a row differently in another batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import lightgbm

__all__ = ["BaseRate", "BoostedTrees", "Estimator", "LinearTerm", "Logistic"]

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
class LinearTerm:
    """One column's part in the logistic regression, centred on the fit period.

    A number enters as weight · (g(x) − centre) / scale with g the identity or sign(x)·log(1 + |x|), clipped to
    [low, high] of the fit period; a category as the weight of its code. A missing value has a weight of its own. `mean`
    is what the column adds for the average fitted lead: it is moved to the base.
    """

    transform: Literal["identity", "log", "levels"]
    weights: tuple[float, ...]
    missing_weight: float
    mean: float
    centre: float = 0.0
    scale: float = 1.0
    low: float = 0.0
    high: float = 0.0

    def contribution(self, values: Vector) -> Vector:
        """Return the column's share of the log-odds, centred."""
        return self.raw_contribution(values) - self.mean

    def raw_contribution(self, values: Vector) -> Vector:
        """Return the column's share before centring."""
        missing = np.isnan(values)
        if self.transform == "levels":
            codes = np.where(missing, 0, values).astype(np.int64)
            share = np.array(self.weights)[codes]
        else:
            share = self.weights[0] * self.standardise(np.where(missing, self.low, values))
        return np.where(missing, self.missing_weight, share)

    def standardise(self, values: Vector) -> Vector:
        """Return the clipped, transformed, centred and scaled numbers."""
        clipped = np.clip(values, self.low, self.high)
        return (transform_number(clipped, self.transform) - self.centre) / self.scale


def transform_number(values: Vector, how: str) -> Vector:
    """Return the values, or sign(x)·log(1 + |x|) if `how` is `log`."""
    from scipy import special

    if how == "identity":
        return values
    logs: Vector = special.log1p(np.abs(np.ascontiguousarray(values)))
    return np.sign(values) * logs


@dataclass(frozen=True)
class Logistic:
    """Regularised logistic regression; its contributions are exact because it is linear."""

    base: float
    terms: tuple[LinearTerm, ...]
    kind: Literal["logistic"] = "logistic"

    def log_odds(self, matrix: Matrix) -> Vector:
        """Return base plus contributions, added in the order of the columns."""
        total = np.full(len(matrix), self.base)
        for place, term in enumerate(self.terms):
            total += term.contribution(np.ascontiguousarray(matrix[:, place]))
        return total

    def contributions(self, matrix: Matrix) -> tuple[Matrix, float]:
        """Return each column's centred share, and the base: the log-odds of the average fitted lead."""
        shares = [term.contribution(np.ascontiguousarray(matrix[:, place])) for place, term in enumerate(self.terms)]
        return np.column_stack(shares) if shares else np.zeros((len(matrix), 0)), self.base

    def to_json(self) -> dict[str, object]:
        """Return the readable form that the artefact stores."""
        return {"base": self.base, "terms": [{**asdict(term), "weights": list(term.weights)} for term in self.terms]}

    @staticmethod
    def from_json(content: Mapping[str, object]) -> Logistic:
        """Read what `to_json` wrote."""
        entries: Sequence[Mapping[str, object]] = content["terms"]  # type: ignore[assignment]
        terms = (LinearTerm(**{**entry, "weights": tuple(entry["weights"])}) for entry in entries)  # type: ignore[arg-type]
        return Logistic(float(content["base"]), tuple(terms))  # type: ignore[arg-type]


@dataclass(frozen=True)
class BoostedTrees:
    """LightGBM, kept as its own text; contributions are TreeSHAP (Lundberg et al. 2020), computed by LightGBM."""

    text: str
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
        return np.asarray(self.booster.predict(matrix, raw_score=True, num_threads=_threads(matrix)), dtype=np.float64)

    def contributions(self, matrix: Matrix) -> tuple[Matrix, float]:
        """Return path-dependent SHAP values in log-odds, and the expected raw score."""
        sample = matrix if len(matrix) else np.full((1, matrix.shape[1]), np.nan)
        found = np.asarray(self.booster.predict(sample, pred_contrib=True, num_threads=_threads(matrix)))
        return found[: len(matrix), :-1], float(found[0, -1])


def _threads(matrix: Matrix) -> int:
    """Return 0 (all cores) for a big batch and one for a small one, where threads cost more than they give."""
    return 0 if len(matrix) >= _ROWS_WORTH_THREADS else 1
