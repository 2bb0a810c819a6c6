"""Week after week, every policy calls the first leads of its own order that it has not called before.

A replay tells whom a policy would have reached, not what a call changes: what became of a lead is what became of it
under whatever was done then, called or not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

__all__ = ["WEEK", "Calls", "Pool", "call_leads", "list_weeks"]

WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Pool:
    """The leads that could be called in a week.

    Attributes
    ----------
    start
        Monday, UTC.
    lead
        A number for each lead, the same in all weeks, shape (leads,).
    converted
        Whether it converted in [start, start + horizon), shape (leads,).
    place
        Its place in each policy's order, shape (policies, leads).
    """

    start: datetime
    lead: NDArray[np.int64]
    converted: NDArray[np.bool_]
    place: NDArray[np.int64]


@dataclass(frozen=True)
class Calls:
    """Whom each policy called and which of them were wins.

    Attributes
    ----------
    called, won
        Shape (leads, policies); a lead is called at most once by a policy.
    wins_by_week
        Shape (weeks, policies).
    room
        How many leads each policy called in each week; the same for all.
    within_reach
        Leads that some week's call would have made a win.
    """

    called: NDArray[np.bool_]
    won: NDArray[np.bool_]
    wins_by_week: NDArray[np.int64]
    room: tuple[int, ...]
    within_reach: int


def list_weeks(until: datetime, horizon: timedelta, *, weeks: int) -> list[datetime]:
    """Return the last Mondays after which a whole horizon had passed when the data end, oldest first.

    >>> [f"{day:%Y-%m-%d}" for day in list_weeks(datetime(2024, 5, 1), timedelta(days=10), weeks=2)]
    ['2024-04-08', '2024-04-15']
    """
    last = until - horizon
    monday = last.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=last.weekday())
    return [monday - WEEK * back for back in reversed(range(weeks))]


def call_leads(pools: Sequence[Pool], *, leads: int, per_week: float) -> Calls:
    """Let every policy call at most `per_week` leads a week on average, all of them the same number each week.

    Where one policy has fewer leads left than there is room, all call that many. What is left of a week's room by a
    fraction counts for the next; what nobody could use does not.

    Parameters
    ----------
    leads
        How many leads there are in all pools together.
    """
    policies = len(pools[0].place)
    called = np.zeros((leads, policies), dtype=np.bool_)
    won = np.zeros((leads, policies), dtype=np.bool_)
    reachable = np.zeros(leads, dtype=np.bool_)
    wins_by_week, room = np.zeros((len(pools), policies), dtype=np.int64), []
    for week, pool in enumerate(pools):
        reachable[pool.lead[pool.converted]] = True
        free = ~called[pool.lead]
        many = math.floor(per_week * (week + 1) + 1e-9) - math.floor(per_week * week + 1e-9)
        many = min(many, int(free.sum(axis=0).min()))
        for policy in range(policies):
            rows = np.flatnonzero(free[:, policy])
            chosen = rows[np.argsort(pool.place[policy, rows])[:many]]
            called[pool.lead[chosen], policy] = True
            won[pool.lead[chosen], policy] = pool.converted[chosen]
            wins_by_week[week, policy] = int(pool.converted[chosen].sum())
        room.append(many)
    return Calls(called, won, wins_by_week, tuple(room), int(reachable.sum()))
