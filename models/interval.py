"""The observed conversion of similarly scored leads, as a table that scoring reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

__all__ = ["IntervalTable"]

_MOST_POINTS = 200


@dataclass(frozen=True)
class IntervalTable:
    """What leads with about this probability did: an interval for their conversion.

    It speaks of the group, E[converted | probability], and covers that in about `level` of cases. It does not bound the
    one true probability of a lead: leads with equal scores differ in what nobody recorded, and no interval that holds
    without assumptions can tell how much (Barber 2020, Is distribution-free inference possible for binary regression?).
    It may leave out the probability itself: then such leads converted more, or less, often than was said.

    Attributes
    ----------
    probability, low, high
        At most 200 points with rising probability, and the interval's ends there; all in [0, 1].
    level
        What share of such intervals covers, for example 0.9.
    leads, window
        How many leads the table was made from, and how many of them (at least) speak at each point.

    >>> table = IntervalTable((0.1, 0.3), (0.05, 0.2), (0.2, 0.4), level=0.9, leads=900, window=118)
    >>> [ends.round(3).tolist() for ends in table.bounds(np.array([0.0, 0.2, 0.3]))]
    [[0.05, 0.125, 0.2], [0.2, 0.3, 0.4]]
    """

    probability: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    level: float
    leads: int
    window: int

    def __post_init__(self) -> None:
        points, low, high = (np.array(column) for column in (self.probability, self.low, self.high))
        if not (1 <= len(points) <= _MOST_POINTS and len(points) == len(low) == len(high)):
            raise ValueError(f"an interval table has 1 to {_MOST_POINTS} points, and both ends for each")
        if not ((points >= 0).all() and (points <= 1).all() and (np.diff(points) > 0).all()):
            raise ValueError("an interval table's probabilities must rise within [0, 1]")
        if not ((low >= 0) & (low <= high) & (high <= 1)).all():
            raise ValueError("an interval's ends must be in order, within [0, 1]")
        if not 0 < self.level < 1:
            raise ValueError(f"an interval's level must be between 0 and 1, found {self.level}")

    def bounds(self, probability: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the ends, low ≤ high, shapes as given: on straight lines between points, level beyond the last."""
        points, low, high = (np.array(column) for column in (self.probability, self.low, self.high))
        inside = np.clip(probability, points[0], points[-1])
        after = np.clip(np.searchsorted(points, inside), 1, max(len(points) - 1, 1))
        before, after = after - 1, np.minimum(after, len(points) - 1)
        width = points[after] - points[before]
        share = (inside - points[before]) / np.where(width > 0, width, 1.0)
        lower = low[before] + share * (low[after] - low[before])
        upper = high[before] + share * (high[after] - high[before])
        return np.asarray(lower), np.asarray(np.maximum(lower, upper))

    def shifted(self, by: float) -> IntervalTable:
        """Return the table of a model with shifted calibrated log-odds, and the conversion that it then expects."""
        from scipy import special

        columns = (
            np.asarray(special.expit(special.logit(column) + by)) for column in (self.probability, self.low, self.high)
        )
        probability, low, high = (tuple(map(float, column)) for column in columns)
        return replace(self, probability=probability, low=low, high=high)

    def to_json(self) -> dict[str, object]:
        """Return the readable form that the manifest stores."""
        columns = {name: list(getattr(self, name)) for name in ("probability", "low", "high")}
        return {**asdict(self), **columns}

    @staticmethod
    def from_json(content: Mapping[str, object]) -> IntervalTable:
        """Read what `to_json` wrote."""
        columns: list[Sequence[float]] = [content[name] for name in ("probability", "low", "high")]  # type: ignore[misc]
        probability, low, high = (tuple(float(value) for value in column) for column in columns)
        level, leads, window = (float(content[name]) for name in ("level", "leads", "window"))  # type: ignore[arg-type]
        return IntervalTable(probability, low, high, level=level, leads=int(leads), window=int(window))
