"""Whether a model is shown to know more than the base rate: by the test period, or together with earlier forward leads.

A test period of a few hundred leads misses a faint signal that is there. How models of earlier moments ordered the
leads that came next is no less honest evidence, so both are asked together, under these conditions:

- Only the order of leads counts, and only among those of which one model spoke: the models of earlier moments were
  fitted on fewer leads and say too much, and nothing that was learnt from outcomes, calibration or repair, bears on it.
- An earlier model that was told labels from after its moment, for want of history, is left out.
- The model is the best of several on the forward rows: the interval holds for all of them at once (Bonferroni), and
  with a level that leaves room for what was tried within each of them.
- The test period must speak for the model by itself, in log loss, if not surely.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from training.evaluation.evaluate import Interval
from training.evaluation.ranking import pull_on_auc
from training.evaluation.resample import clustered_error

if TYPE_CHECKING:
    from training.examples import Examples
    from training.fitting.contenders import Contest

__all__ = ["Said", "Together", "add_forward", "has_skill", "look_at_both", "recall_forward"]

Vector = NDArray[np.float64]
_TAIL = 0.005
_CHANCE = 0.5


@dataclass(frozen=True)
class Said:
    """What models said of rows whose outcome they did not know, and what came of them; shape (rows,) in every field.

    Attributes
    ----------
    order
        The larger, the likelier to convert; in any unit, since it is only compared within a model.
    model
        A number for the model that said it.
    groups, leads
        Account and lead of each row; rows of one account count together.
    """

    order: Vector
    model: NDArray[np.intp]
    converted: NDArray[np.bool_]
    groups: NDArray[np.int64]
    leads: NDArray[np.str_]


@dataclass(frozen=True)
class Together:
    """How the chosen model, and those like it at earlier moments, ordered leads whose outcome they did not know.

    Attributes
    ----------
    order
        How often one that converted was put before one that did not, with an interval wide enough for the best of all
        models that were tried.
    forward_leads
        How many leads the forward rows are of.
    """

    order: Interval
    forward_leads: int

    @property
    def beats_chance(self) -> bool:
        """Whether the order is better than an arbitrary one, beyond doubt."""
        return self.order.low > _CHANCE

    def to_json(self) -> dict[str, float | int]:
        """Return the form that manifests show."""
        return {**asdict(self.order), "forward_leads": self.forward_leads}


def look_at_both(contest: Contest, examples: Examples, test: Said) -> Together | None:
    """Return how the chosen kind of model orders forward and test rows; null where nothing can be recalled."""
    forward = recall_forward(contest, examples)
    return None if forward is None else add_forward(forward, test, tried=len(contest.contenders) - 1)


def recall_forward(contest: Contest, examples: Examples) -> Said | None:
    """Return what earlier models like the chosen one said of the leads that came next.

    Null if each of them was told labels from after its moment.
    """
    split = examples.split
    count = [len(one.ahead) for one in split.origins]
    ahead = np.concatenate([one.ahead for one in split.origins])
    model = np.repeat(np.arange(len(count)), count)[split.mature[ahead]]
    told = np.array([split.kind == "time" and one.at is None for one in split.origins])
    blind = ~told[model]
    if not blind.any():
        return None
    rows = contest.rows[blind]
    return Said(
        contest.chosen.said[blind], model[blind], examples.converted[rows], examples.groups[rows], examples.leads[rows]
    )


def add_forward(forward: Said, test: Said, *, tried: int) -> Together:
    """Return the area under the ROC curve within each model, averaged over forward rows and test.

    The weight of each is won · lost / rows, which is what its area is worth as evidence against chance. Models of which
    all or no row converted tell nothing; if none tells anything the area is nan. The error is that of the area, or that
    of an arbitrary order, 1 / √(12 Σ weights) (Mann & Whitney 1947) times what rows of one account add, if that is
    larger: a handful of conversions may happen to agree.

    Parameters
    ----------
    tried
        How many models beside the base rate the chosen one was the best of.
    """
    from scipy import stats

    model = np.concatenate([forward.model, np.full(len(test.order), forward.model.max(initial=-1) + 1)])
    order, converted = np.concatenate([forward.order, test.order]), np.concatenate([forward.converted, test.converted])
    area, total, pull = 0.0, 0.0, np.zeros(len(order))
    for one in np.unique(model):
        rows = np.flatnonzero(model == one)
        won = int(converted[rows].sum())
        worth = won * (len(rows) - won) / len(rows)
        if worth == 0:
            continue
        own, pulled = pull_on_auc(order[rows], converted[rows])
        area, total = area + worth * own, total + worth
        pull[rows] = worth * pulled / len(rows)
    leads = len(np.unique(forward.leads))
    if total == 0:
        return Together(Interval(float("nan"), float("nan"), float("nan")), leads)
    pull *= len(order) / total
    error, alone = (
        clustered_error(pull, groups)
        for groups in (np.concatenate([forward.groups, test.groups]), np.arange(len(order)))
    )
    by_chance = (12.0 * total) ** -0.5 * (error / alone if alone > 0 else 1.0)
    wide = float(stats.norm.isf(_TAIL / tried)) * max(error, by_chance)
    return Together(Interval(area / total, area / total - wide, area / total + wide), leads)


def has_skill(test: Interval, together: Together | None) -> bool:
    """Return whether chance is ruled out: by the test period, or by both where the test period speaks for the model.

    Parameters
    ----------
    test
        Log loss minus the base rate's on the test period.

    >>> both = Together(Interval(0.62, 0.55, 0.69), forward_leads=400)
    >>> has_skill(Interval(-0.02, -0.05, 0.01), None), has_skill(Interval(-0.02, -0.05, 0.01), both)
    (False, True)
    >>> has_skill(Interval(0.001, -0.02, 0.02), both)
    False
    """
    return test.high < 0 or (together is not None and test.value < 0 and together.beats_chance)
