"""The leads that tell what a threshold brings: none of them learnt from, the fate of each known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from features.engine import read_lead_columns
from features.snapshots import build_training_snapshots
from models.bands import read_values
from project.errors import NotEnoughDataError
from training.arrivals import find_arrivals
from training.bands import make_rules
from training.monitoring.recent import Recent
from training.promotion.forward import FEWEST_CONVERTED, FEWEST_LEADS

if TYPE_CHECKING:
    from features.tables import Tables
    from project.settings import Settings

__all__ = ["Ground", "find_ground"]

_WEEK_SECONDS = 604_800


@dataclass(frozen=True)
class Ground:
    """Leads that came in during some whole weeks, each once.

    Attributes
    ----------
    best
        The highest probability that each lead reached, of the looks whose horizon is over, shape (leads,).
    won
        Whether a conversion followed any of these looks, shape (leads,).
    groups
        A number for each lead's account, shape (leads,).
    arrived
        How many leads came in during these weeks for a model to decide about; those that ended as junk or for a reason
        that tells nothing have no known fate, but the team had to call them all the same.
    value
        What a win of each lead brings by `capacity.value_column`, NaN where that is empty, shape (leads,); null
        without such a column.
    since, until
        When these weeks begin and end, UTC.
    """

    best: NDArray[np.float64]
    won: NDArray[np.bool_]
    groups: NDArray[np.int64]
    arrived: int
    since: datetime
    until: datetime
    value: NDArray[np.float64] | None = None

    @property
    def leads(self) -> int:
        """How many leads have a known fate."""
        return len(self.best)

    @property
    def weeks(self) -> float:
        """How many weeks these are."""
        return (self.until - self.since).total_seconds() / _WEEK_SECONDS

    @property
    def arrived_a_week(self) -> float:
        """How many leads come in a week."""
        return self.arrived / self.weeks


def find_ground(recent: Recent, tables: Tables, settings: Settings) -> Ground:
    """Take the leads that came in after the model's last label and early enough for their horizon to be over.

    Raises
    ------
    NotEnoughDataError
        There are fewer than 200, or fewer than 20 that converted.
    """
    since = max(recent.since, tables.observed_from) if tables.observed_from is not None else recent.since
    until = recent.until - settings.outcome.horizon - min(settings.snapshots.ages)
    created = recent.snapshots["created_at"]
    inside = (created >= np.datetime64(since, "us")) & (created < np.datetime64(until, "us"))
    rows = np.flatnonzero(recent.mature & inside.to_numpy())
    names, first, place = np.unique(recent.leads[rows], return_index=True, return_inverse=True)
    best, won = np.zeros(len(names)), np.zeros(len(names), dtype=np.bool_)
    np.maximum.at(best, place, recent.probability[rows])
    np.logical_or.at(won, place, recent.converted[rows])
    if len(names) < FEWEST_LEADS or min(int(won.sum()), len(names) - int(won.sum())) < FEWEST_CONVERTED:
        raise NotEnoughDataError(_say_shortage(recent, len(names), int(won.sum()), settings))
    accounts = recent.snapshots["group_id"].to_numpy(dtype=object).astype(str)[rows][first]
    groups = np.unique(accounts, return_inverse=True)[1].astype(np.int64)
    value, header = None, settings.capacity.value_column
    if header is not None:
        value = read_values(read_lead_columns(tables, names.tolist(), [header])[header])
    return Ground(best, won, groups, _count_arrived(tables, settings, since, until), since, until, value)


def _count_arrived(tables: Tables, settings: Settings, since: datetime, until: datetime) -> int:
    """Count the leads that came in and that no rule disqualifies, whatever became of them."""
    asked = build_training_snapshots(tables, settings.snapshots.ages)
    came_in = find_arrivals(asked, tables, make_rules(settings.rules))
    return int(((came_in >= np.datetime64(since, "us")) & (came_in < np.datetime64(until, "us"))).sum())


def _say_shortage(recent: Recent, leads: int, won: int, settings: Settings) -> str:
    horizon = settings.outcome.horizon.days
    return (
        f"Only {leads:,} leads came in since {recent.since:%Y-%m-%d}, the end of what the model learnt from, and are "
        f"old enough to know ({horizon} days until {recent.until:%Y-%m-%d}): {won:,} of them converted. To say what "
        f"a threshold brings takes {FEWEST_LEADS} leads, {FEWEST_CONVERTED} that converted and {FEWEST_CONVERTED} that "
        "did not. Wait for more outcomes."
    )
