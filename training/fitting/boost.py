"""Fit LightGBM: small trees, strong column sampling and ridge, bagged over accounts and seeds."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.estimators import Blend, BoostedTrees
from training.fitting.beside import run_beside
from training.fitting.fit import FitData

if TYPE_CHECKING:
    import lightgbm

__all__ = ["Tuned", "boosting_parameters", "find_rounds", "fit_bag", "fit_trees"]

Tuned = tuple[tuple[str, float], ...]

_ROUNDS, _PATIENCE = 2_000, 100
_MORE_ROUNDS = 1.1
_BAG_SHARE = 0.8
_MANY_INPUTS = 60
_BIN_ROWS = 50_000  # that bins are drawn from: LightGBM holds these apart while it makes them
_BATCH_ROWS = 8_192


def boosting_parameters(
    rows: int, *, inputs: int, weight: float = 1.0, seed: int, tuned: Tuned = ()
) -> dict[str, object]:
    """Return LightGBM's parameters; rows of one lead count together, so a leaf needs the more of them.

    The objective is the log loss of labels that may lie between 0 and 1. What was tuned replaces the usual; `leaf` is
    how many times as many rows a leaf needs.
    """
    found = dict(tuned)
    leaf = found.pop("leaf", 1.0)
    usual = {
        "objective": "cross_entropy",
        "learning_rate": 0.03,
        "num_leaves": 15,
        "max_depth": 6,
        "min_data_in_leaf": round(leaf * max(20, min(100, round(rows * weight) // 300)) * max(1, round(1.0 / weight))),
        "feature_fraction": 0.25 if inputs > _MANY_INPUTS else 0.5,
        "bagging_fraction": 0.75,
        "bagging_freq": 1,
        "lambda_l2": 5.0,
        "cat_smooth": 20.0,
        "cat_l2": 20.0,
        "max_cat_threshold": 16,
        "min_data_per_group": 50,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "seed": seed,
        "verbosity": -1,
    }
    return {**usual, **found, **({"num_leaves": round(found["num_leaves"])} if "num_leaves" in found else {})}


def find_rounds(data: FitData, *, seed: int, tuned: Tuned = ()) -> int:
    """Return how many trees are best for the last leads of the data when fitted on the others, at least 1."""
    import lightgbm

    late = data.late()
    early, check = data.part(~late), data.part(late)
    if not 0 < early.target.sum() < len(early.target) or not len(check.target):
        return _PATIENCE
    watched = lightgbm.train(
        _parameters(early, seed=seed, tuned=tuned),
        _dataset(early),
        num_boost_round=_ROUNDS,
        valid_sets=[_dataset(check)],
        callbacks=[lightgbm.early_stopping(_PATIENCE, verbose=False)],
    )
    return max(1, round(int(watched.best_iteration) * _MORE_ROUNDS))


def fit_trees(data: FitData, *, rounds: int, seed: int, tuned: Tuned = ()) -> BoostedTrees:
    """Fit one LightGBM on all rows."""
    import lightgbm

    trees = lightgbm.train(_parameters(data, seed=seed, tuned=tuned), _dataset(data), num_boost_round=rounds)
    return BoostedTrees(trees.model_to_string(), data.inputs)


def fit_bag(
    data: FitData, groups: NDArray[np.int64], *, rounds: int, members: int, seed: int, tuned: Tuned = ()
) -> Blend:
    """Fit several, each with its own seed on four fifths of the accounts, and average their log-odds.

    Members are fitted beside each other, one thread each: more threads would not make other trees, only slower ones.
    """
    import lightgbm

    kinds = np.unique(groups)
    # bins know no labels, so that members may share them
    whole = _dataset(data, _in_batches(data)).construct()

    def fit(number: int) -> BoostedTrees:
        chance = np.random.default_rng([seed, number])
        kept = chance.choice(kinds, max(1, round(_BAG_SHARE * len(kinds))), replace=False)
        rows = np.flatnonzero(np.isin(groups, kept))
        parameters = boosting_parameters(
            len(rows), inputs=len(data.used), weight=data.weight, seed=seed + number, tuned=tuned
        )
        trees = lightgbm.train(parameters, whole.subset(rows.tolist()), num_boost_round=rounds)
        return BoostedTrees(trees.model_to_string(), data.inputs)

    parts = run_beside([partial(fit, number) for number in range(members)])
    return Blend(tuple(parts), (1.0 / members,) * members)


def _parameters(data: FitData, *, seed: int, tuned: Tuned) -> dict[str, object]:
    return boosting_parameters(len(data.target), inputs=len(data.used), weight=data.weight, seed=seed, tuned=tuned)


def _dataset(data: FitData, inputs: lightgbm.Sequence | None = None) -> lightgbm.Dataset:
    import lightgbm

    places = list(data.used)
    kinds = [place < len(data.columns) and data.columns[place].kind == "category" for place in places]
    return lightgbm.Dataset(
        np.ascontiguousarray(data.matrix[:, places]) if inputs is None else inputs,
        label=data.target,
        weight=data.weights,
        params={"bin_construct_sample_cnt": _BIN_ROWS},
        feature_name=[f"f{place}" for place in places],
        categorical_feature=[number for number, category in enumerate(kinds) if category],
    )


def _in_batches(data: FitData) -> lightgbm.Sequence:
    """Hand the inputs over batch by batch, so that there is no second matrix of all of them.

    LightGBM then drops inputs too rare for its usual leaf, whatever the leaf of the training is (4.7).
    """
    import lightgbm

    places = list(data.used)

    class Rows(lightgbm.Sequence):  # type: ignore[misc]
        batch_size = _BATCH_ROWS

        def __len__(self) -> int:
            return len(data.matrix)

        def __getitem__(self, rows: int | slice | list[int]) -> NDArray[np.float64]:
            chosen: NDArray[np.float64] = data.matrix[rows][..., places]
            return chosen

    return Rows()
