"""For a batch of scored leads: what the ledger says of each earlier, and what changed since."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from project.errors import LeadError
from project.language import Language, speak
from serving.ledger.changes import Change, find_changes, say_change
from serving.ledger.ledger import Decision
from serving.load import load_named_model

if TYPE_CHECKING:
    from features.tables import Tables
    from models.lead_model import LeadModel
    from project.folder import Project

__all__ = ["changes_since", "tell_changes"]

_WORTH_TELLING = 0.005  # half a percentage point


def tell_changes(
    project: Project,
    earlier: dict[str, Decision],
    scored: pd.DataFrame,
    snapshots: pd.DataFrame,
    frame: pd.DataFrame,
    tables: Tables,
    model: LeadModel,
    *,
    language: Language,
) -> tuple[list[float], list[str]]:
    """Return the columns `probability_before` and `changed`, one entry a row; NaN and empty for leads that are new.

    What moved a lead is told if its probability moved by half a point or its band changed.
    """
    leads = scored["lead_id"].to_list()
    before = [earlier[lead].probability if lead in earlier else np.nan for lead in leads]
    moved = np.abs(scored["probability"].to_numpy() - np.array(before)) >= _WORTH_TELLING
    bands = [earlier[lead].band if lead in earlier else band for lead, band in zip(leads, scored["band"], strict=True)]
    rows = np.flatnonzero(moved | (scored["band"].to_numpy() != np.array(bands, dtype=object)))
    found = changes_since(
        project, earlier, snapshots.iloc[rows].reset_index(drop=True), frame.iloc[rows].reset_index(drop=True), tables,
        model, language=language,
    )  # fmt: skip
    words = speak(language)
    return before, [say_change(found[lead], words) if lead in found else "" for lead in leads]


def changes_since(
    project: Project,
    earlier: dict[str, Decision],
    snapshots: pd.DataFrame,
    frame: pd.DataFrame,
    tables: Tables,
    model: LeadModel,
    *,
    language: Language,
) -> dict[str, Change]:
    """Split what changed for every lead whose earlier model can still be asked; row by row as `find_changes`."""
    by_model: dict[str, list[int]] = {}
    for row, lead in enumerate(snapshots["lead_id"]):
        if lead in earlier and earlier[lead].as_of:
            by_model.setdefault(earlier[lead].model_id, []).append(row)
    found: dict[str, Change] = {}
    for name, rows in by_model.items():
        try:
            found |= find_changes(
                earlier,
                snapshots.iloc[rows].reset_index(drop=True),
                frame.iloc[rows].reset_index(drop=True),
                tables,
                model=model,
                then=load_named_model(project, name),
                language=language,
            )
        except LeadError:
            # it is gone, damaged, or reads what the tables no longer have: what it said stays, why cannot be worked out
            continue
    return found
