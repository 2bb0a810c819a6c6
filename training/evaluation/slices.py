"""Is the level right in every month, source and segment: conversions over expected ones, slice by slice.

A slice of ten leads says little, so beside its own figure stands one that borrows from the other slices of its kind,
by as much as the slices really differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.evaluation.evaluate import Interval

__all__ = [
    "Likeness",
    "Partition",
    "Slice",
    "SliceTable",
    "adjust_p_values",
    "distinct_slices",
    "measure_likeness",
    "tabulate_slices",
]

Vector = NDArray[np.float64]
Flags = NDArray[np.bool_]
Numbers = NDArray[np.int64]
_TWO_SIDED_95 = 1.959963984540054
_FALSE_ALARMS = 0.05


@dataclass(frozen=True)
class Partition:
    """One way to part rows into slices: `place[row]` is the number of its slice in `names`."""

    kind: str
    names: tuple[str, ...]
    place: NDArray[np.intp]


@dataclass(frozen=True)
class Likeness:
    """Correlation of what became of two rows: of the same lead, and of two leads of the same group; from 0 to 1."""

    lead: float
    group: float


@dataclass(frozen=True)
class Slice:
    """One slice of the test period.

    Attributes
    ----------
    observed, expected
        Conversions, and the sum of the probabilities, over its rows.
    ratio
        Observed over expected with its 95 % interval.
    pooled
        The same, borrowing from the other slices of the kind, with a 95 % interval.
    p_value, adjusted
        Against observed = expected; adjusted for the number of slices of the kind (Benjamini & Hochberg 1995).
    """

    name: str
    rows: int
    leads: int
    observed: float
    expected: float
    ratio: Interval
    pooled: Interval
    p_value: float
    adjusted: float

    @property
    def off(self) -> bool:
        """Whether it strays by more than chance allows: of slices so marked one in twenty is a false alarm."""
        return self.adjusted < _FALSE_ALARMS


@dataclass(frozen=True)
class SliceTable:
    """All slices of one kind that hold any row.

    Attributes
    ----------
    overall
        Observed over expected of all rows.
    spread
        Standard deviation, between slices, of the logarithm of the true ratio: 0.1 is about ten per cent.
    """

    kind: str
    overall: float
    spread: float
    slices: tuple[Slice, ...]


def distinct_slices(tables: Sequence[SliceTable]) -> list[tuple[str, Slice]]:
    """Return kind and slice of all; of those of two kinds that hold the same rows, as country and phone may, one only.

    They are told by their counts and the sum of their probabilities, which different rows do not share by chance.
    """
    seen: set[tuple[float, ...]] = set()
    distinct = []
    for table in tables:
        held = [(one.rows, one.leads, one.observed, one.expected) for one in table.slices]
        distinct += [(table.kind, one) for one, key in zip(table.slices, held, strict=True) if key not in seen]
        seen.update(held)
    return distinct


def measure_likeness(probability: Vector, converted: Flags, *, leads: Numbers, groups: Numbers) -> Likeness:
    """Estimate how far outcomes hang together: products of residuals over those of standard deviations, all pairs.

    Leads lie within groups. Where there is no pair there is nothing to hang together: 0.
    """
    size = np.sqrt(probability * (1 - probability))
    miss = converted - probability
    most, found = (np.array([_sum_pairs(values, by) for by in (leads, groups)]) for values in (size, miss))
    return Likeness(_share(found[0], most[0]), _share(found[1] - found[0], most[1] - most[0]))


def _share(part: float, whole: float) -> float:
    return float(np.clip(part / whole, 0.0, 1.0)) if whole > 1e-9 else 0.0


def _sum_pairs(values: Vector, groups: Numbers) -> float:
    """Return Σ values[i]·values[j] over ordered pairs of different rows of one group."""
    _, place = np.unique(groups, return_inverse=True)
    return float(np.sum(np.bincount(place, weights=values) ** 2) - np.sum(values**2))


def tabulate_slices(
    partition: Partition,
    probability: Vector,
    converted: Flags,
    *,
    leads: Numbers,
    groups: Numbers,
    likeness: Likeness,
) -> SliceTable:
    """Return observed over expected of every slice that holds rows.

    The number of conversions counts as Poisson's in units of φ = variance / expected, the variance being
    Σ p(1 − p) + likeness · Σ over pairs √(p(1 − p))·√(q(1 − q)). So the interval exists without any conversion (Garwood
    1936), and leads looked at six times do not count six times.
    """
    from scipy import stats

    count = len(partition.names)
    rows = np.bincount(partition.place, minlength=count)
    observed, expected = (
        np.bincount(partition.place, weights=part, minlength=count) for part in (converted, probability)
    )
    own = np.flatnonzero(rows)
    variance, different = _spread_of_wins(partition, probability, leads, groups, likeness)
    dispersion = np.maximum(variance[own] / expected[own], 1e-6)
    wins, due = observed[own] / dispersion, expected[own] / dispersion
    low = np.where(wins > 0, stats.gamma.ppf(0.025, np.maximum(wins, 1e-9)), 0.0) / due
    high = stats.gamma.ppf(0.975, wins + 1) / due
    p_value = np.minimum(1.0, 2 * np.minimum(_at_most(wins, due), _at_least(wins, due)))
    adjusted = adjust_p_values(p_value)
    spread, pooled = _pool(wins, due, overall=observed.sum() / expected.sum())
    slices = tuple(
        Slice(
            partition.names[name],
            int(rows[name]),
            int(different[name]),
            float(observed[name]),
            float(expected[name]),
            Interval(float(wins[line] / due[line]), float(low[line]), float(high[line])),
            pooled[line],
            float(p_value[line]),
            float(adjusted[line]),
        )
        for line, name in enumerate(own.tolist())
    )
    return SliceTable(partition.kind, float(observed.sum() / expected.sum()), spread, slices)


def _spread_of_wins(
    partition: Partition, probability: Vector, leads: Numbers, groups: Numbers, likeness: Likeness
) -> tuple[Vector, NDArray[np.intp]]:
    """Return the variance of the number of conversions in each slice, and its number of different leads."""
    size = np.sqrt(probability * (1 - probability))
    single = np.bincount(partition.place, weights=size**2, minlength=len(partition.names))
    (in_lead, different), (in_group, _) = (_sum_squares(partition, size, by) for by in (leads, groups))
    return single + likeness.lead * (in_lead - single) + likeness.group * (in_group - in_lead), different


def _sum_squares(partition: Partition, size: Vector, by: Numbers) -> tuple[Vector, NDArray[np.intp]]:
    """Return Σ over groups of (Σ of its rows in the slice)², and the number of those groups, shape (slices,)."""
    stride, count = int(by.max()) + 1, len(partition.names)
    pair, place = np.unique(partition.place * stride + by, return_inverse=True)
    squares = np.bincount(place, weights=size) ** 2
    sums = np.asarray(np.bincount(pair // stride, weights=squares, minlength=count), dtype=np.float64)
    return sums, np.bincount(pair // stride, minlength=count)


def _at_most(wins: Vector, due: Vector) -> Vector:
    from scipy import special

    chance: Vector = special.gammaincc(wins + 1, due)
    return chance


def _at_least(wins: Vector, due: Vector) -> Vector:
    from scipy import special

    return np.where(wins > 0, special.gammainc(np.maximum(wins, 1e-9), due), 1.0)


def adjust_p_values(p_values: Vector) -> Vector:
    """Return the smallest share of false alarms at which each would be marked (Benjamini & Hochberg 1995).

    >>> adjust_p_values(np.array([0.01, 0.04, 0.03, 0.5])).round(4).tolist()
    [0.04, 0.0533, 0.0533, 0.5]
    """
    count = len(p_values)
    order = np.argsort(-p_values, kind="stable")
    adjusted = np.empty(count)
    adjusted[order] = np.minimum.accumulate(p_values[order] * count / np.arange(count, 0, -1))
    return np.minimum(adjusted, 1.0)


def _pool(wins: Vector, due: Vector, *, overall: float) -> tuple[float, Sequence[Interval]]:
    """Shrink each log ratio toward the overall one by its noise beside the spread between slices.

    The spread is the moment estimate of DerSimonian & Laird (1986). Half a conversion is added to both sides, and the
    noise of a slice is taken from what was due there: its own luck must not decide its weight. The interval allows for
    a spread one standard error larger and, after Morris (1983), for what it costs to have estimated it at all; it is
    never wider than that of the slice alone.
    """
    centre = overall if overall > 0 else 0.5 / (due.sum() + 0.5)
    gap = np.log((wins + 0.5) / (due * centre + 0.5))
    noise = 1.0 / (due * centre + 0.5)
    weight = 1.0 / noise
    mean = float(np.average(gap, weights=weight))
    free = len(gap) - 1
    scale = float(weight.sum() - (weight @ weight) / weight.sum()) if free else 1.0
    spread = max(0.0, (float(weight @ (gap - mean) ** 2) - free) / scale)
    kept, mostly = (size / (size + noise) for size in (spread, spread + np.sqrt(2.0 * free) / scale))
    noise_there = 1.0 / (due * centre * np.exp(kept * gap) + 0.5)
    of_centre = float((due / due.sum()) ** 2 @ (noise + spread))
    unsure = 2.0 / max(1, free - 2) * ((1 - kept) * gap) ** 2
    variance = mostly * noise_there + (1 - kept) ** 2 * of_centre + unsure
    half = _TWO_SIDED_95 * np.sqrt(np.minimum(variance, np.maximum(noise, noise_there)))
    middle = np.log(centre) + kept * gap
    pooled = np.exp(np.column_stack([middle, middle - half, middle + half]))
    return float(np.sqrt(spread)), [Interval(*line) for line in pooled.tolist()]
