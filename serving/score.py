"""Score open leads: probabilities, bands and reasons, as a function of data, model and `as_of` alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from features.catalogue import Catalogue
from features.engine import build_features
from features.ingest import read_tables
from features.rule_columns import read_rule_columns
from features.snapshots import build_open_snapshots, default_as_of
from models.bands import BANDS
from models.lead_model import LeadModel
from models.reasons import reason_columns
from models.trust import trust_of
from project.duration import parse_duration
from project.language import Language
from serving.check_tables import check_sources
from serving.ledger.ledger import last_decisions, name_decisions, previous_bands, record_decisions
from serving.ledger.tell import tell_changes
from serving.load import load_named_model
from serving.plan import PLAN_COLUMNS, plan_leads

if TYPE_CHECKING:
    from features.tables import TableCount, Tables
    from project.folder import Project

__all__ = [
    "COLUMNS",
    "MORE_COLUMNS",
    "Scored",
    "is_stale",
    "score_frame",
    "score_open_leads",
    "score_snapshots",
    "too_old",
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
    "trust",
    "flags",
)


MORE_COLUMNS = (*PLAN_COLUMNS, "probability_before", "changed", "decision_id")


@dataclass(frozen=True)
class Scored:
    """Scored leads, best first, and what was read on the way.

    Attributes
    ----------
    leads
        The columns of `COLUMNS`, a `probability_<horizon>` for each sooner horizon of the model, and `MORE_COLUMNS`,
        one row a lead: band by band, then by probability, log-odds and id.
    """

    leads: pd.DataFrame
    as_of: datetime | None
    model: LeadModel
    counts: Mapping[str, TableCount]


def score_open_leads(
    project: Project,
    *,
    model_name: str,
    as_of: datetime | None,
    scored_at: datetime,
    language: Language,
    closed_too: bool,
    progress: Callable[[str], None],
    record: bool = False,
) -> Scored:
    """Read today's tables and score every lead that is open at `as_of`.

    Parameters
    ----------
    as_of
        UTC without a zone; null means the first second after everything in the tables.
    closed_too
        Score leads that already converted or were lost, too.
    record
        Whether to add the decisions to the ledger. What it holds of earlier ones counts in any case.
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
    stale = is_stale(tables.data_until, moment, project.settings.reasons.stale_after)
    ids = snapshots["lead_id"].to_list()
    earlier = last_decisions(project.state, ids, before=moment) if moment is not None else {}
    frame, leads = score_snapshots(
        snapshots, tables, model, catalogue, scored_at=scored_at, language=language, stale=stale,
        previous=previous_bands(earlier, ids),
    )  # fmt: skip
    progress("Planning, and comparing with the last decisions")
    agenda = plan_leads(project, leads, tables, moment=moment, language=language)
    before, changed = tell_changes(project, earlier, leads, snapshots, frame, tables, model, language=language)
    hashes = {"data_hash": tables.data_hash, "settings_hash": project.settings.hash}
    decisions = name_decisions(leads, frame, model)
    if record:
        record_decisions(project.state, decisions, leads, frame, model, **hashes)
    leads = leads.assign(**agenda.columns(), probability_before=before, changed=changed, decision_id=decisions)
    return Scored(_best_first(leads), moment, model, tables.counts)


def is_stale(data_until: datetime | None, moment: datetime | None, after: timedelta) -> bool:
    """Tell whether the newest row of all tables is older than `after` at the moment that is looked from."""
    return data_until is not None and moment is not None and moment - data_until > after


def score_snapshots(
    snapshots: pd.DataFrame,
    tables: Tables,
    model: LeadModel,
    catalogue: Catalogue,
    *,
    scored_at: datetime,
    language: Language,
    stale: bool = False,
    previous: Sequence[object] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the feature frame of snapshots and what is said of them, row by row.

    A lead gets the same answer to the last bit alone, in a batch and in any order.
    """
    frame = build_features(snapshots, tables, catalogue)
    more = [model.policy.value_column] if model.policy.value_column else []
    attributes = read_rule_columns(tables, snapshots, model.policy.rules, more=more)
    return frame, score_frame(
        frame, snapshots, attributes, model, scored_at=scored_at, language=language, stale=stale, previous=previous
    )


def score_frame(
    frame: pd.DataFrame,
    snapshots: pd.DataFrame,
    attributes: pd.DataFrame,
    model: LeadModel,
    *,
    scored_at: datetime,
    language: Language,
    stale: bool = False,
    previous: Sequence[object] | None = None,
) -> pd.DataFrame:
    """Score a feature frame row by row, in the order given.

    Parameters
    ----------
    snapshots, attributes
        One row a row of the frame: `lead_id`, `as_of`, `created_at`, `flag`; the columns that the model's rules read.
    stale
        Whether the data are too old to be trusted.
    previous
        The band of each lead before, as `BandPolicy.assign` takes it; null: nothing is known.
    """
    apart = model.take_apart(frame)
    log_odds = apart.log_odds
    probability = model.calibrator.probability(log_odds)
    low, high = model.bounds(probability)
    bands, why = model.policy.assign_with_rules(
        probability,
        attributes,
        set_apart=snapshots["flag"].to_list(),
        leads=snapshots["lead_id"].to_list(),
        previous=previous,
    )
    late = ["stale_data" * stale] * len(frame)
    flags = _join_flags(model.flags(frame, spread=apart.spread), too_old(snapshots, model), late)
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
            "expected_value": model.policy.expected_value(probability, attributes),
            **reason_columns(model.tell(apart, frame, language=language)),
            "trust": [trust_of(flag) for flag in flags],
            "flags": flags,
            **model.within(frame, log_odds),
        },
        columns=[*COLUMNS, *model.sooner_columns],
    )


def _iso(moment: object) -> str:
    if moment is None or moment is pd.NaT:
        return ""
    assert isinstance(moment, datetime)
    text = moment.replace(tzinfo=None).isoformat(timespec="microseconds" if moment.microsecond else "seconds")
    return f"{text}Z"


def too_old(snapshots: pd.DataFrame, model: LeadModel) -> list[str]:
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
