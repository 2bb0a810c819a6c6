"""Learn when conversions come, from what had become of earlier forward leads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.sooner import Sooner
from project.duration import format_duration
from training.calibration.proportional_odds import fit_levels

if TYPE_CHECKING:
    from training.examples import Examples
    from training.fitting.contenders import Contest

__all__ = ["find_age_column", "fit_sooner", "learn_sooner", "note_sooner"]

Vector = NDArray[np.float64]
_FEWEST_TOLD, _FEWEST_FITTED = 20, 50
_SPREAD = 1e-9  # log-odds; below it all leads are alike
_PSEUDO = 0.5  # conversions between two horizons, so that none is ever said to be impossible


def learn_sooner(
    contest: Contest, examples: Examples, *, horizon: timedelta, sooner: Sequence[timedelta]
) -> Sooner | None:
    """Learn from the conversions among the forward rows of the chosen contender; null if no horizon is asked for.

    Every row's time was over before the test period began.
    """
    from threadpoolctl import threadpool_limits

    if not sooner:
        return None
    rows, chosen = contest.rows, contest.chosen
    converted = examples.converted[rows]
    column = find_age_column(examples)
    won = rows[converted]
    margin = chosen.calibrator.calibrated(chosen.forward)[converted]
    if chosen.name == "base_rate":  # it differs by when it was said, not by lead
        margin = np.zeros(len(won))
    with threadpool_limits(limits=1, user_api="blas"):  # sums in another order would make another model
        return fit_sooner(
            margin,
            examples.snapshots["delay"].to_numpy(dtype=np.float64)[won],
            horizons=sooner,
            horizon=horizon,
            leads=examples.leads[won],
            weight=examples.weigh_all(rows)[converted],
            age=examples.frame[column].to_numpy(dtype=np.float64)[won] if column else None,
            age_column=column,
        )


def find_age_column(examples: Examples) -> str:
    """Return the feature that tells the age of a lead; empty if there is none, as where all are asked about at once."""
    return next((one.name for one in examples.catalogue.features if one.statistic == "age"), "")


def note_sooner(sooner: Sooner | None) -> list[str]:
    """Say where too few conversions are known to tell sooner horizons, or to tell leads apart."""
    if sooner is None or sooner.conversions >= _FEWEST_FITTED:
        return []
    asked = ", ".join(sooner.horizons)
    seen = f"only {sooner.conversions} leads of the forward period converted"
    if not sooner.known:
        return [
            f"outcome.sooner: {seen}, and it takes {_FEWEST_TOLD} to tell how many come within {asked}. "
            "The columns are left empty."
        ]
    return [
        f"outcome.sooner: {seen}. Below {_FEWEST_FITTED} all leads get the same share of their probability within "
        f"{asked}."
    ]


def fit_sooner(
    margin: Vector,
    delay: Vector,
    *,
    horizons: Sequence[timedelta],
    horizon: timedelta,
    leads: NDArray[np.str_],
    weight: Vector | None = None,
    age: Vector | None = None,
    age_column: str = "",
) -> Sooner:
    """Fit the shares of conversions within sooner horizons.

    A slope in log-odds and shifts for each age are followed as far as the conversions show that leads differ (see
    `fit_levels`), else all get one curve. The rows of a lead count together about as one. Below 50 converted leads the
    pooled shares stand alone; below 20 nothing is told.

    Parameters
    ----------
    margin, delay, leads, weight, age
        One row a conversion: calibrated log-odds, time from `as_of` to the conversion as a share of `horizon` in
        [0, 1), id of the lead, what the row counts beside others (null: all alike), age in days (null: not known).

    >>> delay = np.arange(100) / 100
    >>> found = fit_sooner(np.zeros(100), delay, horizons=[timedelta(days=3)], horizon=timedelta(days=10),
    ...                    leads=np.arange(100).astype(str))
    >>> round(found.pooled[0], 2), found.slope, round(float(found.share(np.zeros(1), None)[0, 0]), 2)
    (0.3, 0.0, 0.3)
    """
    rising = sorted(horizons)
    names = tuple(map(format_duration, rising))
    conversions = len(np.unique(leads))
    if conversions < _FEWEST_TOLD:
        return Sooner(names, conversions=conversions)
    own = np.ones(len(delay)) if weight is None else weight
    counts = own * conversions / own.sum()
    cell = np.searchsorted([one / horizon for one in rising], delay, side="right")
    cells = np.bincount(cell, weights=counts, minlength=len(rising) + 1) + _PSEUDO
    pooled = np.cumsum(cells)[:-1] / cells.sum()
    levels = np.log(pooled) - np.log1p(-pooled)
    if conversions < _FEWEST_FITTED:
        return Sooner(names, tuple(pooled.tolist()), tuple(levels.tolist()), conversions=conversions)
    centre = float(np.average(margin, weights=counts))
    spread = float(np.sqrt(np.average((margin - centre) ** 2, weights=counts)))
    ages = np.unique(age[~np.isnan(age)]) if age is not None else np.zeros(0)
    scaled = (margin - centre) / spread if spread > _SPREAD else np.zeros(len(margin))
    by_age = (np.zeros(len(margin)) if age is None else age)[:, None] == ages
    best = fit_levels(cell, counts, scaled, by_age.astype(np.float64), start=levels)
    slope = best.by_margin / spread if spread > _SPREAD else 0.0
    told = ages if best.by_age.any() else ages[:0]
    return Sooner(
        names,
        tuple(pooled.tolist()),
        tuple((best.levels - slope * centre).tolist()),
        slope,
        age_column if len(told) else "",
        tuple(told.tolist()),
        tuple(map(tuple, best.by_age[: len(told)].tolist())),
        conversions,
    )
