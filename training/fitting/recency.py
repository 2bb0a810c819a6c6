"""Old leads count less than new ones: only where earlier moments show that it helps with the leads that came next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.columns import encode_frame
from training.evaluation.evaluate import standard_error
from training.fitting.design import Design
from training.fitting.encode import Learnt
from training.fitting.ladder import make_data

if TYPE_CHECKING:
    from training.examples import Examples

__all__ = ["HALF_LIFE_DAYS", "RecencyTrial", "fade", "try_recency"]

Vector = NDArray[np.float64]
HALF_LIFE_DAYS = 365.0
_ROWS = 30_000
_STRENGTH = 0.1
_SURE = 2.0


@dataclass(frozen=True)
class RecencyTrial:
    """What counting old leads less was good for, by a plain logistic regression at every origin.

    Attributes
    ----------
    gain, error
        Log loss saved on the leads that came next, all origins together, and its standard error by accounts.
    """

    gain: float
    error: float

    @property
    def taken(self) -> bool:
        """Whether the gain is at least two errors above zero."""
        return self.gain > 0 and self.gain >= _SURE * self.error


def fade(learnt: Learnt, examples: Examples) -> Learnt:
    """Let a row count half as much as one asked about a year later; the mean of an origin's rows stays 1."""
    asked = examples.snapshots["as_of"].iloc[learnt.rows]
    age = (asked.max() - asked).to_numpy() / np.timedelta64(1, "D")
    left = 0.5 ** (age / HALF_LIFE_DAYS)
    return replace(learnt, recency=left / left.mean())


def try_recency(examples: Examples, views: Sequence[Learnt]) -> RecencyTrial | None:
    """Fit every origin's rows as they are and faded, and judge both by the leads that came next.

    Returns
    -------
    RecencyTrial
        Null where there is no time, no feature varies, or nothing mature came next.
    """
    if examples.split.kind != "time" or not len(examples.catalogue.features):
        return None
    gains, rows = [], []
    for view in views:
        ahead = view.origin.ahead[examples.split.mature[view.origin.ahead]]
        if len(ahead) and 0 < view.target.sum() < len(view.target):
            gains.append(_gain(view, examples, ahead))
            rows.append(ahead)
    if not gains:
        return None
    judged = np.concatenate(rows)
    gain = np.concatenate(gains) * examples.weigh_all(judged)
    return RecencyTrial(float(gain.mean()), standard_error(gain, examples.groups[judged]))


def _gain(view: Learnt, examples: Examples, ahead: NDArray[np.intp]) -> Vector:
    """Return the log loss that fading saves on each row ahead."""
    even, faded = (make_data(one, examples, telling="codes").thin(_ROWS) for one in (view, fade(view, examples)))
    design = Design.of(even)
    start = design.fit(even.target, strength=_STRENGTH, weight=even.weights)
    other = design.fit(faded.target, strength=_STRENGTH, weight=faded.weights, start=start)
    matrix, converted = encode_frame(examples.frame, view.columns, rows=ahead), examples.converted[ahead]
    before, after = (
        np.logaddexp(0.0, np.where(converted, -margin, margin))
        for margin in (design.read(numbers).log_odds(matrix) for numbers in (start, other))
    )
    return np.asarray(before - after)
