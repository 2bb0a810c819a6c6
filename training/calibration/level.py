"""Follow a moved base rate before the outcomes are in: correct the level of a calibrator by what was seen so far."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.calibration import Calibrator

__all__ = ["LevelShift", "shift_level"]

Vector: TypeAlias = NDArray[np.float64]

_PRIOR_SD, _SHOCK_SD = 0.25, 1.0
_FEWEST_SHOCKED = 200
_ERRORS_NEEDED = 2.0


@dataclass(frozen=True)
class LevelShift:
    """A shift of the level, and whether it was needed.

    Attributes
    ----------
    calibrator
        The moved one if the shift was applied, else the one given.
    shift, error
        In log-odds; the error is the standard deviation of the shift after seeing the rows, 0.25 without any, and of
        how far levels have moved between the leads seen and those that came next.
    applied
        Whether the shift is more than two errors from zero, or was to be followed as far as it lasts.
    """

    calibrator: Calibrator
    shift: float
    error: float
    applied: bool


def shift_level(
    calibrator: Calibrator,
    log_odds: NDArray[np.float64],
    *,
    observed: NDArray[np.bool_],
    seen_share: NDArray[np.float64],
    leads: NDArray[np.str_],
    miss: float = 0.0,
    follow: bool = False,
) -> LevelShift:
    """Find how far the base rate of the latest leads has moved, most of which are too young to know.

    Of the conversions to come within the horizon, a lead of some age has shown the share F(age). With calibrated
    log-odds m the shift c solves Σ w [y − F · σ(m + c)] = 0, held back by a normal prior with standard deviation 0.25,
    or 1 where even so it is beyond 0.5 for 200 leads or more: months do not differ by so much. The sum is scaled by
    A / V, its sensitivity and variance at c = 0 (with F = 1 that is the usual posterior mode).

    Parameters
    ----------
    log_odds
        Shape (rows,), before calibration.
    observed
        Shape (rows,): converted so far, within the horizon.
    seen_share
        Shape (rows,), F in (0, 1]: of the leads that convert within the horizon after such a row, the share that has
        done so at its age. 1 for mature rows.
    leads
        Shape (rows,). Every row weighs leads / rows, as in `choose_calibrator`.
    miss
        How far the level of the leads that came next has been from the one seen of the leads before, in log-odds: a
        standard deviation. It adds to the error, and what it may explain of the shift is not followed.
    follow
        Whether earlier moments were there to measure `miss`. Then the share sd² / (sd² + miss²) of the shift is applied
        whatever its size, since that much of it is expected to last; without them only one beyond two errors is.

    Raises
    ------
    ValueError
        A share is not in (0, 1].

    >>> from models.calibration import AffineCalibrator
    >>> moved = shift_level(
    ...     AffineCalibrator(0.0, 1.0),
    ...     np.full(4_000, -2.0),
    ...     observed=np.arange(4_000) < 120,
    ...     seen_share=np.full(4_000, 0.5),
    ...     leads=np.arange(4_000).astype(str),
    ... )
    >>> moved.applied, round(moved.shift, 2), round(moved.error, 2)
    (True, -0.74, 0.09)
    """
    from scipy import optimize, special

    if not ((seen_share > 0) & (seen_share <= 1)).all():
        raise ValueError("the share of conversions seen so far must be in (0, 1] in every row")
    if not len(log_odds):
        return LevelShift(calibrator, 0.0, _PRIOR_SD, applied=False)
    margin = calibrator.calibrated(log_odds)
    weight = len(np.unique(leads)) / len(leads)

    def moments(shift: float) -> tuple[float, float, float]:
        """Return the sum, its sensitivity A = −dU/dc, and its variance V."""
        share = special.expit(margin + shift)
        expected = seen_share * share
        return (
            weight * float(np.sum(observed - expected)),
            weight * float(np.sum(expected * (1 - share))),
            weight * float(np.sum(expected * (1 - expected))),
        )

    _, sensitivity, variance = moments(0.0)
    scale = sensitivity / variance

    def mode(sd: float) -> float:
        bound = 1.0 + sd**2 * scale * weight * len(log_odds)
        return float(
            optimize.brentq(lambda shift: scale * moments(shift)[0] - shift / sd**2, -bound, bound, xtol=1e-12)
        )

    sd, shift = _PRIOR_SD, mode(_PRIOR_SD)
    if abs(shift) > 2 * _PRIOR_SD and weight * len(log_odds) >= _FEWEST_SHOCKED:
        sd, shift = _SHOCK_SD, mode(_SHOCK_SD)
    _, sensitivity, variance = moments(shift)
    error = math.hypot((sensitivity**2 / variance + sd**-2) ** -0.5, miss)
    applied = abs(shift) > _ERRORS_NEEDED * error
    if applied:
        shift *= 1.0 - (miss / shift) ** 2
    elif follow:
        applied, shift = True, shift * sd**2 / (sd**2 + miss**2)
    return LevelShift(calibrator.shifted(shift) if applied else calibrator, shift, error, applied)
