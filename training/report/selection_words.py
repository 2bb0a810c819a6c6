"""Say who was worked, and what that leaves unknown."""

from __future__ import annotations

from training.evaluation.weighted import FEWEST, Weighted
from training.report.sentences import write_count, write_percent
from training.selection import Selection, Uplift

__all__ = ["WEIGHTED_NAMES", "say_selection", "say_uplift", "say_weighted"]

WEIGHTED_NAMES = {
    "base_rate": "share that converts",
    "log_loss": "log loss",
    "against_base": "log loss minus the base rate's",
    "brier": "Brier score",
    "auc": "AUC",
    "observed_over_expected": "observed / expected",
    "slope": "calibration slope",
    "lift_at_10_of_leads": "lift of the top 10% of leads",
}


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


def say_weighted(weighted: Weighted) -> str:
    """Say on how much the figures for all leads stand, or that it is too little."""
    size = write_count(round(weighted.effective))
    if not weighted.enough:
        return (
            f"Weighted to all leads, the worked leads of the test period say as much as {size} drawn at random: fewer "
            f"than {FEWEST}, so no figure is given for all leads. All figures here are of worked leads. "
            "Set capacity.exploration."
        )
    return (
        f"Weighted to all leads, the worked leads of the test period say as much as {size} drawn at random. All other "
        "figures here are of worked leads, each counted once."
    )
