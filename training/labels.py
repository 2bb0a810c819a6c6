"""Labels: whether a lead converted within the horizon, and whether that can be told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from features.tables import Tables

__all__ = ["Labelled", "label_snapshots", "label_so_far"]


@dataclass(frozen=True)
class Labelled:
    """Snapshots whose label is known, and how many were left out because it is not.

    Attributes
    ----------
    snapshots
        As asked, plus `converted` bool and `delay`: time from `as_of` to the conversion as a share of the horizon, NaN
        without one. Only mature ones: as_of + horizon <= observed_until.
    immature
        How many snapshots were left out because their horizon is not over yet. They are not negatives.
    immature_leads
        How many leads have no mature snapshot at all.
    unknown, unknown_leads
        How many mature snapshots, and leads, were left out because the lead was lost within the horizon for a reason
        that does not tell whether it would have bought: unreachable, bad timing, a duplicate.
    junk, junk_leads
        How many snapshots, and leads, were left out because the lead turned out to be none: spam, a test.
    """

    snapshots: pd.DataFrame
    immature: int
    immature_leads: int
    unknown: int = 0
    unknown_leads: int = 0
    junk: int = 0
    junk_leads: int = 0


def label_snapshots(snapshots: pd.DataFrame, tables: Tables, horizon: timedelta) -> Labelled:
    """Label with the half-open interval [as_of, as_of + horizon); what cannot be told is set apart and counted.

    A conversion exactly at `as_of` counts, one exactly at `as_of` + `horizon` does not. The immature are left out
    whatever became of them: to keep the young leads that have already converted and drop those that have not would
    overstate every probability.

    A loss for an `unknown` reason within the horizon, without a win in it, is no negative and is left out; so is every
    snapshot of a lead lost as `junk`. That raises the base rate: the probability is that of leads whose fate sales got
    to know. Over all leads that come in, expect fewer conversions, in the proportion of the share left out.
    """
    if not tables.dated:
        outcomes = tables.connection.execute(
            "SELECT lead_id, converted, lost_as FROM leads LEFT JOIN outcomes USING (lead_id)"
        ).df()
        labelled = snapshots.merge(outcomes, on="lead_id", how="left", validate="many_to_one")
        ends = labelled["lost_as"]
        labelled = labelled.astype({"converted": "bool"}).assign(delay=np.nan)
        return _take_out(labelled, ends == "junk", ends == "unknown", 0, 0)
    labelled, unknown, junk = _join_outcomes(snapshots, tables, horizon)
    mature = labelled["as_of"] + horizon <= np.datetime64(tables.observed_until, "us")
    old = labelled.loc[mature]
    young = set(labelled.loc[~mature & ~junk, "lead_id"]) - set(old["lead_id"])
    return _take_out(
        old.drop(columns=["won_at", "lost_at"]), junk[mature], unknown[mature], int((~mature & ~junk).sum()), len(young)
    )


def label_so_far(snapshots: pd.DataFrame, tables: Tables, horizon: timedelta) -> pd.DataFrame:
    """Label all snapshots by what is known at the end of the data, young ones too.

    Returns
    -------
    DataFrame
        As `Labelled.snapshots`, but for the young `converted` is what has been seen so far; and `watched`, the time
        since `as_of` as a share of the horizon.
    """
    labelled, unknown, junk = _join_outcomes(snapshots, tables, horizon)
    until = np.datetime64(tables.observed_until, "us")
    labelled["watched"] = (until - labelled["as_of"]).dt.total_seconds() / horizon.total_seconds()
    return labelled.loc[~junk & ~unknown].drop(columns=["won_at", "lost_at", "lost_as"]).reset_index(drop=True)


def _join_outcomes(
    snapshots: pd.DataFrame, tables: Tables, horizon: timedelta
) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    """Return snapshots with their outcomes, and which end unknown or as junk."""
    outcomes = tables.connection.execute("SELECT lead_id, won_at, lost_at, lost_as FROM outcomes").df()
    labelled = snapshots.merge(outcomes, on="lead_id", how="left", validate="many_to_one")
    end = labelled["as_of"] + horizon
    labelled["converted"] = (labelled["won_at"] >= labelled["as_of"]) & (labelled["won_at"] < end)
    delay = (labelled["won_at"] - labelled["as_of"]).dt.total_seconds() / horizon.total_seconds()
    labelled["delay"] = delay.where(labelled["converted"]).astype("float64")
    lost = (labelled["lost_at"] >= labelled["as_of"]) & (labelled["lost_at"] < end)
    unknown = lost & (labelled["lost_as"] == "unknown") & ~labelled["converted"]
    return labelled, unknown, labelled["lost_as"] == "junk"


def _take_out(
    mature: pd.DataFrame, junk: pd.Series, unknown: pd.Series, immature: int, immature_leads: int
) -> Labelled:
    unknown = unknown & ~junk
    kept = mature.loc[~junk & ~unknown].drop(columns="lost_as").reset_index(drop=True)
    return Labelled(
        kept,
        immature,
        immature_leads,
        int(unknown.sum()),
        int(mature.loc[unknown, "lead_id"].nunique()),
        int(junk.sum()),
        int(mature.loc[junk, "lead_id"].nunique()),
    )
