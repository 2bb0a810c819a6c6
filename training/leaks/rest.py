"""One column against all the others: a small model with and without it, and the bracket of a flat file."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from training.evaluation.evaluate import Interval, compare_log_loss, log_loss_per_row
from training.leaks.clues import Clue, auc_interval

__all__ = ["BracketRow", "clue_of_rest", "fit_out_of_fold", "measure_bracket", "weigh_against_rest"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
_FOLDS, _ROUNDS, _MOST_ROWS, _COMMON = 3, 60, 8_000, 20
_MARGIN, _AT_LEAST = 0.05, 0.80
_FAR, _SHARE, _OTHERS = 5.0, 0.15, 3


@dataclass(frozen=True)
class BracketRow:
    """How well a small model does, out of fold, on one set of columns of a flat file."""

    name: str
    columns: int
    auc: float
    log_loss: float


def fit_out_of_fold(columns: Mapping[str, pd.Series], won: Flags, groups: NDArray[np.int64]) -> Floats:
    """Return each row's probability from a small LightGBM that saw no row of its group."""
    import lightgbm

    if not columns:
        return np.full(len(won), won.mean())
    matrix = np.column_stack([_encode(values) for values in columns.values()])
    categories = [place for place, values in enumerate(columns.values()) if values.dtype.kind not in "fM"]
    places = np.unique(groups, return_inverse=True)[1]
    folds = np.random.default_rng(0).permutation(int(places.max()) + 1)[places] % _FOLDS
    said = np.full(len(won), won.mean())
    for fold in range(_FOLDS):
        fit = folds != fold
        if 0 < won[fit].sum() < fit.sum() and not fit.all():
            data = lightgbm.Dataset(
                matrix[fit], label=won[fit].astype(np.float64), categorical_feature=categories, free_raw_data=True
            )
            said[~fit] = lightgbm.train(_parameters(int(fit.sum())), data, num_boost_round=_ROUNDS).predict(
                matrix[~fit]
            )
    return said


def _parameters(rows: int) -> dict[str, object]:
    return {
        "objective": "binary",
        "learning_rate": 0.1,
        "num_leaves": 15,
        "min_data_in_leaf": max(10, min(100, rows // 200)),
        "lambda_l2": 5.0,
        "cat_smooth": 20.0,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "seed": 0,
        "verbosity": -1,
    }


def _encode(values: pd.Series) -> Floats:
    if values.dtype.kind == "f":
        return np.where(np.isfinite(values), values, np.nan)
    if values.dtype.kind == "M":
        return np.where(values.notna(), values.astype("int64").astype("float64") / 8.64e10, np.nan)
    counts = values.value_counts()
    codes = {level: float(place) for place, level in enumerate(counts.index[counts >= _COMMON])}
    return values.map(codes).fillna(float(len(codes))).where(values.notna()).to_numpy(dtype=np.float64)


def weigh_against_rest(
    suspect: str, columns: Mapping[str, pd.Series], won: Flags, groups: NDArray[np.int64], *, alone: float
) -> Clue | None:
    """Compare a column alone with a model of all the others, and its loss when removed with that of the next best.

    Columns that are condemned already must not be among `columns`: one leak hides another.
    """
    from sklearn.metrics import roc_auc_score

    rows = np.random.default_rng(0).permutation(len(won))[:_MOST_ROWS]
    kept = {name: values.iloc[rows].reset_index(drop=True) for name, values in columns.items()}
    won, groups = won[rows], groups[rows]
    whole = fit_out_of_fold(kept, won, groups)
    without = fit_out_of_fold(_leave_out(kept, [suspect]), won, groups)
    drop = compare_log_loss(without, whole, won, groups=groups, seed=0)
    others = [
        float(np.mean(log_loss_per_row(fit_out_of_fold(_leave_out(kept, [name]), won, groups), won)))
        for name in _leading(_leave_out(kept, [suspect]), won)
    ]
    base = float(np.mean(log_loss_per_row(np.full(len(won), won.mean()), won)))
    best = max((loss - float(np.mean(log_loss_per_row(whole, won))) for loss in others), default=0.0)
    rest = float(roc_auc_score(won, without)) if without.std() > 0 else 0.5
    return clue_of_rest(
        auc_interval(alone, won=int(won.sum()), lost=int((~won).sum())), rest=rest, drop=drop, next_drop=best, base=base
    )


def _leave_out(columns: Mapping[str, pd.Series], names: Collection[str]) -> dict[str, pd.Series]:
    return {name: values for name, values in columns.items() if name not in names}


def _leading(columns: Mapping[str, pd.Series], won: Flags) -> Sequence[str]:
    """Name the columns that tell most alone: the ones whose removal can cost much."""
    from training.leaks.clues import measure_alone

    skill = {name: measure_alone(values, won) for name, values in columns.items() if values.dtype.kind != "M"}
    return sorted(skill, key=lambda name: -skill[name])[:_OTHERS]


def clue_of_rest(alone: Interval, *, rest: float, drop: Interval, next_drop: float, base: float) -> Clue | None:
    """Weigh a column that alone beats all the others together, or whose removal costs far more than any other's.

    Parameters
    ----------
    drop, next_drop
        Rise of the log loss when this column, and when the most needed other one, is removed.
    base
        Log loss of the base rate, which says what a rise is worth.
    """
    if alone.low < _AT_LEAST:
        return None
    if alone.low >= rest + _MARGIN:
        says = f"alone (AUC {alone.value:.2f}) it beats all the other columns together ({rest:.2f})"
        return Clue("skill", "proof" if alone.low >= _AT_LEAST + _MARGIN else "strong", alone.value - rest, says)
    if drop.low >= _SHARE * base and drop.value >= _FAR * max(next_drop, 0.0):
        says = (
            f"without it the log loss rises by {drop.value / base:.0%} of the base rate's, far more than for any other"
        )
        return Clue("skill", "strong", drop.value, says)
    return None


def measure_bracket(
    sets: Mapping[str, Mapping[str, pd.Series]], won: Flags, groups: NDArray[np.int64]
) -> tuple[BracketRow, ...]:
    """Return the grouped out-of-fold AUC and log loss of each set of columns."""
    from sklearn.metrics import roc_auc_score

    rows = []
    for name, columns in sets.items():
        said = fit_out_of_fold(columns, won, groups)
        auc = float(roc_auc_score(won, said)) if said.std() > 0 else 0.5
        rows.append(BracketRow(name, len(columns), auc, float(np.mean(log_loss_per_row(said, won)))))
    return tuple(rows)
