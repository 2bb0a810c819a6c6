"""When a lead that converts within the horizon does so: the share that comes within each of some shorter horizons.

With m the calibrated log-odds to convert within the horizon H, the conversions that come within a shorter one h are::

    P(T < h | T < H) = σ(a_h + b · m + c_h(age))        P(T < h) = P(T < H) · P(T < h | T < H)

a_h + c_h rises with h at every age while b is shared (partial proportional odds, Peterson & Harrell 1990), so that of
two horizons the longer never gets less, and none more than H.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from project.duration import parse_duration

__all__ = ["Sooner", "column_of"]

Vector = NDArray[np.float64]
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Sooner:
    """Shares of the conversions within the horizon that come within shorter ones, by log-odds and age of the lead.

    Attributes
    ----------
    horizons
        The shorter ones as people write them (`30d`), rising.
    pooled
        The share of all conversions within each, strictly rising within (0, 1); empty: too few conversions to tell.
    levels
        a_h for each, rising; empty with `pooled`.
    slope
        b: the change of log-odds of an early conversion for each unit of calibrated log-odds.
    age_column
        The feature that holds the age of a lead in days; empty if age tells nothing.
    ages, at_age
        c_h at ages in days, rising, a number for each horizon; on straight lines between, level beyond the ends, 0
        where the age is not known.
    conversions
        How many converted leads it was learnt from.

    >>> sooner = Sooner(("7d", "30d"), (0.2, 0.6), (-1.4, 0.4), 0.5, "age_days", (0.0, 10.0),
    ...                 ((0.0, 0.0), (-1.0, -1.0)), 200)
    >>> sooner.share(np.array([-2.0, -2.0]), np.array([0.0, 5.0])).round(3).tolist()
    [[0.083, 0.354], [0.052, 0.25]]
    """

    horizons: tuple[str, ...]
    pooled: tuple[float, ...] = ()
    levels: tuple[float, ...] = ()
    slope: float = 0.0
    age_column: str = ""
    ages: tuple[float, ...] = ()
    at_age: tuple[tuple[float, ...], ...] = ()
    conversions: int = 0

    def __post_init__(self) -> None:
        if not self.horizons or not _rise([parse_duration(one).total_seconds() for one in self.horizons]):
            raise ValueError(f"sooner horizons must rise, found {', '.join(self.horizons) or 'none'}")
        if not len(self.levels) == len(self.pooled) or len(self.levels) not in {0, len(self.horizons)}:
            raise ValueError("sooner shares and levels must be as many as horizons, or none")
        if len(self.ages) != len(self.at_age) or any(len(one) != len(self.levels) for one in self.at_age):
            raise ValueError("sooner ages need a number for each horizon")
        rising = (self.pooled, self.levels, self.ages)
        if not (np.isfinite(self.slope) and all(np.isfinite(one).all() and _rise(one) for one in rising)):
            raise ValueError("sooner shares, levels and ages must be finite and rise")
        at_age = np.array(self.levels) + np.array(self.at_age).reshape(len(self.at_age), len(self.levels))
        if not np.isfinite(at_age).all() or (np.diff(at_age) < -_ROUNDING).any():
            raise ValueError("sooner levels must be finite and rise at every age")
        if not all(0 < share < 1 for share in self.pooled):
            raise ValueError("sooner shares lie between 0 and 1")
        if bool(self.age_column) != bool(self.ages):
            raise ValueError("sooner ages need the column that tells them, and a column its ages")

    @property
    def known(self) -> bool:
        """Whether enough conversions were seen to tell anything."""
        return bool(self.levels)

    def share(self, margin: Vector, age: Vector | None) -> Vector:
        """Return the share of conversions within each horizon, shape (rows, horizons); NaN if it can't be told.

        Parameters
        ----------
        margin
            Calibrated log-odds to convert within the whole horizon, shape (rows,).
        age
            Age of the lead in days, NaN where it is not known; null: of none.
        """
        if not self.known:
            return np.full((len(margin), len(self.horizons)), np.nan)
        return self._rising(self.slope * np.ascontiguousarray(margin)[:, None] + self._at(age, len(margin)))

    def _at(self, age: Vector | None, rows: int) -> Vector:
        if age is None or not self.ages:
            return np.zeros((rows, 1))
        old = np.ascontiguousarray(age)
        found = np.column_stack([np.interp(old, self.ages, one) for one in zip(*self.at_age, strict=True)])
        return np.where(np.isnan(found), 0.0, found)

    def _rising(self, moved: Vector) -> Vector:
        from scipy import special

        said = special.expit(np.array(self.levels) + moved)
        # rounding in the last bit must not turn the order around
        return np.asarray(np.maximum.accumulate(said, axis=1))

    def shifted(self, by: float) -> Sooner:
        """Return what says the same of every lead when all calibrated log-odds have moved by so much."""
        return replace(self, levels=tuple(level - self.slope * by for level in self.levels))

    def to_json(self) -> dict[str, object]:
        """Return the readable form that the manifest stores."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @staticmethod
    def from_json(content: Mapping[str, object]) -> Sooner:
        """Read what `to_json` wrote."""
        horizons: Sequence[str] = content["horizons"]  # type: ignore[assignment]
        return Sooner(
            tuple(map(str, horizons)),
            _numbers(content, "pooled"),
            _numbers(content, "levels"),
            float(content["slope"]),  # type: ignore[arg-type]
            str(content["age_column"]),
            _numbers(content, "ages"),
            tuple(tuple(map(float, one)) for one in content["at_age"]),  # type: ignore[attr-defined]
            int(content["conversions"]),  # type: ignore[call-overload]
        )


def column_of(horizon: str) -> str:
    """Return the name of the scored column of a horizon.

    >>> column_of("30d")
    'probability_30d'
    """
    return f"probability_{horizon}"


def _rise(numbers: Sequence[float]) -> bool:
    return all(low < high for low, high in pairwise(numbers))


def _numbers(content: Mapping[str, object], key: str) -> tuple[float, ...]:
    numbers: Sequence[float] = content[key]  # type: ignore[assignment]
    return tuple(map(float, numbers))
