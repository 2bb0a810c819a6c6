"""Leads that neither of two models has learnt from, and whose fate is known by now: the ground both are judged on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from features.snapshots import build_training_snapshots
from models.bands import Rule
from project.duration import parse_duration
from project.errors import SchemaError
from training.arrivals import drop_disqualified, find_arrivals
from training.labels import label_snapshots
from training.split import PERIODS, split_examples

if TYPE_CHECKING:
    import pandas as pd

    from features.tables import Tables
    from project.settings import Settings

__all__ = ["FEWEST_BLOCKS", "Forward", "find_forward", "learnt_until"]

FEWEST_LEADS, FEWEST_CONVERTED, FEWEST_BLOCKS = 200, 20, 8
_MOST_BLOCKS = 200
_DEFAULT_SHARE = 0.2
_WEEK_SECONDS = 604_800
_LONG_AGO = datetime.fromisoformat("1970-01-01")

Manifest = Mapping[str, Any]


@dataclass(frozen=True)
class Forward:
    """Mature snapshots of leads that count for a comparison.

    Attributes
    ----------
    snapshots
        As `label_snapshots` gives them, in order of lead and time.
    lead
        The place of each row's lead, 0 … leads - 1 in order of first appearance, shape (rows,).
    block
        The block of each lead, shape (leads,): the week in which the first counted lead of its account came in, UTC,
        counted from `since`; without dates one of at most 200 sets of accounts.
    since
        Only snapshots taken at or after it count, UTC; null for a flat file.
    share
        The share of new leads that the team can call; `by_capacity` tells whether leads.toml says so.
    """

    snapshots: pd.DataFrame
    lead: NDArray[np.int64]
    block: NDArray[np.int64]
    since: datetime | None
    share: float
    by_capacity: bool

    @property
    def leads(self) -> int:
        """How many leads there are."""
        return len(self.block)

    @property
    def converted(self) -> NDArray[np.bool_]:
        """The labels, shape (rows,)."""
        return self.snapshots["converted"].to_numpy(dtype=np.bool_)

    @property
    def won(self) -> NDArray[np.bool_]:
        """Whether a lead converted in any of its label windows, shape (leads,)."""
        return np.bincount(self.lead, weights=self.converted, minlength=self.leads) > 0

    @property
    def shortage(self) -> str | None:
        """What is missing for any judgement and how many leads it would take; null if there is enough."""
        blocks, won = len(np.unique(self.block)), int(self.won.sum())
        unit = "weeks" if self.since is not None else "accounts"
        enough = self.leads >= FEWEST_LEADS and min(won, self.leads - won) >= FEWEST_CONVERTED
        enough = enough and blocks >= FEWEST_BLOCKS
        if enough:
            return None
        needed = max(FEWEST_LEADS, round(FEWEST_CONVERTED * self.leads / won) if won else FEWEST_LEADS)
        since = f" looked at from {self.since:%Y-%m-%d} on" if self.since is not None else ""
        return (
            f"Only {self.leads:,} leads{since} are old enough to know and unknown to both models: {won:,} converted, "
            f"in {blocks:,} {unit}. A judgement needs {FEWEST_LEADS:,} leads, {FEWEST_CONVERTED} conversions and "
            f"{FEWEST_BLOCKS} {unit}: at this rate about {needed:,} leads"
            f"{' or more' if blocks < FEWEST_BLOCKS else ''}."
        )


def learnt_until(manifest: Manifest) -> tuple[datetime, datetime]:
    """Return when a model last looked at a lead it learnt from, and when the last label it learnt from ended.

    Every period of the manifest but `test` was learnt from. Both are UTC; long ago if it learnt from nothing. A model
    that cut label windows short tells when (`known_until`).
    """
    periods = [entry for name, entry in manifest["split"].items() if name != "test" and isinstance(entry, Mapping)]
    last = max((datetime.fromisoformat(entry["to"]) for entry in periods if entry.get("to")), default=_LONG_AGO)
    known = manifest.get("known_until")
    cut = datetime.fromisoformat(known) if known else None
    return last, cut or last + parse_duration(manifest["outcome"]["horizon"])


def find_forward(
    tables: Tables, settings: Settings, manifests: Sequence[Manifest], *, rules: Sequence[Rule]
) -> Forward:
    """Find the mature snapshots that none of the models can know.

    With dates: the lead, and every other lead of its account, came in after the last snapshot that any of the models
    learnt from, and it was looked at after the last label that any of them learnt from had ended. The newer model's own
    test period lies after both moments, so it serves. Without dates only the test part of a split that both share can
    serve: same file, same split.

    Raises
    ------
    SchemaError
        A flat file, and the models were not trained on this very file with this split.
    """
    asked = build_training_snapshots(tables, settings.snapshots.ages)
    snapshots = label_snapshots(asked, tables, settings.outcome.horizon).snapshots
    snapshots = drop_disqualified(snapshots, tables, rules)
    since = None
    if tables.dated:
        moments = [learnt_until(manifest) for manifest in manifests]
        seen, since = max(moment[0] for moment in moments), max(moment[1] for moment in moments)
        arrived = asked.groupby("group_id")["created_at"].min().reindex(snapshots["group_id"]).to_numpy()
        counts = (arrived > np.datetime64(seen, "us")) & (snapshots["as_of"] >= np.datetime64(since, "us")).to_numpy()
        created = snapshots.loc[counts, "created_at"]
        came_in = find_arrivals(asked, tables, rules)
        share, by_capacity = _share(created, came_in, settings.capacity.leads_per_week)
    else:
        counts = _find_shared_test(snapshots, tables, settings, manifests)
        share, by_capacity = _DEFAULT_SHARE, False
    kept = snapshots.loc[counts].reset_index(drop=True)
    _, first, place = np.unique(
        kept["lead_id"].to_numpy(dtype=object).astype(str), return_index=True, return_inverse=True
    )
    order = np.argsort(np.argsort(first))
    return Forward(kept, order[place].astype(np.int64), _block(kept, np.sort(first), since), since, share, by_capacity)


def _share(created: pd.Series, came_in: NDArray[np.datetime64], per_week: float | None) -> tuple[float, bool]:
    """Return the share of the leads that come in which the team can call; all leads come in, not only those judged."""
    if per_week is None or created.empty:
        return _DEFAULT_SHARE, False
    first, last = created.min(), created.max()
    arrived = int(((came_in >= first.to_datetime64()) & (came_in <= last.to_datetime64())).sum())
    weeks = max(1.0, float((last - first).total_seconds()) / _WEEK_SECONDS)
    return float(np.clip(per_week * weeks / arrived, 1e-6, 1.0)), True


def _find_shared_test(
    snapshots: pd.DataFrame, tables: Tables, settings: Settings, manifests: Sequence[Manifest]
) -> NDArray[np.bool_]:
    cure = "Train both on one file with one split, or use leads that neither knows and a file with dates."
    if any(manifest["data_hash"] != tables.data_hash for manifest in manifests):
        raise SchemaError(f"Without dates nothing tells which leads of another file a model has learnt from. {cure}")
    split = split_examples(snapshots, horizon=settings.outcome.horizon, settings=settings.training, dated=False)
    ours: dict[str, object] = {"kind": split.kind}
    ours |= {name: split.periods[name].to_json() for name in PERIODS}
    for manifest in manifests:
        theirs = {name: manifest["split"].get(name) for name in ours}
        same_chance = split.kind != "random" or manifest["seed"] == settings.training.seed
        if theirs != ours or not same_chance:
            raise SchemaError(f"{manifest['model_id']} was trained with another split than leads.toml asks for. {cure}")
    return np.asarray(split.side == "test")


def _block(kept: pd.DataFrame, first_rows: NDArray[np.intp], since: datetime | None) -> NDArray[np.int64]:
    firsts = kept.iloc[first_rows]
    _, group = np.unique(firsts["group_id"].to_numpy(dtype=object).astype(str), return_inverse=True)
    if since is None:
        return (group % _MOST_BLOCKS).astype(np.int64)
    seconds = (firsts["created_at"] - since).dt.total_seconds().to_numpy()
    arrived = np.full(group.max() + 1 if len(group) else 0, np.inf)
    np.minimum.at(arrived, group, seconds)
    return np.floor(arrived[group] / _WEEK_SECONDS).astype(np.int64)
