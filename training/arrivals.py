"""Leads that came in, whatever became of them: what a team has to call, and what its capacity is shared among.

Learning leaves out leads that end as junk or for a reason that tells nothing, and keeps whole accounts on one side of a
split; sales meets all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from features.rule_columns import read_rule_columns
from models.bands import Rule, matches

if TYPE_CHECKING:
    import pandas as pd

    from features.tables import Tables

__all__ = ["drop_disqualified", "find_arrivals"]


def find_arrivals(asked: pd.DataFrame, tables: Tables, rules: Sequence[Rule]) -> NDArray[np.datetime64]:
    """Return when each lead came in about which a model has to decide, UTC, shape (leads,); NaT without dates.

    Parameters
    ----------
    asked
        Snapshots of all leads, as `build_training_snapshots` gives them.
    rules
        A lead counts unless one of them disqualifies it at every look.
    """
    left = drop_disqualified(asked, tables, rules).drop_duplicates("lead_id")
    return np.asarray(left["created_at"].to_numpy(dtype="datetime64[us]"))


def drop_disqualified(snapshots: pd.DataFrame, tables: Tables, rules: Sequence[Rule]) -> pd.DataFrame:
    """Drop snapshots of leads that a rule disqualifies by then: no model decides about them."""
    disqualifying = [rule for rule in rules if rule.band == "disqualified"]
    attributes = read_rule_columns(tables, snapshots, disqualifying)
    out = np.zeros(len(snapshots), dtype=np.bool_)
    for rule in disqualifying:
        out |= matches(rule, attributes)
    return snapshots.loc[~out].reset_index(drop=True)
