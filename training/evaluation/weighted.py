"""Figures of the test period for all leads, from those that sales worked: each counts one over its chance to be worked.

Who is worked is no random sample. What an older score chose converts more often and is told apart less well than all
leads, so figures of worked leads are not those of the leads that come in (Horvitz and Thompson 1952, with weights
normalised as Hájek 1971 did).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from training.evaluation.cox import fit_line
from training.evaluation.evaluate import Interval, log_loss_per_row, ratios_with_intervals
from training.evaluation.ranking import auc_with_interval, best_per_lead, gains_with_intervals
from training.evaluation.resample import clustered_error

__all__ = ["FEWEST", "Beside", "Bin", "Weighted", "weigh_figures"]

Vector = NDArray[np.float64]
Flags = NDArray[np.bool_]
FEWEST = 100
_SHARES = np.array([0.05, 0.1, 0.2, 0.3, 0.5])
_BINS = 10
_TWO_SIDED_95 = 1.959963984540054


@dataclass(frozen=True)
class Beside:
    """One figure: of the worked leads, each counted once, and weighted to all leads with its 95 % interval."""

    worked: float
    weighted: Interval


@dataclass(frozen=True)
class Bin:
    """Leads of like probability, weighted: mean of what was said, share that converted, and share of all leads."""

    said: float
    seen: Interval
    share: float


@dataclass(frozen=True)
class Weighted:
    """The test period weighted to all leads.

    Attributes
    ----------
    effective
        How many leads drawn at random would say as much, (Σw)² / Σw² over leads (Kish 1965).
    figures
        By name: `base_rate`, `log_loss`, `against_base` (log loss minus the base rate model's, paired), `brier`, `auc`,
        `lift_at_10_of_leads` (each with the highest probability that it reached), `observed_over_expected`, `slope`.
        Empty if `effective` is below 100: a few leads with large weights would decide them.
    gains
        Share of leads from the top, share of conversions reached, low, high (95 %), shape (5, 4); none where empty.
    reliability
        At most ten bins of equal weight, from the lowest probability up.
    """

    effective: float
    figures: dict[str, Beside]
    gains: NDArray[np.float64]
    reliability: tuple[Bin, ...]

    @property
    def enough(self) -> bool:
        """Whether the worked leads say as much as 100 drawn at random."""
        return self.effective >= FEWEST

    def to_json(self) -> dict[str, object]:
        """Return what `leads train --json` prints; a number that does not exist is null."""

        def known(value: float) -> float | None:
            return value if np.isfinite(value) else None

        return {
            "effective": self.effective,
            "figures": {
                name: {"worked": known(one.worked), **{key: known(end) for key, end in asdict(one.weighted).items()}}
                for name, one in self.figures.items()
            },
            "gains": [[known(cell) for cell in line] for line in self.gains.tolist()],
            "reliability": [
                {"said": one.said, "share": one.share, **{key: known(end) for key, end in asdict(one.seen).items()}}
                for one in self.reliability
            ],
        }


def weigh_figures(
    probability: Vector,
    converted: Flags,
    *,
    base: Vector,
    weight: Vector,
    leads: NDArray[np.str_],
    groups: NDArray[np.int64],
    seed: int,
) -> Weighted:
    """Measure the figures of the test period, weighted to all leads, beside those of the worked leads.

    Parameters
    ----------
    probability, base
        What the chosen model and the base rate said of each row, shape (rows,).
    weight
        One over the chance of each row's lead to be worked, shape (rows,); only their proportions matter.
    groups
        A number for each row's group (account): intervals let whole groups vary.
    """
    names, first, lead = np.unique(leads, return_index=True, return_inverse=True)
    own = weight[first]
    effective = float(own.sum() ** 2 / (own @ own)) if len(names) else 0.0
    if effective < FEWEST:
        return Weighted(effective, {}, np.empty((0, 4)), ())
    plain = _measure(probability, converted, base, np.ones(len(weight)), groups, seed)
    weighted = _measure(probability, converted, base, weight / weight.mean(), groups, seed)
    best, won, group = best_per_lead(lead.astype(np.int64), probability, converted, groups)
    gains = gains_with_intervals(best, won, groups=group, shares=_SHARES, weight=own)
    once = gains_with_intervals(best, won, groups=group, shares=_SHARES)
    top = int(np.flatnonzero(_SHARES == 0.1)[0])
    figures = {name: Beside(plain[name].value, weighted[name]) for name in plain}
    share, *reached = gains[top].tolist()
    figures["lift_at_10_of_leads"] = Beside(float(once[top, 1] / share), Interval(*(part / share for part in reached)))
    return Weighted(effective, figures, gains, _tabulate(probability, converted, weight, groups, seed))


def _measure(
    probability: Vector, converted: Flags, base: Vector, weight: Vector, groups: NDArray[np.int64], seed: int
) -> dict[str, Interval]:
    wins = converted.astype(np.float64)
    loss = log_loss_per_row(probability, converted)
    above = np.column_stack([wins, loss, loss - log_loss_per_row(base, converted), (probability - wins) ** 2, wins])
    below = np.column_stack([np.ones((len(wins), 4)), probability])
    rate, log_loss, against_base, brier, ratio = ratios_with_intervals(
        above * weight[:, None], below * weight[:, None], groups=groups, seed=seed
    )
    return {
        "base_rate": rate,
        "log_loss": log_loss,
        "against_base": against_base,
        "brier": brier,
        "auc": auc_with_interval(probability, converted, groups=groups, weight=weight),
        "observed_over_expected": ratio,
        "slope": _slope(probability, wins, weight, groups),
    }


def _slope(probability: Vector, wins: Vector, weight: Vector, groups: NDArray[np.int64]) -> Interval:
    """Return the slope with its sandwich interval over groups; nan where nothing tells it."""
    line = fit_line(probability, wins, weight)
    if line is None:
        return Interval(float("nan"), float("nan"), float("nan"))
    half = _TWO_SIDED_95 * clustered_error(line.influence(), groups)
    return Interval(line.slope, line.slope - half, line.slope + half)


def _tabulate(
    probability: Vector, converted: Flags, weight: Vector, groups: NDArray[np.int64], seed: int
) -> tuple[Bin, ...]:
    _, place = np.unique(probability, return_inverse=True)
    mass = np.bincount(place, weights=weight)
    middle = (mass.cumsum() - 0.5 * mass) / mass.sum()
    cell = np.unique(np.minimum((middle * _BINS).astype(np.intp), _BINS - 1), return_inverse=True)[1][place]
    inside = weight[:, None] * (cell[:, None] == np.arange(int(cell.max()) + 1))
    seen = ratios_with_intervals(inside * converted[:, None], inside, groups=groups, seed=seed)
    said, shares = probability @ inside / inside.sum(axis=0), inside.sum(axis=0) / weight.sum()
    return tuple(Bin(*line) for line in zip(said.tolist(), seen, shares.tolist(), strict=True))
