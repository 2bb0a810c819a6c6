"""`PastTargetEncoder`: a category told by how its levels did, at each moment from labels that were known by then."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

__all__ = ["PastTargetEncoder", "comparable"]


class PastTargetEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Replace a level by its log-odds of a positive label less those of all rows, shrunk (Micci-Barreca 2001).

    With n rows of the level and s positives among them, weighed, and π the rate of all rows, a level becomes
    logit((s + a·π) / (n + a)) − logit(π). A level never seen becomes 0: what is said of all rows.

    What a training row is told must be what a row to be scored will be told: nothing of its own label, nor of one that
    was not known yet. `fit` therefore keeps the counts as they grew, and `transform(X, asked=…)` looks them up at the
    beginning of the block of time that a row was asked in; without `asked` everything learnt counts.

    Parameters
    ----------
    smoothing
        a: how many rows the rate of all weighs, > 0.
    blocks
        How many blocks of equally many fitted rows time is cut into.

    Attributes
    ----------
    levels_
        Sorted levels, one array a column.
    rates_
        What each level becomes after everything learnt, one array a column.
    """

    def __init__(self, smoothing: float = 20.0, blocks: int = 20) -> None:
        self.smoothing = smoothing
        self.blocks = blocks

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
        """Count labels.

        Parameters
        ----------
        X
            Shape (rows, columns): levels, numbers or text.
        y
            Labels; the greatest is the positive one.
        asked, known
            When a row's question was asked, and when its label was known; numbers of any one unit. Without them rows
            are in order of time, and a label is known when the next row is asked.
        sample_weight
            How much a row counts.

        Raises
        ------
        ValueError
            `smoothing` or the sum of the weights is not positive, there is no block, or lengths differ.
        """
        levels, labels = validate_data(self, X, y, dtype=None, ensure_all_finite=True)
        if self.smoothing <= 0 or self.blocks < 1:
            raise ValueError(f"smoothing must be > 0 and blocks >= 1, found {self.smoothing} and {self.blocks}")
        positive = (labels == labels.max()).astype(np.float64)
        weight = np.ones(len(levels)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        if not weight.sum() > 0:
            raise ValueError("sample_weight is zero everywhere")
        when = np.arange(len(levels), dtype=np.float64) if asked is None else np.asarray(asked, dtype=np.float64)
        told = when + 1.0 if known is None else np.asarray(known, dtype=np.float64)
        if not len(weight) == len(when) == len(told) == len(levels):
            raise ValueError("asked, known and sample_weight must have one entry a row")
        self.edges_ = np.unique(np.quantile(when, np.linspace(0.0, 1.0, self.blocks + 1)[1:-1], method="higher"))
        # block b begins at edges_[b - 1]; what was told by then counts in it; the last column counts everything
        first = np.searchsorted(self.edges_, told, side="left") + 1
        self.levels_, self._grown = [], []
        for column in levels.T:
            known_levels, codes = np.unique(comparable(column), return_inverse=True)
            self.levels_.append(known_levels)
            self._grown.append(self._grow(codes, first, weight * positive, weight, size=len(known_levels)))
        self.rates_ = [grown[:, -1] for grown in self._grown]
        return self

    def _grow(
        self,
        codes: NDArray[np.intp],
        first: NDArray[np.intp],
        positives: NDArray[np.float64],
        weight: NDArray[np.float64],
        *,
        size: int,
    ) -> NDArray[np.float64]:
        """Return what every level becomes in every block and after the last, shape (levels, blocks + 1)."""
        from scipy import special

        blocks = len(self.edges_) + 2  # one more for labels told after the last edge
        place = codes * blocks + np.minimum(first, blocks - 1)
        seen = np.bincount(place, weights=weight, minlength=size * blocks).reshape(size, blocks).cumsum(axis=1)
        won = np.bincount(place, weights=positives, minlength=size * blocks).reshape(size, blocks).cumsum(axis=1)
        rate = (won.sum(axis=0) + 0.5) / (seen.sum(axis=0) + 1.0)
        shrunk = (won + self.smoothing * rate) / (seen + self.smoothing)
        return np.asarray(special.logit(shrunk) - special.logit(rate))

    def grown(self, column: int) -> NDArray[np.float64]:
        """Return what the levels of a column become in every block of time and after the last: (levels, blocks + 2)."""
        check_is_fitted(self)
        found: NDArray[np.float64] = self._grown[column]
        return found

    def transform(self, X: ArrayLike, *, asked: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return the rates, shape (rows, columns), as known when each row was asked, or after everything learnt."""
        check_is_fitted(self)
        levels = validate_data(self, X, dtype=None, ensure_all_finite=True, reset=False)
        last = len(self.edges_) + 1
        if asked is None:
            block = np.full(len(levels), last)
        else:
            block = np.searchsorted(self.edges_, np.asarray(asked, dtype=np.float64), side="right")
        told = np.empty(levels.shape)
        for number, column in enumerate(levels.T):
            known, grown = self.levels_[number], self._grown[number]
            cells = comparable(column)
            place = np.minimum(np.searchsorted(known, cells), len(known) - 1)
            told[:, number] = np.where(known[place] == cells, grown[place, block], 0.0)
        return told


def comparable(column: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return levels that can be sorted: text as text, numbers as they are."""
    return column.astype(str) if column.dtype.kind in "OUS" else column
