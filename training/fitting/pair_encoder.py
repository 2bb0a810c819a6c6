"""`PastPairEncoder`: what two categories tell together beyond what each tells alone, from labels known by then."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from training.fitting.target_encoder import PastTargetEncoder, comparable

__all__ = ["PastPairEncoder"]

Matrix = NDArray[np.float64]


class PastPairEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Replace a pair of levels by its log-odds of a positive label less what the two levels add up to, shrunk to that.

    With n rows of the pair and s positives among them, weighed, and p the probability that the levels give when their
    log-odds (`PastTargetEncoder`) are added, a pair becomes logit((s + a·p) / (n + a)) − logit(p). A pair never seen
    becomes 0: the two say what each says alone. Time is cut into blocks as there.

    Parameters
    ----------
    smoothing
        a: how many rows the sum of the two levels weighs, > 0.
    blocks
        How many blocks of equally many fitted rows time is cut into.
    pairs
        Which columns go together, by place; null: all pairs.

    Attributes
    ----------
    pairs_
        The pairs, in the order of the output's columns.
    rates_
        One mapping a pair: (level, other level) → what it becomes after everything learnt.
    """

    def __init__(
        self, smoothing: float = 10.0, blocks: int = 20, pairs: Sequence[tuple[int, int]] | None = None
    ) -> None:
        self.smoothing = smoothing
        self.blocks = blocks
        self.pairs = pairs

    def __sklearn_tags__(self) -> Tags:
        tags: Tags = super().__sklearn_tags__()
        tags.input_tags.string = tags.input_tags.categorical = True
        tags.target_tags.required = True
        return tags

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        asked: ArrayLike | None = None,
        known: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Count labels; arguments and errors as for `PastTargetEncoder.fit`."""
        from scipy import special

        levels, labels = validate_data(self, X, y, dtype=None, ensure_all_finite=True)
        self.alone_ = PastTargetEncoder(blocks=self.blocks).fit(
            levels, labels, asked=asked, known=known, sample_weight=sample_weight
        )
        if self.smoothing <= 0:
            raise ValueError(f"smoothing must be > 0, found {self.smoothing}")
        weight = np.ones(len(levels)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        positive = (labels == labels.max()).astype(np.float64)
        when = np.arange(len(levels), dtype=np.float64) if asked is None else np.asarray(asked, dtype=np.float64)
        told = when + 1.0 if known is None else np.asarray(known, dtype=np.float64)
        blocks = len(self.alone_.edges_) + 2
        first = np.minimum(np.searchsorted(self.alone_.edges_, told, side="left") + 1, blocks - 1)
        base = special.logit(_rate_by_block(first, positive, weight, blocks))
        places = [np.searchsorted(known_levels, comparable(column)) for known_levels, column in zip(
            self.alone_.levels_, levels.T, strict=True)]  # fmt: skip
        self.pairs_ = list(combinations(range(levels.shape[1]), 2)) if self.pairs is None else list(self.pairs)
        self._codes, self._grown = [], []
        for one, other in self.pairs_:
            own = places[one] * len(self.alone_.levels_[other]) + places[other]
            codes, code = np.unique(own, return_inverse=True)
            shape, at = (len(codes), blocks), code * blocks + first
            seen = np.bincount(at, weights=weight, minlength=shape[0] * blocks).reshape(shape).cumsum(axis=1)
            won = np.bincount(at, weights=weight * positive, minlength=shape[0] * blocks).reshape(shape).cumsum(axis=1)
            sides = np.divmod(codes, len(self.alone_.levels_[other]))
            added = base + self.alone_.grown(one)[sides[0]] + self.alone_.grown(other)[sides[1]]
            together = (won + self.smoothing * special.expit(added)) / (seen + self.smoothing)
            self._codes.append(codes)
            self._grown.append(special.logit(np.clip(together, 1e-9, 1 - 1e-9)) - added)
        self.rates_ = [self._name(number) for number in range(len(self.pairs_))]
        return self

    def _name(self, number: int) -> dict[tuple[str, str], float]:
        one, other = self.pairs_[number]
        first, second = self.alone_.levels_[one], self.alone_.levels_[other]
        sides = np.divmod(self._codes[number], len(second))
        last = self._grown[number][:, -1]
        return {
            (str(first[left]), str(second[right])): float(rate)
            for left, right, rate in zip(*sides, last, strict=True)
        }  # fmt: skip

    def transform(self, X: ArrayLike, *, asked: ArrayLike | None = None) -> Matrix:
        """Return what pairs tell, shape (rows, pairs), as known when each row was asked, or after everything learnt."""
        check_is_fitted(self)
        levels = validate_data(self, X, dtype=None, ensure_all_finite=True, reset=False)
        edges = self.alone_.edges_
        block = np.full(len(levels), len(edges) + 1)
        if asked is not None:
            block = np.searchsorted(edges, np.asarray(asked, dtype=np.float64), side="right")
        told = np.zeros((len(levels), len(self.pairs_)))
        for number, (one, other) in enumerate(self.pairs_):
            first, second = self.alone_.levels_[one], self.alone_.levels_[other]
            left, right = _find(first, levels[:, one]), _find(second, levels[:, other])
            code = _find(self._codes[number], np.where((left < 0) | (right < 0), -1, left * len(second) + right))
            told[:, number] = np.where(code < 0, 0.0, self._grown[number][np.maximum(code, 0), block])
        return told


def _rate_by_block(first: NDArray[np.intp], positive: Matrix, weight: Matrix, blocks: int) -> Matrix:
    seen = np.bincount(first, weights=weight, minlength=blocks).cumsum()
    won = np.bincount(first, weights=weight * positive, minlength=blocks).cumsum()
    return np.asarray((won + 0.5) / (seen + 1.0))


def _find(known: NDArray[np.generic], cells: NDArray[np.generic]) -> NDArray[np.intp]:
    """Return the place of each cell among sorted known ones, -1 if it is none of them."""
    cells = comparable(cells)
    place = np.minimum(np.searchsorted(known, cells), len(known) - 1)
    return np.where(known[place] == cells, place, -1)
