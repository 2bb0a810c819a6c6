"""Resample blocks of leads: what chance could have done to a number, for many numbers at once.

A block holds whole accounts, so leads that share a fate move together; with dates it is a week, so whatever happened in
one week (a campaign, a holiday, a change of price) counts as one event and not as hundreds.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["DRAWS", "Bounds", "Resampling", "resample_blocks", "widen"]

Vector = NDArray[np.float64]
DRAWS = 2_000
_TAIL = 0.05


@dataclass(frozen=True)
class Bounds:
    """A value with its one-sided 95 % bounds (together a 90 % interval, ends included) and its standard error."""

    value: float
    low: float
    high: float
    error: float

    def to_json(self) -> dict[str, float | None]:
        """Return the numbers, with null for those that do not exist."""
        return {name: (float(value) if np.isfinite(value) else None) for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Resampling:
    """How often each block was drawn.

    Attributes
    ----------
    block
        The block of each lead, 0 … blocks - 1, shape (leads,).
    counts
        Shape (draws, blocks).
    """

    block: NDArray[np.int64]
    counts: Vector

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return int(self.counts.shape[1])

    def totals(self, values: NDArray[np.generic]) -> Vector:
        """Return in every draw the sum over leads, shape (draws, …) for values of shape (leads, …)."""
        sums = np.zeros((self.blocks, *values.shape[1:]))
        np.add.at(sums, self.block, values.astype(np.float64))
        return np.asarray(np.tensordot(self.counts, sums, axes=1))

    def mean(self, values: Vector) -> Bounds:
        """Return the mean over leads with its bounds."""
        draws = self.totals(values) / self._sizes
        return self.bounds(float(values.mean()), draws)

    @cached_property
    def _sizes(self) -> Vector:
        return self.totals(np.ones(len(self.block)))

    def bounds(self, value: float, draws: Vector) -> Bounds:
        """Return a value with the quantiles of its draws; draws that do not exist (0 / 0) are left out.

        The quantiles lie further out than 5 % and 95 %, as far as few blocks demand: at Φ(-t √(B / (B - 1))), with t of
        Student's distribution on B - 1 degrees of freedom (Hesterberg 2015, "expanded percentile interval"). The plain
        ones would be too narrow for a dozen weeks.
        """
        from scipy import stats

        known = draws[np.isfinite(draws)]
        if len(known) < len(draws) / 2:
            return Bounds(value, float("nan"), float("nan"), float("nan"))
        tail = float(stats.norm.cdf(-widen(self.blocks, tail=_TAIL)))
        low, high = np.quantile(known, [tail, 1 - tail])
        error = float(known.std(ddof=1)) * np.sqrt(self.blocks / (self.blocks - 1))
        return Bounds(value, float(low), float(high), float(error))


def widen(blocks: int, *, tail: float) -> float:
    """Return how many standard deviations of the draws leave `tail` outside on one side, for few blocks more than z.

    >>> round(widen(10_000, tail=0.05), 2), round(widen(10, tail=0.05), 2)
    (1.65, 1.93)
    """
    from scipy import stats

    return float(stats.t.ppf(1 - tail, blocks - 1)) * float(np.sqrt(blocks / (blocks - 1)))


def resample_blocks(block: NDArray[np.int64], *, seed: int, draws: int = DRAWS) -> Resampling:
    """Draw as many blocks as there are, with replacement, `draws` times.

    Parameters
    ----------
    block
        Any number that leads of one block share, shape (leads,); at least two blocks.

    Raises
    ------
    ValueError
        There is one block or none: nothing could vary.
    """
    found, place = np.unique(block, return_inverse=True)
    if len(found) < 2:
        raise ValueError(f"at least two blocks are needed, found {len(found)}")
    random = np.random.default_rng(seed)
    counts = random.multinomial(len(found), np.full(len(found), 1 / len(found)), size=draws)
    return Resampling(place.astype(np.int64), counts.astype(np.float64))
