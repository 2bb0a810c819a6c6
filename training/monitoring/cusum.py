"""A sequential test of the level: every week adds what it saw more or less than was expected of it by then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

__all__ = ["LevelTrack", "track_level"]

Vector = NDArray[np.float64]
_SLACK, _ALARM = 0.25, 8.0
_EPOCH = datetime.fromisoformat("1970-01-01")
_WEEK = np.timedelta64(7, "D")


@dataclass(frozen=True)
class LevelTrack:
    """Two one-sided CUSUMs over weeks (Page 1954).

    With slack 0.25 and a limit of 8 a model that is right raises an alarm about once in 370 weeks (Montgomery 2012,
    table of two-sided ARLs); one whose weeks are off by half a standard error does so after some 29 (Siegmund 1985).

    Attributes
    ----------
    weeks
        First day of each week that had leads, UTC.
    observed, expected
        Conversions seen so far and those expected by now of the week's leads, in leads, shape (weeks,).
    above, below
        The two sums, in standard errors, shape (weeks,).
    """

    weeks: tuple[datetime, ...]
    observed: Vector
    expected: Vector
    above: Vector
    below: Vector

    @property
    def alarm(self) -> str | None:
        """`more` or `fewer` conversions than expected, if either sum has crossed the limit and is still beyond it."""
        if not len(self.above):
            return None
        if max(self.above[-1], self.below[-1]) < _ALARM:
            return None
        return "more" if self.above[-1] >= self.below[-1] else "fewer"


def track_level(
    as_of: NDArray[np.datetime64],
    probability: Vector,
    seen: Vector,
    converted: NDArray[np.bool_],
    leads: NDArray[np.str_],
) -> LevelTrack:
    """Add up week by week z = Σ (y − p·F) / √Σ p·F·(1 − p·F), less a slack.

    Young leads count by the share F of their conversions that would have been seen by now, so nobody has to wait for
    the horizon. A lead counts once, at a moment drawn by chance that is always the same: its snapshots share one fate,
    and weeks that share leads would not be independent.

    Parameters
    ----------
    seen
        F, in [0, 1].
    """
    told = _once(leads, seen > 0.0)
    week = (as_of.astype("datetime64[us]") - np.datetime64(0, "us")) // _WEEK
    weeks, observed, expected, above, below = [], [], [], [0.0], [0.0]
    for number in np.unique(week[told]):
        rows = told & (week == number)
        share = probability[rows] * seen[rows]
        spread = float(np.sqrt(np.sum(share * (1.0 - share))))
        observed.append(float(converted[rows].sum()))
        expected.append(float(share.sum()))
        z = (observed[-1] - expected[-1]) / max(spread, 1e-9)
        above.append(max(0.0, above[-1] + z - _SLACK))
        below.append(max(0.0, below[-1] - z - _SLACK))
        weeks.append(_EPOCH + timedelta(weeks=int(number)))
    return LevelTrack(tuple(weeks), np.array(observed), np.array(expected), np.array(above[1:]), np.array(below[1:]))


def _once(leads: NDArray[np.str_], told: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark one row of each lead among those told, drawn by chance that is always the same."""
    rows = np.random.default_rng(0).permutation(np.flatnonzero(told))
    _, first = np.unique(leads[rows], return_index=True)
    kept = np.zeros(len(leads), dtype=np.bool_)
    kept[rows[first]] = True
    return kept
