"""Repair segments that a model gets wrong time after time: an offset for each level of one category, held back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.columns import ModelColumn
from models.estimators import Blend, Estimator
from models.linear import LinearTerm, Logistic
from training.evaluation.evaluate import standard_error

__all__ = ["Repair", "add_repair", "find_repair", "repair_margin"]

Vector = NDArray[np.float64]
_PRIOR_SD = 0.25
_MOST_LEVELS = 30
_SURE = 3.0
_STEPS = 25


@dataclass(frozen=True)
class Repair:
    """Offsets of one category.

    Attributes
    ----------
    place
        Of the category among the columns.
    offsets
        In log-odds, one a frequent level; their weighted mean is 0.
    gain, error
        Log loss saved on the last origin's leads by offsets learnt from the earlier ones', and its standard error.
    """

    place: int
    offsets: tuple[float, ...]
    gain: float
    error: float


def find_repair(
    columns: Sequence[ModelColumn],
    codes: NDArray[np.float64],
    log_odds: Vector,
    converted: NDArray[np.bool_],
    *,
    origin: NDArray[np.intp],
    groups: NDArray[np.int64],
    weight: float,
) -> Repair | None:
    """Find the category whose levels are wrong in the same way at all origins; null if none is.

    Offsets have a normal prior with standard deviation 0.25, so a level with few leads borrows from all; the level of
    all is left alone. They are learnt from all origins but the last and must save three standard errors of log loss on
    the leads of the last one: as many categories are tried as there are.

    Parameters
    ----------
    codes
        The columns' codes, shape (rows, columns).
    origin
        Which origin said each row's log-odds, rising with time, shape (rows,).
    weight
        What a row counts, in leads.
    """
    early, last = origin < origin.max(initial=0), origin == origin.max(initial=0)
    if not early.any() or not 0 < converted[early].sum() < early.sum():
        return None
    best: Repair | None = None
    for place, column in enumerate(columns):
        if column.kind != "category" or not 2 <= len(column.frequent) <= _MOST_LEVELS:
            continue
        level = _levels(codes[:, place], len(column.frequent))
        learnt = _fit(level[early], log_odds[early], converted[early], len(column.frequent), weight)
        before, after = (
            np.logaddexp(0.0, np.where(converted[last], -margin, margin))
            for margin in (log_odds[last], log_odds[last] + np.append(learnt, 0.0)[level[last]])
        )
        gain = before - after
        error = standard_error(gain, groups[last])
        if gain.mean() > _SURE * error and (best is None or gain.mean() > best.gain):
            offsets = _fit(level, log_odds, converted, len(column.frequent), weight)
            best = Repair(place, tuple(offsets.tolist()), float(gain.mean()), error)
    return best


def _levels(codes: Vector, count: int) -> NDArray[np.intp]:
    """Return codes as places, the last one for what is rare, missing or never seen."""
    return np.where(np.isnan(codes) | (codes >= count), count, codes).astype(np.intp)


def _fit(level: NDArray[np.intp], log_odds: Vector, converted: NDArray[np.bool_], count: int, weight: float) -> Vector:
    """Return offsets by Newton's method, each level by itself, beside a level of all that is thrown away."""
    from scipy import special

    shift, offsets = 0.0, np.zeros(count + 1)
    for _ in range(_STEPS):
        said = special.expit(log_odds + shift + offsets[level])
        off, steep = weight * (converted - said), weight * said * (1.0 - said)
        shift += float(off.sum() / max(steep.sum(), 1e-9))
        pull = np.bincount(level, weights=off, minlength=count + 1) - offsets / _PRIOR_SD**2
        offsets += np.clip(pull / (np.bincount(level, weights=steep, minlength=count + 1) + _PRIOR_SD**-2), -1.0, 1.0)
        offsets[-1] = 0.0
    share = np.bincount(level, minlength=count + 1)[:-1]
    return np.asarray(offsets[:-1] - np.average(offsets[:-1], weights=share) if share.sum() else offsets[:-1])


def repair_margin(repair: Repair, codes: NDArray[np.float64]) -> Vector:
    """Return the offsets of encoded rows."""
    return np.append(repair.offsets, 0.0)[_levels(codes[:, repair.place], len(repair.offsets))]


def add_repair(estimator: Estimator, repair: Repair, matrix: NDArray[np.float64]) -> Blend:
    """Return the estimator plus the offsets: a sum, so contributions stay exact and belong to the category.

    Parameters
    ----------
    matrix
        Encoded rows to centre the contributions on.
    """
    term = LinearTerm("levels", (*repair.offsets, 0.0), 0.0, float(repair_margin(repair, matrix).mean()))
    blank = LinearTerm("identity", (0.0,), 0.0, 0.0)
    terms = [term if place == repair.place else blank for place in range(matrix.shape[1])]
    offsets = Logistic(term.mean, tuple(terms))
    if isinstance(estimator, Blend):
        return Blend((*estimator.parts, offsets), (*estimator.weights, 1.0))
    return Blend((estimator, offsets), (1.0, 1.0))  # type: ignore[arg-type]  # every other estimator can be a part
