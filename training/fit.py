"""Fit a regularised logistic regression whose lines may bend, on labels that may be half known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.columns import ModelColumn
from models.linear import LinearTerm, Logistic, transform_number

__all__ = ["FitData", "find_strength", "fit_logistic"]

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
_STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
_MIDDLE = 0.1
_MOST_ROWS, _SEARCH_ROWS = 60_000, 20_000
_LATE_SHARE = 0.15
_SKEWED = 2.0
_LARGEST = 1e100  # beyond it a variance overflows
_BENDS = (0.25, 0.5, 0.75, 0.9)
_FEWEST_BENT = 50  # different values, else a number is a scale of a few steps


@dataclass(frozen=True)
class FitData:
    """Encoded rows to fit on.

    Attributes
    ----------
    columns
        Of the model; the matrix has one more input for each of them with rates.
    matrix
        Shape (rows, inputs).
    target
        Probability that a row converted: 0 or 1 where it is known, between where it is not yet, shape (rows,).
    arrived
        Order in which the row's lead came in; rows of one lead share it. The latest choose strength and rounds.
    weight
        What one row counts, in leads.
    inputs
        Places of the matrix to learn from; the others are left alone.
    """

    columns: Sequence[ModelColumn]
    matrix: Matrix
    target: Vector
    arrived: NDArray[np.int64]
    weight: float = 1.0
    inputs: tuple[int, ...] = ()

    def late(self) -> NDArray[np.bool_]:
        """Return which rows belong to the last 15 % of the leads."""
        arrivals = np.unique(self.arrived)
        return np.asarray(self.arrived >= arrivals[int(len(arrivals) * (1 - _LATE_SHARE))])

    def part(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> FitData:
        """Return some of the rows."""
        return replace(self, matrix=self.matrix[rows], target=self.target[rows], arrived=self.arrived[rows])

    def thin(self, most: int) -> FitData:
        """Return at most about so many rows, chosen by chance that is always the same; they count for all."""
        if len(self.target) <= most:
            return self
        rows = np.sort(np.random.default_rng(0).permutation(len(self.target))[:most])
        return replace(self.part(rows), weight=self.weight * len(self.target) / most)

    @property
    def used(self) -> tuple[int, ...]:
        """The places to learn from."""
        return self.inputs or tuple(range(self.matrix.shape[1]))


def fit_logistic(data: FitData, *, strength: float) -> Logistic:
    """Fit logistic regression with ridge; `strength` is one over its precision, where rows weigh in leads.

    Numbers are standardised, skewed ones after sign(x)·log(1 + |x|), and their lines bend at four quantiles; categories
    are one-hot; missing values have a weight of their own. Of a long history 60,000 rows say enough.
    """
    return next(_fit_ridges(data.thin(_MOST_ROWS), [strength]))


def find_strength(data: FitData) -> float:
    """Return the strength that is best for the last leads of the data when fitted on the others."""
    late = data.late()
    early, check = data.part(~late).thin(_SEARCH_ROWS), data.part(late).thin(_SEARCH_ROWS)
    if not 0 < early.target.sum() < len(early.target):
        return _MIDDLE
    losses = [_mean_log_loss(model, check) for model in _fit_ridges(early, _STRENGTHS)]
    return _STRENGTHS[int(np.argmin(losses))]


def _mean_log_loss(model: Logistic, data: FitData) -> float:
    margin = model.log_odds(data.matrix)
    return float(np.mean(np.logaddexp(0.0, margin) - data.target * margin))


def _fit_ridges(data: FitData, strengths: Sequence[float]) -> Iterator[Logistic]:
    """Fit with one strength after the other, each from where the last one ended."""
    from sklearn.linear_model import LogisticRegression

    blanks = [_blank_term(data, place) for place in range(data.matrix.shape[1])]
    parts = [_design(data.matrix[:, place], term) for place, term in enumerate(blanks)]
    rows, labels, weight = _harden(data)
    design = np.column_stack([part for part, _ in parts])[rows]
    solver = LogisticRegression(solver="newton-cholesky", max_iter=200, tol=1e-5, warm_start=True)
    for strength in strengths:
        solver.set_params(C=strength).fit(design, labels, sample_weight=weight)
        yield _read_terms(solver.coef_[0], float(solver.intercept_[0]), data, blanks, parts)


def _read_terms(
    weights: Vector,
    intercept: float,
    data: FitData,
    blanks: Sequence[LinearTerm],
    parts: Sequence[tuple[Matrix, Vector]],
) -> Logistic:
    terms, start = list(blanks), 0
    for place, (part, scale) in enumerate(parts):
        own = weights[start : start + part.shape[1]] * scale
        start += part.shape[1]
        if part.shape[1]:
            term = replace(terms[place], weights=tuple(map(float, own[:-1])), missing_weight=float(own[-1]))
            terms[place] = replace(term, mean=float(np.mean(term.raw_contribution(data.matrix[:, place]))))
    return Logistic(intercept + sum(term.mean for term in terms), tuple(terms))


def _harden(data: FitData) -> tuple[NDArray[np.intp], NDArray[np.bool_], Vector]:
    """Give every half-known row twice, converted and not, with the weight of each: the likelihood is the same."""
    rows = np.arange(len(data.target))
    half = rows[(data.target > 0.0) & (data.target < 1.0)]
    every = np.concatenate([rows, half])
    labels = np.concatenate([data.target > 0.0, np.zeros(len(half), dtype=np.bool_)])
    weight = np.concatenate([np.where(data.target > 0.0, data.target, 1.0), 1.0 - data.target[half]])
    return every, labels, weight * data.weight


def _blank_term(data: FitData, place: int) -> LinearTerm:
    if place not in data.used:
        return LinearTerm("identity", (0.0,), 0.0, 0.0)
    values = data.matrix[:, place]
    if place < len(data.columns) and data.columns[place].kind == "category":
        return LinearTerm("levels", (0.0,) * (len(data.columns[place].frequent) + 1), 0.0, 0.0)
    known = np.clip(values[~np.isnan(values)], -_LARGEST, _LARGEST)
    if len(known) == 0:
        return LinearTerm("identity", (0.0,), 0.0, 0.0)
    how = "log" if _skewness(known) > _SKEWED else "identity"
    shaped = transform_number(known, how)
    scale = float(np.std(shaped))
    term = LinearTerm(
        "log" if how == "log" else "identity", (0.0,), 0.0, 0.0,
        float(np.mean(shaped)), scale if scale > 1e-12 else 1.0, float(known.min()), float(known.max()),
    )  # fmt: skip
    placed = term.standardise(known)
    if place >= len(data.columns) or len(np.unique(placed)) < _FEWEST_BENT:
        return term
    bends = np.unique(np.quantile(placed, _BENDS))
    return replace(term, knots=tuple(float(bend) for bend in bends if placed.min() < bend < placed.max()))


def _skewness(values: Vector) -> float:
    spread = float(np.std(values))
    return float(np.mean(((values - values.mean()) / spread) ** 3)) if spread > 1e-12 else 0.0


def _design(values: Vector, term: LinearTerm) -> tuple[Matrix, Vector]:
    """Return the inputs of one column, last one that marks missing values, and what each was multiplied by."""
    missing = np.isnan(values)
    if term.transform == "levels":
        shares = (values[:, None] == np.arange(len(term.weights))).astype(np.float64)
        return np.column_stack([shares, missing.astype(np.float64)]), np.ones(shares.shape[1] + 1)
    if term.scale == 1.0 and term.low == term.high == 0.0 and not term.knots:
        return np.empty((len(values), 0)), np.empty(0)
    placed = np.where(missing, 0.0, term.standardise(np.where(missing, term.low, values)))
    bent = [np.where(missing, 0.0, np.maximum(placed - knot, 0.0)) for knot in term.knots]
    # a bend moves few leads: scaled so that the ridge holds it as it holds the line
    scale = np.array([1.0, *(0.5 / max(float(part.std()), 1e-6) for part in bent), 1.0])
    return np.column_stack([placed, *bent, missing.astype(np.float64)]) * scale, scale
