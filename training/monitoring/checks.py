"""The checks of a model in use, each with its verdict and the action that an alarm asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from training.evaluation.cox import fit_level, to_margin
from training.evaluation.evaluate import Interval, log_loss_per_row, mean_with_interval
from training.monitoring.cusum import track_level
from training.monitoring.drift import ColumnDrift, stability_index
from training.monitoring.recalibrate import shift_of
from training.monitoring.recent import Recent
from training.monitoring.two_samples import TwoSamples

if TYPE_CHECKING:
    import pandas as pd

    from models.lead_model import LeadModel

__all__ = [
    "Action",
    "Check",
    "check_columns",
    "check_delays",
    "check_level",
    "check_levels",
    "check_mix",
    "check_order",
    "check_scores",
    "expect_loss",
]

Action = Literal["nothing", "recalibrate", "retrain", "look at the source"]
_FEW_CONVERSIONS = 30
_SURE = 1e-3
_MUCH_DELAY = 0.1
_MUCH_SCORE = 0.25


@dataclass(frozen=True)
class Check:
    """One thing looked at.

    Attributes
    ----------
    verdict
        `fine`, `watch` (seen, needs nothing yet), `alarm` or `unknown` (too little data).
    action
        What an alarm asks for.
    """

    name: str
    verdict: Literal["fine", "watch", "alarm", "unknown"]
    words: str
    action: Action = "nothing"


def check_level(recent: Recent, model: LeadModel) -> Check:
    """Check week by week whether as many converted as the model expected to be seen by now."""
    as_of = recent.snapshots["as_of"].to_numpy()
    track = track_level(as_of, recent.probability, recent.seen, recent.converted, recent.leads)
    seen, expected = float(track.observed.sum()), float(track.expected.sum())
    if expected < 1.0:
        return Check("level", "unknown", "No conversions could have been seen yet.")
    words = f"{seen:,.0f} conversions seen so far, {expected:,.0f} expected by now ({seen / expected:.2f})"
    if track.alarm is None:
        return Check("level", "fine", f"{words}; week by week within what chance allows.")
    shift = shift_of(recent, model)
    words = f"{words}; week after week {track.alarm} than expected"
    if shift.applied:
        return Check("level", "alarm", f"{words}. A shift of {shift.shift:+.2f} log-odds would follow.", "recalibrate")
    return Check("level", "alarm", f"{words}, but the latest leads alone do not ask for a shift.", "retrain")


def check_order(recent: Recent, model: LeadModel, *, seed: int) -> Check:
    """Check whether probabilities at the right level tell leads better than the base rate does."""
    rows = recent.mature
    won = int(recent.converted[rows].sum())
    if won < _FEW_CONVERSIONS or won == rows.sum():
        return Check("order", "unknown", f"Only {won} conversions among leads whose time is over.")
    converted = recent.converted[rows]
    said = _at_the_right_level(recent.probability[rows], converted)
    rate = np.full(len(said), converted.mean())
    groups = np.unique(recent.snapshots["group_id"].to_numpy(dtype=object).astype(str)[rows], return_inverse=True)[1]
    gain = mean_with_interval(
        log_loss_per_row(rate, converted) - log_loss_per_row(said, converted), groups=groups, seed=seed
    )
    words = f"at the right level, log loss {gain.value:.4f} below the base rate's [{gain.low:.4f}, {gain.high:.4f}]"
    if gain.high < 0:
        return Check("order", "alarm", f"Worse than the base rate: {words}.", "retrain")
    if gain.low < 0:
        return Check("order", "watch", f"Not shown to be better than the base rate: {words}.")
    return Check("order", "fine", f"Of leads whose time is over: {words}.")


def _at_the_right_level(probability: NDArray[np.float64], converted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Shift all log-odds until as many conversions are expected as there were: the level is looked at elsewhere."""
    from scipy import special

    return np.asarray(special.expit(to_margin(probability) + fit_level(probability, converted.astype(np.float64))))


def check_scores(before: NDArray[np.float64], recent: Recent, last: NDArray[np.intp]) -> Check:
    """Check whether the distribution of probabilities moved, `before` being what is said of those learnt from."""
    now = recent.probability[last]
    edges = np.unique(np.quantile(before, np.linspace(0, 1, 11)[1:-1]))
    index, _ = stability_index(np.searchsorted(edges, before), np.searchsorted(edges, now))
    words = f"mean probability {now.mean():.1%} of the latest leads, {before.mean():.1%} before; stability {index:.2f}"
    if index > _MUCH_SCORE:
        return Check("scores", "alarm", f"The scores have moved: {words}.", "retrain")
    return Check("scores", "fine" if index < _MUCH_SCORE / 2.5 else "watch", f"{words}.")


