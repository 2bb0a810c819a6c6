"""The curves a calibrator may bend log-odds along, each with what is believed of it beforehand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.calibration import AffineCalibrator, Calibrator, QuadraticCalibrator, SplineCalibrator, least_slope

__all__ = ["LEAST_SLOPE", "Curve", "level_curve", "line_curve", "parabola_curve", "spline_curve"]

Vector: TypeAlias = NDArray[np.float64]
Matrix: TypeAlias = NDArray[np.float64]

LEAST_SLOPE = 0.05
_KNOTS = 8
_TAIL = 0.005
_FLAT = 1e-9


@dataclass(frozen=True)
class Curve:
    """A family of curves z + basis · θ, with θ = 0 for doing nothing.

    Attributes
    ----------
    basis
        Shape (rows, numbers): how each number moves each row's log-odds.
    precision
        Shape (numbers, numbers): the inverse covariance of the normal prior of θ around zero.
    slopes
        Shape (places, numbers): the curve's slope at the places where it could fall is 1 + slopes · θ.
    build
        Makes the calibrator of θ; rising even where θ itself is not quite.
    """

    name: str
    basis: Matrix
    precision: Matrix
    slopes: Matrix
    build: Callable[[Vector], Calibrator]


def level_curve(log_odds: Vector, *, sd: float) -> Curve:
    """Return z + shift, with the prior standard deviation of the shift in log-odds."""
    return Curve(
        "level",
        np.ones((len(log_odds), 1)),
        np.array([[sd**-2]]),
        np.zeros((1, 1)),
        lambda numbers: AffineCalibrator(float(numbers[0]), 1.0),
    )


def line_curve(log_odds: Vector, *, centre: float, sd: tuple[float, float]) -> Curve:
    """Return z + shift + (slope − 1)(z − centre), with the prior standard deviations of shift and slope."""

    def build(numbers: Vector) -> AffineCalibrator:
        slope = max(1.0 + float(numbers[1]), LEAST_SLOPE)
        return AffineCalibrator(float(numbers[0]) + (1.0 - slope) * centre, slope)

    basis = np.column_stack([np.ones(len(log_odds)), log_odds - centre])
    return Curve("line", basis, np.diag(np.array(sd) ** -2.0), np.array([[0.0, 1.0]]), build)


def parabola_curve(log_odds: Vector, *, centre: float, sd: tuple[float, float, float]) -> Curve | None:
    """Return the line plus curve · (z − centre)² inside the middle 99 % of log-odds, straight beyond; None if flat."""
    low, high = _middle(log_odds)
    if high - low < _FLAT:
        return None
    inside = np.clip(log_odds, low, high)
    squares = (inside - centre) ** 2 + 2 * (inside - centre) * (log_odds - inside)
    basis = np.column_stack([np.ones(len(log_odds)), log_odds - centre, squares])
    slopes = np.array([[0.0, 1.0, 2 * (low - centre)], [0.0, 1.0, 2 * (high - centre)]])

    def build(numbers: Vector) -> QuadraticCalibrator:
        shift, slope, curve = float(numbers[0]), max(1.0 + float(numbers[1]), LEAST_SLOPE), float(numbers[2])
        fall = min(2 * curve * (low - centre), 2 * curve * (high - centre))
        curve *= _share_that_rises(slope, fall)
        return QuadraticCalibrator(
            intercept=shift + (1.0 - slope) * centre + curve * centre**2,
            slope=slope - 2 * curve * centre,
            curve=curve,
            low=low,
            high=high,
        )

    return Curve("quadratic", basis, np.diag(np.array(sd) ** -2.0), slopes, build)


def spline_curve(log_odds: Vector, *, sd: tuple[float, float], stiffness: float) -> Curve | None:
    """Return the natural cubic spline on 8 equally spaced knots over the middle 99 % of log-odds; None if flat.

    θ is how far each knot's value moves. Its prior: the standard deviations of shift and slope, and for the bend the
    density exp(−stiffness / 2 · ∫ curve″²).
    """
    from scipy.interpolate import CubicSpline

    low, high = _middle(log_odds)
    if high - low < _FLAT:
        return None
    knots = np.linspace(low, high, _KNOTS)
    cardinal = CubicSpline(knots, np.eye(_KNOTS), bc_type="natural")
    ends = cardinal(np.array([low, high]), 1)
    basis = (
        cardinal(np.clip(log_odds, low, high))
        + np.minimum(log_odds - low, 0.0)[:, None] * ends[0]
        + np.maximum(log_odds - high, 0.0)[:, None] * ends[1]
    )
    shift = basis.mean(axis=0)
    tilt = (knots - knots.mean()) / np.sum((knots - knots.mean()) ** 2)
    precision = (
        np.outer(shift, shift) / sd[0] ** 2
        + np.outer(tilt, tilt) / sd[1] ** 2
        + stiffness * _roughness(cardinal(knots, 2), knots[1] - knots[0])
    )
    slopes = cardinal(np.linspace(low, high, 8 * (_KNOTS - 1) + 1), 1)

    def build(numbers: Vector) -> SplineCalibrator:
        moved = knots + numbers
        slope = float(tilt @ moved)
        bend = moved - moved.mean() - slope * (knots - knots.mean())
        slope = max(slope, LEAST_SLOPE)
        bend = bend * _share_that_rises(slope, least_slope(low, high, bend))
        values = moved.mean() + slope * (knots - knots.mean()) + bend
        return SplineCalibrator(low, high, tuple(float(value) for value in values))

    return Curve(f"spline {stiffness:g}", basis, precision, slopes, build)


def _middle(log_odds: Vector) -> tuple[float, float]:
    low, high = np.quantile(log_odds, [_TAIL, 1 - _TAIL])
    return float(low), float(high)


def _roughness(second: Matrix, step: float) -> Matrix:
    """Return ∫ curve″² as a quadratic form; `second` maps θ to curve″ at the knots, between which it is a line."""
    mass = np.diag(np.full(_KNOTS, 2 * step / 3))
    mass[0, 0] = mass[-1, -1] = step / 3
    beside = np.full(_KNOTS - 1, step / 6)
    return np.asarray(second.T @ (mass + np.diag(beside, 1) + np.diag(beside, -1)) @ second)


def _share_that_rises(slope: float, fall: float) -> float:
    """Return how much of a bend may stay so that a line of this slope still rises where the bend falls most."""
    return min(1.0, (slope - LEAST_SLOPE) / -fall) if fall < 0 else 1.0
