"""Can the probabilities be believed: each figure of calibration beside what a perfect model of this size would show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.evaluation.evaluate import Interval, ratios_with_intervals
from training.evaluation.perfect import Cells, draw_cells, fit_lines, smooth_errors

__all__ = ["CalibrationCheck", "CorpCurve", "ErrorWithFloor", "check_calibration"]

Vector = NDArray[np.float64]
Flags = NDArray[np.bool_]
_SMALLEST = 1e-12


@dataclass(frozen=True)
class ErrorWithFloor:
    """An error of calibration beside its values for a perfect model: their mean and their 95th percentile.

    `p_value` is (1 + draws that reach the value) / (draws + 1).
    """

    value: float
    floor: float
    ceiling: float
    p_value: float

    @property
    def explained_by_chance(self) -> bool:
        """Whether more than one in twenty perfect models of this size shows as much."""
        return self.p_value > 0.05


@dataclass(frozen=True)
class CorpCurve:
    """The reliability curve by isotonic regression, in cells of nearly equal probability, from the lowest up.

    Attributes
    ----------
    rows, said, seen
        Number of rows, mean probability and recalibrated probability, shape (cells,).
    low, high
        Where the middle 90 % of perfect models have their curves (a consistency band about said = seen).
    """

    rows: Vector
    said: Vector
    seen: Vector
    low: Vector
    high: Vector


@dataclass(frozen=True)
class CalibrationCheck:
    """All figures of calibration of one set of probabilities.

    Attributes
    ----------
    said, seen
        Mean probability; share that converted, with its 95 % interval.
    observed_over_expected
        Conversions over the sum of probabilities, with its 95 % interval.
    miscalibration
        That part of the log loss (see `decomposition`), in cells. An isotonic fit finds some in every sample.
    slope, intercept
        Of logit P(converted) on logit of what was said (the intercept with the slope held at 1); their `low` and `high`
        are not intervals of the value but the range that holds 95 % of perfect models of this size.
    clustered
        Whether the perfect models were drawn with all rows of a lead hanging together; else one row is one lead.
    """

    said: float
    seen: Interval
    observed_over_expected: Interval
    smooth_error: ErrorWithFloor
    miscalibration: ErrorWithFloor
    slope: Interval
    intercept: Interval
    curve: CorpCurve
    draws: int
    clustered: bool


def check_calibration(
    probability: Vector,
    converted: Flags,
    *,
    leads: NDArray[np.int64],
    groups: NDArray[np.int64],
    seed: int,
    draws: int = 200,
) -> CalibrationCheck:
    """Hold probabilities against outcomes, and both against `draws` perfect models.

    Parameters
    ----------
    leads
        A number for each row's lead: the perfect models let all rows of a lead hang together.
    groups
        A number for each row's group (account): the intervals resample whole groups.
    """
    wins = converted.astype(np.float64)
    rows = np.ones(len(wins))
    seen, ratio = ratios_with_intervals(
        np.column_stack([wins, wins]), np.column_stack([rows, probability]), groups=groups, seed=seed
    )
    cells = draw_cells(probability, converted, leads=leads, seed=seed, draws=draws)
    slope, intercept = (
        _beside(float(found[0]), perfect)
        for found, perfect in zip(fit_lines(cells, cells.wins[None]), fit_lines(cells, cells.drawn), strict=True)
    )
    own, drawn = _recalibrate(cells, cells.wins[None]), _recalibrate(cells, cells.drawn)
    low, high = np.quantile(drawn, [0.05, 0.95], axis=0)
    return CalibrationCheck(
        said=float(probability.mean()),
        seen=seen,
        observed_over_expected=ratio,
        smooth_error=_with_floor(float(smooth_errors(cells, cells.wins[None])[0]), smooth_errors(cells, cells.drawn)),
        miscalibration=_with_floor(
            float(_miscalibration(cells, cells.wins[None], own)[0]), _miscalibration(cells, cells.drawn, drawn)
        ),
        slope=slope,
        intercept=intercept,
        curve=CorpCurve(cells.rows, cells.said, own[0], low, high),
        draws=draws,
        clustered=cells.clustered,
    )


def _beside(value: float, drawn: Vector) -> Interval:
    known = drawn[~np.isnan(drawn)]
    if not len(known):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(known, [0.025, 0.975])
    return Interval(value, float(low), float(high))


def _with_floor(value: float, drawn: Vector) -> ErrorWithFloor:
    p_value = (1 + int(np.sum(drawn >= value))) / (len(drawn) + 1)
    return ErrorWithFloor(value, float(drawn.mean()), float(np.quantile(drawn, 0.95)), p_value)


def _recalibrate(cells: Cells, wins: Vector) -> Vector:
    """Return the isotonic fit to each row of `wins`, shape (draws, cells).

    The reliability curve of Dimitriadis, Gneiting & Jordan (PNAS 118, 2021), on cells.
    """
    from scipy.optimize import isotonic_regression

    fits = [isotonic_regression(won / cells.rows, weights=cells.rows).x for won in wins]
    return np.clip(np.array(fits, dtype=np.float64), 0.0, 1.0)


def _miscalibration(cells: Cells, wins: Vector, fitted: Vector) -> Vector:
    from scipy import special

    def gain(said: Vector, outcome: Vector) -> Vector:
        return np.asarray(special.xlogy(outcome, said), dtype=np.float64)

    won = gain(fitted, wins) - gain(np.maximum(cells.said, _SMALLEST), wins)
    lost = gain(1 - fitted, cells.rows - wins) - gain(np.maximum(1 - cells.said, _SMALLEST), cells.rows - wins)
    return np.asarray((won + lost).sum(axis=1) / cells.rows.sum(), dtype=np.float64)
