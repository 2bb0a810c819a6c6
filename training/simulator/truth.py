"""What becomes of simulated leads, and the true probability of it.

With η a lead's log-odds to buy ever, q = sigmoid(η), and a constant in η is solved for the base rate. A buyer buys
after a lognormal delay F_c; of the others a share r is marked lost after a lognormal delay F_l and the rest stays open
for ever. What a lead does says nothing of its outcome beyond η, so for a lead open at age a the truth is::

    P(won in [a, a + h) | open at a) = q (F_c(a + h) - F_c(a)) / (q (1 - F_c(a)) + (1 - q)(1 - r F_l(a)))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from scipy.optimize import bisect
from scipy.special import expit, ndtr

from project.errors import SettingsError
from training.simulator.words import Codes, Floats

__all__ = ["LOSS_SIGMA", "WIN_SIGMA", "LeadTruth", "decide_truth", "neglect_leads", "shuffle_truth", "win_centres"]

_DAY = 86_400
WIN_SIGMA, LOSS_SIGMA = 0.9, 1.0
_NEGLECT = 1.6


@dataclass(frozen=True)
class LeadTruth:
    """What decides each lead, known only because it was simulated; one entry per lead in every field.

    Attributes
    ----------
    lead_ids, created
        The leads, and when each came in (seconds since 1970, UTC).
    chance
        q, the probability to buy ever; exactly 0 for spam and duplicates.
    win_centre, loss_share, loss_centre
        Mean of ln(days to buy), the share r of the others that is marked lost, mean of ln(days until then).
    fixed, firm_size, signal
        What else decides once the hidden intent z is given: η = fixed + signal · z, and the size of the firm. Not a
        number where fates were dealt at random, since nothing tells of them.
    """

    lead_ids: pd.Index[str]
    created: Codes
    chance: Floats
    win_centre: Floats
    loss_share: Floats
    loss_centre: Floats
    fixed: Floats
    firm_size: Floats
    signal: float

    def probability(
        self, lead_ids: Sequence[str] | pd.Series, as_of: datetime | pd.Series | pd.DatetimeIndex, horizon: timedelta
    ) -> Floats:
        """Return P(won in [as_of, as_of + horizon) | still open at as_of, all that is latent) of each lead asked.

        `as_of` is one moment for all or one for each, UTC if it has no zone. The formula is the module's. A lead that
        is unknown, or was not created yet, raises SettingsError.
        """
        place, moments = self.find(lead_ids, as_of)
        wins, remains = self.odds_of(place, moments, horizon, self.chance[place], self.win_centre[place])
        return np.asarray(wins / remains, dtype=np.float64)

    def find(
        self, lead_ids: Sequence[str] | pd.Series, as_of: datetime | pd.Series | pd.DatetimeIndex
    ) -> tuple[Codes, Floats]:
        """Return the places of leads, and the moments in seconds since 1970; raises as `probability` does."""
        place = np.asarray(self.lead_ids.get_indexer(pd.Index(lead_ids)), dtype=np.int64)
        asked = pd.DatetimeIndex(pd.to_datetime([as_of] if isinstance(as_of, datetime) else as_of, utc=True))
        moments = np.broadcast_to(np.asarray(asked.as_unit("us").asi8 / 1e6), place.shape)
        if (place < 0).any() or (moments < self.created[place]).any():
            raise SettingsError("A lead is unknown or not created yet. Ask for leads of this simulation, once created.")
        return place, moments

    def odds_of(
        self, place: Codes, moments: Floats, horizon: timedelta, chance: Floats, centre: Floats
    ) -> tuple[Floats, Floats]:
        """Return P(won within the horizon, open until then) and P(open until then), for these q and centres.

        `place` and `moments` have shape (rows,); `chance` and `centre` that shape, or (points, rows).
        """
        age = (moments - self.created[place]) / _DAY
        now = _survival(age, centre, sigma=WIN_SIGMA)
        later = _survival(age + horizon.total_seconds() / _DAY, centre, sigma=WIN_SIGMA)
        lost = self.loss_share[place] * (1 - _survival(age, self.loss_centre[place], sigma=LOSS_SIGMA))
        return chance * (now - later), chance * now + (1 - chance) * (1 - lost)


def win_centres(employees: Floats, intent: Floats) -> Floats:
    """Return the mean of ln(days to buy): the willing are quicker, large firms slower."""
    large = np.clip(np.log10(employees / 100), 0, 2)
    return np.asarray(np.log(15.5) - 0.15 * intent + 0.3 * large)


def decide_truth(
    latent: pd.DataFrame, lead_ids: pd.Series, *, score: Floats, base_rate: float, signal: float
) -> LeadTruth:
    """Fix every lead's probabilities and delays; b makes the mean of q F_c(60 days) the base rate."""
    junk = (latent["spam"] | latent["duplicate"]).to_numpy()
    intent, employees = latent["intent"].to_numpy(), latent["employees"].to_numpy(dtype=np.float64)
    win_centre = win_centres(employees, intent)
    within = (1 - _survival(np.full(1, 60.0), win_centre, sigma=WIN_SIGMA)) * ~junk
    b = bisect(lambda b: float(np.mean(expit(b + score) * within)) - base_rate, -100, 100)
    chance, loss_share = np.where(junk, 0.0, expit(b + score)), np.where(junk, 0.98, 0.75)
    loss_centre = np.log(np.select([latent["duplicate"], latent["spam"]], [2.0, 1.0], 20.0))
    return LeadTruth(
        pd.Index(lead_ids), latent["created"].to_numpy(), chance, win_centre, loss_share, loss_centre,
        b + score - signal * intent, employees, signal,
    )  # fmt: skip


def shuffle_truth(truth: LeadTruth, *, seed: int) -> tuple[LeadTruth, Codes]:
    """Deal the fates out at random; return them and, for each lead, the place of the lead whose fate it got."""
    dealt = np.random.default_rng([seed, 1]).permutation(len(truth.chance))
    return replace(
        truth,
        chance=truth.chance[dealt],
        win_centre=truth.win_centre[dealt],
        loss_share=truth.loss_share[dealt],
        loss_centre=truth.loss_centre[dealt],
        fixed=np.full(len(dealt), np.nan),
    ), dealt


def neglect_leads(
    leads: pd.DataFrame,
    truth: LeadTruth,
    score: Floats,
    *,
    share: float,
    exploration: float,
    rng: np.random.Generator,
) -> tuple[pd.DataFrame, LeadTruth]:
    """Let an older score decide who is worked; return the leads with that, and their fates.

    It is what columns say (`score`) with half as much noise. The neglected lose `_NEGLECT` in log-odds to buy ever.
    `propensity` is the chance with which a lead was to be worked.
    """
    older = score + 0.5 * score.std() * rng.standard_normal(len(score))
    above = older >= np.quantile(older, 1.0 - share)
    propensity = np.where(above, 1.0, exploration)
    worked = rng.random(len(score)) < propensity
    chance = np.where(worked, truth.chance, expit(_logit(truth.chance) - _NEGLECT))
    told = leads.assign(worked=np.where(worked, "yes", "no"), propensity=propensity)
    return told, replace(truth, chance=chance)


def _logit(chance: Floats) -> Floats:
    inside = np.clip(chance, 1e-12, 1 - 1e-12)
    return np.asarray(np.log(inside / (1 - inside)))


def _survival(days: Floats, centre: Floats, *, sigma: float) -> Floats:
    return np.asarray(ndtr((centre - np.log(np.maximum(days, 1e-9))) / sigma), dtype=np.float64)
