"""A certificate of precision: a threshold above which at least so many leads in a hundred convert, with its proof."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["THRESHOLDS", "Certificate", "certify_precision"]

Vector: TypeAlias = NDArray[np.float64]

THRESHOLDS: tuple[float, ...] = tuple(percent / 100 for percent in range(95, 1, -1))
_FEWEST_LEADS = 50
_FEWEST_TO_HOPE = 20
_POWER = 0.8


@dataclass(frozen=True)
class Certificate:
    """What was proved about the leads at or above a threshold, in the period it was proved on.

    It holds for leads like those of the period: where they change, it has to be earned again.

    Attributes
    ----------
    target, alpha
        The precision wanted, and the chance that any threshold certified at `alpha` has less.
    threshold
        The lowest probability that was certified; None if the evidence does not suffice.
    leads, share, precision
        How many leads were at or above it, which share of all, and what share of them converted: of the certified
        threshold, or without one of the one that seems the nearest; precision is None where there are no leads.
    needed
        About how many more leads with known outcomes it takes to certify the best threshold in four of five cases, if
        precision stays as observed. None if something was certified, or if no threshold shows more than the target.
    """

    target: float
    alpha: float
    threshold: float | None
    leads: int
    share: float
    precision: float | None
    needed: int | None


def certify_precision(
    probability: NDArray[np.float64],
    converted: NDArray[np.bool_],
    *,
    leads: NDArray[np.str_],
    target: float,
    alpha: float = 0.05,
    bands: int = 1,
) -> Certificate:
    """Certify the loosest threshold whose precision is at least `target`, wrong with a chance of at most `alpha`.

    Fixed-sequence testing (Angelopoulos et al. 2021, Learn then test): the thresholds 0.95, 0.94 … 0.02 are tried from
    strict to loose, from the first with 50 leads on, and the first that fails ends it. The test is the binomial one,
    P(wins or more | precision = target) ≤ alpha / bands: exact if all leads above convert with one probability,
    and on the safe side if with several (Hoeffding 1956). Fixed thresholds, since the "lowest that seemed good
    enough" breaks its word in half of all cases.

    Parameters
    ----------
    probability, converted, leads
        Shape (rows,): calibrated probabilities of mature rows from a period that fitted neither estimator nor
        calibrator. A lead counts once, with the highest probability it reached, as won if any of its rows is.
    target
        In (0, 1).
    alpha, bands
        The chance of error, split evenly over the bands that are certified from the same leads.

    Raises
    ------
    ValueError
        The target or alpha is not in (0, 1).

    >>> said = np.repeat([0.1, 0.4, 0.7], 400)
    >>> random = np.random.default_rng(0)
    >>> won = random.random(1_200) < said
    >>> found = certify_precision(said, won, leads=np.arange(1_200).astype(str), target=0.5)
    >>> found.threshold, found.leads, round(found.share, 2), round(found.precision, 1)
    (0.4, 800, 0.67, 0.5)
    """
    from scipy import stats

    if not 0 < target < 1 or not 0 < alpha < 1:
        raise ValueError(f"target and alpha must be between 0 and 1, found {target} and {alpha}")
    best, won = _one_row_a_lead(probability, converted, leads)
    counts, wins = _count_above(best, won)
    p_values = np.asarray(stats.binom.sf(wins - 1, counts, target))
    tried = counts >= _FEWEST_LEADS
    passed = np.logical_and.accumulate(p_values[tried] <= alpha / bands)
    certified = np.flatnonzero(tried)[passed]
    total = len(best)
    if len(certified):
        place, needed = int(np.flatnonzero(counts == counts[certified[-1]])[0]), None
    else:
        place, needed = _nearest_to_proof(counts, wins, total, target=target, alpha=alpha / bands)
    n = int(counts[place])
    return Certificate(
        target=target,
        alpha=alpha / bands,
        threshold=THRESHOLDS[place] if len(certified) else None,
        leads=n,
        share=n / total if total else 0.0,
        precision=float(wins[place]) / n if n else None,
        needed=needed,
    )


def _one_row_a_lead(
    probability: Vector, converted: NDArray[np.bool_], leads: NDArray[np.str_]
) -> tuple[Vector, NDArray[np.bool_]]:
    names, lead = np.unique(leads, return_inverse=True)
    best, won = np.zeros(len(names)), np.zeros(len(names), dtype=np.bool_)
    np.maximum.at(best, lead, probability)
    np.logical_or.at(won, lead, converted)
    return best, won


def _count_above(best: Vector, won: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many leads, and how many that converted, are at or above each threshold."""
    thresholds = np.array(THRESHOLDS)
    counts, wins = (len(column) - np.searchsorted(np.sort(column), thresholds) for column in (best, best[won]))
    return counts, wins


def _nearest_to_proof(
    counts: NDArray[np.int64], wins: NDArray[np.int64], total: int, *, target: float, alpha: float
) -> tuple[int, int | None]:
    """Return the threshold that would need the fewest leads to be certified, and about how many more.

    For precision q above the target t a band needs m = ((z_α √(t(1 − t)) + z_β √(q(1 − q))) / (q − t))² leads, by the
    normal approximation; 50 at least.
    """
    from scipy import stats

    hopeful = np.flatnonzero((counts >= _FEWEST_TO_HOPE) & (wins > target * counts))
    if not len(hopeful):
        return int(np.argmax(np.where(counts >= _FEWEST_TO_HOPE, wins / np.maximum(counts, 1), -1.0))), None
    precision = wins[hopeful] / counts[hopeful]
    noise = stats.norm.isf(alpha) * math.sqrt(target * (1 - target))
    spread = stats.norm.ppf(_POWER) * np.sqrt(precision * (1 - precision))
    band = np.maximum(((noise + spread) / (precision - target)) ** 2, _FEWEST_LEADS)
    more = (band - counts[hopeful]) * total / counts[hopeful]
    nearest = int(np.argmin(more))
    return int(hopeful[nearest]), max(1, math.ceil(float(more[nearest])))
