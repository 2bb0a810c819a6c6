"""A close look at the chosen model in the test period: level, order, and every slice of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from training.bands import capacity_share
from training.evaluation.calibration_check import CalibrationCheck, check_calibration
from training.evaluation.decomposition import Decomposition, decompose
from training.evaluation.evaluate import Interval
from training.evaluation.partitions import part_examples
from training.evaluation.ranking import best_per_lead, gains_with_intervals
from training.evaluation.slices import Partition, SliceTable, measure_likeness, tabulate_slices

if TYPE_CHECKING:
    from project.settings import CapacitySettings
    from training.examples import Examples

__all__ = ["Examined", "Reached", "examine", "examine_period"]

Vector = NDArray[np.float64]
_SHARES = np.linspace(0.0, 1.0, 41)
_DEFAULT_SHARE = 0.1


@dataclass(frozen=True)
class Reached:
    """What the top of the list holds.

    Attributes
    ----------
    share
        Share of leads from the top; `of_team` says whether it is what the team can call, else a tenth.
    conversions
        Share of conversions that they hold, with its 95 % interval.
    lift
        The same over `share`: how many times an arbitrary choice.
    """

    share: float
    of_team: bool
    conversions: Interval
    lift: Interval


@dataclass(frozen=True)
class Examined:
    """What a close look found.

    Attributes
    ----------
    gains
        Share of leads, share of conversions reached, low, high (95 %), shape (41, 4); a lead counts once, with the
        highest probability that it reached.
    slices
        Observed over expected by month, age and each category with few levels.
    """

    calibration: CalibrationCheck
    log_loss: Decomposition
    brier: Decomposition
    gains: NDArray[np.float64]
    reached: Reached
    slices: tuple[SliceTable, ...]


def examine(
    probability: Vector,
    converted: NDArray[np.bool_],
    *,
    leads: NDArray[np.int64],
    groups: NDArray[np.int64],
    partitions: Sequence[Partition],
    capacity: float | None,
    seed: int,
) -> Examined:
    """Look closely at one set of probabilities.

    Parameters
    ----------
    probability, converted, leads, groups
        Shape (rows,); a lead lies in one group (account).
    capacity
        Share of the leads that the team can call, in (0, 1]; null if unknown.
    """
    likeness = measure_likeness(probability, converted, leads=leads, groups=groups)
    once = best_per_lead(leads, probability, converted, groups)
    share = capacity if capacity is not None else _DEFAULT_SHARE
    table = gains_with_intervals(*once[:2], groups=once[2], shares=np.append(_SHARES, share))
    _, value, low, high = table[-1].tolist()
    return Examined(
        calibration=check_calibration(probability, converted, leads=leads, groups=groups, seed=seed),
        log_loss=decompose(probability, converted, score="log_loss"),
        brier=decompose(probability, converted, score="brier"),
        gains=table[:-1],
        reached=Reached(
            share, capacity is not None, Interval(value, low, high), Interval(value / share, low / share, high / share)
        ),
        slices=tuple(
            tabulate_slices(one, probability, converted, leads=leads, groups=groups, likeness=likeness)
            for one in partitions
        ),
    )


def examine_period(
    examples: Examples, rows: NDArray[np.intp], probability: Vector, *, capacity: CapacitySettings, seed: int
) -> Examined:
    """Look closely at the probabilities of one period's rows."""
    snapshots = examples.snapshots.iloc[rows]
    leads = np.unique(snapshots["lead_id"].to_numpy(dtype=object).astype(str), return_inverse=True)[1]
    return examine(
        probability,
        examples.converted[rows],
        leads=leads,
        groups=examples.groups[rows],
        partitions=part_examples(snapshots, examples.frame.iloc[rows], examples.catalogue),
        capacity=capacity_share(snapshots, capacity=capacity, coverage=examples.coverage(rows)),
        seed=seed,
    )
