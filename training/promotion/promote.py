"""Promote a challenger on its evidence and roll back: aliases move by compare-and-swap, with a line for every move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from models.artefact import read_manifest
from models.registry import find_model, move_alias, read_aliases, read_moves
from project.errors import QualityGateError
from project.files import canonical_json, write_atomically
from training.promotion.comparison_page import render_comparison
from training.promotion.contest import compare_models, comparisons_folder
from training.promotion.verdict import Comparison, decide

if TYPE_CHECKING:
    from project.folder import Project

__all__ = ["Decision", "Move", "promote_challenger", "roll_back"]


_BACK = "rolled back"


@dataclass(frozen=True)
class Move:
    """Which model is the champion now, and which was before."""

    champion: str
    before: str | None


@dataclass(frozen=True)
class Decision:
    """What a challenge came to.

    Attributes
    ----------
    move
        Null if the champion was kept.
    file, page
        The comparison as JSON and as HTML.
    """

    comparison: Comparison
    move: Move | None
    file: Path
    page: Path

    def to_json(self) -> dict[str, object]:
        """Return what `leads promote --json` prints."""
        champion = self.move.champion if self.move else self.comparison.champion
        return {
            "promoted": self.comparison.promoted,
            "champion": champion,
            "before": self.comparison.champion,
            "sentence": self.comparison.sentence,
            "file": str(self.file),
            "page": str(self.page),
            "comparison": self.comparison.to_json(),
        }


def promote_challenger(
    project: Project, *, now: datetime, progress: Callable[[str], None], reason: str | None = None
) -> Decision:
    """Compare the challenger with the champion, keep the comparison, and move the aliases if it deserves it.

    Parameters
    ----------
    reason
        A person's word: it promotes whatever the evidence says, and is kept with it.

    Raises
    ------
    QualityGateError
        There is no challenger; or somebody else moved an alias in the meantime.
    ArtefactError, SchemaError, SettingsError
        The challenger cannot be loaded, or leads.toml no longer asks what it answers.
    """
    aliases = read_aliases(project.state)
    challenger, champion = aliases.get("challenger"), aliases.get("champion")
    if challenger is None:
        raise QualityGateError("There is no challenger. Train one first: leads train")
    comparison = decide(compare_models(project, challenger, champion, progress=progress), reason=reason)
    file, page = _write(project, comparison, now=now)
    if not comparison.promoted:
        return Decision(comparison, None, file, page)
    told = f"{reason or 'promoted'} (state/{file.relative_to(project.state)})"
    move_alias(project.state, "champion", challenger, expected=champion, why=told, now=now)
    move_alias(project.state, "challenger", None, expected=challenger, why="became champion", now=now)
    return Decision(comparison, Move(challenger, champion), file, page)


def _write(project: Project, comparison: Comparison, *, now: datetime) -> tuple[Path, Path]:
    folder = comparisons_folder(project.state)
    at = now.isoformat(timespec="seconds")
    file, page = folder / f"{comparison.name}.json", folder / f"{comparison.name}.html"
    with write_atomically(page) as temporary:
        temporary.write_text(
            render_comparison(comparison, project=project.settings.project.name, compared_at=at), encoding="utf-8"
        )
    with write_atomically(file) as temporary:
        temporary.write_text(canonical_json({**comparison.to_json(), "compared_at": at}), encoding="utf-8")
    return file, page


def roll_back(project: Project, *, now: datetime) -> Move:
    """Make the previous champion the champion again.

    Raises
    ------
    QualityGateError
        There was none.
    """
    champion = read_aliases(project.state).get("champion")
    # what was rolled back to is not promoted again: a second rollback goes further back, never forward
    promoted = [move for move in read_moves(project.state) if move["alias"] == "champion" and move["why"] != _BACK]
    moves = [move for move in promoted if move["to"] == champion]
    previous = moves[-1]["from"] if moves else None
    if previous is None:
        raise QualityGateError("There is no earlier champion to roll back to. See: leads info")
    read_manifest(find_model(project.state, previous))
    move_alias(project.state, "champion", previous, expected=champion, why=_BACK, now=now)
    return Move(previous, champion)
