"""Which pairs of categories tell more together than apart: screened in the past, taken only if the next leads agree."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.columns import encode_frame
from training.evaluation.evaluate import standard_error
from training.fitting.design import Design
from training.fitting.encode import Learnt, Pairs, learn_at, read_levels
from training.fitting.fit import fit_logistic
from training.fitting.ladder import TELLINGS, TRY_ROWS, make_data
from training.fitting.pair_encoder import PastPairEncoder
from training.fitting.young import label_young
from training.thin import thin

if TYPE_CHECKING:
    from training.examples import Examples

__all__ = ["PairTrial", "try_pairs"]

Vector = NDArray[np.float64]
_ROWS = 40_000
_MOST_COLUMNS, _MOST_PAIRS = 12, 5
_LEAST_GAIN = 0.001
_SURE = 2.0
_STRENGTH = 0.1


@dataclass(frozen=True)
class PairTrial:
    """What became of the pairs that were screened.

    Attributes
    ----------
    screened
        Names of the pairs that told most in the past, best first, with the share of the log loss that each saved.
    gain, error
        Log loss saved on the leads that came next by a logistic regression that knows them, and its standard error.
    """

    screened: tuple[tuple[str, str, float], ...]
    gain: float
    error: float

    @property
    def taken(self) -> Pairs:
        """The pairs to use: all that were screened if the gain is two errors above zero, else none."""
        sure = bool(self.screened) and self.gain > _SURE * self.error
        return tuple((one, other) for one, other, _ in self.screened) if sure else ()


def try_pairs(examples: Examples, alone: Learnt, *, horizon: timedelta, young: bool) -> PairTrial | None:
    """Screen pairs on what an origin knew, and judge them by the leads that came next; null where there is no time.

    A pair is screened if, told as it was known when each lead was asked about, it saves more than a thousandth of the
    log loss of its two categories, each with the weight that suits it best; at most five are kept.

    Parameters
    ----------
    alone
        What the origin knew, without pairs; its young leads have half-known labels.
    young
        Whether it has learnt from them.
    """
    if examples.split.kind != "time":
        return None
    screened = _screen(examples, alone, horizon)
    if not screened:
        return PairTrial((), 0.0, 0.0)
    pairs = tuple((one, other) for one, other, _ in screened)
    origin = alone.origin
    together, _ = label_young(
        learn_at(examples, origin, horizon=horizon, young=young, most=TRY_ROWS, pairs=pairs), examples
    )
    ahead = origin.ahead[examples.split.mature[origin.ahead]]

    def losses(learnt: Learnt) -> Vector:
        """Return the log loss of each row ahead, categories told in the better of the two ways."""
        matrix = encode_frame(examples.frame, learnt.columns, rows=ahead)
        told = []
        for telling in TELLINGS:
            model = fit_logistic(make_data(learnt, examples, telling=telling), strength=_STRENGTH)
            margin = model.log_odds(matrix)
            told.append(np.logaddexp(0.0, np.where(examples.converted[ahead], -margin, margin)))
        return min(told, key=lambda loss: float(loss.mean()))

    gain = losses(alone) - losses(together)
    return PairTrial(screened, float(gain.mean()), standard_error(gain, examples.groups[ahead]))


def _screen(examples: Examples, learnt: Learnt, horizon: timedelta) -> tuple[tuple[str, str, float], ...]:
    names = [column.name for column in learnt.columns if column.rates and len(column.levels) > 1][:_MOST_COLUMNS]
    over = np.flatnonzero(learnt.known.seen >= 1.0)
    over = over[thin(len(over), _ROWS)]
    rows = learnt.rows[over]
    converted = learnt.known.converted[over]
    if len(names) < 2 or not 0 < converted.sum() < len(converted):
        return ()
    snapshots = examples.snapshots.iloc[rows]
    asked = snapshots["as_of"].to_numpy().astype("datetime64[us]").astype(np.int64).astype(np.float64)
    known = asked + horizon / timedelta(microseconds=1)
    codes, _ = read_levels(examples.frame, names, rows=rows)
    encoder = PastPairEncoder().fit(
        codes, converted, asked=asked, known=known, sample_weight=np.full(len(rows), learnt.weight)
    )
    alone = encoder.alone_.transform(codes, asked=asked)
    together = encoder.transform(codes, asked=asked)
    # the first half of the history knows too little of itself to be told anything
    late = asked >= np.median(asked)
    found = []
    for place, (one, other) in enumerate(combinations(range(len(names)), 2)):
        told = np.column_stack([alone[late, one], alone[late, other], together[late, place]])
        before, after = (_least_loss(told[:, :many], converted[late]) for many in (2, 3))
        found.append((names[one], names[other], 1.0 - after / before))
    best = sorted(found, key=lambda entry: (-entry[2], entry[:2]))[:_MOST_PAIRS]
    return tuple(entry for entry in best if entry[2] > _LEAST_GAIN)


def _least_loss(told: NDArray[np.float64], converted: NDArray[np.bool_]) -> float:
    """Return the log loss of what a few inputs tell at best: categories that say the same must not count twice."""
    design = Design((), told.astype(np.float32), (), told)
    margin = design.margin(design.fit(converted.astype(np.float64), strength=1e3, weight=np.ones(len(told))))
    return float(np.mean(np.logaddexp(0.0, np.where(converted, -margin, margin))))
