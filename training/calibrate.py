"""Fit calibrators on their own period: as few numbers as the number of outcomes can carry."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.calibration import AffineCalibrator

__all__ = ["fit_calibrator"]

_LOOSE = 3.0
_SMALLEST_SLOPE = 0.05


def fit_calibrator(
    log_odds: NDArray[np.float64], converted: NDArray[np.bool_], *, leads: NDArray[np.str_]
) -> AffineCalibrator:
    """Fit probability = σ(z + shift + (slope − 1)(z − mean z)) with ridge toward doing nothing.

    The number of converted leads decides how far it may move (prior standard deviations of shift and slope): below 50
    only the level, 0.25; below 200, 0.5 and 0.15; above, freely and 0.5.

    Parameters
    ----------
    log_odds, converted, leads
        Shape (rows,), from a period the estimator was not fitted on. Looking at a lead six times is not six pieces of
        evidence, so every row weighs leads / rows. (One over the lead's own number of snapshots would be wrong: leads
        that convert at once have few, and would count for more.)
    """
    weight = np.full(len(leads), len(np.unique(leads)) / len(leads))
    positives = len(np.unique(leads[converted]))
    shift_sd, slope_sd = _priors(positives)
    centre = float(np.average(log_odds, weights=weight))
    spread = log_odds - centre
    if slope_sd == 0.0 or float(np.std(spread)) < 1e-9:
        slope_sd = 0.0
    shift, slope = _fit_line(log_odds, spread, converted.astype(np.float64), weight, sd=(shift_sd, slope_sd))
    return AffineCalibrator(intercept=shift + (1.0 - slope) * centre, slope=slope)


def _priors(positives: int) -> tuple[float, float]:
    if positives < 50:
        return 0.25, 0.0
    return (0.5, 0.15) if positives < 200 else (_LOOSE, 0.5)


def _fit_line(
    log_odds: NDArray[np.float64],
    spread: NDArray[np.float64],
    converted: NDArray[np.float64],
    weight: NDArray[np.float64],
    *,
    sd: tuple[float, float],
) -> tuple[float, float]:
    """Maximise the penalised likelihood over shift and slope; it is concave, so there is one maximum."""
    from scipy import optimize, special

    shift_sd, slope_sd = sd

    def loss(numbers: NDArray[np.float64]) -> float:
        shift, extra = numbers
        margin = log_odds + shift + extra * spread
        penalty = 0.5 * (shift / shift_sd) ** 2 + (0.5 * (extra / slope_sd) ** 2 if slope_sd else 0.0)
        return float(weight @ (np.logaddexp(0.0, margin) - converted * margin) + penalty)

    def gradient(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        shift, extra = numbers
        residual = weight * (special.expit(log_odds + shift + extra * spread) - converted)
        by_slope = residual @ spread + extra / slope_sd**2 if slope_sd else 0.0
        return np.array([residual.sum() + shift / shift_sd**2, by_slope])

    found = optimize.minimize(
        loss,
        np.zeros(2),
        jac=gradient,
        method="L-BFGS-B",
        bounds=[(None, None), (_SMALLEST_SLOPE - 1.0, None)],
        options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 1_000},
    )
    return float(found.x[0]), 1.0 + float(found.x[1])
