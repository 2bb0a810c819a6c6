"""What a loss is made of: miscalibration, discrimination and the uncertainty that no model can take away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.evaluation.evaluate import log_loss_per_row

__all__ = ["Decomposition", "decompose", "recalibrate"]

Vector = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Decomposition:
    """A mean loss = miscalibration − discrimination + uncertainty.

    Attributes
    ----------
    miscalibration
        What the best monotone recalibration, found in hindsight, would take off the loss; not negative.
    discrimination
        What the order, so recalibrated, takes off the loss of the base rate in hindsight; not negative.
    uncertainty
        The loss of that base rate.
    """

    loss: float
    miscalibration: float
    discrimination: float
    uncertainty: float


def recalibrate(probability: Vector, converted: Flags, *, weight: Vector | None = None) -> Vector:
    """Return the best non-decreasing function of the probabilities, shape (rows,); equal ones stay equal.

    Pool adjacent violators; the same function is best for every proper loss. `weight` is how many rows each stands for.

    >>> recalibrate(np.array([0.1, 0.2, 0.3, 0.9]), np.array([False, True, False, True])).tolist()
    [0.0, 0.5, 0.5, 1.0]
    """
    from scipy.optimize import isotonic_regression

    count = np.ones(len(probability)) if weight is None else weight
    _, place = np.unique(probability, return_inverse=True)
    rows = np.bincount(place, weights=count)
    rates = np.bincount(place, weights=count * converted) / rows
    fitted: Vector = np.clip(isotonic_regression(rates, weights=rows).x, 0.0, 1.0)
    return fitted[place]


def decompose(probability: Vector, converted: Flags, *, score: Literal["log_loss", "brier"]) -> Decomposition:
    """Split a mean loss into its three parts (CORP: Dimitriadis, Gneiting & Jordan, PNAS 118, 2021).

    >>> parts = decompose(np.array([0.2, 0.2, 0.6, 0.6]), np.array([False, False, True, False]), score="brier")
    >>> [round(part, 4) for part in (parts.loss, parts.miscalibration, parts.discrimination, parts.uncertainty)]
    [0.15, 0.025, 0.0625, 0.1875]
    """
    constant = np.full(len(converted), converted.mean())
    own, best, base = (
        float(np.mean(_losses(said, converted, score)))
        for said in (probability, recalibrate(probability, converted), constant)
    )
    return Decomposition(own, own - best, base - best, base)


def _losses(said: Vector, converted: Flags, score: Literal["log_loss", "brier"]) -> Vector:
    if score == "brier":
        return (said - converted) ** 2
    return log_loss_per_row(said, converted)
