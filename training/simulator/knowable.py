"""What the records of simulated leads tell of their fate: the most that any model can say.

The true probability knows a lead's intent z, which nobody sees; even a perfect reader of the records loses some log
loss to it. That reader knows every effect and rate of the simulation, and weighs each z by what had been recorded of
the lead::

    P(won | records) = E[L(z) P(won in the horizon, open | z)] / E[L(z) P(open | z)],  z ~ N(0, 1)

L is the likelihood of its events and touches (Poisson), of their measures (lognormal) and of its budget answer, as
drawn in `training.simulator.crm` and `people`. Spam and duplicates count as known. It reads neither the message nor
what colleagues did, so a model that does could know a little more.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import expit, ndtr

from training.simulator import words
from training.simulator.people import BUDGET_CUTS, BUDGET_INTENT, BUDGET_SIZE
from training.simulator.truth import win_centres
from training.simulator.words import Codes, Floats, Kind

if TYPE_CHECKING:
    from training.simulator.crm import SimulatedCrm

__all__ = ["knowable_probability"]

_POINTS = 41
_FURTHEST = 2**34


def knowable_probability(
    crm: SimulatedCrm, lead_ids: Sequence[str] | pd.Series, as_of: datetime | pd.Series, horizon: timedelta
) -> Floats:
    """Return the probability to win in [as_of, as_of + horizon) given the records until `as_of`, shape (rows,).

    Arguments and errors are those of `LeadTruth.probability`; not a number where fates were dealt at random.
    """
    place, moments = crm.truth.find(lead_ids, as_of)
    point, weight = np.polynomial.hermite_e.hermegauss(_POINTS)
    z = point[:, None]
    told = np.log(weight)[:, None] + _tell_budget(crm, place, z)
    for table, kinds in ((crm.events, words.KINDS), (crm.touches, words.TOUCH_KINDS)):
        for kind in kinds:
            told = told + _tell_kind(table.loc[table["kind"] == kind.name], kind, crm, place, moments, z)
    truth = crm.truth
    chance = expit(truth.fixed[place] + truth.signal * z)
    wins, remains = truth.odds_of(place, moments, horizon, chance, win_centres(truth.firm_size[place], z))
    likelihood = np.exp(told - told.max(axis=0))
    known = (likelihood * wins).sum(axis=0) / (likelihood * remains).sum(axis=0)
    return np.asarray(np.where(truth.chance[place] == 0.0, 0.0, known), dtype=np.float64)


def _tell_kind(events: pd.DataFrame, kind: Kind, crm: SimulatedCrm, place: Codes, moments: Floats, z: Floats) -> Floats:
    """Return ln L of how often a kind of event was recorded by then, and of its measures, shape (points, rows)."""
    lead = crm.truth.lead_ids.get_indexer(pd.Index(events["lead_id"]))
    known = events["recorded_at"] if "recorded_at" in events else events["occurred_at"]
    key = lead * _FURTHEST + pd.DatetimeIndex(known).as_unit("s").asi8
    order = np.argsort(key, kind="stable")
    first = np.searchsorted(key[order], place * _FURTHEST)
    after = np.searchsorted(key[order], place * _FURTHEST + np.ceil(moments).astype(np.int64))
    days = np.minimum((moments - crm.truth.created[place]) / 86_400, words.LIFE)
    _, _, mass = words.masses(kind, days)
    mean = kind.rate * mass * (crm.truth.firm_size[place] / 90) ** 0.08
    count = after - first
    told = count * kind.intent * z - mean * np.exp(kind.intent * z - kind.intent**2 / 2)
    if kind.value:
        noise = np.log(np.maximum(events["value"].to_numpy()[order], 0.5) / kind.value)
        total = np.concatenate([[0.0], noise.cumsum()])
        pull, spread = words.MEASURE_INTENT, words.MEASURE_SPREAD
        told += ((total[after] - total[first]) * pull * z - count * (pull * z) ** 2 / 2) / spread**2
    return np.asarray(told, dtype=np.float64)


def _tell_budget(crm: SimulatedCrm, place: Codes, z: Floats) -> Floats:
    """Return ln P(budget answer | z), 0 for leads that gave none, shape (points, rows)."""
    wish = BUDGET_INTENT * z + BUDGET_SIZE * np.log(crm.truth.firm_size[place] / 90)
    below = np.stack([np.zeros_like(wish), *(ndtr(cut - wish) for cut in BUDGET_CUTS), np.ones_like(wish)])
    answer = crm.leads["budget_answer"].to_numpy(dtype=object)[place]
    told = np.zeros_like(wish)
    for step, name in enumerate(words.BUDGETS):
        rows = answer == name
        told[:, rows] = np.log(np.maximum(below[step + 1] - below[step], 1e-300))[:, rows]
    return told
