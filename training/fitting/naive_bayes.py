"""Naive Bayes on the levels of categories, held back as far as leads it has not seen ask for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.calibration import logit
from models.linear import LinearTerm, Logistic
from training.fitting.fit import FitData

__all__ = ["fit_naive_bayes"]

Vector = NDArray[np.float64]
_SMOOTHING = 20.0
_FOLDS = 5
_STEPS = 25


def fit_naive_bayes(data: FitData) -> Logistic:
    """Return log-odds of all plus a share of those of each category's level: an exact sum.

    A level's log-odds are those of its leads and 20 like all, less those of all. Categories that say the same are
    counted twice by that, so the sum says too much; the share, within [0, 1], is the slope of a logistic regression of
    outcomes on the sum, each fifth of the leads told by the other four.
    """
    categories = [place for place, column in enumerate(data.columns) if column.kind == "category"]
    codes = {place: _codes(data, place) for place in categories}
    share = _honest_share(data, list(codes.values()))
    terms = [LinearTerm("identity", (0.0,), 0.0, 0.0)] * data.matrix.shape[1]
    mean = 0.0
    for place, (code, size) in codes.items():
        told = share * _tell_levels(code, size, data.target, data.weights)
        told_mean = float(told[code].mean())
        terms[place] = LinearTerm("levels", tuple(map(float, told[:-1])), float(told[-1]), told_mean)
        mean += told_mean
    return Logistic(logit(data.rate) + mean, tuple(terms))


def _codes(data: FitData, place: int) -> tuple[NDArray[np.int64], int]:
    """Return the code of each row's level, a missing one being the last, and how many codes there are."""
    size = len(data.columns[place].frequent) + 2
    values = data.matrix[:, place]
    return np.where(np.isnan(values), size - 1, values).astype(np.int64), size


def _tell_levels(code: NDArray[np.int64], size: int, target: Vector, weights: Vector) -> Vector:
    rate = float(np.clip(np.average(target, weights=weights), 1e-6, 1 - 1e-6))
    seen = np.bincount(code, weights=weights, minlength=size)
    won = np.bincount(code, weights=target * weights, minlength=size)
    told = (won + _SMOOTHING * rate) / (seen + _SMOOTHING)
    return np.asarray(np.log(told / (1 - told)) - logit(rate))


def _honest_share(data: FitData, codes: list[tuple[NDArray[np.int64], int]]) -> float:
    """Solve Σ w (y − σ(base + s · sum)) sum = 0 for s by Newton's method; each sum is told by other leads."""
    fold = np.unique(data.arrived, return_inverse=True)[1] % _FOLDS
    base, total = np.full(len(fold), logit(data.rate)), np.zeros(len(fold))
    for number in range(_FOLDS):
        inside = fold == number
        if not inside.any() or inside.all():
            continue
        for code, size in codes:
            told = _tell_levels(code[~inside], size, data.target[~inside], data.weights[~inside])
            total[inside] += told[code[inside]]
    share = 0.0
    for _ in range(_STEPS):
        said = 1.0 / (1.0 + np.exp(-(base + share * total)))
        curve = float(np.sum(data.weights * said * (1 - said) * total**2))
        if curve < 1e-12:
            return 0.0
        share = float(np.clip(share + np.sum(data.weights * (data.target - said) * total) / curve, 0.0, 1.0))
    return share
