"""Whether a model is shown to know more than the base rate: by the test period, or together with earlier forward leads.

A test period of a few hundred leads misses a faint signal that is there. What models of earlier moments said of the
leads that came next is no less honest, so both are asked together, under these conditions:

- Nothing that was learnt from those leads' outcomes counts: neither calibration nor repair. Instead each earlier model
  is taken half way to the base rate of its moment, in log-odds: it was fitted on fewer leads, and says too much.
- Its rival is the base rate as it was known then.
- An earlier model that was told labels from after its moment, for want of history, is left out.
- The model is the best of several on the forward rows: the interval holds for all of them at once (Bonferroni).
- The test period must speak for the model by itself, if not surely.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from training.evaluation.evaluate import Interval, log_loss_per_row, standard_error

if TYPE_CHECKING:
    from training.examples import Examples
    from training.fitting.contenders import Contest

__all__ = ["Said", "Together", "add_forward", "has_skill", "look_at_both", "recall_forward"]

Vector = NDArray[np.float64]
_HALF = 0.5
_TAIL = 0.025


@dataclass(frozen=True)
class Said:
    """What a model and the base rate said of some rows whose outcome they did not know, and what came of them.

    Attributes
    ----------
    groups, leads
        Account and lead of each row; rows of one account are drawn together.
    """

    model: Vector
    base: Vector
    converted: NDArray[np.bool_]
    groups: NDArray[np.int64]
    leads: NDArray[np.str_]

    @property
    def gap(self) -> Vector:
        """Log loss of the model minus that of the base rate, row by row."""
        return log_loss_per_row(self.model, self.converted) - log_loss_per_row(self.base, self.converted)


@dataclass(frozen=True)
class Together:
    """The chosen model beside the base rate on forward and test rows.

    Attributes
    ----------
    against_base
        Log loss minus the base rate's, with an interval wide enough for the best of all models that were tried.
    forward_leads
        How many leads the forward rows are of.
    """

    against_base: Interval
    forward_leads: int

    def to_json(self) -> dict[str, float | int]:
        """Return the form that manifests show."""
        return {**asdict(self.against_base), "forward_leads": self.forward_leads}


def look_at_both(contest: Contest, examples: Examples, test: Said) -> Together | None:
    """Return the chosen model's gap to the base rate over forward and test rows; null where nothing can be recalled."""
    forward = recall_forward(contest, examples)
    return None if forward is None else add_forward(forward, test, tried=len(contest.contenders) - 1)


def recall_forward(contest: Contest, examples: Examples) -> Said | None:
    """Return what earlier models like the chosen one said of the leads that came next, half way to the base rate.

    Null if each of them was told labels from after its moment.
    """
    from scipy import special

    split = examples.split
    told = [np.full(len(one.ahead), split.kind == "time" and one.at is None) for one in split.origins]
    ahead = np.concatenate([one.ahead for one in split.origins])
    blind = ~np.concatenate(told)[split.mature[ahead]]
    if not blind.any():
        return None
    rows = contest.rows[blind]
    model, base = contest.chosen.said[blind], contest.contenders[0].said[blind]
    return Said(
        special.expit(base + _HALF * (model - base)), special.expit(base),
        examples.converted[rows], examples.groups[rows], examples.leads[rows],
    )  # fmt: skip


def add_forward(forward: Said, test: Said, *, tried: int) -> Together:
    """Return the gap to the base rate over all rows of both, every row counting alike.

    Parameters
    ----------
    tried
        How many models beside the base rate the chosen one was the best of.
    """
    from scipy import stats

    gap = np.concatenate([forward.gap, test.gap])
    groups = np.concatenate([forward.groups, test.groups])
    mean, wide = float(gap.mean()), float(stats.norm.isf(_TAIL / tried)) * standard_error(gap, groups)
    return Together(Interval(mean, mean - wide, mean + wide), len(np.unique(forward.leads)))


def has_skill(test: Interval, together: Together | None) -> bool:
    """Return whether chance is ruled out: by the test period, or by both where the test period speaks for the model.

    Parameters
    ----------
    test
        Log loss minus the base rate's on the test period.

    >>> both = Together(Interval(-0.03, -0.05, -0.01), forward_leads=400)
    >>> has_skill(Interval(-0.02, -0.05, 0.01), None), has_skill(Interval(-0.02, -0.05, 0.01), both)
    (False, True)
    >>> has_skill(Interval(0.001, -0.02, 0.02), both)
    False
    """
    if test.high < 0:
        return True
    return together is not None and test.value < 0 and together.against_base.high < 0
