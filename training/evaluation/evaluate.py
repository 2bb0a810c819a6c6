"""Evaluation as plain tables: every number with its interval, beside the base rate."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from training.evaluation.cox import fit_level, fit_line
from training.evaluation.resample import resample_ratios

__all__ = [
    "Interval",
    "Metrics",
    "compare_log_loss",
    "cumulative_gains",
    "evaluate_probabilities",
    "log_loss_per_row",
    "mean_with_interval",
    "ratios_with_intervals",
    "reliability_table",
    "standard_error",
]

Vector = NDArray[np.float64]
Flags = NDArray[np.bool_]
_EPSILON = 1e-12


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


@dataclass(frozen=True)
class Metrics:
    """Headline numbers of one set of probabilities; `nan` where a number does not exist (a constant has no slope)."""

    n: int
    positives: int
    base_rate: float
    log_loss: float
    brier: float
    auc: float
    lift_at_10: float
    calibration_slope: float
    calibration_intercept: float

    def to_json(self) -> dict[str, float | int | None]:
        """Return the numbers, with null for those that do not exist."""
        return {name: (None if value != value else value) for name, value in asdict(self).items()}


def log_loss_per_row(probability: Vector, converted: Flags) -> Vector:
    """Return −log of the probability given to what happened, in nats, shape (rows,)."""
    clipped = np.clip(probability, _EPSILON, 1 - _EPSILON)
    return -np.where(converted, np.log(clipped), np.log1p(-clipped))


def evaluate_probabilities(probability: Vector, converted: Flags) -> Metrics:
    """Return the headline numbers.

    The slope and intercept are of logit P(converted) = a + b·logit(probability) (Cox 1958); the intercept is the one
    with b fixed at 1 (calibration in the large). Lift at 10 % is the conversion of the tenth with the highest
    probability over that of all; ties share it evenly.
    """
    wins = converted.astype(np.float64)
    line = fit_line(probability, wins)
    return Metrics(
        n=len(converted),
        positives=int(converted.sum()),
        base_rate=float(np.mean(converted)),
        log_loss=float(np.mean(log_loss_per_row(probability, converted))),
        brier=float(np.mean((probability - converted) ** 2)),
        auc=_auc(probability, converted),
        lift_at_10=lift_at(probability, converted, share=0.1),
        calibration_slope=float("nan") if line is None else line.slope,
        calibration_intercept=fit_level(probability, wins),
    )


def _auc(probability: Vector, converted: Flags) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(converted, probability)) if 0 < converted.sum() < len(converted) else float("nan")


def lift_at(probability: Vector, converted: Flags, *, share: float) -> float:
    """Return how many times the base rate the top `share` converts.

    >>> lift_at(np.array([0.9, 0.1, 0.1, 0.1]), np.array([True, False, False, True]), share=0.25)
    2.0
    """
    gains = cumulative_gains(probability, converted)
    return float(np.interp(share, gains[:, 0], gains[:, 1]) / share) if converted.any() else float("nan")


def cumulative_gains(probability: Vector, converted: Flags) -> NDArray[np.float64]:
    """Return the gains curve, shape (points, 2): share of leads from the top, share of conversions reached.

    Leads with equal probability stand on a straight piece: their order means nothing.
    """
    levels, place = np.unique(-probability, return_inverse=True)
    leads = np.bincount(place, minlength=len(levels)).cumsum() / len(probability)
    wins = np.bincount(place, weights=converted, minlength=len(levels)).cumsum() / max(1, converted.sum())
    return np.column_stack([np.concatenate([[0.0], leads]), np.concatenate([[0.0], wins])])


def compare_log_loss(
    model: Vector, rival: Vector, converted: Flags, *, groups: NDArray[np.int64], seed: int
) -> Interval:
    """Return mean log loss of the model minus that of the rival, with a 95 % interval; below zero the model is better.

    Paired bootstrap over `groups` (accounts): snapshots of one account are resampled together.
    """
    difference = log_loss_per_row(model, converted) - log_loss_per_row(rival, converted)
    return mean_with_interval(difference, groups=groups, seed=seed)


def mean_with_interval(values: Vector, *, groups: NDArray[np.int64], seed: int) -> Interval:
    """Return a mean over rows with a 95 % interval from a bootstrap over groups."""
    return ratios_with_intervals(values[:, None], np.ones((len(values), 1)), groups=groups, seed=seed)[0]


def ratios_with_intervals(
    above: Vector, below: Vector, *, groups: NDArray[np.int64], seed: int
) -> tuple[Interval, ...]:
    """Return Σ above / Σ below of each column with 95 % intervals, all from the same bootstrap over groups.

    Parameters
    ----------
    above, below
        Shape (rows, columns); ones below make means, and one column below serves all columns.
    """
    _, place = np.unique(groups, return_inverse=True)

    def add_up(table: Vector) -> Vector:
        return np.asarray(np.column_stack([np.bincount(place, weights=one) for one in table.T]), dtype=np.float64)

    draws = resample_ratios(add_up(above), add_up(below), seed=seed)
    low, high = np.nanquantile(draws, [0.025, 0.975], axis=0)
    value = above.sum(axis=0) / below.sum(axis=0)
    return tuple(map(Interval, value.tolist(), low.tolist(), high.tolist()))


def reliability_table(probability: Vector, converted: Flags, *, bins: int = 10) -> list[dict[str, float]]:
    """Return said against seen in bins of equal size.

    Returns
    -------
    list of dict
        `n`, `said` (mean probability), `seen` (share converted), `low` and `high`: the 95 % Clopper–Pearson interval
        of `seen`. Equal probabilities are never split between bins.
    """
    from scipy import stats

    edges = np.unique(np.quantile(probability, np.linspace(0, 1, bins + 1)[1:-1]))
    place = np.searchsorted(edges, probability, side="right")
    rows = []
    for number in np.unique(place):
        inside = place == number
        n, wins = int(inside.sum()), int(converted[inside].sum())
        rows.append(
            {
                "n": float(n),
                "said": float(probability[inside].mean()),
                "seen": wins / n,
                "low": float(stats.beta.ppf(0.025, wins, n - wins + 1)) if wins else 0.0,
                "high": float(stats.beta.ppf(0.975, wins + 1, n - wins)) if wins < n else 1.0,
            }
        )
    return rows


def standard_error(values: Vector, groups: NDArray[np.int64]) -> float:
    """Return the standard error of the mean of rows, where those of a group count together."""
    _, place = np.unique(groups, return_inverse=True)
    sums = np.bincount(place, weights=values - values.mean())
    return float(np.sqrt(np.sum(sums**2)) / len(values))
