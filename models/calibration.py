"""Calibrators: from log-odds to a probability. They take log-odds, never probabilities.

A calibrator is a rising curve on the log-odds, followed by the logistic function. All of them are values with readable
numbers, and none ever changes the order of two leads, not even in the last bit: the formulas are written so that
rounding cannot. Outside the range they were fitted on curves go on as straight lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.interpolate import CubicSpline

__all__ = [
    "AffineCalibrator",
    "Calibrator",
    "QuadraticCalibrator",
    "SplineCalibrator",
    "least_slope",
    "logit",
    "read_calibrator",
]

Vector: TypeAlias = NDArray[np.float64]
_LEAST_SLOPE = 1e-3
_FEWEST_KNOTS, _MOST_KNOTS = 3, 10
_STEP = 2.0**-30


@dataclass(frozen=True)
class AffineCalibrator:
    """Probability = 1 / (1 + exp(−(intercept + slope · log-odds))); slope is positive, so the order never changes.

    >>> AffineCalibrator(0.0, 1.0).probability(np.array([0.0, 2.0])).round(3).tolist()
    [0.5, 0.881]
    """

    intercept: float
    slope: float
    input: Literal["log_odds"] = "log_odds"
    kind: Literal["affine"] = "affine"

    def __post_init__(self) -> None:
        if not self.slope > 0:
            raise ValueError(f"a calibrator's slope must be positive, found {self.slope}")

    def calibrated(self, log_odds: Vector) -> Vector:
        """Return log-odds after calibration, shape as given."""
        return np.asarray(self.intercept + self.slope * np.ascontiguousarray(log_odds))

    def probability(self, log_odds: Vector) -> Vector:
        """Return probabilities in (0, 1), shape as given."""
        return _expit(self.calibrated(log_odds))

    def shifted(self, by: float) -> AffineCalibrator:
        """Return the same calibrator with all its log-odds moved by so much."""
        return replace(self, intercept=self.intercept + by)

    def to_json(self) -> dict[str, object]:
        """Return the readable form that the manifest stores."""
        return asdict(self)

    @staticmethod
    def from_json(content: Mapping[str, object]) -> AffineCalibrator:
        """Read what `to_json` wrote."""
        _check_input(content)
        return AffineCalibrator(_number(content, "intercept"), _number(content, "slope"))


@dataclass(frozen=True)
class QuadraticCalibrator:
    """σ(intercept + slope · z + curve · z²) for z in [low, high], with its end slopes beyond; rising everywhere.

    >>> calibrator = QuadraticCalibrator(0.0, 1.0, 0.1, low=-4.0, high=2.0)
    >>> calibrator.calibrated(np.array([-5.0, 0.0, 1.0, 3.0])).round(3).tolist()
    [-2.6, 0.0, 1.1, 3.8]
    """

    intercept: float
    slope: float
    curve: float
    low: float
    high: float
    input: Literal["log_odds"] = "log_odds"
    kind: Literal["quadratic"] = "quadratic"

    def __post_init__(self) -> None:
        _check_range(self.low, self.high)
        if not min(self._slope_at(self.low), self._slope_at(self.high)) >= _LEAST_SLOPE:
            raise ValueError(
                f"a calibrator must rise: its slopes are {self._slope_at(self.low)} at {self.low} and "
                f"{self._slope_at(self.high)} at {self.high}, at least {_LEAST_SLOPE} is needed"
            )

    def _slope_at(self, place: float) -> float:
        return self.slope + 2 * self.curve * place

    def _value_at(self, place: float) -> float:
        return self.intercept + place * (self.slope + self.curve * place)

    def calibrated(self, log_odds: Vector) -> Vector:
        """Return log-odds after calibration, shape as given."""
        z = np.ascontiguousarray(log_odds)
        inside = np.clip(z, self.low, self.high)
        at_low, at_high = self._slope_at(self.low), self._slope_at(self.high)
        # seen from the flatter end every factor grows with the distance, and rounding keeps the order of such products
        if self.curve >= 0:
            way = inside - self.low
            bent = self._value_at(self.low) + way * (at_low + self.curve * way)
        else:
            way = self.high - inside
            bent = self._value_at(self.high) - way * (at_high - self.curve * way)
        return np.asarray(bent + at_low * np.minimum(z - self.low, 0.0) + at_high * np.maximum(z - self.high, 0.0))

    def probability(self, log_odds: Vector) -> Vector:
        """Return probabilities in (0, 1), shape as given."""
        return _expit(self.calibrated(log_odds))

    def shifted(self, by: float) -> QuadraticCalibrator:
        """Return the same calibrator with all its log-odds moved by so much."""
        return replace(self, intercept=self.intercept + by)

    def to_json(self) -> dict[str, object]:
        """Return the readable form that the manifest stores."""
        return asdict(self)

    @staticmethod
    def from_json(content: Mapping[str, object]) -> QuadraticCalibrator:
        """Read what `to_json` wrote."""
        _check_input(content)
        intercept, slope, curve, low, high = (
            _number(content, key) for key in ("intercept", "slope", "curve", "low", "high")
        )
        return QuadraticCalibrator(intercept, slope, curve, low, high)


@dataclass(frozen=True)
class SplineCalibrator:
    """σ of the natural cubic spline through `values` at equally spaced knots from low to high; rising everywhere.

    Attributes
    ----------
    low, high
        The first and the last knot, in log-odds; beyond them the spline is the straight line it ends with.
    values
        Log-odds after calibration at the knots, 3 to 10 of them.

    >>> calibrator = SplineCalibrator(-3.0, 1.0, (-2.5, -1.2, 0.9))
    >>> calibrator.calibrated(np.array([-3.0, -1.0, 1.0])).round(3).tolist()
    [-2.5, -1.2, 0.9]
    """

    low: float
    high: float
    values: tuple[float, ...]
    input: Literal["log_odds"] = "log_odds"
    kind: Literal["spline"] = "spline"

    def __post_init__(self) -> None:
        _check_range(self.low, self.high)
        if not _FEWEST_KNOTS <= len(self.values) <= _MOST_KNOTS:
            raise ValueError(f"a spline has {_FEWEST_KNOTS} to {_MOST_KNOTS} values, found {len(self.values)}")
        if not np.isfinite(self.values).all():
            raise ValueError(f"a spline's values must be finite, found {self.values}")
        if not self.least_slope >= _LEAST_SLOPE:
            raise ValueError(f"a calibrator must rise: its smallest slope is {self.least_slope}")

    @property
    def knots(self) -> Vector:
        """Where the values stand, in log-odds."""
        return np.linspace(self.low, self.high, len(self.values))

    @cached_property
    def _curve(self) -> CubicSpline:
        from scipy.interpolate import CubicSpline

        return CubicSpline(self.knots, np.array(self.values), bc_type="natural")

    @cached_property
    def least_slope(self) -> float:
        """The smallest slope of the curve."""
        return least_slope(self.low, self.high, np.array(self.values))

    def calibrated(self, log_odds: Vector) -> Vector:
        """Return log-odds after calibration, shape as given; within 1e-8 of the spline.

        A cubic may round against the order of two numbers that almost touch. So it is taken at multiples of 2⁻³⁰, and
        in between a line rises too little to reach the next.
        """
        z = np.ascontiguousarray(log_odds)
        way = np.clip(z, self.low, self.high) - self.low
        taken = np.floor(way / _STEP) * _STEP
        bent = self._curve(self.low + taken) + 0.5 * self.least_slope * (way - taken)
        at_low, at_high = (float(slope) for slope in self._curve(np.array([self.low, self.high]), 1))
        return np.asarray(bent + at_low * np.minimum(z - self.low, 0.0) + at_high * np.maximum(z - self.high, 0.0))

    def probability(self, log_odds: Vector) -> Vector:
        """Return probabilities in (0, 1), shape as given."""
        return _expit(self.calibrated(log_odds))

    def shifted(self, by: float) -> SplineCalibrator:
        """Return the same calibrator with all its log-odds moved by so much."""
        return replace(self, values=tuple(value + by for value in self.values))

    def to_json(self) -> dict[str, object]:
        """Return the readable form that the manifest stores."""
        return {**asdict(self), "values": list(self.values)}

    @staticmethod
    def from_json(content: Mapping[str, object]) -> SplineCalibrator:
        """Read what `to_json` wrote."""
        _check_input(content)
        values: Sequence[float] = content["values"]  # type: ignore[assignment]
        return SplineCalibrator(
            _number(content, "low"), _number(content, "high"), tuple(float(value) for value in values)
        )


Calibrator: TypeAlias = AffineCalibrator | QuadraticCalibrator | SplineCalibrator


def read_calibrator(content: Mapping[str, object]) -> Calibrator:
    """Read any calibrator from its readable form; one without a kind is affine, as older manifests wrote it.

    Raises
    ------
    ValueError
        The kind is unknown, it does not take log-odds, or the curve does not rise.

    >>> read_calibrator({"intercept": 0.5, "slope": 1.0, "input": "log_odds"}).kind
    'affine'
    """
    match content.get("kind", "affine"):
        case "affine":
            return AffineCalibrator.from_json(content)
        case "quadratic":
            return QuadraticCalibrator.from_json(content)
        case "spline":
            return SplineCalibrator.from_json(content)
        case other:
            raise ValueError(f"unknown calibrator {other!r}: this version reads affine, quadratic and spline")


def least_slope(low: float, high: float, values: Vector) -> float:
    """Return the smallest slope of the natural cubic spline through values at equally spaced knots from low to high.

    Between knots the slope is a parabola, so the smallest is at a knot or where a parabola turns.

    >>> round(least_slope(0.0, 2.0, np.array([0.0, 1.0, 2.0])), 12)
    1.0
    """
    from scipy.interpolate import CubicSpline

    knots = np.linspace(low, high, len(values))
    curve = CubicSpline(knots, values, bc_type="natural")
    cubic, square, line, _ = curve.c
    with np.errstate(divide="ignore", invalid="ignore"):
        turn = -square / (3 * cubic)
    turn = np.where((turn > 0) & (turn < knots[1] - knots[0]), turn, 0.0)
    return float(min(np.min(curve(knots, 1)), np.min(line + turn * (2 * square + 3 * cubic * turn))))


def logit(rate: float) -> float:
    """Return the log-odds of a rate strictly between 0 and 1.

    >>> round(logit(0.1), 3)
    -2.197
    """
    return float(np.log(rate / (1 - rate)))


def _expit(log_odds: Vector) -> Vector:
    from scipy import special

    return np.asarray(special.expit(log_odds))


def _number(content: Mapping[str, object], key: str) -> float:
    return float(content[key])  # type: ignore[arg-type]


def _check_input(content: Mapping[str, object]) -> None:
    if content["input"] != "log_odds":
        raise ValueError(f"a calibrator takes log_odds, found {content['input']!r}")


def _check_range(low: float, high: float) -> None:
    if not (np.isfinite([low, high]).all() and low < high):
        raise ValueError(f"a calibrator's range must be finite and rising, found {low} to {high}")
