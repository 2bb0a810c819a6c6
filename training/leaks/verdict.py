"""From clues to a verdict: clean, suspicious (kept and shown) or leak (removed)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from training.leaks.clues import Clue, strongest

__all__ = ["Verdict", "VerdictName", "decide", "sort_verdicts"]

VerdictName = Literal["leak", "suspicious", "clean"]
_ORDER: tuple[VerdictName, ...] = ("leak", "suspicious", "clean")
_STATISTICS = {"fill": "statistics", "skill": "statistics"}


@dataclass(frozen=True)
class Verdict:
    """What was decided about one column or feature, and on what evidence.

    Attributes
    ----------
    source
        The table it stands in, or `feature`.
    declared
        Whether a model would learn from it.
    allowed
        The reason given in `training.leaks_allowed`, null if it is not named there.
    """

    source: Literal["leads", "accounts", "stages", "feature"]
    column: str
    verdict: VerdictName
    declared: bool
    allowed: str | None
    clues: tuple[Clue, ...]

    @property
    def evidence(self) -> str:
        """One sentence, the heaviest clues first."""
        return "; ".join(clue.sentence for clue in self.clues[:3]) or "nothing speaks against it"

    @property
    def stops_training(self) -> bool:
        """Whether it is a leak that a model would learn from and that nobody allowed."""
        return self.verdict == "leak" and self.declared and self.allowed is None

    def to_json(self) -> dict[str, object]:
        """Return the form that manifests, reports and machines read."""
        return {
            "source": self.source,
            "column": self.column,
            "verdict": self.verdict,
            "declared": self.declared,
            "allowed": self.allowed,
            "evidence": self.evidence,
            "clues": [
                {
                    "family": clue.family,
                    "weight": clue.weight,
                    "figure": None if clue.figure != clue.figure else round(clue.figure, 4),
                    "sentence": clue.sentence,
                }
                for clue in self.clues
            ],
        }


def decide(clues: Sequence[Clue]) -> tuple[VerdictName, tuple[Clue, ...]]:
    """Return the verdict and the clues, the heaviest first.

    A proof condemns. So does a strong clue that another kind of clue supports; being filled and telling the outcome are
    one kind, statistics, since a missing value is a level of the column. A strong clue alone, or two hints, raise
    suspicion.

    >>> decide([Clue("skill", "strong", 0.9, "tells"), Clue("fill", "hint", 0.6, "filled")])[0]
    'suspicious'
    >>> decide([Clue("skill", "strong", 0.9, "tells"), Clue("name", "hint", 0, "named")])[0]
    'leak'
    """
    ordered = tuple(strongest(clues))
    strong = [clue for clue in ordered if clue.weight == "strong"]
    kinds = {_STATISTICS.get(clue.family, clue.family) for clue in ordered}
    strong_kinds = {_STATISTICS.get(clue.family, clue.family) for clue in strong}
    if any(clue.weight == "proof" for clue in ordered) or (strong_kinds and len(kinds) > 1):
        return "leak", ordered
    return ("suspicious" if strong or len(ordered) > 1 else "clean"), ordered


def sort_verdicts(verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """Sort the worst first, then the declared, then by name."""
    return tuple(
        sorted(
            verdicts,
            key=lambda one: (_ORDER.index(one.verdict), not one.declared, -len(one.clues), one.source, one.column),
        )
    )
