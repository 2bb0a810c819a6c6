"""Reading a simulated CRM as a user would, beside the truth that only the simulator knows."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from training.simulator.crm import SimulatedCrm

END = pd.Timestamp("2026-01-01", tz="UTC")
DAY = pd.Timedelta(days=1)
TABLES = ("leads", "events", "stages", "accounts", "touches")
# Thirty-odd comparisons in one run: 4 standard errors fail by chance once in hundreds of seeds, and the seed is fixed.
HONEST = 4.0


def read_fates(crm: SimulatedCrm) -> pd.DataFrame:
    """Return the leads with `won_at`, `lost_at`, `closed_at`, all read from the stages as a user would."""
    leads = crm.leads.copy()
    for stage in ("won", "lost"):
        rows = crm.stages[crm.stages["stage"] == stage].set_index("lead_id")
        leads[f"{stage}_at"] = leads["lead_id"].map(rows["changed_at"])
    leads["closed_at"] = leads["won_at"].fillna(leads["lost_at"])
    leads["days"] = (leads["won_at"] - leads["created_at"]).dt.total_seconds() / 86_400
    return leads


def follow(
    crm: SimulatedCrm, fates: pd.DataFrame, *, age: int, horizon: int
) -> tuple[pd.DataFrame, NDArray[np.float64], NDArray[np.float64]]:
    """Return the leads open at `age` days and followed for `horizon`, their truth above 0, and what became of them."""
    at = fates["created_at"] + age * DAY
    open_ = (at + horizon * DAY <= END) & ~(fates["closed_at"] <= at)
    leads, at = fates[open_], at[open_]
    truth = crm.truth.probability(leads["lead_id"], at, timedelta(days=horizon))
    won = ((leads["won_at"] > at) & (leads["won_at"] <= at + horizon * DAY)).to_numpy()
    return leads[truth > 0], truth[truth > 0], won[truth > 0].astype(np.float64)


def count(table: pd.DataFrame, leads: pd.DataFrame, *, time: str, days: int) -> pd.Series:
    """Count a lead's rows dated before it was `days` old."""
    born = table["lead_id"].map(leads.set_index("lead_id")["created_at"])
    early = table.loc[table[time] < born + days * DAY, "lead_id"]
    return leads["lead_id"].map(early.value_counts()).fillna(0)
