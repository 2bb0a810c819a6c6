"""What a model says of the leads it has not learnt from, and what is known of them so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from features.engine import build_features
from features.ingest import read_tables
from features.snapshots import build_training_snapshots
from models.registry import find_model
from project.errors import NotEnoughDataError, SchemaError
from training.arrivals import drop_disqualified
from training.bands import make_rules
from training.fitting.delays import DelayCurve
from training.fitting.encode import learn_delays_at, look_back
from training.labels import label_so_far
from training.promotion.entrant import Entrant, load_entrant
from training.promotion.forward import learnt_until
from training.split import Origin

if TYPE_CHECKING:
    import pandas as pd

    from features.catalogue import Catalogue
    from features.tables import Tables
    from models.lead_model import LeadModel
    from project.folder import Project
    from project.settings import Settings

__all__ = ["Recent", "ask_recent", "look_at_recent"]


@dataclass(frozen=True)
class Recent:
    """Snapshots taken after the model's last label, with what it says of them.

    Attributes
    ----------
    snapshots
        As `label_so_far` gives them.
    seen
        F: the share of conversions that such a snapshot would have shown by now, in [0, 1], shape (rows,).
    earlier
        Snapshots that the model could learn from, as `label_so_far` gives them.
    until
        The end of the data; outcomes are known until then.
    """

    snapshots: pd.DataFrame
    frame: pd.DataFrame
    log_odds: NDArray[np.float64]
    probability: NDArray[np.float64]
    seen: NDArray[np.float64]
    earlier: pd.DataFrame
    delays: DelayCurve | None
    since: datetime
    until: datetime

    @property
    def converted(self) -> NDArray[np.bool_]:
        """Whether a conversion has been seen so far, shape (rows,)."""
        return self.snapshots["converted"].to_numpy(dtype=np.bool_)

    @property
    def leads(self) -> NDArray[np.str_]:
        """The id of each row's lead, shape (rows,)."""
        return self.snapshots["lead_id"].to_numpy(dtype=object).astype(str)

    @property
    def watched(self) -> NDArray[np.float64]:
        """Time since `as_of` as a share of the horizon, shape (rows,)."""
        return self.snapshots["watched"].to_numpy(dtype=np.float64)

    @property
    def mature(self) -> NDArray[np.bool_]:
        """Whether the horizon is over, shape (rows,)."""
        return self.watched >= 1.0


def ask_recent(project: Project, name: str, *, progress: Callable[[str], None]) -> tuple[Tables, Entrant, Recent]:
    """Read the tables, load and verify a model, and ask it about the leads since it was trained."""
    progress("Reading the tables")
    tables = read_tables(project)
    progress("Loading and verifying the model")
    entrant = load_entrant(project, find_model(project.state, name).name, tables)
    progress("Asking it about the leads since it was trained")
    return tables, entrant, look_at_recent(tables, project.settings, entrant.model, entrant.catalogue)


def look_at_recent(tables: Tables, settings: Settings, model: LeadModel, catalogue: Catalogue) -> Recent:
    """Ask the model about every lead since its last label, at the ages it learnt.

    Raises
    ------
    SchemaError
        The tables have no dates.
    NotEnoughDataError
        No lead has been looked at since.
    """
    if not tables.dated or tables.observed_until is None:
        raise SchemaError("The tables have no dates: nothing tells which leads are recent. Declare leads.created_at.")
    horizon = settings.outcome.horizon
    asked = build_training_snapshots(tables, settings.snapshots.ages)
    labelled = drop_disqualified(label_so_far(asked, tables, horizon), tables, make_rules(settings.rules))
    _, since = learnt_until(model.manifest)
    new = (labelled["as_of"] >= np.datetime64(since, "us")).to_numpy()
    snapshots, earlier = labelled.loc[new].reset_index(drop=True), labelled.loc[~new].reset_index(drop=True)
    if snapshots.empty:
        raise NotEnoughDataError(
            f"No lead has come in since {since:%Y-%m-%d}, the end of what the model learnt from. Bring newer data."
        )
    now = Origin(tables.observed_until, *np.empty((2, 0), dtype=np.intp))
    delays = learn_delays_at(labelled, now, horizon)
    seen = look_back(snapshots, now, horizon=horizon, delays=delays).seen
    frame = build_features(snapshots, tables, catalogue)
    log_odds = model.log_odds(frame)
    return Recent(
        snapshots, frame, log_odds, model.calibrator.probability(log_odds), seen, earlier, delays, since,
        tables.observed_until,
    )  # fmt: skip
