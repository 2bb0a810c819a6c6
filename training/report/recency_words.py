"""Say whether old leads count less, and what was found when it was tried."""

from __future__ import annotations

from training.fitting.recency import RecencyTrial
from training.report.sentences import write_fixed, write_signed

__all__ = ["say_recency"]


def say_recency(trial: RecencyTrial) -> str:
    """Say what counting old leads less was worth.

    >>> say_recency(RecencyTrial(0.002, 0.0005))[-53:]
    't least two standard errors, so old leads count less.'
    """
    verdict = (
        "at least two standard errors, so old leads count less."
        if trial.taken
        else "not two standard errors above zero, so all leads count alike."
    )
    return (
        "It was tried whether a lead should count half as much for each year of its age: on the leads that came next a "
        f"logistic regression gained {write_signed(trial.gain, 5)} ± {write_fixed(trial.error, 5)} log loss by that, "
        f"{verdict}"
    )
