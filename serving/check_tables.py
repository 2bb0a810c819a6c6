"""Refuse tables that lack a whole source of what a model was trained on."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import TYPE_CHECKING

from features.catalogue import Catalogue
from models.lead_model import LeadModel
from project.duration import format_duration
from project.errors import SchemaError, name_some

if TYPE_CHECKING:
    from features.tables import Tables

__all__ = ["check_known", "check_sources"]


def check_sources(tables: Tables, model: LeadModel, catalogue: Catalogue) -> None:
    """Refuse tables that lack a whole source the model was trained on: every lead would look silent, in silence.

    Raises
    ------
    SchemaError
        No events, accounts or dates where the model has features of them, or events of none of the known kinds.
    """
    kinds = {str(kind) for (kind,) in tables.connection.execute("SELECT DISTINCT kind FROM events").fetchall()}
    check_known(
        model,
        catalogue,
        dated=tables.dated,
        record_horizon=tables.record_horizon,
        sources=tables.counts,
        kinds=kinds,
    )


def check_known(
    model: LeadModel,
    catalogue: Catalogue,
    *,
    dated: bool,
    record_horizon: int | None,
    sources: Collection[str],
    kinds: Collection[str],
) -> None:
    """Do what `check_sources` does, from the names of the sources and of the kinds of events that were found."""
    origins = {feature.origin for feature in catalogue.features}
    if bool(model.manifest["dated"]) != dated:
        raise SchemaError("The model was trained with dates and these tables have none, or the other way round.")
    _check_track_records(record_horizon, catalogue)
    for origin, table in (("behaviour", "events"), ("account", "accounts")):
        if origin in origins and table not in sources:
            raise SchemaError(f"The model reads [{table}], which leads.toml no longer declares. Declare it again.")
    if "behaviour" in origins:
        known = {kind for subject in catalogue.subjects for kind in subject.kinds}
        if kinds and not known & set(kinds):
            raise SchemaError(
                f"None of the events is of a kind the model knows ({name_some(sorted(known))}); found "
                f"{name_some(sorted(kinds))}. Were they renamed?"
            )


def _check_track_records(horizon: int | None, catalogue: Catalogue) -> None:
    """Refuse track records over another horizon than the model learnt them with, or none at all."""
    asked = {feature.window for feature in catalogue.features if feature.origin == "track_record"}
    if asked and horizon not in asked:
        raise SchemaError(
            f"The model reads how earlier leads did within {_days(max(filter(None, asked)))}, leads.toml now asks for "
            f"{_days(horizon)}. Set outcome.horizon and features.track_record back, or train a new model."
        )


def _days(seconds: int | None) -> str:
    return "nothing" if seconds is None else format_duration(timedelta(seconds=seconds))
