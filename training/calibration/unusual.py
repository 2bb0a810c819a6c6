"""From where on the members of a model disagree about a lead as they seldom did before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from models.columns import ModelColumn, encode_frame
from models.estimators import Blend, Estimator
from training.thin import thin

if TYPE_CHECKING:
    from training.examples import Examples

__all__ = ["find_unusual"]

_ROWS = 5_000
_SHARE = 0.99


def find_unusual(estimator: Estimator, columns: Sequence[ModelColumn], examples: Examples) -> float | None:
    """Return the spread of the members' log-odds that one of a hundred leads of the forward period exceeds.

    Labels have no part in it. Null for a model without members: there is nothing to disagree.
    """
    rows = examples.split.rows("forward")
    if not isinstance(estimator, Blend) or not len(rows):
        return None
    kept = rows[thin(len(rows), _ROWS)]
    return float(np.quantile(estimator.spread(encode_frame(examples.frame, columns, rows=kept)), _SHARE))
