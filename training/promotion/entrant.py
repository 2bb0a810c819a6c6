"""A model that takes part in a comparison: loaded, verified, and asked about the same leads as the other."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from features.catalogue import Catalogue
from features.engine import build_features
from models.artefact import load_model, read_manifest
from models.lead_model import LeadModel
from models.registry import find_model
from project.duration import format_duration
from project.errors import ArtefactError, SchemaError, SettingsError
from training.canary import build_canary_frame

if TYPE_CHECKING:
    import pandas as pd

    from features.tables import Tables
    from project.folder import Project
    from project.settings import Settings
    from training.promotion.forward import Forward

__all__ = ["Entrant", "Said", "ask", "load_entrant", "time_scores"]

_FEWEST_TURNS, _MOST_TURNS, _LONG_ENOUGH = 2, 7, 3.0  # seconds
_MOST_REASONS_ROWS = 2_000
Manifest = Mapping[str, Any]


@dataclass(frozen=True)
class Entrant:
    """A verified model with its own catalogue of features."""

    model: LeadModel
    catalogue: Catalogue


@dataclass(frozen=True)
class Said:
    """What a model says of the leads of a comparison.

    Attributes
    ----------
    probability
        Of each row, shape (rows,).
    best
        The highest probability each lead reached, shape (leads,); `band` is the model's own band for it.
    reasons
        Columns of the leading reasons for, up to three, of the leads that `reason_rows` picks.
    """

    model_id: str
    probability: NDArray[np.float64]
    best: NDArray[np.float64]
    band: NDArray[np.str_]
    reasons: Sequence[frozenset[str]]


def load_entrant(project: Project, name: str, tables: Tables) -> Entrant:
    """Load a model by id, verify it, and make sure that these tables can answer what it reads.

    Raises
    ------
    ArtefactError
        It is gone, damaged, of another protocol, or does not answer as it did when it was saved.
    SchemaError, SettingsError
        The tables lack what it reads, or it was asked for another outcome.
    """
    folder = find_model(project.state, name)
    manifest = read_manifest(folder)
    _check_question(manifest, project.settings)
    try:
        catalogue = Catalogue.from_json(manifest["catalogue"])
    except (KeyError, TypeError, ValueError) as error:
        raise ArtefactError(f"{folder}: its catalogue does not read ({error}). Train again.") from error
    model = load_model(
        folder,
        build_canary=lambda canary: build_canary_frame(canary, catalogue),
        verified=project.state / "verified",
    )
    _check_sources(manifest, {feature.origin for feature in catalogue.features}, tables)
    return Entrant(model, catalogue)


def ask(entrant: Entrant, forward: Forward, tables: Tables) -> tuple[Said, pd.DataFrame]:
    """Score the leads of a comparison with the entrant's own features; return what it said, and the features.

    Raises
    ------
    SchemaError
        A column that its catalogue reads is gone.
    """
    model = entrant.model
    frame = build_features(forward.snapshots, tables, entrant.catalogue)
    probability = model.probability(frame)
    best = np.zeros(forward.leads)
    np.maximum.at(best, forward.lead, probability)
    pairs = model.reasons(frame.iloc[reason_rows(forward)].reset_index(drop=True), language="en")
    reasons = [frozenset(reason.column for reason in for_it) for for_it, _ in pairs]
    return Said(model.model_id, probability, best, model.policy.assign(best), reasons), frame


def reason_rows(forward: Forward) -> NDArray[np.intp]:
    """Return the last row of each lead, of at most 2,000 leads spread evenly."""
    last = np.zeros(forward.leads, dtype=np.intp)
    last[forward.lead] = np.arange(len(forward.lead))
    return last[:: max(1, -(-len(last) // _MOST_REASONS_ROWS))]


def time_scores(entrants: Sequence[tuple[Entrant, pd.DataFrame]], *, rows: int) -> list[float]:
    """Return how many seconds each entrant takes for probabilities and reasons of `rows` leads.

    The fastest of at most seven turns, the entrants taking turns: what else a machine does only ever slows them. After
    three seconds two turns are enough. Frames shorter than `rows` are repeated. Features are not counted: both models'
    come from the same engine.
    """

    def score(entrant: Entrant, frame: pd.DataFrame) -> float:
        started = time.perf_counter()
        entrant.model.probability(frame)
        entrant.model.reasons(frame, language="en")
        return time.perf_counter() - started

    frames = [frame.iloc[np.arange(rows) % len(frame)].reset_index(drop=True) for _, frame in entrants]
    for (entrant, _), frame in zip(entrants, frames, strict=True):
        score(entrant, frame.head(1))  # parses the trees
    taken: list[list[float]] = []
    while len(taken) < _FEWEST_TURNS or (len(taken) < _MOST_TURNS and np.sum(taken) < _LONG_ENOUGH):
        taken.append([score(entrant, frame) for (entrant, _), frame in zip(entrants, frames, strict=True)])
    return [min(seconds) for seconds in zip(*taken, strict=True)]


def _check_question(manifest: Manifest, settings: Settings) -> None:
    """Refuse a model that was asked another question than leads.toml asks now.

    Raises
    ------
    SettingsError
        Its outcome or its horizon differs.
    """
    now = settings.outcome.model_dump(mode="json")
    then = manifest["outcome"]
    differing = [key for key in now if not key.startswith("observed_") and now[key] != then.get(key, now[key])]
    if differing:
        horizon = format_duration(settings.outcome.horizon)
        raise SettingsError(
            f"{manifest['model_id']} was trained for another outcome than leads.toml asks for now (horizon {horizon}): "
            f"outcome.{', outcome.'.join(differing)} changed. Change it back, or train a new model."
        )


def _check_sources(manifest: Manifest, origins: set[str], tables: Tables) -> None:
    """Refuse tables that lack a whole source the model was trained on: every lead would look silent, in silence.

    Raises
    ------
    SchemaError
        No events, accounts or dates where the model has features of them.
    """
    if bool(manifest["dated"]) != tables.dated:
        raise SchemaError("The model was trained with dates and these tables have none, or the other way round.")
    for origin, table in (("behaviour", "events"), ("account", "accounts")):
        if origin in origins and table not in tables.counts:
            raise SchemaError(f"The model reads [{table}], which leads.toml no longer declares. Declare it again.")
    if "track_record" in origins and tables.record_horizon is None:
        raise SchemaError("The model reads track records, which leads.toml no longer asks for: features.track_record.")
