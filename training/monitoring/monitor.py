"""Watch the model in use: is its level right, does it still order, are the leads still those it knows; what to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from features.engine import build_features
from project.files import canonical_json, write_atomically
from training.evaluation.evaluate import log_loss_per_row, mean_with_interval
from training.monitoring.cusum import track_level
from training.monitoring.drift import ColumnDrift, measure_drift, stability_index
from training.monitoring.recalibrate import shift_of
from training.monitoring.recent import Recent, ask_recent
from training.thin import thin

if TYPE_CHECKING:
    import pandas as pd

    from models.lead_model import LeadModel
    from project.folder import Project

__all__ = ["Action", "Check", "Health", "watch_model"]

Action = Literal["nothing", "recalibrate", "retrain", "look at the source"]
_ORDER: tuple[Action, ...] = ("nothing", "recalibrate", "retrain", "look at the source")
_ROWS = 20_000
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


@dataclass(frozen=True)
class Health:
    """All checks of a model, and the one thing to do.

    Attributes
    ----------
    drifted
        The columns that drift most, for the reader; most drifted first.
    """

    model_id: str
    since: str
    until: str
    leads: int
    checks: tuple[Check, ...]
    drifted: tuple[ColumnDrift, ...]

    @property
    def action(self) -> Action:
        """The most urgent action that any alarm asks for."""
        asked = [check.action for check in self.checks if check.verdict == "alarm"]
        return max(asked, key=_ORDER.index, default="nothing")

    def to_json(self) -> dict[str, object]:
        """Return what `leads monitor --json` prints and what is kept."""
        return {**asdict(self), "action": self.action}


def watch_model(project: Project, *, progress: Callable[[str], None], name: str = "champion") -> Health:
    """Check a model on all leads since the last label it learnt from, and keep what was found.

    Raises
    ------
    NotEnoughDataError, SchemaError
        There are no dates, or no leads that the model has not learnt from.
    """
    tables, entrant, recent = ask_recent(project, name, progress=progress)
    model = entrant.model
    progress("Comparing them with those it learnt from")
    earlier = _thin(recent)
    before = build_features(earlier, tables, entrant.catalogue)
    last = _last_rows(recent)
    gap, horizon = recent.until - recent.since, project.settings.outcome.horizon
    drifted = measure_drift(
        before, recent.frame.iloc[last], model.columns,
        leads_before=earlier["lead_id"].nunique(),
        latest=(earlier["as_of"] >= np.datetime64(recent.since - horizon, "us")).to_numpy(),
        well_before=(earlier["as_of"] < np.datetime64(recent.since - gap, "us")).to_numpy(),
        leads_now=len(np.unique(recent.leads[last])),
    )  # fmt: skip
    checks = (
        _check_level(recent, model),
        _check_order(recent, model, seed=project.settings.training.seed),
        _check_scores(model.probability(before), recent, last),
        _check_columns(drifted),
        _check_levels(drifted),
        _check_delays(recent),
        _expect(recent),
    )
    health = Health(
        model.model_id, recent.since.isoformat(), recent.until.isoformat(), len(np.unique(recent.leads)), checks,
        tuple(one for one in drifted if one.moved)[:10],
    )  # fmt: skip
    with write_atomically(project.state / "monitoring" / f"{model.model_id}-{health.until[:10]}.json") as temporary:
        temporary.write_text(canonical_json(health.to_json()), encoding="utf-8")
    return health


def _thin(recent: Recent) -> pd.DataFrame:
    """Return at most 20,000 of the snapshots that the model could learn from."""
    return recent.earlier.iloc[thin(len(recent.earlier), _ROWS)].reset_index(drop=True)


def _last_rows(recent: Recent) -> NDArray[np.intp]:
    """Return the rows of the last horizon: what the model is asked today."""
    rows = np.flatnonzero(recent.watched < 1.0)
    return rows[thin(len(rows), _ROWS)]


def _check_level(recent: Recent, model: LeadModel) -> Check:
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


def _check_order(recent: Recent, model: LeadModel, *, seed: int) -> Check:
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
    from scipy import optimize, special

    margin = special.logit(np.clip(probability, 1e-9, 1 - 1e-9))
    by = optimize.brentq(lambda shift: float(special.expit(margin + shift).mean() - converted.mean()), -30.0, 30.0)
    return np.asarray(special.expit(margin + by))


def _check_scores(before: NDArray[np.float64], recent: Recent, last: NDArray[np.intp]) -> Check:
    now = recent.probability[last]
    edges = np.unique(np.quantile(before, np.linspace(0, 1, 11)[1:-1]))
    index, _ = stability_index(np.searchsorted(edges, before), np.searchsorted(edges, now))
    words = f"mean probability {now.mean():.1%} of the latest leads, {before.mean():.1%} before; stability {index:.2f}"
    if index > _MUCH_SCORE:
        return Check("scores", "alarm", f"The scores have moved: {words}.", "retrain")
    return Check("scores", "fine" if index < _MUCH_SCORE / 2.5 else "watch", f"{words}.")


def _check_columns(drifted: Sequence[ColumnDrift]) -> Check:
    moved = [one for one in drifted if one.moved]
    lost = [one for one in moved if one.lost]
    if lost:
        told = ", ".join(f"{one.words} ({one.missing_before:.0%} → {one.missing_now:.0%} missing)" for one in lost[:3])
        return Check("columns", "alarm", f"Values went missing: {told}.", "look at the source")
    if not moved:
        return Check("columns", "fine", "No column drifts by more than chance.")
    named = ", ".join(one.words for one in moved[:3])
    return Check("columns", "watch", f"{len(moved)} of {len(drifted)} columns drift, first {named}.")


def _check_levels(drifted: Sequence[ColumnDrift]) -> Check:
    new = sorted((one for one in drifted if one.unseen > 0.02), key=lambda one: -one.unseen)
    if not new:
        return Check("levels", "fine", "The latest leads have next to no level that training never saw.")
    named = ", ".join(f"{one.words} ({one.unseen:.0%})" for one in new[:3])
    if any(one.renamed for one in new):
        return Check("levels", "alarm", f"Many leads have levels never seen: {named}.", "look at the source")
    return Check("levels", "watch", f"Levels never seen in training: {named}.")


def _check_delays(recent: Recent) -> Check:
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


def _expect(recent: Recent) -> Check:
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
