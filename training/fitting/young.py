"""Leads too young to know: what to make of them, and whether earlier moments show that it helps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.columns import encode_frame
from training.fitting.delays import still_to_come
from training.fitting.design import Design
from training.fitting.encode import Learnt
from training.fitting.fit import FitData
from training.thin import thin

if TYPE_CHECKING:
    from training.examples import Examples

__all__ = ["YoungTrial", "label_young", "level_miss", "they_help"]

Vector = NDArray[np.float64]
_ROWS = 30_000
_STRENGTH = 0.1
_ROUNDS = 2
_MISS, _MISS_WEIGHT = 0.25, 2


@dataclass(frozen=True)
class YoungTrial:
    """What an origin's young leads were good for, by a plain logistic regression, once it was known what came next.

    Attributes
    ----------
    gain
        Log loss saved on the leads that came next by learning from the young too.
    seen, needed
        The shift of the level that the young spoke for, and the one that the leads that came next needed, in log-odds.
    """

    gain: float
    seen: float
    needed: float


def label_young(learnt: Learnt, examples: Examples) -> tuple[Learnt, YoungTrial | None]:
    """Give the young of an origin a probability for a label, and see what that would have been good for.

    It is what a first logistic regression makes of them, given that they have not converted so far; twice, since the
    first time it has only learnt from the others (two rounds of expectation and maximisation).

    Returns
    -------
    tuple
        The origin with its new targets, and the trial; null if there are no young, or nothing mature came next.
    """
    known = learnt.known
    young = ~known.converted & (known.seen < 1.0)
    over = known.seen >= 1.0
    if not young.any() or not 0 < known.converted[over].sum() < over.sum():
        return learnt, None
    data = FitData(
        learnt.columns, learnt.matrix, learnt.target, examples.arrived[learnt.rows], learnt.weight,
        tuple(range(len(learnt.columns))), examples.weigh(learnt.rows),
    )  # fmt: skip
    rows = thin(len(data.target), _ROWS)
    fewer = data.thin(_ROWS)
    design = Design.of(fewer)
    numbers = design.fit(fewer.target, strength=_STRENGTH, weight=fewer.weights, rows=over[rows])
    first = numbers
    for _ in range(_ROUNDS):
        probability = 1.0 / (1.0 + np.exp(-design.margin(numbers)))
        target = np.where(young[rows], still_to_come(probability, known.seen[rows]), fewer.target)
        numbers = design.fit(target, strength=_STRENGTH, weight=fewer.weights, start=numbers)
    model = design.read(numbers)
    target = learnt.target.copy()
    said = 1.0 / (1.0 + np.exp(-model.log_odds(learnt.matrix[young])))
    target[young] = still_to_come(said, known.seen[young])
    labelled = replace(learnt, target=target)
    ahead = learnt.origin.ahead[examples.split.mature[learnt.origin.ahead]]
    if not len(ahead):
        return labelled, None
    matrix, converted = encode_frame(examples.frame, learnt.columns, rows=ahead), examples.converted[ahead]
    before, after = (design.read(one).log_odds(matrix) for one in (first, numbers))
    gain = float(np.mean(_loss(before, converted) - _loss(after, converted)))
    recent = known.seen < 1.0
    seen = _shift(
        design.margin(numbers)[recent[rows]], known.converted[rows][recent[rows]], known.seen[rows][recent[rows]]
    )
    return labelled, YoungTrial(gain, seen, _shift(after, converted, np.ones(len(ahead))))


def they_help(trials: Sequence[YoungTrial | None]) -> bool:
    """Return whether learning from the young has helped at the last origin that could tell."""
    told = [trial for trial in trials if trial is not None]
    return bool(told) and told[-1].gain > 0


def level_miss(trials: Sequence[YoungTrial | None]) -> float:
    """Return how far the level of the leads that came next was from the one that the young spoke for, in log-odds.

    A standard deviation, over the origins and two more at which it was 0.25: on real histories months differ by that
    much.
    """
    squares = [(trial.seen - trial.needed) ** 2 for trial in trials if trial is not None]
    return float(np.sqrt((sum(squares) + _MISS_WEIGHT * _MISS**2) / (len(squares) + _MISS_WEIGHT)))


def _loss(margin: Vector, converted: NDArray[np.bool_]) -> Vector:
    return np.logaddexp(0.0, np.where(converted, -margin, margin))


def _shift(margin: Vector, converted: NDArray[np.bool_], seen: Vector) -> float:
    """Return the shift of the log-odds with which as many conversions are expected as were seen, within ±2."""
    from scipy import optimize, special

    def lack(shift: float) -> float:
        return float(np.sum(seen * special.expit(margin + shift)) - converted.sum())

    if lack(-2.0) >= 0 or lack(2.0) <= 0:
        return -2.0 if lack(-2.0) >= 0 else 2.0
    return float(optimize.brentq(lack, -2.0, 2.0, xtol=1e-9))
