"""Examples: labelled snapshots with their features, and the split they fall into."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from features.catalogue import Catalogue
from features.engine import build_features
from features.listing import build_catalogue
from features.rule_columns import find_unheard_of, read_rule_columns
from features.snapshots import build_training_snapshots
from models.bands import Rule, matches
from project.errors import NotEnoughDataError
from training.arrivals import find_arrivals
from training.columns import prune_catalogue, refuse_identity
from training.hygiene import say_left_out
from training.labels import label_snapshots
from training.selection import Selection, select_worked
from training.split import Split, split_examples

if TYPE_CHECKING:
    import pandas as pd

    from features.tables import Tables
    from project.settings import Settings

__all__ = ["Examples", "build_examples"]


@dataclass(frozen=True)
class Examples:
    """Everything that training learns from.

    Attributes
    ----------
    snapshots
        Mature snapshots: `lead_id`, `as_of`, `created_at`, `account_id`, `group_id`, `position`,
        `converted`.
    frame
        Their features, same order, exactly the catalogue's columns.
    ruled_out
        Snapshots of leads that a disqualifying rule takes out before any model sees them; flagged leads have none.
    came_in
        When each lead came in that a model decides about, whatever became of it, shape (leads,); NaT without dates.
    selection
        Which leads sales worked, where leads.toml says so: only their snapshots are here.
    """

    snapshots: pd.DataFrame
    frame: pd.DataFrame
    catalogue: Catalogue
    split: Split
    immature: int
    immature_leads: int
    ruled_out: int
    warnings: tuple[str, ...]
    came_in: NDArray[np.datetime64]
    selection: Selection | None = None

    @property
    def importance(self) -> NDArray[np.float64] | None:
        """What each row counts beside the others, shape (rows,); null if all count alike."""
        return None if self.selection is None else self.selection.weight

    def weigh(self, rows: NDArray[np.intp]) -> NDArray[np.float64] | None:
        """Return what some rows count beside each other, with mean 1; null if all count alike."""
        if self.importance is None:
            return None
        own: NDArray[np.float64] = self.importance[rows]
        return np.asarray(own / own.mean())

    def weigh_all(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return `weigh`, with ones where all count alike."""
        weights = self.weigh(rows)
        return np.ones(len(rows)) if weights is None else weights

    @cached_property
    def converted(self) -> NDArray[np.bool_]:
        """The labels, shape (rows,)."""
        return self.snapshots["converted"].to_numpy(dtype=np.bool_)

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """A number for each row's group (account, and whoever shares a phone or an address), shape (rows,)."""
        return np.unique(self.snapshots["group_id"].to_numpy(dtype=object).astype(str), return_inverse=True)[1]

    @cached_property
    def leads(self) -> NDArray[np.str_]:
        """The id of each row's lead, shape (rows,)."""
        return self.snapshots["lead_id"].to_numpy(dtype=object).astype(str)

    def coverage(self, rows: NDArray[np.intp]) -> float:
        """Return how many leads of a period are learnt from or judged by, as a share of all that came in during it.

        Set aside are leads of accounts that belong to an earlier period, those that ended as junk or for a reason that
        tells nothing, and those that nobody worked; the team meets them all the same.
        """
        held = self.snapshots.iloc[rows]
        if held["created_at"].isna().all():
            return 1.0
        first, last = held["created_at"].min().to_datetime64(), held["created_at"].max().to_datetime64()
        return float(held["lead_id"].nunique() / ((self.came_in >= first) & (self.came_in <= last)).sum())

    @cached_property
    def arrived(self) -> NDArray[np.int64]:
        """The order in which each row's lead came in, shape (rows,)."""
        by = "created_at" if self.split.kind == "time" else "position"
        return np.unique(self.snapshots[by].to_numpy(), return_inverse=True)[1]


def build_examples(tables: Tables, settings: Settings, *, rules: tuple[Rule, ...]) -> Examples:
    """Ask, label, leave out what a rule disqualifies, build features, split.

    Raises
    ------
    NotEnoughDataError
        No lead is old enough to know, or a period would be empty.
    """
    asked = build_training_snapshots(tables, settings.snapshots.ages)
    labelled = label_snapshots(asked, tables, settings.outcome.horizon)
    snapshots, ruled_out, warnings = _leave_out(labelled.snapshots, tables, rules)
    if snapshots.empty:
        raise NotEnoughDataError(
            "No lead is old enough to know what became of it within outcome.horizon. Bring more history or shorten it."
        )
    warnings += say_left_out(labelled, tables)
    warnings += [
        f"Rules ask for the event {event!r}, which no lead ever did. Is it spelt as in the events table?"
        for event in find_unheard_of(tables, rules)
    ]
    snapshots, selection, notes = select_worked(snapshots, tables, settings.selection)
    warnings += notes
    split = split_examples(snapshots, horizon=settings.outcome.horizon, settings=settings.training, dated=tables.dated)
    catalogue = build_catalogue(tables, settings, until=split.periods["fit"].last)
    frame = build_features(snapshots, tables, catalogue)
    refuse_identity(catalogue, frame.loc[~snapshots["lead_id"].duplicated()])
    catalogue = prune_catalogue(catalogue, frame, rows=split.rows("fit"))
    return Examples(
        snapshots,
        frame[catalogue.names],
        catalogue,
        split,
        labelled.immature,
        labelled.immature_leads,
        ruled_out,
        tuple(warnings),
        find_arrivals(asked, tables, rules),
        selection,
    )


def _leave_out(snapshots: pd.DataFrame, tables: Tables, rules: tuple[Rule, ...]) -> tuple[pd.DataFrame, int, list[str]]:
    """Drop disqualified leads: the model never decides about them, so it must not learn from them either."""
    out = np.zeros(len(snapshots), dtype=np.bool_)
    warnings = []
    disqualifying = [rule for rule in rules if rule.band == "disqualified"]
    if disqualifying:
        attributes = read_rule_columns(tables, snapshots, disqualifying)
        for rule in disqualifying:
            found = matches(rule, attributes)
            converted = snapshots["converted"].to_numpy(dtype=np.bool_)
            if found.any() and converted[found].mean() > 1.5 * converted.mean():
                warnings.append(
                    f"Leads that rule {rule.name!r} disqualifies convert at {converted[found].mean():.1%}, more than "
                    f"all others: is column {rule.column!r} filled in after the outcome?"
                )
            out |= found
    return snapshots.loc[~out].reset_index(drop=True), int(out.sum()), warnings
