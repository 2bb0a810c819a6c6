"""Fewer rows of many, chosen by chance that is always the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["thin"]


def thin(count: int, most: int | None) -> NDArray[np.intp]:
    """Return the places of at most `most` of `count` rows, rising; null: all.

    >>> thin(3, 5).tolist(), len(thin(100, 7))
    ([0, 1, 2], 7)
    """
    if most is None or count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).permutation(count)[:most])
