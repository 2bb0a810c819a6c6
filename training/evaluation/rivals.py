"""Rivals that every report shows beside our own: what a CRM would have said by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["OdooNaiveBayes", "fit_odoo_naive_bayes"]

_START = 0.1
_LOWEST, _HIGHEST = 0.0001, 0.9999


@dataclass(frozen=True)
class OdooNaiveBayes:
    """Odoo's lead scoring: naive Bayes on categorical fields, as that product computes it.

    P(won) ∝ prior_won · Π won(value) / Σ won(all values of the field), and lost alike, normalised and clamped to
    0.01–99.99 %. Every count starts at 0.1; a value never seen contributes nothing.

    Attributes
    ----------
    won, lost
        The prior counts.
    counts
        field → value → (won, lost).
    """

    won: float
    lost: float
    counts: Mapping[str, Mapping[str, tuple[float, float]]]

    def probability(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Return the probability of a win for each row, shape (rows,)."""
        from scipy import special

        total = self.won + self.lost
        log_won = np.full(len(frame), np.log(self.won / total))
        log_lost = np.full(len(frame), np.log(self.lost / total))
        for field, values in self.counts.items():
            all_won, all_lost = (sum(count[side] for count in values.values()) for side in (0, 1))
            ratio = {value: (np.log(won / all_won), np.log(lost / all_lost)) for value, (won, lost) in values.items()}
            pairs = np.array([ratio.get(value, (0.0, 0.0)) for value in frame[field].to_list()]).reshape(-1, 2)
            log_won += pairs[:, 0]
            log_lost += pairs[:, 1]
        return np.asarray(np.clip(special.expit(log_won - log_lost), _LOWEST, _HIGHEST), dtype=np.float64)


def fit_odoo_naive_bayes(frame: pd.DataFrame, converted: NDArray[np.bool_]) -> OdooNaiveBayes:
    """Count won and lost for every value of every categorical column (dtype text)."""
    counts: dict[str, dict[str, tuple[float, float]]] = {}
    fields: list[str] = [
        str(name) for name in frame.columns if not np.issubdtype(frame[name].to_numpy().dtype, np.number)
    ]
    for field in fields:
        known = frame[field].notna().to_numpy()
        values, codes = np.unique(frame[field].to_numpy(dtype=object)[known].astype(str), return_inverse=True)
        won = np.bincount(codes, weights=converted[known], minlength=len(values)) + _START
        lost = np.bincount(codes, weights=~converted[known], minlength=len(values)) + _START
        counts[field] = dict(zip(values.tolist(), zip(won.tolist(), lost.tolist(), strict=True), strict=True))
    return OdooNaiveBayes(float(converted.sum()) + _START, float((~converted).sum()) + _START, counts)
