"""Judge the probabilities within sooner horizons on the test period, beside one share for all leads and the base rate.

The simple rival multiplies the same probability within the whole horizon with the pooled share of conversions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.sooner import column_of
from project.duration import parse_duration
from training.evaluation.evaluate import Interval, log_loss_per_row, ratios_with_intervals

if TYPE_CHECKING:
    from models.lead_model import LeadModel
    from training.examples import Examples

__all__ = ["SoonerRow", "SoonerTable", "judge_sooner", "tabulate_sooner"]

Vector = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class SoonerRow:
    """One horizon on all snapshots of the test period, or on those of one age.

    Attributes
    ----------
    age_days
        Age of the lead when it was asked about; null: all ages.
    observed, expected
        Snapshots that converted within the horizon, and the sum of their probabilities.
    ratio, pooled_ratio
        Observed over expected with its 95 % interval, of the model and of the rival.
    log_loss, log_loss_pooled, log_loss_base
        Of the model, of the rival, and of the base rate of that horizon, learnt before the test period.
    against_pooled
        Log loss minus the rival's, paired, with its 95 % interval; below zero the model is better.
    """

    age_days: float | None
    leads: int
    snapshots: int
    observed: int
    expected: float
    ratio: Interval
    pooled_ratio: Interval
    log_loss: float
    log_loss_pooled: float
    log_loss_base: float
    against_pooled: Interval


@dataclass(frozen=True)
class SoonerTable:
    """One sooner horizon in the test period: all ages, and age by age where there is more than one.

    Attributes
    ----------
    shared
        Whether the model itself has one share for all leads, so that it is its own rival.
    """

    horizon: str
    shared: bool
    whole: SoonerRow
    by_age: tuple[SoonerRow, ...]

    def to_json(self) -> dict[str, object]:
        """Return the form that the manifest and `leads train --json` show."""
        return asdict(self)


def judge_sooner(
    model: LeadModel,
    examples: Examples,
    test: NDArray[np.intp],
    log_odds: Vector,
    *,
    base: Vector,
    horizon: timedelta,
    seed: int,
) -> tuple[SoonerTable, ...]:
    """Judge every sooner horizon of a model; none if it has none, or tells nothing within them.

    Parameters
    ----------
    log_odds
        What the model says of the test rows before calibration, shape (test rows,).
    base
        The base rate of the whole horizon as it was known before the test period, shape (test rows,).
    """
    sooner = model.sooner
    if sooner is None or not sooner.known:
        return ()
    frame, snapshots = examples.frame.iloc[test], examples.snapshots.iloc[test]
    said, whole = model.within(frame, log_odds), model.calibrator.probability(log_odds)
    delay = snapshots["delay"].to_numpy(dtype=np.float64)
    age = np.asarray((snapshots["as_of"] - snapshots["created_at"]).dt.total_seconds() / 86_400, dtype=np.float64)
    return tuple(
        tabulate_sooner(
            name, said[column_of(name)], whole * share, base * share, delay < parse_duration(name) / horizon,
            age=age, leads=examples.leads[test], groups=examples.groups[test], seed=seed,
            shared=sooner.slope == 0.0 and not np.any(sooner.at_age),
        )
        for name, share in zip(sooner.horizons, sooner.pooled, strict=True)
    )  # fmt: skip


def tabulate_sooner(
    horizon: str,
    probability: Vector,
    pooled: Vector,
    base: Vector,
    converted: Flags,
    *,
    age: Vector,
    leads: NDArray[np.str_],
    groups: NDArray[np.int64],
    seed: int,
    shared: bool = False,
) -> SoonerTable:
    """Tabulate one horizon.

    Parameters
    ----------
    probability, pooled, base, converted, age, leads, groups
        Row by row: what the model, its rival and the base rate said, what came within the horizon, age in days, id of
        the lead, and the account that is drawn as one.
    """

    def look(rows: Flags, age_days: float | None) -> SoonerRow:
        won, own, rival = converted[rows], probability[rows], pooled[rows]
        loss, loss_rival = log_loss_per_row(own, won), log_loss_per_row(rival, won)
        wins, ones = won.astype(np.float64), np.ones(len(own))
        ratio, ratio_rival, gap = ratios_with_intervals(
            np.column_stack([wins, wins, loss - loss_rival]),
            np.column_stack([own, rival, ones]),
            groups=groups[rows],
            seed=seed,
        )
        base_loss = float(log_loss_per_row(base[rows], won).mean())
        return SoonerRow(
            age_days, len(np.unique(leads[rows])), len(own), int(won.sum()), float(own.sum()), ratio, ratio_rival,
            float(loss.mean()), float(loss_rival.mean()), base_loss, gap,
        )  # fmt: skip

    def by_age() -> Iterator[SoonerRow]:
        ages = np.unique(age)
        if len(ages) > 1:
            yield from (look(age == one, float(one)) for one in ages)

    return SoonerTable(horizon, shared, look(np.ones(len(age), dtype=np.bool_), None), tuple(by_age()))
