"""Calibrators: from log-odds to a probability. They take log-odds, never probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["AffineCalibrator", "logit"]


@dataclass(frozen=True)
class AffineCalibrator:
    """Probability = 1 / (1 + exp(−(intercept + slope · log-odds))); slope is positive, so the order never changes.

    >>> AffineCalibrator(0.0, 1.0).probability(np.array([0.0, 2.0])).round(3).tolist()
    [0.5, 0.881]
    """

    intercept: float
    slope: float
    input: Literal["log_odds"] = "log_odds"

    def __post_init__(self) -> None:
        if not self.slope > 0:
            raise ValueError(f"a calibrator's slope must be positive, found {self.slope}")

    def probability(self, log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return probabilities in (0, 1), shape as given."""
        from scipy import special

        return np.asarray(special.expit(self.intercept + self.slope * np.ascontiguousarray(log_odds)))

    def to_json(self) -> dict[str, object]:
        """Return the readable form that the manifest stores."""
        return asdict(self)

    @staticmethod
    def from_json(content: Mapping[str, object]) -> AffineCalibrator:
        """Read what `to_json` wrote."""
        if content["input"] != "log_odds":
            raise ValueError(f"a calibrator takes log_odds, found {content['input']!r}")
        return AffineCalibrator(float(content["intercept"]), float(content["slope"]))  # type: ignore[arg-type]


def logit(rate: float) -> float:
    """Return the log-odds of a rate strictly between 0 and 1.

    >>> round(logit(0.1), 3)
    -2.197
    """
    return float(np.log(rate / (1 - rate)))
