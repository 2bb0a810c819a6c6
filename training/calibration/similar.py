"""What similarly scored leads did: make the table of intervals from a period the model had not seen."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.interval import IntervalTable

__all__ = ["build_interval_table"]

Vector: TypeAlias = NDArray[np.float64]

_POINTS = 200
_POWER = 0.7
_EDGE = 1e-9


def build_interval_table(
    probability: NDArray[np.float64],
    converted: NDArray[np.bool_],
    *,
    leads: NDArray[np.str_],
    level: float = 0.9,
) -> IntervalTable:
    """Tabulate Clopper–Pearson intervals for the conversion of the k leads nearest in log-odds, k = ⌈leads^0.7⌉.

    The window shrinks against the number of leads, so that in the end bias and width both vanish. All rows as near as
    the k-th lead belong to it, and a lead counts once. The neighbours are alike, not equal: at the ends of the scale
    they are all on one side. So the interval for their rate is carried to the point as the shift of all their log-odds
    that would make it their mean probability; well inside the scale this changes next to nothing.

    Parameters
    ----------
    probability, converted, leads
        Shape (rows,): calibrated probabilities of mature rows from a period that fitted neither estimator nor
        calibrator, or was predicted forward in time.
    level
        Both ends together miss in 1 − level of cases.

    Raises
    ------
    ValueError
        There are no rows.

    >>> said = np.repeat([0.1, 0.5], 500)
    >>> table = build_interval_table(said, np.arange(1_000) % 10 == 0, leads=np.arange(1_000).astype(str))
    >>> [round(float(ends[0]), 2) for ends in table.bounds(np.array([0.1]))]
    [0.08, 0.12]
    """
    from scipy import special

    if not len(probability):
        raise ValueError("an interval table needs at least one mature lead")
    names, lead = np.unique(leads, return_inverse=True)
    order = np.lexsort((lead, probability))
    lead, outcome = lead[order], converted[order].astype(np.float64)
    said = probability[order]
    place = np.asarray(special.logit(np.clip(said, _EDGE, 1 - _EDGE)))
    window = math.ceil(len(names) ** _POWER)
    points = np.unique(np.round(np.linspace(0, len(place) - 1, min(_POINTS, len(place)))).astype(np.int64))
    columns = np.array(
        [
            _bounds_at(float(centre), *_nearest(place, lead, outcome, centre=float(centre), window=window), level=level)
            for centre in np.unique(place[points])
        ]
    )
    return IntervalTable(
        probability=tuple(columns[:, 0].tolist()),
        low=tuple(columns[:, 1].tolist()),
        high=tuple(columns[:, 2].tolist()),
        level=level,
        leads=len(names),
        window=window,
    )


def _nearest(
    place: Vector, lead: NDArray[np.int64], outcome: Vector, *, centre: float, window: int
) -> tuple[Vector, float]:
    """Return the mean log-odds of each of the `window` leads nearest to `centre`, and how many of them converted.

    All who are as near as the last one belong to them. A lead counts once, with the means of its rows.
    """
    middle = int(np.searchsorted(place, centre))
    reach = 2 * window
    while True:
        # whoever is among the `reach` nearest is within so many rows on either side
        start, stop = max(0, middle - reach), min(len(place), middle + reach)
        distance = np.abs(place[start:stop] - centre)
        near = np.argsort(distance, kind="stable")[:reach]
        _, first = np.unique(lead[start:stop][near], return_index=True)
        if len(first) >= window or reach >= len(place):
            break
        reach *= 2
    last = np.sort(first)[min(window, len(first)) - 1]
    radius = float(distance[near[last]]) + 1e-12
    left = int(np.searchsorted(place, centre - radius, side="left"))
    right = int(np.searchsorted(place, centre + radius, side="right"))
    _, own = np.unique(lead[left:right], return_inverse=True)
    rows = np.bincount(own)
    mean_place, wins = (np.bincount(own, weights=column[left:right]) / rows for column in (place, outcome))
    return mean_place, float(wins.sum())


def _bounds_at(centre: float, near: Vector, wins: float, *, level: float) -> tuple[float, float, float]:
    """Return a point of the table: the probability at `centre` and the ends of its interval."""
    from scipy import special

    ends = _clopper_pearson(wins, len(near), level=level)
    low, high = (float(special.expit(centre + _shift_to(end, near))) for end in ends)
    return float(special.expit(centre)), low, high


def _shift_to(rate: float, near: Vector) -> float:
    """Return how far all log-odds have to move for their mean probability to be `rate`."""
    from scipy import optimize, special

    if rate in (0.0, 1.0):
        return -math.inf if rate == 0.0 else math.inf
    goal = float(special.logit(rate))
    # the shift lies between those that the largest and the smallest log-odds alone would need
    least, most = goal - float(near.max()), goal - float(near.min())

    def lack(shift: float) -> float:
        return float(np.mean(special.expit(near + shift))) - rate

    return float(optimize.brentq(lack, least - 1e-9, most + 1e-9, xtol=1e-7))


def _clopper_pearson(wins: float, n: int, *, level: float) -> tuple[float, float]:
    """Return the exact binomial interval (Clopper and Pearson 1934); wins may be broken, as beta quantiles allow."""
    from scipy import special

    tail = (1 - level) / 2
    low = float(special.betaincinv(wins, n - wins + 1, tail)) if wins > 0 else 0.0
    high = float(special.betaincinv(wins + 1, n - wins, 1 - tail)) if wins < n else 1.0
    return low, high
