"""Labels: whether a lead converted within the horizon, and whether it is old enough to tell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from features.tables import Tables

__all__ = ["Labelled", "label_snapshots"]


@dataclass(frozen=True)
class Labelled:
    """Mature snapshots with their label.

    Attributes
    ----------
    snapshots
        As asked, plus `converted` bool. Only mature ones: as_of + horizon <= observed_until.
    immature
        How many snapshots were left out because their horizon is not over yet. They are not negatives.
    immature_leads
        How many leads have no mature snapshot at all.
    """

    snapshots: pd.DataFrame
    immature: int
    immature_leads: int


def label_snapshots(snapshots: pd.DataFrame, tables: Tables, horizon: timedelta) -> Labelled:
    """Label with the half-open interval [as_of, as_of + horizon); the immature are set apart, whatever became of them.

    A conversion exactly at `as_of` counts, one exactly at `as_of` + `horizon` does not. To keep the young leads that
    have already converted and drop those that have not would overstate every probability.
    """
    if not tables.dated:
        outcomes = tables.connection.execute("SELECT lead_id, converted FROM leads").df()
        labelled = snapshots.merge(outcomes, on="lead_id", how="left", validate="many_to_one")
        return Labelled(labelled.astype({"converted": "bool"}), 0, 0)
    outcomes = tables.connection.execute("SELECT lead_id, won_at FROM outcomes").df()
    labelled = snapshots.merge(outcomes, on="lead_id", how="left", validate="many_to_one")
    end = labelled["as_of"] + horizon
    labelled["converted"] = (labelled["won_at"] >= labelled["as_of"]) & (labelled["won_at"] < end)
    mature = end <= np.datetime64(tables.observed_until, "us")
    known = labelled.loc[mature].drop(columns="won_at").reset_index(drop=True)
    young = set(labelled.loc[~mature, "lead_id"]) - set(known["lead_id"])
    return Labelled(known, int((~mature).sum()), len(young))
