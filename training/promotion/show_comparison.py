"""What `leads promote` shows people: the table of the verdict, and the sentence at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.promotion.verdict import Line, say_bounds, say_number

if TYPE_CHECKING:
    from project.terminal import Terminal
    from training.promotion.promote import Decision

__all__ = ["show_comparison"]


def show_comparison(terminal: Terminal, decision: Decision) -> None:
    """Print both models' numbers line by line, what was decided and why, and where the comparison is kept."""
    comparison = decision.comparison
    if comparison.champion_trouble:
        terminal.warn(
            f"The champion {comparison.champion} cannot be asked: {comparison.champion_trouble} "
            "The challenger is compared with the base rate instead."
        )
    if comparison.lines:
        ground = comparison.ground
        since = f" looked at from {str(ground['since'])[:10]} on" if ground["since"] else ""
        terminal.table(
            ["", "champion" if comparison.rival == comparison.champion else comparison.rival, "challenger",
             "difference [one-sided 95 % bounds]", "verdict", "note"],
            [_show(line) for line in comparison.lines],
            title=(
                f"{ground['leads']:,} leads{since} that no model here has learnt from, {ground['converted']:,} of which"
                f" converted ({ground['snapshots']:,} snapshots, {ground['blocks']:,} blocks by {ground['block']})"
            ),
        )  # fmt: skip
    for note in comparison.notes:
        terminal.warn(note)
    terminal.say(comparison.sentence)
    terminal.say(f"Comparison  {decision.page}")


def _show(line: Line) -> list[str]:
    difference = say_bounds(line.difference, line.unit) if line.difference is not None else "–"
    return [
        line.name, say_number(line.champion, line.unit), say_number(line.challenger, line.unit), difference,
        line.outcome, line.note,
    ]  # fmt: skip
