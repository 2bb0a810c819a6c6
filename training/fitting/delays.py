"""How long conversions take, and what is known at a moment of leads that are still young.

A lead that has not bought yet is no loss: it may buy tomorrow. With p the probability to convert within the horizon and
F(a) the share of those conversions that come within the first a days, a lead watched for a days without a conversion
converts after all with probability p·(1 − F) / (1 − p·F) (Chapelle 2014, with F not parametric).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["DelayCurve", "Known", "known_at", "learn_delays", "still_to_come"]

Vector = NDArray[np.float64]
Flags = NDArray[np.bool_]
_PSEUDO_CONVERSIONS = 50.0
_FEWEST_CONVERTED = 100
_EDGES = 60


@dataclass(frozen=True)
class DelayCurve:
    """The share of conversions within the horizon that have come a while after the question was asked.

    Attributes
    ----------
    edges
        Times since `as_of`, as shares of the horizon, rising from 0 to 1, shape (edges,).
    share
        By age of the lead when it was asked about: share of conversions that came by each edge, same shape.
    conversions
        How many converted leads it was learnt from.
    """

    edges: Vector
    share: dict[int, Vector]
    pooled: Vector
    conversions: int

    def seen(self, age: NDArray[np.int64], watched: Vector) -> Vector:
        """Return F for each row: how much of what will come has had the time to come, in [0, 1], shape (rows,).

        Parameters
        ----------
        age
            Age of the lead when it was asked about, in seconds.
        watched
            How long it has been watched since, as a share of the horizon.
        """
        found = np.interp(watched, self.edges, self.pooled)
        for known, share in self.share.items():
            rows = age == known
            found[rows] = np.interp(watched[rows], self.edges, share)
        return found


@dataclass(frozen=True)
class Known:
    """What is known at a moment of leads asked about before it.

    Attributes
    ----------
    converted
        Whether a conversion has been seen by then.
    seen
        F: 1 for those whose horizon is over, less for the young, shape (rows,).
    """

    converted: Flags
    seen: Vector

    def part(self, rows: NDArray[np.intp]) -> Known:
        """Return some of the rows."""
        return Known(self.converted[rows], self.seen[rows])


def learn_delays(age: NDArray[np.int64], delay: Vector, leads: NDArray[np.str_]) -> DelayCurve | None:
    """Learn the curve from the conversions of leads whose horizon is over; null if fewer than 100 leads converted.

    Each age's own curve is shrunk to that of all by 50 conversions: silence for a month says something else of a fresh
    lead than of an old one, but few leads convert late.

    Parameters
    ----------
    age, delay, leads
        One row a conversion: age of the lead at `as_of` in seconds, time from `as_of` to the conversion as a share of
        the horizon in [0, 1), id of the lead.
    """
    converted = len(np.unique(leads))
    if converted < _FEWEST_CONVERTED:
        return None
    edges = np.linspace(0.0, 1.0, _EDGES + 1)
    pooled = _share_by(edges, delay)
    share = {}
    for known in np.unique(age):
        rows = age == known
        weight = rows.sum() / (rows.sum() + _PSEUDO_CONVERSIONS)
        share[int(known)] = weight * _share_by(edges, delay[rows]) + (1.0 - weight) * pooled
    return DelayCurve(edges, share, pooled, converted)


def _share_by(edges: Vector, delay: Vector) -> Vector:
    return np.searchsorted(np.sort(delay), edges, side="right") / len(delay)


def known_at(age: NDArray[np.int64], delay: Vector, watched: Vector, curve: DelayCurve | None) -> Known:
    """Say what had been seen of each row when it had been watched for a while.

    Parameters
    ----------
    delay
        Time to the conversion as a share of the horizon, NaN if none came within it.
    watched
        Time since `as_of` as a share of the horizon, at least 0.
    curve
        Without one only rows watched for the whole horizon say anything: `seen` of the others is 0.
    """
    converted = delay < np.minimum(watched, 1.0)  # NaN: no
    seen = curve.seen(age, watched) if curve is not None else np.zeros(len(watched))
    return Known(converted, np.where(watched >= 1.0, 1.0, seen))


def still_to_come(probability: Vector, seen: Vector) -> Vector:
    """Return the probability that a lead without a conversion so far converts within its horizon after all.

    >>> still_to_come(np.array([0.2, 0.2, 0.2]), np.array([0.0, 0.5, 1.0])).round(3).tolist()
    [0.2, 0.111, 0.0]
    """
    return probability * (1.0 - seen) / (1.0 - probability * seen)
