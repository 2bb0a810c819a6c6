"""Score open leads: probabilities, bands and reasons, as a function of data, model and `as_of` alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from features.catalogue import Catalogue
from features.engine import build_features, read_lead_columns
from features.ingest import read_tables
from features.rows import build_features_of_rows
from features.snapshots import build_open_snapshots, default_as_of
from models.artefact import load_model
from models.bands import BANDS
from models.lead_model import LeadModel
from models.reasons import Language, reason_columns
from models.registry import find_model
from project.duration import format_duration, parse_duration
from project.errors import SchemaError, name_some

if TYPE_CHECKING:
    from features.tables import TableCount, Tables
    from project.folder import Project

__all__ = [
    "COLUMNS",
    "Scored",
    "check_known",
    "check_sources",
    "load_named_model",
    "score_frame",
    "score_open_leads",
    "score_snapshots",
]

COLUMNS = (
    "lead_id",
    "as_of",
    "scored_at",
    "model_id",
    "probability",
    "probability_low",
    "probability_high",
    "log_odds",
    "band",
    "band_rule",
    "propensity",
    "expected_value",
    "reason_for_1",
    "reason_for_2",
    "reason_for_3",
    "reason_against_1",
    "reason_against_2",
    "flags",
)


@dataclass(frozen=True)
class Scored:
    """Scored leads, best first, and what was read on the way.

    Attributes
    ----------
    leads
        The columns of `COLUMNS`, one row a lead: band by band, then by probability, log-odds and id.
    """

    leads: pd.DataFrame
    as_of: datetime | None
    model: LeadModel
    counts: Mapping[str, TableCount]


def load_named_model(project: Project, name: str = "champion") -> tuple[LeadModel, Catalogue]:
    """Load a model by alias or id, verified, with its catalogue.

    Raises
    ------
    ArtefactError
        It is damaged, or does not answer as it did when it was saved.
    """
    catalogues: list[Catalogue] = []

    def build(canary: Mapping[str, Any]) -> pd.DataFrame:
        return build_features_of_rows(canary["tables"], canary["snapshots"], catalogues[0])

    folder = find_model(project.state, name)
    plain = load_model(folder, verified=project.state / "verified")
    catalogue = Catalogue.from_json(plain.manifest["catalogue"])  # type: ignore[arg-type]
    catalogues.append(catalogue)
    return load_model(folder, build_canary=build, verified=project.state / "verified"), catalogue


def score_open_leads(
    project: Project,
    *,
    model_name: str,
    as_of: datetime | None,
    scored_at: datetime,
    language: Language,
    closed_too: bool,
    progress: Callable[[str], None],
) -> Scored:
    """Read today's tables and score every lead that is open at `as_of`.

    Parameters
    ----------
    as_of
        UTC without a zone; null means the first second after everything in the tables.
    closed_too
        Score leads that already converted or were lost, too.
    """
    progress("Loading and verifying the model")
    model, catalogue = load_named_model(project, model_name)
    progress("Reading the tables")
    tables = read_tables(project)
    check_sources(tables, model, catalogue)
    moment = as_of or default_as_of(tables, not_after=scored_at)
    snapshots = build_open_snapshots(tables, moment, closed_too=closed_too)
    if project.more_leads is not None:
        asked = tables.connection.execute("SELECT lead_id FROM more_leads").df()["lead_id"]
        snapshots = snapshots.loc[snapshots["lead_id"].isin(asked)].reset_index(drop=True)
    progress(f"Scoring {len(snapshots):,} leads")
    leads = score_snapshots(snapshots, tables, model, catalogue, scored_at=scored_at, language=language)
    return Scored(leads, moment, model, tables.counts)


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


def score_snapshots(
    snapshots: pd.DataFrame,
    tables: Tables,
    model: LeadModel,
    catalogue: Catalogue,
    *,
    scored_at: datetime,
    language: Language,
) -> pd.DataFrame:
    """Score snapshots; a lead gets the same answer to the last bit alone, in a batch and in any order."""
    frame = build_features(snapshots, tables, catalogue)
    rules = sorted({rule.column for rule in model.policy.rules})
    attributes = read_lead_columns(tables, snapshots["lead_id"].to_list(), rules)
    return _best_first(score_frame(frame, snapshots, attributes, model, scored_at=scored_at, language=language))


def score_frame(
    frame: pd.DataFrame,
    snapshots: pd.DataFrame,
    attributes: pd.DataFrame,
    model: LeadModel,
    *,
    scored_at: datetime,
    language: Language,
) -> pd.DataFrame:
    """Score a feature frame row by row, in the order given.

    Parameters
    ----------
    snapshots, attributes
        One row a row of the frame: `lead_id`, `as_of`, `created_at`, `flag`; the columns that the model's rules read.
    """
    log_odds = model.log_odds(frame)
    probability = model.calibrator.probability(log_odds)
    low, high = model.bounds(probability)
    bands, why = model.policy.assign_with_rules(
        probability, attributes, set_apart=snapshots["flag"].to_list(), leads=snapshots["lead_id"].to_list()
    )
    return pd.DataFrame(
        {
            "lead_id": snapshots["lead_id"].to_list(),
            "as_of": [_iso(moment) for moment in snapshots["as_of"]],
            "scored_at": _iso(scored_at),
            "model_id": model.model_id,
            "probability": probability,
            "probability_low": low,
            "probability_high": high,
            "log_odds": log_odds,
            "band": bands,
            "band_rule": why,
            "propensity": model.policy.propensity(probability, why),
            "expected_value": model.policy.expected_value(probability),
            **reason_columns(model.reasons(frame, language=language)),
            "flags": _join_flags(model.flags(frame), _too_old(snapshots, model)),
        },
        columns=list(COLUMNS),
    )


def _iso(moment: object) -> str:
    if moment is None or moment is pd.NaT:
        return ""
    assert isinstance(moment, datetime)
    text = moment.replace(tzinfo=None).isoformat(timespec="microseconds" if moment.microsecond else "seconds")
    return f"{text}Z"


def _too_old(snapshots: pd.DataFrame, model: LeadModel) -> list[str]:
    """Flag leads older than anything the model learnt from: the last trained age plus one horizon."""
    if snapshots["as_of"].isna().all():
        return [""] * len(snapshots)
    ages: list[str] = model.manifest["ages"]  # type: ignore[assignment]
    outcome: Mapping[str, str] = model.manifest["outcome"]  # type: ignore[assignment]
    limit = max((parse_duration(age) for age in ages), default=timedelta(0)) + parse_duration(outcome["horizon"])
    old = (snapshots["as_of"] - snapshots["created_at"]) > limit
    return ["older_than_history" if flag else "" for flag in old.to_list()]


def _join_flags(*notes: list[str]) -> list[str]:
    return [";".join(part for part in parts if part) for parts in zip(*notes, strict=True)]


def _best_first(scored: pd.DataFrame) -> pd.DataFrame:
    rank = scored["band"].map({band: place for place, band in enumerate(BANDS)})
    order = np.lexsort(
        (scored["lead_id"].to_numpy(dtype=object).astype(str), -scored["log_odds"], -scored["probability"], rank)
    )
    return scored.iloc[order].reset_index(drop=True)
