"""The lines of a verdict: what each compares, and when it counts as passed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.promotion.entrant import Said
from training.promotion.forward import Forward
from training.promotion.paired import Calibration, Power, Slice, compare_lift, top_leads
from training.promotion.resampling import Bounds, Resampling
from training.promotion.verdict import Line, Outcome, say_number

__all__ = ["compare_calibration", "compare_churn", "compare_cost", "compare_loss", "compare_top", "sum_up_slices"]

SMALLEST_GAIN = 0.001  # of the champion's log loss
_MOST_TIMES_SLOWER = 3.0
_NOTICEABLE = {1: 0.25, 1_000: 5.0}  # seconds: who scores for less is not kept waiting
_NOWHERE = float("nan")


def compare_loss(champion: NDArray[np.float64], challenger: NDArray[np.float64], gain: Bounds, power: Power) -> Line:
    """Judge the mean gain in log loss per lead: passed if its one-sided 95 % lower bound is above zero.

    A gain of less than 0.1 % of the champion's log loss is not worth what changes for the people who use the list.
    """
    outcome: Outcome = "passed" if gain.low > 0 else "failed" if gain.high < 0 else "not enough evidence"
    needed = f", {power.leads_needed:,} leads one of the size seen" if power.leads_needed is not None else ""
    note = f"difference: gain; these leads show one of {say_number(power.smallest, 'nats')} in 4 of 5 cases{needed}"
    before = float(champion.mean())
    if outcome == "passed" and gain.value < SMALLEST_GAIN * before:
        outcome, note = "failed", f"too small to matter: under {SMALLEST_GAIN:.1%} of the champion's; {note}"
    return Line("log_loss", "log loss", "nats", before, float(challenger.mean()), gain, outcome, note)


def compare_calibration(
    champion: Calibration, challenger: Calibration, resampling: Resampling, *, alone: bool
) -> list[Line]:
    """Judge level and slope by their distance from 1, in logarithms: failed if the challenger's is shown to be larger.

    Without a champion (`alone`) there is no slope to compare with, and a slope outside its noise fails.
    """
    level = resampling.bounds(
        abs(float(np.log(challenger.ratio))) - abs(float(np.log(champion.ratio))),
        np.abs(challenger.log_ratios) - np.abs(champion.log_ratios),
    )
    note = f"{_say_band(challenger.ratio_band)}; difference: of the distances from 1"
    outcome = _no_worse(level)
    lines = [
        Line(
            "observed_expected", "observed / expected", "ratio", champion.ratio, challenger.ratio, level, outcome, note
        )
    ]
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = [np.abs(np.log(np.clip(one.slopes, 1e-3, None))) for one in (champion, challenger)]
        ends = [abs(float(np.log(max(one.slope, 1e-3)))) for one in (champion, challenger)]
    slope = resampling.bounds(ends[1] - ends[0], logs[1] - logs[0])
    outcome = _no_worse(slope)
    if np.isnan(challenger.slope):
        outcome = "shown"
    elif alone or np.isnan(champion.slope):
        low, high = challenger.slope_band
        outcome = "passed" if low <= challenger.slope <= high else "failed"
    shown = slope if np.isfinite(slope.value) else None
    note = f"{_say_band(challenger.slope_band)}; difference: of the distances from 1"
    return [*lines, Line("slope", "calibration slope", "ratio", champion.slope, challenger.slope, shown, outcome, note)]


def _no_worse(distance: Bounds) -> Outcome:
    return "failed" if distance.low > 0 else "passed"


def _say_band(band: tuple[float, float]) -> str:
    return f"noise of a perfect model {say_number(band[0], 'ratio')} to {say_number(band[1], 'ratio')}"


def compare_top(
    champion: NDArray[np.float64], challenger: NDArray[np.float64], forward: Forward, resampling: Resampling
) -> Line:
    """Judge the lift of the leads that the team can call: failed if it is shown to be lower."""
    ours, theirs, difference = compare_lift(
        champion, challenger, forward.won, share=forward.share, resampling=resampling
    )
    outcome: Outcome = "failed" if difference.high < 0 else "passed"
    by = "capacity" if forward.by_capacity else "no capacity in leads.toml: the top fifth"
    note = f"top {say_number(forward.share, 'share')} of the leads ({by}), each at its highest probability"
    return Line("lift", "lift at capacity", "ratio", ours, theirs, difference, outcome, note)


def sum_up_slices(slices: Sequence[Slice]) -> Line:
    """Judge all slices by the worst: failed if any is significantly worse after Benjamini and Hochberg."""
    if not slices:
        note = "no slice has 50 leads, 5 conversions and 8 accounts"
        return Line("slices", "slices", "nats", _NOWHERE, _NOWHERE, None, "not enough evidence", note)
    worst, worse = slices[0], [one for one in slices if one.worse]
    names = ", ".join(f"{one.kind} {one.level}" for one in worse[:5]) or "none"
    note = f"significantly worse in {len(worse)} of {len(slices)}: {names}; the numbers are of the worst"
    name = f"worst slice ({worst.kind} {worst.level})"
    outcome: Outcome = "failed" if worse else "passed"
    return Line("slices", name, "nats", worst.champion, worst.challenger, worst.gain, outcome, note)


def compare_churn(champion: Said, challenger: Said, forward: Forward, resampling: Resampling) -> list[Line]:
    """Show what the people who use the list will notice; it decides nothing."""
    moved = resampling.mean((champion.band != challenger.band).astype(np.float64))
    before, after = (top_leads(one.best, forward.share) for one in (champion, challenger))
    lost = before & ~after
    evicted = resampling.bounds(
        float(lost.sum() / before.sum()), _divide(resampling.totals(lost), resampling.totals(before))
    )
    shared = [_overlap(*pair) for pair in zip(champion.reasons, challenger.reasons, strict=True) if any(pair)]
    overlap = float(np.mean(shared)) if shared else _NOWHERE
    return [
        Line("bands_moved", "leads that change band", "share", _NOWHERE, moved.value, moved, "shown",
             "each at its highest probability, each model with its own thresholds"),
        Line("evicted", "top list evicted", "share", _NOWHERE, evicted.value, evicted, "shown",
             f"of the champion's top {say_number(forward.share, 'share')}"),
        Line("reasons", "overlap of reasons", "share", _NOWHERE, overlap, None, "shown",
             "of the three leading reasons for: shared / all named (Jaccard), mean over leads"),
    ]  # fmt: skip


def _divide(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return above / below


def _overlap(first: frozenset[str], second: frozenset[str]) -> float:
    """Return how much of two sets is shared.

    >>> _overlap(frozenset("abc"), frozenset("bcd"))
    0.5
    """
    return len(first & second) / len(first | second)


def compare_cost(one: Sequence[float], thousand: Sequence[float]) -> list[Line]:
    """Show what scores cost, in seconds; failed only if thrice as slow and slow enough to be noticed.

    Parameters
    ----------
    one, thousand
        Seconds for one lead and for 1,000: the challenger's last, the champion's first if there is one.
    """
    lines = []
    for rows, seconds in ((1, one), (1_000, thousand)):
        theirs, ours = (seconds[0] if len(seconds) > 1 else _NOWHERE), seconds[-1]
        slow = ours > _MOST_TIMES_SLOWER * theirs and ours > _NOTICEABLE[rows]
        name = "time of one score" if rows == 1 else "time of 1,000 scores"
        note = f"probability and reasons; a guard at 3 times, from {say_number(_NOTICEABLE[rows], 'seconds')} on"
        lines.append(Line(f"seconds_{rows}", name, "seconds", theirs, ours, None, "failed" if slow else "shown", note))
    return lines
