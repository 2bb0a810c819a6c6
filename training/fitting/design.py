"""The inputs of a logistic regression: lines that bend, one-hot levels and marks of what is missing; and its fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.linear import LinearTerm, Logistic, transform_number

if TYPE_CHECKING:
    from training.fitting.fit import FitData

__all__ = ["Design"]

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
Singles = NDArray[np.float32]
_SKEWED = 2.0
_LARGEST = 1e100  # beyond it a variance overflows
_BENDS = (0.25, 0.5, 0.75, 0.9)
_FEWEST_BENT = 50  # different values, else a number is a scale of a few steps
_STEPS, _HALVINGS = 50, 30
_BLOCK = 20_000
_CLOSE = 1e-7  # nats a row: a step that gains less is the last


@dataclass(frozen=True)
class Design:
    """Rows as a logistic regression learns from them; made once, fitted as often as labels or strengths change.

    Attributes
    ----------
    terms
        One a column, without weights yet.
    inputs
        Shape (rows, inputs that vary), of all columns side by side; in single precision, since there are many.
    scales
        One array a column: what each of its inputs was multiplied by; 0 for those that do not vary and were left out.
    matrix, rows
        The encoded rows, shape (all rows, columns), and which of them the inputs are of; null for all.
    """

    terms: tuple[LinearTerm, ...]
    inputs: Singles
    scales: tuple[Vector, ...]
    matrix: Matrix
    rows: NDArray[np.intp] | None = None

    @staticmethod
    def of(data: FitData, rows: NDArray[np.intp] | None = None) -> Design:
        """Build the inputs of all columns that are to be learnt from, of some of the rows or of all."""
        places = range(data.matrix.shape[1])
        terms = [_blank_term(data, place, _column(data.matrix, place, rows)) for place in places]
        varying = [_find_varying(_column(data.matrix, place, rows), terms[place]) for place in places]
        # counted first and filled in place: all parts beside their copy would be twice as large
        count = len(data.target) if rows is None else len(rows)
        inputs = np.zeros((count, sum(int(varies.sum()) for varies in varying)), dtype=np.float32)
        scales, filled = [], 0
        for place, (term, varies) in enumerate(zip(terms, varying, strict=True)):
            stop = filled + int(varies.sum())
            scale = _fill(inputs[:, filled:stop], _column(data.matrix, place, rows), term, varies)
            scales.append(np.where(varies, scale, 0.0))
            filled = stop
        return Design(tuple(terms), inputs, tuple(scales), data.matrix, rows)

    def fit(
        self,
        target: Vector,
        *,
        strength: float,
        weight: Vector,
        rows: NDArray[np.bool_] | None = None,
        start: Vector | None = None,
    ) -> Vector:
        """Return the intercept and the weights that maximise the likelihood less Σ w² / (2 · strength).

        Newton's method with halved steps.

        Parameters
        ----------
        target, weight
            One a row; the target in [0, 1]: a broken label counts on both sides.
        rows
            Which to learn from; the others' targets are ignored.
        start
            Where to begin, for example the answer for another strength.
        """
        from scipy import linalg, special

        inputs = self.inputs
        if rows is not None:
            inputs, target, weight = inputs[rows], target[rows], weight[rows]
        precision = np.full(inputs.shape[1], 1.0 / strength)
        if start is None:
            rate = float(np.clip(np.average(target, weights=weight), 1e-6, 1 - 1e-6))
            start = np.concatenate([[special.logit(rate)], np.zeros(inputs.shape[1])])

        def loss(numbers: Vector, margin: Vector) -> float:
            said = float(weight @ (np.logaddexp(0.0, margin) - target * margin))
            return said + 0.5 * float(precision @ numbers[1:] ** 2)

        numbers, margin = start, _margin(inputs, start)
        reached = loss(numbers, margin)
        for _ in range(_STEPS):
            share = special.expit(margin)
            off = weight * (share - target)
            slope = (off.astype(np.float32) @ inputs).astype(np.float64)
            gradient = np.concatenate([[off.sum()], slope + precision * numbers[1:]])
            curvature = _curvature(inputs, weight * np.maximum(share * (1 - share), 1e-9), precision)
            step = linalg.cho_solve(linalg.cho_factor(curvature, lower=True), gradient)
            promised = float(gradient @ step)
            move = _margin(inputs, step)
            for halved in range(_HALVINGS):
                part = 0.5**halved
                found = loss(numbers - part * step, margin - part * move)
                if found < reached:
                    break
            else:
                break
            numbers, margin, reached = numbers - part * step, margin - part * move, found
            if promised <= 2 * _CLOSE * float(weight.sum()):
                break
        return numbers

    def margin(self, numbers: Vector) -> Vector:
        """Return the log-odds of the rows for an intercept and weights."""
        return _margin(self.inputs, numbers)

    def read(self, numbers: Vector) -> Logistic:
        """Return the model that an intercept and weights are, centred on the rows."""
        terms, start = list(self.terms), 1
        for place, scale in enumerate(self.scales):
            own, varies = np.zeros(len(scale)), scale != 0.0
            own[varies] = numbers[start : start + int(varies.sum())] * scale[varies]
            start += int(varies.sum())
            if len(own):
                term = replace(terms[place], weights=tuple(map(float, own[:-1])), missing_weight=float(own[-1]))
                mean = float(np.mean(term.raw_contribution(_column(self.matrix, place, self.rows))))
                terms[place] = replace(term, mean=mean)
        return Logistic(float(numbers[0]) + sum(term.mean for term in terms), tuple(terms))


def _column(matrix: Matrix, place: int, rows: NDArray[np.intp] | None) -> Vector:
    return np.ascontiguousarray(matrix[:, place] if rows is None else matrix[rows, place])


def _margin(inputs: Singles, numbers: Vector) -> Vector:
    return np.asarray(numbers[0] + (inputs @ numbers[1:].astype(np.float32)).astype(np.float64))


def _curvature(inputs: Singles, share: Vector, precision: Vector) -> Matrix:
    """Return the second derivatives, their lower half: that is all that the factorisation reads."""
    from scipy.linalg import blas

    root = np.sqrt(share).astype(np.float32)
    size = inputs.shape[1] + 1
    found = np.zeros((size, size))
    found[0, 0] = share.sum()
    for first in range(0, len(inputs), _BLOCK):  # a copy of all rows at once would be large
        part = root[first : first + _BLOCK]
        scaled = inputs[first : first + _BLOCK] * part[:, None]
        found[1:, 0] += part @ scaled
        found[1:, 1:] += blas.ssyrk(1.0, scaled.T, lower=1)
    found[1:, 1:][np.diag_indices(size - 1)] += precision
    return found


def _blank_term(data: FitData, place: int, values: Vector) -> LinearTerm:
    if place not in data.used:
        return LinearTerm("identity", (0.0,), 0.0, 0.0)
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
    placed = (shaped - term.centre) / term.scale
    if place >= len(data.columns) or len(np.unique(placed)) < _FEWEST_BENT:
        return term
    bends: Sequence[float] = np.unique(np.quantile(placed, _BENDS)).tolist()
    return replace(term, knots=tuple(bend for bend in bends if placed.min() < bend < placed.max()))


def _skewness(values: Vector) -> float:
    spread = float(np.std(values))
    if spread <= 1e-12:
        return 0.0
    away = (values - values.mean()) / spread
    return float(np.mean(away * away * away))


def _find_varying(values: Vector, term: LinearTerm) -> NDArray[np.bool_]:
    """Return which inputs of a column differ between rows."""
    if term.transform == "levels":
        seen = np.bincount(_codes(values, term), minlength=len(term.weights) + 1)
        return np.asarray((seen > 0) & (seen < len(values)))
    part, _ = _bend(values, term)
    return np.asarray(part.max(axis=0, initial=-np.inf) > part.min(axis=0, initial=np.inf))


def _fill(inputs: Singles, values: Vector, term: LinearTerm, varies: NDArray[np.bool_]) -> Vector:
    """Write the inputs of a column that vary where there is 0 so far; return what each was multiplied by."""
    if term.transform == "levels":
        codes = _codes(values, term)
        marked = np.flatnonzero(varies[codes])
        inputs[marked, (np.cumsum(varies) - 1)[codes[marked]]] = 1.0
        return np.ones(len(varies))
    part, scale = _bend(values, term)
    inputs[:] = part[:, varies]
    return scale


def _codes(values: Vector, term: LinearTerm) -> NDArray[np.intp]:
    """Return the place of each row's level among the inputs; the last one marks missing values."""
    return np.where(np.isnan(values), len(term.weights), values).astype(np.intp)


def _bend(values: Vector, term: LinearTerm) -> tuple[Matrix, Vector]:
    """Return the inputs of a number, last one that marks missing values, and what each was multiplied by."""
    missing = np.isnan(values)
    if term.scale == 1.0 and term.low == term.high == 0.0 and not term.knots:
        return np.empty((len(values), 0)), np.empty(0)
    placed = np.where(missing, 0.0, term.standardise(np.where(missing, term.low, values)))
    bent = [np.where(missing, 0.0, np.maximum(placed - knot, 0.0)) for knot in term.knots]
    # a bend moves few leads: scaled so that the ridge holds it as it holds the line
    scale = np.array([1.0, *(0.5 / max(float(part.std()), 1e-6) for part in bent), 1.0])
    return np.column_stack([placed, *bent, missing.astype(np.float64)]) * scale, scale
