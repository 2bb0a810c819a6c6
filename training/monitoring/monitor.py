"""Watch the model in use: is its level right, does it still order, are the leads still those it knows; what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from features.engine import build_features
from features.snapshots import build_training_snapshots
from project.files import canonical_json, write_atomically
from training.arrivals import drop_disqualified
from training.bands import make_rules
from training.monitoring.checks import (
    Action,
    Check,
    check_columns,
    check_delays,
    check_level,
    check_levels,
    check_mix,
    check_order,
    check_scores,
    expect_loss,
)
from training.monitoring.drift import ColumnDrift, measure_drift
from training.monitoring.recent import Recent, ask_recent
from training.monitoring.two_samples import TwoSamples, choose_moments, compare_moments, timeless_columns
from training.thin import thin

if TYPE_CHECKING:
    import pandas as pd

    from features.tables import Tables
    from project.folder import Project
    from training.promotion.entrant import Entrant

__all__ = ["Health", "watch_model"]

_ORDER: tuple[Action, ...] = ("nothing", "recalibrate", "retrain", "look at the source")
_ROWS = 20_000


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
        latest=(earlier["as_of"] >= np.datetime64(recent.since - min(gap, horizon), "us")).to_numpy(),
        well_before=(earlier["as_of"] < np.datetime64(recent.since - gap, "us")).to_numpy(),
        leads_now=len(np.unique(recent.leads[last])),
    )  # fmt: skip
    level, order = check_level(recent, model), check_order(recent, model, seed=project.settings.training.seed)
    checks = (
        level,
        order,
        check_scores(model.probability(before), recent, last),
        check_columns(drifted),
        check_levels(drifted),
        check_mix(_tell_apart(project, tables, entrant, recent), (level, order)),
        check_delays(recent),
        expect_loss(recent),
    )
    health = Health(
        model.model_id, recent.since.isoformat(), recent.until.isoformat(), len(np.unique(recent.leads)), checks,
        tuple(one for one in drifted if one.moved)[:10],
    )  # fmt: skip
    with write_atomically(project.state / "monitoring" / f"{model.model_id}-{health.until[:10]}.json") as temporary:
        temporary.write_text(canonical_json(health.to_json()), encoding="utf-8")
    return health


def _tell_apart(project: Project, tables: Tables, entrant: Entrant, recent: Recent) -> TwoSamples | None:
    settings = project.settings
    asked = build_training_snapshots(tables, settings.snapshots.ages)
    asked = drop_disqualified(asked, tables, make_rules(settings.rules))
    moments = choose_moments(
        asked["as_of"].to_numpy(), since=recent.since, until=recent.until, horizon=settings.outcome.horizon
    )
    columns = timeless_columns(entrant.model.columns, entrant.catalogue)
    return compare_moments(asked, tables, entrant.catalogue, columns, moments)


def _thin(recent: Recent) -> pd.DataFrame:
    """Return at most 20,000 of the snapshots that the model could learn from."""
    return recent.earlier.iloc[thin(len(recent.earlier), _ROWS)].reset_index(drop=True)


def _last_rows(recent: Recent) -> NDArray[np.intp]:
    """Return the rows of the last horizon: what the model is asked today."""
    rows = np.flatnonzero(recent.watched < 1.0)
    return rows[thin(len(rows), _ROWS)]