def check_columns(drifted: Sequence[ColumnDrift]) -> Check:
    """Check whether values went missing, and how many columns drift."""
    moved = [one for one in drifted if one.moved]
    lost = [one for one in moved if one.lost]
    if lost:
        told = ", ".join(f"{one.words} ({one.missing_before:.0%} → {one.missing_now:.0%} missing)" for one in lost[:3])
        return Check("columns", "alarm", f"Values went missing: {told}.", "look at the source")
    if not moved:
        return Check("columns", "fine", "No column drifts by more than chance.")
    named = ", ".join(one.words for one in moved[:3])
    return Check("columns", "watch", f"{len(moved)} of {len(drifted)} columns drift, first {named}.")


def check_levels(drifted: Sequence[ColumnDrift]) -> Check:
    """Check whether leads have levels that training never saw."""
    new = sorted((one for one in drifted if one.unseen > 0.02), key=lambda one: -one.unseen)
    if not new:
        return Check("levels", "fine", "The latest leads have next to no level that training never saw.")
    named = ", ".join(f"{one.words} ({one.unseen:.0%})" for one in new[:3])
    if any(one.renamed for one in new):
        return Check("levels", "alarm", f"Many leads have levels never seen: {named}.", "look at the source")
    return Check("levels", "watch", f"Levels never seen in training: {named}.")


def check_mix(found: TwoSamples | None, others: Sequence[Check]) -> Check:
    """Check whether recent leads are another mix than those learnt from, whatever each column looks like alone.

    It never alarms by itself. That leads are of another kind does not make what is said of each of them wrong
    (covariate shift, Shimodaira 2000), and a new training learns little of a kind whose outcomes are not in yet. What
    would be wrong then, the level or the order, has a check of its own; where one of those alarms, this one tells the
    likely cause, and that a shift of the level of all leads may not mend what is off for some.

    Parameters
    ----------
    found
        Null if there were too few leads.
    others
        The checks of level and order.
    """
    if found is None:
        return Check("mix", "unknown", "Too few leads in some period to tell them apart.")
    words = f"AUC {_write(found.now)}, usual {_write(found.usual)}"
    if not found.apart:
        return Check("mix", "fine", f"Recent leads are not told from those before clearly better than usual: {words}.")
    by = f", most by {', '.join(found.told_by)}" if found.told_by else ""
    alarmed = [one.name for one in others if one.verdict == "alarm"]
    cause = f" The likely cause of the alarm of {' and '.join(alarmed)}." if alarmed else ""
    return Check("mix", "watch", f"Recent leads are another mix than those learnt from{by}: {words}.{cause}")


def _write(area: Interval) -> str:
    return f"{area.value:.4f}" if np.isnan(area.low) else str(area)


def check_delays(recent: Recent) -> Check:
    """Check whether conversions take as long as they did."""
    from scipy import stats

    def delays(snapshots: pd.DataFrame) -> NDArray[np.float64]:
        told = snapshots.loc[snapshots["converted"] & (snapshots["watched"] >= 1.0)]
        return told.drop_duplicates("lead_id")["delay"].to_numpy(dtype=np.float64)

    before, now = delays(recent.earlier), delays(recent.snapshots)
    if min(len(before), len(now)) < _FEW_CONVERSIONS:
        return Check("delays", "unknown", f"Only {len(now)} conversions of leads whose time is over.")
    test = stats.ks_2samp(before, now)
    halves = f"half came within {np.median(before):.0%} of the horizon, now within {np.median(now):.0%}"
    if test.pvalue < _SURE and test.statistic > _MUCH_DELAY:
        return Check("delays", "alarm", f"Conversions take another time than they did: {halves}.", "retrain")
    return Check("delays", "fine", f"Conversions take as long as they did: {halves}.")


def expect_loss(recent: Recent) -> Check:
    """Say what log loss to expect of the latest leads if the probabilities are right (CBPE)."""
    young = ~recent.mature
    if not young.any():
        return Check("expected", "unknown", "No lead is too young to know.")
    said = np.clip(recent.probability[young], 1e-12, 1 - 1e-12)
    expected = float(np.mean(-(said * np.log(said) + (1 - said) * np.log1p(-said))))
    rate = float(said.mean())
    base = float(-(rate * np.log(rate) + (1 - rate) * np.log1p(-rate)))
    return Check(
        "expected",
        "fine",
        f"If the probabilities are right, {rate:.1%} of {young.sum():,} snapshots too young to know will convert, and "
        f"the log loss will be {expected:.4f}, {1 - expected / base:.1%} below the base rate's.",
    )
