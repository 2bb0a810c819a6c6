"""The leads on which columns are tried: what became of each, how old it is, and what its histories say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from training.leaks.columns import read_whole_source

if TYPE_CHECKING:
    from features.tables import Tables
    from project.folder import Project

__all__ = ["Bench", "make_bench"]

_MOST_LEADS = 20_000


@dataclass(frozen=True)
class Bench:
    """One row a lead in every field, as the export has it.

    Attributes
    ----------
    known
        Whether the lead is old enough for its outcome to say something; statistics use these only.
    lost
        Marked as lost; without marks in the source, nobody is.
    order
        When it came in (microseconds), or its place in a flat file.
    counts
        What is counted → how many the export has, and how many there were when the lead came in.
    """

    lead_ids: pd.Series
    account_ids: pd.Series
    groups: NDArray[np.int64]
    won: NDArray[np.bool_]
    lost: NDArray[np.bool_]
    known: NDArray[np.bool_]
    order: NDArray[np.int64]
    created_at: pd.Series
    closed_at: pd.Series
    until: np.datetime64 | None
    counts: Mapping[str, tuple[pd.Series, pd.Series]]
    latest_stage: pd.Series | None
    named_won: tuple[str, ...]
    named_lost: tuple[str, ...]
    dated: bool


def make_bench(project: Project, tables: Tables, *, seed: int = 0) -> Bench:
    """Take all leads, or 20,000 of them by chance, with what became of them until the export."""
    settings = project.settings
    leads = tables.connection.execute(
        "SELECT lead_id, account_id, group_id, created_at, position, converted, closed, won_at, lost_at "
        "FROM leads LEFT JOIN outcomes USING (lead_id) WHERE leads.flag IS NULL ORDER BY position"
    ).df()
    if len(leads) > _MOST_LEADS:
        drawn = np.sort(np.random.default_rng(seed).permutation(len(leads))[:_MOST_LEADS])
        leads = leads.iloc[drawn].reset_index(drop=True)
    closed_at = leads["won_at"].fillna(leads["lost_at"]).astype("datetime64[us]")
    created = leads["created_at"].astype("datetime64[us]")
    if tables.dated:
        won = leads["won_at"].notna().to_numpy()
        lost = (leads["lost_at"].notna() & ~won).to_numpy()
        mature = created + settings.outcome.horizon <= np.datetime64(tables.observed_until, "us")
        known = (mature & (created >= np.datetime64(tables.observed_from, "us"))).to_numpy()
        order = created.astype("int64").to_numpy()
    else:
        said = leads["converted"].notna().to_numpy()
        won = said & leads["converted"].fillna(False).astype(bool).to_numpy()
        lost = ~won & leads["closed"].astype(bool).to_numpy()
        if not settings.outcome.lost:
            lost = said & ~won
        known, order = said, leads["position"].astype("int64").to_numpy()
    return Bench(
        lead_ids=leads["lead_id"].astype("str"),
        account_ids=leads["account_id"].astype("str"),
        groups=pd.factorize(leads["group_id"])[0].astype(np.int64),
        won=won,
        lost=lost,
        known=known,
        order=order.astype(np.int64),
        created_at=created,
        closed_at=closed_at,
        until=np.datetime64(tables.data_until, "us") if tables.data_until else None,
        counts=_count_events(tables, leads["lead_id"]) if tables.dated else {},
        latest_stage=_read_latest_stage(project, leads["lead_id"].astype("str")),
        named_won=settings.outcome.won,
        named_lost=settings.outcome.lost,
        dated=tables.dated,
    )


def _read_latest_stage(project: Project, lead_ids: pd.Series) -> pd.Series | None:
    stages = project.settings.stages
    if stages is None or stages.stage is None:
        return None
    found = read_whole_source(
        stages, stages.lead, lead_ids, folder=project.folder, timezone=project.settings.project.timezone,
        kinds={stages.stage: "category"}, latest_by=stages.at,
    )  # fmt: skip
    return found[stages.stage]


def _count_events(tables: Tables, lead_ids: pd.Series) -> dict[str, tuple[pd.Series, pd.Series]]:
    """Count all events and those of the ten most frequent kinds."""
    rows = tables.connection.execute(
        "WITH frequent AS (SELECT kind FROM events GROUP BY kind ORDER BY count(*) DESC, kind LIMIT 10) "
        "SELECT lead_id, kind, count(*) AS now, count(*) FILTER (WHERE recorded_at < created_at) AS earlier "
        "FROM events JOIN leads USING (lead_id) SEMI JOIN frequent USING (kind) GROUP BY ALL "
        "UNION ALL SELECT lead_id, NULL, count(*), count(*) FILTER (WHERE recorded_at < created_at) "
        "FROM events JOIN leads USING (lead_id) GROUP BY lead_id"
    ).df()
    counted = {}
    for kind, part in rows.groupby(rows["kind"].fillna(""), sort=True):
        own = part.set_index("lead_id")[["now", "earlier"]].reindex(lead_ids).fillna(0.0).reset_index(drop=True)
        counted[f"{kind!r} events" if kind else "events"] = (own["now"], own["earlier"])
    return counted
