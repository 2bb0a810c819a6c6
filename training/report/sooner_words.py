"""Say how the probabilities within sooner horizons did, and whether one share for all leads would have done as well."""

from __future__ import annotations

from training.evaluation.evaluate import Interval
from training.evaluation.sooner import SoonerTable
from training.report.sentences import write_count, write_expected, write_fixed, write_range

__all__ = ["say_rival", "say_sooner"]

_FEW = 10


def say_sooner(table: SoonerTable) -> str:
    """Say what was seen within a sooner horizon beside what was expected and what the base rate would have said."""
    whole, ratio = table.whole, table.whole.ratio
    level = "the level is right"
    if min(whole.observed, whole.expected) < _FEW:
        level = "too few to tell whether the level is right"
    elif not ratio.low <= 1 <= ratio.high:
        level = f"{'fewer' if ratio.value < 1 else 'more'} than chance allows"
    lower = "less" if whole.log_loss < whole.log_loss_base else "not less"
    converted, expected = write_count(whole.observed), write_expected(whole.expected)
    return (
        f"Within {table.horizon} {converted} snapshots converted and {expected} were expected "
        f"({write_fixed(ratio.value, 2)} {write_range(ratio, digits=2)}: {level}). Log loss "
        f"{write_fixed(whole.log_loss)}, {lower} than the base rate's {write_fixed(whole.log_loss_base)}."
    )


def say_rival(table: SoonerTable) -> str:
    """Say plainly whether the simple rival is as good: the same probability times one share for all leads."""
    if table.shared:
        return f"Within {table.horizon} all leads get the same share of their probability: conversions tell no more."
    gap = table.whole.against_pooled
    rival = f"One share for all leads ({write_fixed(table.whole.log_loss_pooled)})"
    if gap.high < 0:
        far = Interval(-gap.value, -gap.high, -gap.low)
        return f"{rival} is worse within {table.horizon}: {write_fixed(far.value)} {write_range(far)} more log loss."
    if gap.low > 0:
        return f"{rival} is better within {table.horizon}: {write_fixed(gap.value)} {write_range(gap)} less log loss."
    return f"{rival} is as good within {table.horizon}: the difference may be chance {write_range(gap)}."
