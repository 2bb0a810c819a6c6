"""How many wins each policy reached, what chance could have done to the number, and how ours compares, in words.

Chance is what drawing again shows: all leads of the accounts that first came in in one week are drawn together, for all
policies at once, so that a difference is a paired one; in a replay of few weeks whole accounts are. The models and the
orders stay as they are: that another history would have taught other models is not in the intervals.

A replay tells whom a policy would have reached, not what a call changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from project.duration import days_of, format_duration
from project.errors import NotEnoughDataError, name_some
from training.backtest.policies import OURS, Policy
from training.promotion.resampling import Bounds, resample_blocks

if TYPE_CHECKING:
    from project.settings import CapacitySettings
    from training.backtest.replay import Calls

__all__ = ["Backtest", "Reached", "Training", "judge_calls", "say_count", "say_difference", "say_interval"]

_MINUS = "−"
_MOST_TOLD = 2


@dataclass(frozen=True)
class Reached:
    """What a policy came to.

    Attributes
    ----------
    money
        Wins times their value, less the cost of the calls; null if leads.toml does not say both.
    difference, difference_money
        Ours less this one, paired; null for ours.
    by_week
        Wins until the end of each week's calls, added up.
    """

    policy: Policy
    calls: int
    wins: Bounds
    precision: Bounds
    money: Bounds | None
    difference: Bounds | None
    difference_money: Bounds | None
    by_week: tuple[int, ...]

    def to_json(self) -> dict[str, object]:
        """Return the form that files and `--json` show."""
        when = self.policy.when
        bounds = {
            name: value.to_json() if value is not None else None
            for name, value in (
                ("wins", self.wins), ("precision", self.precision), ("money", self.money),
                ("ours_less_this", self.difference), ("ours_less_this_money", self.difference_money),
            )
        }  # fmt: skip
        return {
            "name": self.policy.name,
            "title": self.policy.title,
            "kind": self.policy.kind,
            "present": self.policy.present,
            "when": when.canonical if when is not None else None,
            "version": when.version if when is not None else None,
            "newest_first": self.policy.fresh if when is not None else None,
            "calls": self.calls,
            **bounds,
            "wins_by_week": list(self.by_week),
        }


@dataclass(frozen=True)
class Training:
    """A model that chose in the replay: when it was trained, of what kind it was and on how many leads."""

    at: datetime
    rung: str
    leads: int
    converted: int


@dataclass(frozen=True)
class Backtest:
    """A replay and what it showed.

    Attributes
    ----------
    weeks
        The Mondays on which leads were called, UTC.
    per_week
        How many calls a week there was room for; `by_capacity` tells whether leads.toml says so.
    drawn
        What was drawn again for the intervals.
    oldest_days
        Older leads are not called.
    within_reach
        Leads that some week's call would have made a win.
    """

    project: str
    weeks: tuple[datetime, ...]
    horizon: timedelta
    oldest_days: float
    per_week: float
    by_capacity: bool
    drawn: Literal["weeks", "accounts"]
    calls: int
    within_reach: int
    currency: str
    reached: tuple[Reached, ...]
    trainings: tuple[Training, ...]
    notes: tuple[str, ...]

    @property
    def ours(self) -> Reached:
        """What our policy came to."""
        return next(one for one in self.reached if one.policy.kind == "ours")

    @property
    def rivals(self) -> tuple[Reached, ...]:
        """All others, the one with most wins first."""
        others = [one for one in self.reached if one.policy.kind != "ours"]
        return tuple(sorted(others, key=lambda one: -one.wins.value))

    @property
    def horizon_words(self) -> str:
        """The horizon as people say it."""
        return f"{days_of(self.horizon):g} days"

    @property
    def is_behind(self) -> bool:
        """Whether some rival reached more wins than ours."""
        return any(one.wins.value > self.ours.wins.value for one in self.rivals)

    @property
    def headline(self) -> str:
        """The answer in two or three sentences; a rival that reached more wins is named first."""
        ours = self.ours
        opening = (
            f"With {self.calls:,} calls in {len(self.weeks)} weeks {OURS} would have reached {ours.wins.value:,.0f} of "
            f"the {self.within_reach:,} wins that could be reached."
        )
        better = [one for one in self.rivals if one.wins.value > ours.wins.value]
        # of the two orders of the rule in use the better one counts
        present = [one for one in self.rivals if one.policy.present][:1]
        told = [*better[:_MOST_TOLD], *(one for one in present if one not in better[:_MOST_TOLD])]
        more = [one.policy.title for one in better if one not in told]
        also = [f"More was also reached by {name_some(map(repr, more))}."] if more else []
        return " ".join([opening, *(say_difference(one) for one in told or self.rivals[:1]), *also])

    def to_json(self) -> dict[str, object]:
        """Return the form that files and `--json` show; no lead is named in it."""
        return {
            "project": self.project,
            "headline": self.headline,
            "fewer_than_a_rival": self.is_behind,
            "weeks": [f"{week:%Y-%m-%d}" for week in self.weeks],
            "horizon": format_duration(self.horizon),
            "oldest_days": self.oldest_days,
            "per_week": self.per_week,
            "by_capacity": self.by_capacity,
            "drawn": self.drawn,
            "calls": self.calls,
            "within_reach": self.within_reach,
            "currency": self.currency,
            "policies": [one.to_json() for one in self.reached],
            "trainings": [
                {"at": f"{one.at:%Y-%m-%d}", "chosen": one.rung, "leads": one.leads, "converted": one.converted}
                for one in self.trainings
            ],
            "notes": list(self.notes),
        }


def judge_calls(
    calls: Calls, policies: Sequence[Policy], *, block: NDArray[np.int64], capacity: CapacitySettings, seed: int
) -> tuple[Reached, ...]:
    """Count wins with 90 % intervals at the number of calls made, and compare every policy with ours, paired.

    Parameters
    ----------
    block
        What is drawn together, shape (leads,).

    Raises
    ------
    NotEnoughDataError
        Nobody was called, or all in one block.
    """
    many = sum(calls.room)
    touched = calls.called.any(axis=1)
    if not many or len(np.unique(block[touched])) < 2:
        raise NotEnoughDataError(
            f"The replay made {many} calls: too few to tell anything. Replay more weeks (--weeks), or bring more "
            "history."
        )
    drawn = resample_blocks(block[touched], seed=seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = drawn.totals(calls.won[touched]) / drawn.totals(calls.called[touched])
    won = calls.won.sum(axis=0)
    value, cost = capacity.value_per_win, capacity.cost_per_call
    by_week = calls.wins_by_week.cumsum(axis=0)
    own = next(place for place, policy in enumerate(policies) if policy.kind == "ours")
    reached = []
    for place, policy in enumerate(policies):
        wins = drawn.bounds(float(won[place]), shares[:, place] * many)
        precision = drawn.bounds(float(won[place]) / many, shares[:, place])
        lead = drawn.bounds(float(won[own] - won[place]), (shares[:, own] - shares[:, place]) * many)
        difference = lead if place != own else None
        money = difference_money = None
        if value is not None and cost is not None:
            money = _scale(wins, value, -cost * many)
            difference_money = _scale(difference, value, 0.0) if difference is not None else None
        reached.append(
            Reached(
                policy, many, wins, precision, money, difference, difference_money,
                tuple(int(count) for count in by_week[:, place]),
            )
        )  # fmt: skip
    return tuple(reached)


def _scale(bounds: Bounds, by: float, plus: float) -> Bounds:
    return Bounds(bounds.value * by + plus, bounds.low * by + plus, bounds.high * by + plus, bounds.error * by)


def say_difference(rival: Reached) -> str:
    """Say how ours compares with a rival, plainly, and what chance allows."""
    gap = rival.difference
    assert gap is not None
    name = rival.policy.name
    if rival.policy.kind == "definition":
        told = [
            word for word, so in (("in use today", rival.policy.present), ("newest first", rival.policy.fresh)) if so
        ]
        name = f"{name!r}" + (f" ({', '.join(told)})" if told else "")
    if gap.value == 0:
        return f"That is as many as {name} reached ({say_interval(gap)})."
    if gap.value < 0:
        sure = "chance does not explain it" if gap.high < 0 else "chance could explain it"
        return f"That is {-gap.value:,.0f} FEWER than {name} reached ({say_interval(gap)}; {sure})."
    sure = "chance does not explain it" if gap.low > 0 else "chance could explain it"
    return f"That is {gap.value:,.0f} more than {name} reached ({say_interval(gap)}; {sure})."


def say_count(value: float, *, signed: bool = False) -> str:
    """Write a number of wins or an amount of money.

    >>> say_count(1234.4), say_count(-3.2), say_count(3.2, signed=True)
    ('1,234', '−3', '+3')
    """
    if not np.isfinite(value):
        return "–"
    return ("+" if signed and round(value) > 0 else "") + f"{value:z,.0f}".replace("-", _MINUS)


def say_interval(bounds: Bounds, *, signed: bool = True) -> str:
    """Write a 90 % interval.

    >>> say_interval(Bounds(3.0, -2.2, 8.0, 1.0))
    '90% interval −2 to +8'
    """
    return f"90% interval {say_count(bounds.low, signed=signed)} to {say_count(bounds.high, signed=signed)}"
