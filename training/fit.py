"""Fit the estimators on the fit period: regularised logistic regression and robust LightGBM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.columns import ModelColumn
from models.estimators import BoostedTrees, LinearTerm, Logistic, transform_number

__all__ = ["FitData", "fit_boosted", "fit_logistic"]

_STRENGTHS = (0.001, 0.01, 0.1, 1.0)
_SEARCH_ROWS = 30_000
_ROUNDS, _PATIENCE, _MORE_ROUNDS = 2_000, 100, 1.1
_LATE_SHARE = 0.15
_SKEWED = 2.0
_LARGEST = 1e100  # beyond it a variance overflows


@dataclass(frozen=True)
class FitData:
    """Encoded rows of the fit period.

    Attributes
    ----------
    matrix
        Shape (rows, columns), from `encode_frame`.
    converted
        Shape (rows,).
    arrived
        Order in which the row's lead came in; rows of one lead share it. The latest choose strength and rounds.
    """

    columns: Sequence[ModelColumn]
    matrix: NDArray[np.float64]
    converted: NDArray[np.bool_]
    arrived: NDArray[np.int64]

    def late(self) -> NDArray[np.bool_]:
        """Return which rows belong to the last 15 % of the leads."""
        arrivals = np.unique(self.arrived)
        return np.asarray(self.arrived >= arrivals[int(len(arrivals) * (1 - _LATE_SHARE))])

    def part(self, rows: NDArray[np.bool_]) -> FitData:
        """Return some of the rows."""
        return FitData(self.columns, self.matrix[rows], self.converted[rows], self.arrived[rows])


def fit_logistic(data: FitData) -> Logistic:
    """Fit logistic regression with ridge, its strength chosen on the last leads of the fit period, then on all rows.

    Numbers are standardised, skewed ones after sign(x)·log(1 + |x|); categories are one-hot; missing values have a
    weight of their own.
    """
    late = data.late()
    early, check = _thin(data.part(~late)), data.part(late)
    strength = _STRENGTHS[len(_STRENGTHS) // 2]
    if 0 < early.converted.sum() < len(early.converted):
        losses = [_mean_log_loss(_fit_ridge(early, c), check) for c in _STRENGTHS]
        strength = _STRENGTHS[int(np.argmin(losses))]
    return _fit_ridge(data, strength)


def _thin(data: FitData) -> FitData:
    """Keep every k-th row, so that the search for a strength costs little on a long history."""
    rows = np.zeros(len(data.matrix), dtype=np.bool_)
    rows[:: max(1, len(rows) // _SEARCH_ROWS)] = True
    return data.part(rows)


def _mean_log_loss(model: Logistic, data: FitData) -> float:
    margin = model.log_odds(data.matrix)
    return float(np.mean(np.logaddexp(0.0, margin) - data.converted * margin))


def _fit_ridge(data: FitData, strength: float) -> Logistic:
    from sklearn.linear_model import LogisticRegression

    blanks = [_blank_term(data.matrix[:, place], column) for place, column in enumerate(data.columns)]
    parts = [_design(data.matrix[:, place], term) for place, term in enumerate(blanks)]
    solver = LogisticRegression(C=strength, solver="newton-cholesky", max_iter=200, tol=1e-6)
    solver.fit(np.column_stack(parts), data.converted)
    weights = solver.coef_[0]
    terms, start = [], 0
    for place, (blank, part) in enumerate(zip(blanks, parts, strict=True)):
        own = weights[start : start + part.shape[1]]
        start += part.shape[1]
        term = replace(blank, weights=tuple(map(float, own[:-1])), missing_weight=float(own[-1]))
        terms.append(replace(term, mean=float(np.mean(term.raw_contribution(data.matrix[:, place])))))
    return Logistic(float(solver.intercept_[0]) + sum(term.mean for term in terms), tuple(terms))


def _blank_term(values: NDArray[np.float64], column: ModelColumn) -> LinearTerm:
    if column.kind == "category":
        return LinearTerm("levels", (0.0,) * (len(column.frequent) + 1), 0.0, 0.0)
    known = np.clip(values[~np.isnan(values)], -_LARGEST, _LARGEST)
    if len(known) == 0:
        return LinearTerm("identity", (0.0,), 0.0, 0.0)
    how = "log" if _skewness(known) > _SKEWED else "identity"
    shaped = transform_number(known, how)
    scale = float(np.std(shaped))
    return LinearTerm(
        "log" if how == "log" else "identity", (0.0,), 0.0, 0.0,
        float(np.mean(shaped)), scale if scale > 1e-12 else 1.0, float(known.min()), float(known.max()),
    )  # fmt: skip


def _skewness(values: NDArray[np.float64]) -> float:
    spread = float(np.std(values))
    return float(np.mean(((values - values.mean()) / spread) ** 3)) if spread > 1e-12 else 0.0


def _design(values: NDArray[np.float64], term: LinearTerm) -> NDArray[np.float64]:
    """One column of numbers, or one column a code, and last a column that marks missing values."""
    missing = np.isnan(values)
    if term.transform == "levels":
        shares = (values[:, None] == np.arange(len(term.weights))).astype(np.float64)
    else:
        shares = np.where(missing, 0.0, term.standardise(np.where(missing, term.low, values)))[:, None]
    return np.column_stack([shares, missing.astype(np.float64)])


def boosting_parameters(rows: int, *, seed: int) -> dict[str, object]:
    """Return LightGBM's parameters: small trees, strong column sampling and ridge, which is what helps on leads."""
    return {
        "objective": "binary",
        "learning_rate": 0.03,
        "num_leaves": 15,
        "max_depth": 6,
        "min_data_in_leaf": max(20, min(100, rows // 300)),
        "feature_fraction": 0.5,
        "bagging_fraction": 0.75,
        "bagging_freq": 1,
        "lambda_l2": 5.0,
        "cat_smooth": 20.0,
        "cat_l2": 20.0,
        "max_cat_threshold": 16,
        "min_data_per_group": 50,
        "deterministic": True,
        "force_row_wise": True,
        "seed": seed,
        "verbosity": -1,
    }


def fit_boosted(data: FitData, *, seed: int) -> BoostedTrees:
    """Fit LightGBM; the number of trees is found on the last leads of the fit period, then all rows are used."""
    import lightgbm

    late = data.late()
    early, check = data.part(~late), data.part(late)
    rounds = 100
    if 0 < early.converted.sum() < len(early.converted):
        watched = lightgbm.train(
            boosting_parameters(len(early.matrix), seed=seed),
            _dataset(early),
            num_boost_round=_ROUNDS,
            valid_sets=[_dataset(check)],
            callbacks=[lightgbm.early_stopping(_PATIENCE, verbose=False)],
        )
        rounds = max(1, round(watched.best_iteration * _MORE_ROUNDS))
    final = lightgbm.train(boosting_parameters(len(data.matrix), seed=seed), _dataset(data), num_boost_round=rounds)
    return BoostedTrees(final.model_to_string())


def _dataset(data: FitData) -> object:
    import lightgbm

    categories = [place for place, column in enumerate(data.columns) if column.kind == "category"]
    return lightgbm.Dataset(
        data.matrix,
        label=data.converted.astype(np.float64),
        feature_name=[f"f{place}" for place in range(len(data.columns))],
        categorical_feature=categories,
        free_raw_data=False,
    )
