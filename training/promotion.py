"""Promote a challenger and roll back: aliases move by compare-and-swap, with a line for every move."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from models.artefact import read_manifest
from models.registry import find_model, move_alias, read_aliases, read_moves
from project.errors import QualityGateError

if TYPE_CHECKING:
    from project.folder import Project

__all__ = ["Move", "promote_challenger", "roll_back"]


_BACK = "rolled back"


@dataclass(frozen=True)
class Move:
    """Which model is the champion now, and which was before."""

    champion: str
    before: str | None


def promote_challenger(project: Project, *, now: datetime, reason: str | None = None) -> Move:
    """Make the challenger the champion.

    Raises
    ------
    QualityGateError
        There is no challenger; or it has no skill on its test period and no `reason` was given to use it all the same.
    """
    aliases = read_aliases(project.state)
    challenger, champion = aliases.get("challenger"), aliases.get("champion")
    if challenger is None:
        raise QualityGateError("There is no challenger. Train one first: leads train")
    manifest = read_manifest(find_model(project.state, "challenger"))
    if not manifest["skill"] and reason is None:
        raise QualityGateError(
            f"{challenger} showed no skill on its test period, so it is not promoted. To do it all the same, say why: "
            'leads promote --reason "…"'
        )
    move_alias(project.state, "champion", challenger, expected=champion, why=reason or "promoted", now=now)
    move_alias(project.state, "challenger", None, expected=challenger, why="became champion", now=now)
    return Move(challenger, champion)


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
