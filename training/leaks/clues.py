"""Clues: what one column shows about having been written after the outcome, as a number, a sentence and a weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from training.evaluation.evaluate import Interval

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "FEWEST",
    "Clue",
    "auc_interval",
    "clue_of_collapse",
    "clue_of_filling",
    "clue_of_skill",
    "measure_alone",
    "measure_filled",
    "measure_forward",
    "strongest",
]

Flags = NDArray[np.bool_]
Family = Literal["rule", "name", "fill", "skill", "age", "order", "outcome", "history", "future"]
Weight = Literal["hint", "strong", "proof"]

FEWEST = 30
_FOLDS, _PRIOR, _BINS, _FEW_NUMBERS, _OFTEN = 5, 10, 20, 30, 0.05
_SKILL_HINT, _SKILL_STRONG, _SKILL_PROOF = 0.65, 0.85, 0.95
_FILL_HINT, _FILL_STRONG, _FILL_PROOF = 0.57, 0.60, 0.85
_FORWARD_LOSS, _FORWARD_LEFT = 0.10, 0.60


@dataclass(frozen=True)
class Clue:
    """One piece of evidence.

    Attributes
    ----------
    family
        What it is drawn from; clues of one family say the same thing twice. Fill and skill are both statistics.
    weight
        `proof` condemns by itself, `strong` together with a clue of another kind, a `hint` never.
    figure
        The number behind the sentence, NaN if there is none.
    """

    family: Family
    weight: Weight
    figure: float
    sentence: str


def auc_interval(auc: float, *, won: int, lost: int) -> Interval:
    """Return the 95 % interval of an AUC (Hanley and McNeil, 1982).

    >>> print(auc_interval(0.75, won=100, lost=100))
    0.7500 [0.6825, 0.8175]
    """
    both, twice = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (won - 1) * (both - auc**2) + (lost - 1) * (twice - auc**2)
    reach = 1.96 * float(np.sqrt(max(variance, 0.0) / (won * lost)))
    return Interval(auc, max(0.0, auc - reach), min(1.0, auc + reach))


def measure_alone(values: pd.Series, won: Flags, *, groups: NDArray[np.int64] | None = None) -> float:
    """Return the out-of-fold AUC of one column: the smoothed rate of each level, or of each twentieth of a number.

    Rows of one group (an account) stand in one fold. A missing value is a level of its own.
    """
    from sklearn.metrics import roc_auc_score

    codes = _codes(values)
    if groups is None:
        folds = np.random.default_rng(0).integers(0, _FOLDS, len(codes))
    else:
        places = np.unique(groups, return_inverse=True)[1]
        folds = np.random.default_rng(0).integers(0, _FOLDS, int(places.max()) + 1)[places]
    scores = np.zeros(len(codes))
    for fold in range(_FOLDS):
        fit = folds != fold
        if fit.any() and not fit.all():
            scores[~fit] = _rates(codes, won, fit=fit)[codes[~fit]]
    return float(roc_auc_score(won, scores))


def measure_forward(values: pd.Series, won: Flags, order: NDArray[np.int64]) -> float:
    """Return the AUC of one column on the latest third of the rows, its rates learnt from the others."""
    from sklearn.metrics import roc_auc_score

    late = order >= np.quantile(order, 2 / 3)
    if not 0 < won[late].sum() < late.sum() or late.all():
        return float("nan")
    codes = _codes(values)
    return float(roc_auc_score(won[late], _rates(codes, won, fit=~late)[codes[late]]))


def _rates(codes: NDArray[np.intp], won: Flags, *, fit: Flags) -> NDArray[np.float64]:
    size = int(codes.max()) + 1
    wins = np.bincount(codes[fit], weights=won[fit], minlength=size)
    rates: NDArray[np.float64] = (wins + _PRIOR * won[fit].mean()) / (np.bincount(codes[fit], minlength=size) + _PRIOR)
    return rates


def _codes(values: pd.Series) -> NDArray[np.intp]:
    """Return a code for each level; a number that many rows share (0, above all) has its own beside the twentieths."""
    import pandas as pd

    if values.dtype.kind != "f" or values.nunique() <= _FEW_NUMBERS:
        return np.asarray(pd.factorize(values)[0] + 1)
    shares = values.value_counts(normalize=True)
    frequent = {value: place for place, value in enumerate(shares.index[shares >= _OFTEN], start=_BINS + 1)}
    known = values.map(frequent)
    rest = pd.qcut(values.where(known.isna()), _BINS, labels=False, duplicates="drop") + 1
    return np.asarray(known.fillna(rest).fillna(0).astype("int64").to_numpy(), dtype=np.intp)


def clue_of_skill(alone: float, *, won: int, lost: int) -> Clue | None:
    """Weigh what one column tells by itself: honest single facts about a lead stay far below 0.85."""
    found = auc_interval(alone, won=won, lost=lost)
    says = f"alone it tells the outcome (AUC {alone:.2f} [{found.low:.2f}, {found.high:.2f}])"
    if found.low >= _SKILL_PROOF:
        return Clue("skill", "proof", alone, f"{says}: nothing known beforehand is that good")
    if found.low >= _SKILL_STRONG:
        return Clue("skill", "strong", alone, f"{says}: probably written afterwards")
    return Clue("skill", "hint", alone, says) if found.low >= _SKILL_HINT else None


def measure_filled(filled: Flags, won: Flags) -> Interval:
    """Return the AUC of being filled (or of being empty, if that tells more) with its 95 % interval."""
    shares = filled[won].mean(), filled[~won].mean()
    sizes = won.sum(), (~won).sum()
    value = abs(float(shares[0] - shares[1])) / 2 + 0.5
    spread = np.sqrt(sum(share * (1 - share) / size for share, size in zip(shares, sizes, strict=True)))
    reach = 1.96 / 2 * float(spread)
    return Interval(value, max(0.5, value - reach), min(1.0, value + reach))


def clue_of_filling(filled: Flags, won: Flags) -> Clue | None:
    """Weigh whether being filled tells the outcome: a form is filled in by buyers and others, a result by one side."""
    found = measure_filled(filled, won)
    says = (
        f"whether it is filled tells the outcome (AUC {found.value:.2f} [{found.low:.2f}, {found.high:.2f}]): "
        f"filled for {filled[won].mean():.0%} of the won and {filled[~won].mean():.0%} of the others"
    )
    for least, weight in ((_FILL_PROOF, "proof"), (_FILL_STRONG, "strong"), (_FILL_HINT, "hint")):
        if found.low >= least:
            return Clue("fill", weight, found.value, says)  # type: ignore[arg-type]
    return None


def clue_of_collapse(alone: float, forward: float) -> Clue | None:
    """Weigh skill that is there on a random split and gone in the order of time."""
    if not (alone >= _SKILL_HINT and alone - forward >= _FORWARD_LOSS and forward < _FORWARD_LEFT):
        return None
    says = f"its skill is gone in the order of time (AUC {alone:.2f} on a random split, {forward:.2f} forward)"
    return Clue("order", "hint", alone - forward, says)


def strongest(clues: Sequence[Clue]) -> list[Clue]:
    """Return the clues, the heaviest first."""
    return sorted(clues, key=lambda clue: ("proof", "strong", "hint").index(clue.weight))
