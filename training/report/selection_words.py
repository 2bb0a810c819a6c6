"""Say who was worked, and what that leaves unknown."""

from __future__ import annotations

from training.report.sentences import write_count, write_percent
from training.selection import Selection, Uplift

__all__ = ["say_selection", "say_uplift"]


def say_selection(selection: Selection) -> str:
    """Say how much the worked leads tell of all leads."""
    words = f"Sales worked {write_count(selection.worked)} of {write_count(selection.leads)} leads; "
    if not selection.corrected:
        return words + "how they were chosen was not logged, so what holds for the others cannot be told."
    words += f"weighted to all leads they say as much as {write_count(round(selection.effective))} drawn at random"
    if selection.out_of_reach <= 0:
        return words + "."
    return f"{words}, and nothing is known of {write_percent(selection.out_of_reach)} that had next to no chance."


def say_uplift(uplift: Uplift) -> str:
    """Say by how much more often leads buy that chance had worked."""
    return (
        f"Of {write_count(uplift.leads)} leads chance decided whether they were worked, and "
        f"{write_count(uplift.worked)} were: being worked changes their conversion by {write_percent(uplift.value)} "
        f"[{write_percent(uplift.low)}, {write_percent(uplift.high)}]."
    )
