"""Propose a shift of the level from the latest leads, before their outcomes are in; apply it only if asked to."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from features.catalogue import Catalogue
from models.artefact import answer_canary, load_model, save_model
from models.registry import find_model, models_folder, move_alias, read_aliases
from project.errors import QualityGateError
from project.files import canonical_json, write_atomically
from training.calibration.level import LevelShift, shift_level
from training.canary import build_canary_frame
from training.monitoring.recent import Recent, ask_recent

if TYPE_CHECKING:
    from models.lead_model import LeadModel
    from project.folder import Project

__all__ = ["LevelProposal", "apply_level", "propose_level", "shift_of"]

_NO_MISS = 0.25  # of models that did not measure how far levels move


@dataclass(frozen=True)
class LevelProposal:
    """A shift of the level that the latest leads speak for.

    Attributes
    ----------
    shift, error
        In log-odds; the error holds what is not known yet and how far levels move between months.
    needed
        Whether the shift is more than two errors from zero; only then it should be applied.
    leads, conversions, expected
        Of the last horizon: how many leads, how many conversions were seen, and how many the model expected to be seen
        by now.
    before, after
        Mean probability of those leads' snapshots, now and with the shift.
    """

    model_id: str
    since: str
    until: str
    shift: float
    error: float
    needed: bool
    leads: int
    conversions: float
    expected: float
    before: float
    after: float

    def to_json(self) -> dict[str, object]:
        """Return what `leads recalibrate --json` prints and what is logged."""
        return asdict(self)


def propose_level(project: Project, *, progress: Callable[[str], None], name: str = "champion") -> LevelProposal:
    """Measure the level of a model on the leads of the last horizon, and log what was found.

    Raises
    ------
    NotEnoughDataError, SchemaError
        There are no dates, or no leads that the model has not learnt from.
    """
    _, entrant, recent = ask_recent(project, name, progress=progress)
    found = shift_of(recent, entrant.model)
    told = _told(recent)
    weight = len(np.unique(recent.leads[told])) / max(1, int(told.sum()))
    moved = entrant.model.calibrator.shifted(found.shift).probability(recent.log_odds[told])
    proposal = LevelProposal(
        model_id=entrant.model.model_id,
        since=recent.since.isoformat(),
        until=recent.until.isoformat(),
        shift=found.shift,
        error=found.error,
        needed=found.applied,
        leads=len(np.unique(recent.leads[told])),
        conversions=weight * float(recent.converted[told].sum()),
        expected=weight * float((recent.probability * recent.seen)[told].sum()),
        before=float(recent.probability[told].mean()) if told.any() else float("nan"),
        after=float(moved.mean()) if told.any() else float("nan"),
    )
    _log(project, proposal)
    return proposal


def _told(recent: Recent) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return the rows of the last horizon that can have shown something."""
    return (recent.seen > 0.0) & (recent.watched < 1.0)


def shift_of(recent: Recent, model: LeadModel) -> LevelShift:
    """Return the shift that the leads of the last horizon speak for."""
    told = _told(recent)
    miss = model.manifest.get("level_miss", _NO_MISS)
    assert isinstance(miss, float)
    return shift_level(
        model.calibrator,
        recent.log_odds[told],
        observed=recent.converted[told],
        seen_share=recent.seen[told],
        leads=recent.leads[told],
        miss=miss,
    )


def _log(project: Project, proposal: LevelProposal) -> None:
    until = proposal.until[:10]
    with write_atomically(project.state / "recalibrations" / f"{proposal.model_id}-{until}.json") as temporary:
        temporary.write_text(canonical_json(proposal.to_json()), encoding="utf-8")


def apply_level(project: Project, proposal: LevelProposal, *, now: datetime) -> str:
    """Save the champion with its level shifted, and make that the champion; `leads rollback` undoes it.

    Returns
    -------
    str
        The id of the new model.

    Raises
    ------
    QualityGateError
        The evidence does not speak for a shift; or the champion is another by now.
    """
    if not proposal.needed:
        raise QualityGateError(
            f"The shift of {proposal.shift:+.2f} is less than two errors ({proposal.error:.2f}) from zero: nothing "
            "shows that the level is off. Wait for more outcomes, or train again."
        )
    if read_aliases(project.state).get("champion") != proposal.model_id:
        raise QualityGateError("The level was measured on a model that is not the champion. Measure the champion's.")
    folder = find_model(project.state, proposal.model_id)
    model = _load(project, proposal.model_id)
    moved = replace(
        model,
        calibrator=model.calibrator.shifted(proposal.shift),
        interval=model.interval.shifted(proposal.shift) if model.interval is not None else None,
        sooner=model.sooner.shifted(proposal.shift) if model.sooner is not None else None,
    )
    catalogue = Catalogue.from_json(model.manifest["catalogue"])  # type: ignore[arg-type]
    canary = json.loads((folder / "canary.json").read_bytes())
    canary["expected"] = answer_canary(moved, build_canary_frame(canary, catalogue))
    facts = {key: value for key, value in model.manifest.items() if key != "model_id"}
    saved = save_model(moved, models_folder(project.state), canary=canary, facts={**facts, "level": proposal.to_json()})
    why = f"level shifted by {proposal.shift:+.3f} log-odds on the leads until {proposal.until[:10]}"
    move_alias(project.state, "champion", saved.model_id, expected=proposal.model_id, why=why, now=now)
    return saved.model_id


def _load(project: Project, name: str) -> LeadModel:
    return load_model(find_model(project.state, name), verified=project.state / "verified")
