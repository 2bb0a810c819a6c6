"""Fit calibrators on their own period: as few numbers as the outcomes can carry, and none if none is needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.calibration import AffineCalibrator, Calibrator
from training.calibration.curves import LEAST_SLOPE, Curve, level_curve, line_curve, parabola_curve, spline_curve

__all__ = ["CalibrationChoice", "choose_calibrator", "fit_calibrator"]

Vector: TypeAlias = NDArray[np.float64]

_FOLDS = 10
_FEW, _SOME, _MANY = 50, 200, 1_500
_NARROW_FEW, _NARROW, _LOOSE = (0.25, 0.0), (0.5, 0.15), (3.0, 0.5)
_BEND = 0.1
_STIFFNESS = (1.0, 10.0, 100.0, 1_000.0)
_WALL = 1e4
_STEPS = 50
_CLOSE = 1e-9  # nats over all leads


@dataclass(frozen=True)
class CalibrationChoice:
    """A calibrator, and why it and not a simpler one.

    Attributes
    ----------
    calibrator
        What was chosen, fitted on all rows.
    kind
        `nothing`, `level`, `line`, `quadratic` or `spline`.
    numbers
        Effective number of fitted numbers: the trace of (H + P)⁻¹H, with the curvature H of the log loss and the
        precision P of the prior; 0 for `nothing`.
    gain
        Log loss saved against doing nothing, in nats a lead, where each tenth of the leads is judged by a calibrator
        fitted on the others; for `nothing` that of the best of the others.
    error
        Standard error of the gain, leads counted as wholes.
    cost
        What those numbers may lose by chance: numbers / (2 · leads), in nats a lead. The gain has to exceed it by one
        standard error.
    positives, leads
        Effective numbers of converted and of all leads, (Σw)² / Σw² with each lead's mean weight w.
    """

    calibrator: Calibrator
    kind: str
    numbers: float
    gain: float
    error: float
    cost: float
    positives: int
    leads: int


@dataclass(frozen=True)
class _Period:
    """The rows of the calibration period; weights sum to the number of leads at most."""

    log_odds: Vector
    converted: Vector
    weight: Vector
    lead: NDArray[np.int64]
    leads: float
    positives: float


def fit_calibrator(
    log_odds: NDArray[np.float64],
    converted: NDArray[np.bool_],
    *,
    leads: NDArray[np.str_],
    weight: NDArray[np.float64] | None = None,
) -> Calibrator:
    """Return the calibrator that `choose_calibrator` chooses."""
    return choose_calibrator(log_odds, converted, leads=leads, weight=weight).calibrator


def choose_calibrator(
    log_odds: NDArray[np.float64],
    converted: NDArray[np.bool_],
    *,
    leads: NDArray[np.str_],
    weight: NDArray[np.float64] | None = None,
) -> CalibrationChoice:
    """Choose how to bend log-odds toward what happened, from doing nothing to a spline.

    The number of converted leads decides what may be tried: below 50 only the level may move; from there on a line
    too; from 1,500 on a parabola and splines of several stiffnesses. Normal priors hold each toward doing nothing, with
    standard deviations of 3 for the shift and 0.5 for the slope. Below 200 narrower priors are tried beside these (0.5
    and 0.15; below 50, 0.25): they lose least where little is wrong, the wide ones where much is. The one with the
    largest gain less its cost is taken, if that is more than one standard error of the gain: k numbers lose about
    k / (2n) nats to chance, and the next months differ from these, so a calibrator that is hardly needed makes things
    worse.

    Parameters
    ----------
    log_odds, converted, leads
        Shape (rows,), from a period the estimator was not fitted on. Looking at a lead six times is not six pieces of
        evidence, so every row weighs leads / rows. (One over the lead's own number of snapshots would be wrong: leads
        that convert at once have few, and would count for more.)
    weight
        Shape (rows,), in (0, 1]: multiplies each row's weight, for example ½^(age in months / 6).

    Raises
    ------
    ValueError
        Log-odds are not finite, or a weight is not in (0, 1].

    >>> random = np.random.default_rng(0)
    >>> said = random.normal(-2.0, 1.0, 4_000)
    >>> converted = random.random(4_000) < 1 / (1 + np.exp(-(said - 0.5)))
    >>> choice = choose_calibrator(said, converted, leads=np.arange(4_000).astype(str))
    >>> choice.kind, round(choice.calibrator.intercept, 1), choice.gain > choice.cost
    ('level', -0.4, True)
    """
    from threadpoolctl import threadpool_limits

    period = _weigh(log_odds, converted, leads=leads, weight=weight)
    with threadpool_limits(limits=1, user_api="blas"):  # sums in another order would make another calibrator
        tried = [_try(curve, period) for curve in _curves(period)]
    best = max(tried, key=lambda choice: choice.gain - choice.cost, default=None)
    if best is not None and best.gain > best.cost + best.error:
        return best
    return CalibrationChoice(
        calibrator=AffineCalibrator(0.0, 1.0),
        kind="nothing",
        numbers=0.0,
        gain=best.gain if best is not None else 0.0,
        error=best.error if best is not None else 0.0,
        cost=best.cost if best is not None else 0.0,
        positives=_whole(period.positives),
        leads=_whole(period.leads),
    )


def _weigh(
    log_odds: Vector, converted: NDArray[np.bool_], *, leads: NDArray[np.str_], weight: Vector | None
) -> _Period:
    if not np.isfinite(log_odds).all():
        raise ValueError(f"log-odds must be finite, found {int((~np.isfinite(log_odds)).sum())} that are not")
    given = np.ones(len(log_odds)) if weight is None else np.asarray(weight, dtype=np.float64)
    if not ((given > 0) & (given <= 1)).all():
        raise ValueError("weights of rows must be in (0, 1]")
    names, lead = np.unique(leads, return_inverse=True)
    rows = np.bincount(lead, minlength=len(names))
    mean_weight = np.bincount(lead, weights=given, minlength=len(names)) / np.maximum(rows, 1)
    won = np.bincount(lead, weights=converted, minlength=len(names)) > 0
    share = len(names) / max(len(lead), 1)
    return _Period(
        np.asarray(log_odds, dtype=np.float64),
        converted.astype(np.float64),
        given * share,
        lead.astype(np.int64),
        leads=_effective(mean_weight),
        positives=_effective(mean_weight[won]),
    )


def _effective(weight: Vector) -> float:
    """Return how many equal weights say as much: (Σw)² / Σw² (Kish 1965)."""
    return float(weight.sum() ** 2 / (weight @ weight)) if len(weight) else 0.0


def _whole(number: float) -> int:
    return int(round(number, 6))


def _curves(period: _Period) -> Iterator[Curve]:
    if period.leads < 2:
        return
    log_odds, positives = period.log_odds, _whole(period.positives)
    narrow = _NARROW_FEW if positives < _FEW else _NARROW
    priors = [narrow, _LOOSE] if positives < _SOME else [_LOOSE]
    yield from (level_curve(log_odds, sd=prior[0]) for prior in priors)
    if positives < _FEW or float(np.std(log_odds)) < 1e-9:
        return
    centre = float(np.average(log_odds, weights=period.weight))
    yield from (line_curve(log_odds, centre=centre, sd=prior) for prior in priors)
    if positives < _MANY:
        return
    bent = [parabola_curve(log_odds, centre=centre, sd=(*_LOOSE, _BEND))]
    bent += [spline_curve(log_odds, sd=_LOOSE, stiffness=stiffness) for stiffness in _STIFFNESS]
    yield from (curve for curve in bent if curve is not None)


def _try(curve: Curve, period: _Period) -> CalibrationChoice:
    """Fit a curve on all leads, and judge it on each tenth of them by the other nine."""
    everyone = np.ones(len(period.log_odds), dtype=np.bool_)
    numbers = _fit(curve, period, everyone, start=np.zeros(curve.basis.shape[1]))
    fold = period.lead % _FOLDS
    saved = np.zeros(len(fold))
    for number in range(_FOLDS):
        inside = fold == number
        if inside.any():
            others = _fit(curve, period, ~inside, start=numbers)
            saved[inside] = _saved(curve, period, inside, others)
    effective = _effective_numbers(curve, period, numbers)
    total = float(period.weight.sum())
    by_lead = np.bincount(period.lead, weights=saved - period.weight * float(saved.sum()) / total)
    return CalibrationChoice(
        calibrator=curve.build(numbers),
        kind=curve.name.partition(" ")[0],
        numbers=effective,
        gain=float(saved.sum()) / total,
        error=float(np.sqrt(by_lead @ by_lead)) / total,
        cost=effective / (2 * period.leads),
        positives=_whole(period.positives),
        leads=_whole(period.leads),
    )


def _saved(curve: Curve, period: _Period, rows: NDArray[np.bool_], numbers: Vector) -> Vector:
    """Return the weighted log loss that a calibrator saves on each of some rows against doing nothing."""
    before = period.log_odds[rows]
    after = curve.build(numbers).calibrated(before)
    saved = _loss(before, period.converted[rows]) - _loss(after, period.converted[rows])
    return np.asarray(period.weight[rows] * saved)


def _loss(log_odds: Vector, converted: Vector) -> Vector:
    return np.asarray(np.logaddexp(0.0, log_odds) - converted * log_odds)


def _effective_numbers(curve: Curve, period: _Period, numbers: Vector) -> float:
    from scipy import special

    share = special.expit(period.log_odds + curve.basis @ numbers)
    curvature = curve.basis.T @ ((period.weight * share * (1 - share))[:, None] * curve.basis)
    return float(np.trace(np.linalg.solve(curvature + curve.precision, curvature)))


def _fit(curve: Curve, period: _Period, rows: NDArray[np.bool_], *, start: Vector) -> Vector:
    """Maximise the penalised likelihood by Newton's method with halved steps; it is concave, so there is one maximum.

    Where the curve would rise less than it must, a steep quadratic wall pushes back (Bollaerts, Eilers and van
    Mechelen 2006, Simple and multiple P-splines regression with shape constraints).
    """
    from scipy import special

    basis, offset = curve.basis[rows], period.log_odds[rows]
    converted, weight = period.converted[rows], period.weight[rows]
    wall = _WALL * max(1.0, float(weight.sum()))

    def loss(numbers: Vector) -> float:
        lack = np.minimum(1.0 + curve.slopes @ numbers - LEAST_SLOPE, 0.0)
        prior = numbers @ curve.precision @ numbers + wall * (lack @ lack)
        return float(weight @ _loss(offset + basis @ numbers, converted) + 0.5 * prior)

    numbers, reached = start, loss(start)
    for _ in range(_STEPS):
        share = special.expit(offset + basis @ numbers)
        lack = np.minimum(1.0 + curve.slopes @ numbers - LEAST_SLOPE, 0.0)
        short = curve.slopes[lack < 0]
        gradient = basis.T @ (weight * (share - converted)) + curve.precision @ numbers + wall * (curve.slopes.T @ lack)
        curvature = (
            basis.T @ ((weight * share * (1 - share))[:, None] * basis) + curve.precision + wall * short.T @ short
        )
        step = np.linalg.solve(curvature, gradient)
        expected = float(gradient @ step)
        if expected <= _CLOSE:
            return np.asarray(numbers - step)
        while (found := loss(numbers - step)) > reached and expected > _CLOSE:
            step, expected = step / 2, expected / 2
        if not found < reached:
            break
        numbers, reached = numbers - step, found
    return numbers
