"""Linear models: each column's part is a function of its own value, so the sum is exact and so are its reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["LinearTerm", "Logistic", "transform_number"]

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class LinearTerm:
    """One column's part in the logistic regression, centred on the fit period.

    A number is clipped to [low, high] of the fit period and becomes s = (g(x) − centre) / scale with g the identity or
    sign(x)·log(1 + |x|); it adds w₀·s + Σ wₖ·max(s − knotₖ, 0), a line that bends at the knots. A category adds the
    weight of its code. A missing value has a weight of its own. `mean` is what the column adds for the average fitted
    lead: it is moved to the base.
    """

    transform: Literal["identity", "log", "levels"]
    weights: tuple[float, ...]
    missing_weight: float
    mean: float
    centre: float = 0.0
    scale: float = 1.0
    low: float = 0.0
    high: float = 0.0
    knots: tuple[float, ...] = ()

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
            place = self.standardise(np.where(missing, self.low, values))
            share = self.weights[0] * place
            for knot, weight in zip(self.knots, self.weights[1:], strict=True):
                share = share + weight * np.maximum(place - knot, 0.0)
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
        return {"base": self.base, "terms": [_write_term(term) for term in self.terms]}

    @staticmethod
    def from_json(content: Mapping[str, object]) -> Logistic:
        """Read what `to_json` wrote."""
        entries: Sequence[Mapping[str, object]] = content["terms"]  # type: ignore[assignment]
        return Logistic(float(content["base"]), tuple(_read_term(entry) for entry in entries))  # type: ignore[arg-type]


def _write_term(term: LinearTerm) -> dict[str, object]:
    return {**asdict(term), "weights": list(term.weights), "knots": list(term.knots)}


def _read_term(entry: Mapping[str, object]) -> LinearTerm:
    lists: dict[str, object] = {name: tuple(entry.get(name, ())) for name in ("weights", "knots")}  # type: ignore[arg-type]
    return LinearTerm(**{**entry, **lists})  # type: ignore[arg-type]
