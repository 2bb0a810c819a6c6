"""How long conversions take: what tells whether the horizon is long enough and how many leads are too young to know."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["DelayTable", "tabulate_delays"]

Vector = NDArray[np.float64]
_POINTS = 101


@dataclass(frozen=True)
class DelayTable:
    """Share of the conversions within the horizon that came by a day.

    Attributes
    ----------
    within, later
        Number of conversions within the horizon, and after it; a conversion exactly at its end is after it.
    days
        From 0 to the horizon, shape (101,).
    share, low, high
        Share that came by that day, that day included, with 95 % Clopper–Pearson intervals; `nan` without conversions.
    """

    horizon_days: float
    within: int
    later: int
    days: Vector
    share: Vector
    low: Vector
    high: Vector
    _sorted: tuple[float, ...] = ()

    @property
    def later_share(self) -> float:
        """Share of all known conversions that came after the horizon, `nan` without any."""
        every = self.within + self.later
        return self.later / every if every else float("nan")

    def days_until(self, share: float) -> float:
        """Return the days by which this share of the conversions within the horizon had come; `nan` without any."""
        if not self._sorted:
            return float("nan")
        return self._sorted[max(0, int(np.ceil(share * self.within - 1e-9)) - 1)]


def tabulate_delays(days_to_conversion: Vector, horizon_days: float) -> DelayTable:
    """Tabulate the delays of conversions.

    Parameters
    ----------
    days_to_conversion
        Days from a lead's arrival to its conversion, one for each converted lead of those old enough to know: leads
        that came in so late that only a fast conversion can have been seen would bend the curve.
    horizon_days
        Length of the label window.

    Raises
    ------
    ValueError
        A delay is negative or not a number, or the horizon is not positive.

    >>> curve = tabulate_delays(np.array([0.0, 2.0, 4.0, 30.0]), 10)
    >>> curve.within, curve.later, curve.days_until(0.5), round(float(curve.share[20]), 3)
    (3, 1, 2.0, 0.667)
    """
    from scipy import stats

    if horizon_days <= 0:
        raise ValueError(f"horizon_days is {horizon_days}; it must be positive.")
    if not np.all(days_to_conversion >= 0):
        bad = int(np.sum(~(days_to_conversion >= 0)))
        raise ValueError(f"days_to_conversion has {bad} values that are negative or missing. Leave those leads out.")
    inside = np.sort(days_to_conversion[days_to_conversion < horizon_days])
    days = np.linspace(0.0, horizon_days, _POINTS)
    came, within = np.searchsorted(inside, days, side="right"), len(inside)
    share, low, high = np.full((3, _POINTS), np.nan)
    if within:
        share = came / within
        low = np.where(came > 0, stats.beta.ppf(0.025, np.maximum(came, 1), within - came + 1), 0.0)
        high = np.where(came < within, stats.beta.ppf(0.975, came + 1, np.maximum(within - came, 1)), 1.0)
    later = len(days_to_conversion) - within
    return DelayTable(float(horizon_days), within, later, days, share, low, high, tuple(inside.tolist()))
