"""What each threshold would bring in a week: calls, wins, precision and money, each with what chance could do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from training.banding.ground import Ground
from training.bands import find_break_even, threshold_for
from training.evaluation.certificate import THRESHOLDS, Certificate, certify_precision
from training.evaluation.evaluate import Interval

if TYPE_CHECKING:
    from models.bands import BandPolicy
    from project.settings import CapacitySettings

__all__ = ["LEVEL", "Line", "Mark", "MoreCalls", "Solution", "solve"]

Vector: TypeAlias = NDArray[np.float64]
Mark = Literal["present", "capacity", "break-even", "margin", "promise"]
LEVEL = 0.9
_DRAWS = 500


@dataclass(frozen=True)
class Line:
    """What one threshold would bring if SQL began there, with 90 % intervals.

    Attributes
    ----------
    calls, wins, margin
        SQLs a week, conversions among them, and what they bring less what the calls cost: each win its own value where
        that is known. Margin is null without cost and value.
    share
        Of the leads that come in.
    precision
        The share of them that converts; null where no lead is at or above the threshold.
    """

    threshold: float
    marks: tuple[Mark, ...]
    calls: Interval
    share: Interval
    wins: Interval
    precision: Interval | None
    margin: Interval | None


@dataclass(frozen=True)
class MoreCalls:
    """What one more rep would bring a week: the best leads that the team cannot call now.

    Attributes
    ----------
    calls
        How many of the rep's calls there are leads for.
    """

    threshold: float
    calls: float
    wins: Interval
    margin: Interval | None


@dataclass(frozen=True)
class Solution:
    """Everything that is known about thresholds from some leads.

    Attributes
    ----------
    lines
        From strict to loose.
    gain
        Margin a week at the best threshold less at the present one, paired; null without money. Being the best of
        many, it looks somewhat better than it is.
    promise
        About the precision wanted; null if none is.
    notes
        What else its reader should know.
    """

    ground: Ground
    lines: tuple[Line, ...]
    gain: Interval | None
    more: MoreCalls | None
    promise: Certificate | None
    notes: tuple[str, ...] = ()

    def find(self, mark: Mark) -> Line | None:
        """Return the line with a mark."""
        return next((line for line in self.lines if mark in line.marks), None)


def solve(
    ground: Ground, policy: BandPolicy, capacity: CapacitySettings, *, seed: int, draws: int = _DRAWS
) -> Solution:
    """Work out what each threshold of a fixed grid, and those that mean something, would bring.

    Calls count all leads that come in; wins those whose fate is known. A lead that ends unreachable or as junk is taken
    to be called as often as the others and to bring nothing. Intervals draw whole accounts again.

    Parameters
    ----------
    policy
        The present one.
    """
    marked: dict[Mark, float] = {"present": policy.sql}
    room = None
    if capacity.leads_per_week is not None:
        room = capacity.leads_per_week / ground.arrived_a_week * ground.leads
        marked["capacity"] = threshold_for(ground.best, room)
    break_even = find_break_even(capacity)
    if break_even is not None:
        marked["break-even"] = break_even
    promise = None
    if capacity.precision is not None:
        names = np.arange(ground.leads).astype(np.str_)
        promise = certify_precision(ground.best, ground.won, leads=names, target=capacity.precision)
        if promise.threshold is not None:
            marked["promise"] = promise.threshold
    one_rep, further = capacity.calls_of_one_rep, None
    if room is not None and one_rep is not None:
        further = threshold_for(ground.best, room + one_rep / ground.arrived_a_week * ground.leads)
    grid = np.unique([*THRESHOLDS, policy.mql, *marked.values(), *([further] if further is not None else [])])[::-1]
    drawn = _Drawn.of(ground, grid, capacity, seed=seed, draws=draws)
    best = None
    if drawn.margin is not None:
        allowed = drawn.calls[0] <= (capacity.leads_per_week or np.inf) * (1 + 1e-9)
        best = int(np.argmax(np.where(allowed, drawn.margin[0], -np.inf))) if allowed.any() else None
    places = {mark: _place(grid, threshold) for mark, threshold in marked.items()}
    if best is not None:
        places["margin"] = best
    gain = drawn.difference(drawn.margin, best, places["present"]) if best is not None else None
    more = None
    if further is not None:
        here, there = places["capacity"], _place(grid, further)
        more = MoreCalls(
            further,
            float(drawn.calls[0, there] - drawn.calls[0, here]),
            _interval(drawn.wins[:, there] - drawn.wins[:, here]),
            drawn.difference(drawn.margin, there, here),
        )
    lines = tuple(drawn.line(place, tuple(m for m, at in places.items() if at == place)) for place in range(len(grid)))
    return Solution(ground, lines, gain, more, promise)


def _place(grid: Vector, threshold: float) -> int:
    return int(np.flatnonzero(grid == threshold)[0])


@dataclass(frozen=True)
class _Drawn:
    """What thresholds bring a week, shape (1 + draws, thresholds): first as observed, then in every draw."""

    grid: Vector
    share: Vector
    calls: Vector
    wins: Vector
    precision: Vector
    margin: Vector | None

    @staticmethod
    def of(ground: Ground, grid: Vector, capacity: CapacitySettings, *, seed: int, draws: int) -> _Drawn:
        known_a_week = ground.leads / ground.weeks
        value = _find_value(ground, capacity)
        above, won, brought, total = _draw_counts(ground, grid, value, seed=seed, draws=draws)
        share = above / total[:, None]
        calls, wins = share * ground.arrived_a_week, won / total[:, None] * known_a_week
        precision = np.divide(won, above, out=np.full_like(won, np.nan), where=above > 0)
        margin = None
        if capacity.cost_per_call is not None and value is not None:
            margin = brought / total[:, None] * known_a_week - calls * capacity.cost_per_call
        return _Drawn(grid, share, calls, wins, precision, margin)

    def line(self, place: int, marks: tuple[Mark, ...]) -> Line:
        seen = self.calls[0, place] > 0
        return Line(
            float(self.grid[place]),
            marks,
            _interval(self.calls[:, place]),
            _interval(self.share[:, place]),
            _interval(self.wins[:, place]),
            _interval(self.precision[:, place]) if seen else None,
            _interval(self.margin[:, place]) if self.margin is not None else None,
        )

    @staticmethod
    def difference(table: Vector | None, one: int, other: int) -> Interval | None:
        return _interval(table[:, one] - table[:, other]) if table is not None else None


def _interval(drawn: Vector) -> Interval:
    """Return a number as observed with its 90 % interval; draws without a single lead say nothing."""
    told = drawn[np.isfinite(drawn)][1:] if np.isfinite(drawn).sum() > 1 else drawn[:1]
    low, high = np.quantile(told, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(drawn[0]), float(low), float(high))


def _find_value(ground: Ground, capacity: CapacitySettings) -> Vector | None:
    """Return what each lead brought, shape (leads,); null if nothing tells.

    A win without a value of its own has the value of every win, or else the mean of those that have one.
    """
    won = ground.won.astype(np.float64)
    if ground.value is None:
        return None if capacity.value_per_win is None else won * capacity.value_per_win
    known = ground.won & ~np.isnan(ground.value)
    usual = capacity.value_per_win
    if usual is None and known.any():
        usual = float(ground.value[known].mean())
    return None if usual is None else np.where(ground.won, np.where(known, ground.value, usual), 0.0)


def _draw_counts(
    ground: Ground, grid: Vector, value: Vector | None, *, seed: int, draws: int
) -> tuple[Vector, Vector, Vector, Vector]:
    """Count leads, and those that converted, at or above each threshold: as they are, and with accounts drawn again.

    Returns
    -------
    tuple of ndarray
        Leads above, won above and what these brought, shape (1 + draws, thresholds); all leads, shape (1 + draws,).
    """
    random = np.random.default_rng(seed)
    accounts, levels = int(ground.groups.max()) + 1, len(grid)
    # the strictest threshold a lead reaches; `levels` if it reaches none
    reached = np.searchsorted(-grid, -ground.best)
    cell = reached * 2 + ground.won
    above, won, brought = (np.zeros((draws + 1, levels)) for _ in range(3))
    total = np.empty(draws + 1)
    for draw in range(draws + 1):
        taken = np.ones(accounts) if draw == 0 else np.bincount(random.integers(0, accounts, accounts), None, accounts)
        times = taken[ground.groups]
        counts = np.bincount(cell, times, 2 * (levels + 1)).reshape(levels + 1, 2)
        upwards = counts[:levels].cumsum(axis=0)
        above[draw], won[draw], total[draw] = upwards.sum(axis=1), upwards[:, 1], counts.sum()
        if value is not None:
            brought[draw] = np.bincount(reached, times * value, levels + 1)[:levels].cumsum()
    return above, won, brought, total
