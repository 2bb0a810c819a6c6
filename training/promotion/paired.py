"""Numbers of two sets of probabilities on the same leads, each with its bounds from the same resampled blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training.evaluation.cox import fit_level, fit_line, to_margin
from training.evaluation.evaluate import log_loss_per_row
from training.promotion.resampling import Bounds, Resampling, widen

__all__ = [
    "Calibration",
    "Power",
    "Slice",
    "compare_lift",
    "find_level_shift",
    "judge_slices",
    "losses_per_lead",
    "measure_calibration",
    "measure_power",
    "top_leads",
]

Vector = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.int64]
_CELLS = 4_000_000  # of a matrix held at once
FALSE_DISCOVERIES = 0.05
FEWEST_IN_SLICE, FEWEST_CONVERTED_IN_SLICE, FEWEST_CLUSTERS = 50, 5, 8


def losses_per_lead(probability: Vector, converted: Flags, lead: Places) -> Vector:
    """Return each lead's mean log loss over its snapshots, in nats, shape (leads,): every lead counts once.

    >>> losses_per_lead(np.array([0.5, 0.5, 1.0]), np.array([True, False, True]), np.array([0, 0, 1])).round(3).tolist()
    [0.693, 0.0]
    """
    return _mean_per_lead(log_loss_per_row(probability, converted), lead)


def _mean_per_lead(values: Vector, lead: Places) -> Vector:
    return np.bincount(lead, weights=values) / np.bincount(lead)


@dataclass(frozen=True)
class Power:
    """What these leads could have shown at all, one-sided at 5 % and with a chance of 80 %.

    Attributes
    ----------
    smallest
        The smallest mean gain per lead, in nats, that they would have shown.
    leads_needed
        How many leads would show a gain of the size seen; null if none was seen.
    """

    smallest: float
    leads_needed: int | None


def measure_power(gain: Bounds, *, leads: int, blocks: int) -> Power:
    """Return the power of a comparison: (t of 95 % + z of 80 %) standard errors, the errors falling as 1 / √leads."""
    from scipy import stats

    smallest = (float(stats.t.ppf(0.95, blocks - 1)) + float(stats.norm.ppf(0.8))) * gain.error
    needed = leads * (smallest / gain.value) ** 2 if gain.value > 0 else np.inf
    return Power(smallest, int(np.ceil(needed)) if needed < 1e12 else None)


@dataclass(frozen=True)
class Calibration:
    """Observed / expected and slope of one model, and how both fell in every draw.

    Attributes
    ----------
    ratio, slope
        `nan` where they do not exist: a constant has no slope.
    ratio_band, slope_band
        Where 95 % of perfectly calibrated models would lie on leads as these: their noise.
    log_ratios, slopes
        Shape (draws,).
    """

    ratio: float
    ratio_band: tuple[float, float]
    slope: float
    slope_band: tuple[float, float]
    log_ratios: Vector
    slopes: Vector

    @property
    def level_is_off(self) -> bool:
        """Whether observed / expected lies outside its noise."""
        return not self.ratio_band[0] <= self.ratio <= self.ratio_band[1]


def measure_calibration(probability: Vector, converted: Flags, lead: Places, resampling: Resampling) -> Calibration:
    """Measure level and slope; every lead counts once, whatever the number of its snapshots.

    The slope is b of logit P(converted) = a + b · logit(probability) (Cox 1958). In the draws it moves by one Newton
    step from the estimate of all leads, since that needs sums over blocks only.
    """
    wins = converted.astype(np.float64)
    seen, said = _mean_per_lead(wins, lead), _mean_per_lead(probability, lead)
    totals = resampling.totals(np.column_stack([seen, said]))
    with np.errstate(divide="ignore"):
        log_ratios = np.log(totals[:, 0] / totals[:, 1])
    ratio = float(seen.sum() / said.sum())
    slope, slopes = _slope(probability, wins, lead, resampling)
    wide = widen(resampling.blocks, tail=0.025)
    spread = wide * float(log_ratios[np.isfinite(log_ratios)].std())
    tilt = wide * float(slopes.std())
    return Calibration(
        ratio, (float(np.exp(-spread)), float(np.exp(spread))), slope, (1 - tilt, 1 + tilt), log_ratios, slopes
    )


def _slope(probability: Vector, wins: Vector, lead: Places, resampling: Resampling) -> tuple[float, Vector]:
    line = fit_line(probability, wins, 1 / np.bincount(lead)[lead])
    if line is None:
        return float("nan"), np.full(len(resampling.counts), np.nan)
    z, residual, spread = line.design[:, 1], line.residual, line.spread
    parts = np.column_stack([residual, residual * z, spread, spread * z, spread * z * z])
    per_lead = np.column_stack([np.bincount(lead, weights=part) for part in parts.T])
    g0, g1, h00, h01, h11 = resampling.totals(per_lead).T
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = (h00 * g1 - h01 * g0) / (h00 * h11 - h01 * h01)
    return line.slope, line.slope + moved / line.scale


def find_level_shift(probability: Vector, converted: Flags, lead: Places) -> tuple[float, float]:
    """Return the shift in log-odds that makes observed equal expected, and how much log loss per lead it would save."""
    from scipy import special

    shift = fit_level(probability, converted.astype(np.float64), 1 / np.bincount(lead)[lead])
    before = losses_per_lead(probability, converted, lead)
    after = losses_per_lead(special.expit(to_margin(probability) + shift), converted, lead)
    return shift, float((before - after).mean())


def top_leads(best: Vector, share: float) -> Flags:
    """Return which leads the team calls: the top `share`, at least one; of equal ones those that come first.

    >>> top_leads(np.array([0.1, 0.9, 0.5, 0.5]), 0.5).tolist()
    [False, True, True, False]
    """
    called = np.zeros(len(best), dtype=np.bool_)
    called[np.argsort(-best, kind="stable")[: max(1, round(share * len(best)))]] = True
    return called


def compare_lift(
    champion: Vector, challenger: Vector, won: Flags, *, share: float, resampling: Resampling
) -> tuple[float, float, Bounds]:
    """Return both lifts of the top `share` and the bounds of challenger's minus champion's.

    Lift is the conversion of the top `share` over that of all; leads of equal probability share their place evenly. In
    every draw the list is drawn up anew.

    Parameters
    ----------
    champion, challenger
        The highest probability each lead reached, shape (leads,).
    """
    ones = np.ones((1, resampling.blocks))
    values = [float(_lift(best, won, share, resampling.block, ones)[0]) for best in (champion, challenger)]
    draws = [_lift(best, won, share, resampling.block, resampling.counts) for best in (champion, challenger)]
    return values[0], values[1], resampling.bounds(values[1] - values[0], draws[1] - draws[0])


def _lift(best: Vector, won: Flags, share: float, block: Places, counts: Vector) -> Vector:
    order = np.argsort(-best, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(best[order]) != 0, True))
    place, wins = block[order], won[order].astype(np.float64)
    lifts = np.empty(len(counts))
    size = max(1, _CELLS // len(best))
    for start in range(0, len(counts), size):
        weight = counts[start : start + size][:, place]
        leads = np.cumsum(weight, axis=1)[:, ends]
        reached = np.cumsum(weight * wins, axis=1)[:, ends]
        target = share * leads[:, -1]
        row = np.arange(len(leads))
        after = np.argmax(leads >= target[:, None], axis=1)
        before_leads = np.where(after > 0, leads[row, after - 1], 0.0)
        before_wins = np.where(after > 0, reached[row, after - 1], 0.0)
        part = (target - before_leads) / (leads[row, after] - before_leads)
        inside = before_wins + part * (reached[row, after] - before_wins)
        with np.errstate(divide="ignore", invalid="ignore"):
            lifts[start : start + size] = inside / reached[:, -1] / share
    return lifts


@dataclass(frozen=True)
class Slice:
    """One slice: its leads, both log losses, and the mean gain of the challenger with its bounds.

    Attributes
    ----------
    p_worse
        One-sided p-value of "the challenger is not worse here".
    worse
        Whether it is significantly worse after Benjamini and Hochberg over all slices, at 5 % false discoveries.
    """

    kind: str
    level: str
    leads: int
    converted: int
    champion: float
    challenger: float
    gain: Bounds
    p_worse: float
    worse: bool = False


def judge_slices(
    slices: Mapping[tuple[str, str], Flags],
    champion: Vector,
    challenger: Vector,
    won: Flags,
    *,
    account: Places,
    week: Places,
) -> list[Slice]:
    """Judge every slice with enough leads (50, with 5 conversions, of 8 accounts), the challenger's worst first.

    The standard error of the mean gain is clustered by account or, where a slice spans 8 weeks, by week: the larger one
    counts, with Student's t on clusters - 1 degrees of freedom.

    Parameters
    ----------
    slices
        (kind, level) → which leads are in it, shape (leads,).
    champion, challenger
        Log loss per lead, shape (leads,).
    """
    from scipy import stats

    found = []
    for (kind, level), inside in slices.items():
        leads, wins = int(inside.sum()), int(won[inside].sum())
        gains = (champion - challenger)[inside]
        errors = [_clustered_error(gains, cluster[inside]) for cluster in (account, week)]
        if leads < FEWEST_IN_SLICE or wins < FEWEST_CONVERTED_IN_SLICE or errors[0][1] < FEWEST_CLUSTERS:
            continue
        error, clusters = max(one for one in errors if one[1] >= FEWEST_CLUSTERS)
        gain = float(gains.mean())
        reach = float(stats.t.ppf(0.95, clusters - 1)) * error
        p_worse = float(stats.t.cdf(gain / error, clusters - 1)) if error > 0 else 1.0
        bounds = Bounds(gain, gain - reach, gain + reach, error)
        losses = float(champion[inside].mean()), float(challenger[inside].mean())
        found.append(Slice(kind, level, leads, wins, *losses, bounds, p_worse))
    return _flag(sorted(found, key=lambda one: (one.p_worse, one.kind, one.level)))


def _clustered_error(values: Vector, cluster: Places) -> tuple[float, int]:
    """Return the standard error of a mean whose terms vary together within clusters, and the number of clusters."""
    _, place = np.unique(cluster, return_inverse=True)
    sums = np.bincount(place, weights=values - values.mean()) if len(values) else np.zeros(0)
    many = len(sums)
    return (float(np.sqrt(many / (many - 1) * np.sum(sums**2)) / len(values)) if many > 1 else 0.0), many


def _flag(ordered: list[Slice]) -> list[Slice]:
    passed = [place for place, one in enumerate(ordered, 1) if one.p_worse <= FALSE_DISCOVERIES * place / len(ordered)]
    last = max(passed, default=0)
    return [replace(one, worse=place <= last) for place, one in enumerate(ordered, 1)]
