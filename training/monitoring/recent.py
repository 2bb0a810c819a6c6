"""What a model says of the leads it has not learnt from, and what is known of them so far."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from features.engine import build_features
from features.snapshots import build_training_snapshots
from project.errors import NotEnoughDataError, SchemaError
from training.bands import make_rules
from training.fitting.delays import DelayCurve, known_at, learn_delays
from training.labels import label_so_far
from training.promotion.forward import drop_disqualified, learnt_until

if TYPE_CHECKING:
    import pandas as pd

    from features.catalogue import Catalogue
    from features.tables import Tables
    from models.lead_model import LeadModel
    from project.settings import Settings

__all__ = ["Recent", "look_at_recent"]


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
    delays = _learn_delays(labelled)
    seen = known_at(_ages(snapshots), _delay(snapshots), _watched(snapshots), delays).seen
    frame = build_features(snapshots, tables, catalogue)
    log_odds = model.log_odds(frame)
    return Recent(
        snapshots, frame, log_odds, model.calibrator.probability(log_odds), seen, earlier, delays, since,
        tables.observed_until,
    )  # fmt: skip


def _learn_delays(labelled: pd.DataFrame) -> DelayCurve | None:
    told = labelled.loc[labelled["converted"] & (labelled["watched"] >= 1.0)]
    return learn_delays(_ages(told), _delay(told), told["lead_id"].to_numpy(dtype=object).astype(str))


def _ages(snapshots: pd.DataFrame) -> NDArray[np.int64]:
    age = (snapshots["as_of"] - snapshots["created_at"]).dt.total_seconds()
    return age.round().to_numpy().astype(np.int64)


def _delay(snapshots: pd.DataFrame) -> NDArray[np.float64]:
    return snapshots["delay"].to_numpy(dtype=np.float64)


def _watched(snapshots: pd.DataFrame) -> NDArray[np.float64]:
    return snapshots["watched"].to_numpy(dtype=np.float64)
