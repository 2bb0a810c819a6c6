"""Work a past decision out again, from the recorded row and the model that made it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from serving.ledger.ledger import Decision, find_decision, to_frame
from serving.load import load_named_model

if TYPE_CHECKING:
    from project.folder import Project

__all__ = ["Replayed", "replay_decision"]


@dataclass(frozen=True)
class Replayed:
    """A decision as it was recorded, and what its model says of the recorded row today."""

    decision: Decision
    probability: float
    log_odds: float

    @property
    def same(self) -> bool:
        """Whether both numbers are the same to the last bit."""
        return (self.probability, self.log_odds) == (self.decision.probability, self.decision.log_odds)

    def to_json(self) -> dict[str, object]:
        """Return what `leads replay --json` prints."""
        return {
            "decision": asdict(self.decision),
            "probability": self.probability,
            "log_odds": self.log_odds,
            "same": self.same,
        }


def replay_decision(project: Project, decision_id: str) -> Replayed:
    """Score the recorded row with the recorded model.

    Raises
    ------
    SettingsError
        There is no such decision.
    ArtefactError
        Its model is gone or damaged.
    """
    decision = find_decision(project.state, decision_id)
    model, _ = load_named_model(project, decision.model_id)
    frame = to_frame([decision], model)
    log_odds = model.log_odds(frame)
    probability = model.calibrator.probability(log_odds)
    return Replayed(decision, float(probability[0]), float(log_odds[0]))
