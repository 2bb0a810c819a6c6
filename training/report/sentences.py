"""What a reader should conclude from each figure, in one plain sentence, and how its numbers are written."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from training.evaluation.calibration_check import CalibrationCheck
from training.evaluation.certificate import Certificate
from training.evaluation.decomposition import Decomposition
from training.evaluation.delay_table import DelayTable
from training.evaluation.evaluate import Interval
from training.evaluation.evidence import Judged
from training.evaluation.examine import Reached
from training.evaluation.slices import SliceTable, distinct_slices

__all__ = [
    "UNKNOWN",
    "say_compared",
    "say_delay",
    "say_features",
    "say_level",
    "say_line",
    "say_miscalibration",
    "say_months",
    "say_parts",
    "say_promise_else",
    "say_promises",
    "say_reached",
    "say_slices",
    "say_smooth_error",
    "write_count",
    "write_expected",
    "write_fixed",
    "write_percent",
    "write_range",
    "write_signed",
]

UNKNOWN = "–"
_MINUS = "\N{MINUS SIGN}"
_MOST_NAMED = 3
_MUCH_LATER = 0.05


def write_fixed(value: float | None, digits: int = 4) -> str:
    """Write a number with a fixed count of digits.

    >>> write_fixed(0.12345), write_fixed(-1.5, 2), write_fixed(-0.001, 2), write_fixed(float("nan")), write_fixed(None)
    ('0.1235', '−1.50', '0.00', '–', '–')
    """
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return f"{value:z.{digits}f}".replace("-", _MINUS)


def write_signed(value: float, digits: int = 4) -> str:
    """Write a difference with its sign.

    >>> write_signed(0.0123), write_signed(-0.0123)
    ('+0.0123', '−0.0123')
    """
    return ("+" if value > 0 else "") + write_fixed(value, digits)


def write_percent(value: float | None, digits: int = 1) -> str:
    """Write a share in percent.

    >>> write_percent(0.1234), write_percent(None), write_percent(0.00071, 2)
    ('12.3%', '–', '0.07%')
    """
    return UNKNOWN if value is None or not math.isfinite(value) else f"{write_fixed(100 * value, digits)}%"


def write_count(value: float | None) -> str:
    """Write a whole number with separators.

    >>> write_count(1234567), write_count(None)
    ('1,234,567', '–')
    """
    return UNKNOWN if value is None or not math.isfinite(value) else f"{value:,.0f}".replace("-", _MINUS)


def write_expected(value: float) -> str:
    """Write the sum of probabilities: whole above 1,000, where a tenth of a conversion tells nothing.

    >>> write_expected(4249.04), write_expected(999.94)
    ('4,249', '999.9')
    """
    return write_count(value) if value >= 1_000 else write_fixed(value, 1)


def write_range(interval: Interval, kind: str = "fixed", digits: int | None = None) -> str:
    """Write the two ends of an interval.

    >>> write_range(Interval(0.2, 0.1, 0.3), "percent"), write_range(Interval(0.0, -0.1, 0.1))
    ('[10.0%, 30.0%]', '[−0.1000, 0.1000]')
    """
    write = write_percent if kind == "percent" else write_fixed
    low, high = (write(end) if digits is None else write(end, digits) for end in (interval.low, interval.high))
    return f"[{low}, {high}]"


def say_level(check: CalibrationCheck) -> str:
    """Say whether what was said on average is what was seen."""
    ratio = check.observed_over_expected
    words = (
        f"Said {write_percent(check.said)}, seen {write_percent(check.seen.value)} "
        f"{write_range(check.seen, 'percent')}: "
    )
    if ratio.low <= 1 <= ratio.high:
        return f"{words}on average the level is right."
    side = "fewer" if ratio.value < 1 else "more"
    return (
        f"{words}{side} leads convert than was said (observed over expected {write_fixed(ratio.value, 2)} "
        f"{write_range(ratio, digits=2)})."
    )


def say_smooth_error(check: CalibrationCheck) -> str:
    """Say how large the smooth calibration error is beside that of a perfect model."""
    error = check.smooth_error
    verdict = "chance explains all of it" if error.explained_by_chance else "more than chance explains"
    return (
        f"Smooth calibration error {error.value:.4f}; a perfect model of this size would show {error.floor:.4f} [up to "
        f"{error.ceiling:.4f}]: {verdict} (p = {error.p_value:.3f})."
    )


def say_miscalibration(check: CalibrationCheck) -> str:
    """Say which part of the log loss is miscalibration beside what a perfect model would show."""
    error = check.miscalibration
    return (
        f"The best rising fit in hindsight takes {write_fixed(error.value)} off the log loss; off that of a perfect "
        f"model of this size it would take {write_fixed(error.floor)} [up to {write_fixed(error.ceiling)}] "
        f"(p = {error.p_value:.3f})."
    )


def say_line(check: CalibrationCheck) -> str:
    """Say slope and intercept beside the range that perfect models show."""
    drawn = "all rows of a lead hanging together" if check.clustered else "one row being one lead"
    return (
        f"Calibration slope {write_fixed(check.slope.value, 2)} (perfect models: "
        f"{write_fixed(check.slope.low, 2)} to {write_fixed(check.slope.high, 2)}), intercept "
        f"{write_fixed(check.intercept.value, 2)} ({write_fixed(check.intercept.low, 2)} to "
        f"{write_fixed(check.intercept.high, 2)}), each in 95% of {check.draws} draws, {drawn}."
    )


def say_parts(parts: Decomposition) -> str:
    """Say what the log loss is made of."""
    return (
        f"The test period's base rate, known in hindsight, has {write_fixed(parts.uncertainty)}; the order takes "
        f"{write_fixed(parts.discrimination)} off that, errors of level put {write_fixed(parts.miscalibration)} back: "
        f"{write_fixed(parts.loss)}."
    )


def say_reached(reached: Reached) -> str:
    """Say what the top of the list holds."""
    held = reached.conversions
    whose = "what the team can call" if reached.of_team else "no capacity is set"
    return (
        f"The top {write_percent(reached.share, 0)} of the leads ({whose}) hold {write_percent(held.value, 0)} of the "
        f"conversions {_range_of_percent(held)}: {write_fixed(reached.lift.value, 1)} times "
        f"{write_range(reached.lift, digits=1)} what an arbitrary choice holds."
    )


def _range_of_percent(interval: Interval) -> str:
    return f"[{write_percent(interval.low, 0)}, {write_percent(interval.high, 0)}]"


def say_slices(tables: Sequence[SliceTable]) -> str:
    """Say how many slices stray by more than chance, and name the surest."""
    every = distinct_slices(tables)
    off = sorted((entry for entry in every if entry[1].off), key=lambda entry: entry[1].p_value)
    what = f"{_count_of(len(every), 'slice')} of {_count_of(len(tables), 'kind')}"
    if not off:
        return f"None of the {what} strays from what was said by more than chance allows."
    named = [
        f"{kind} {one.name} ({write_count(one.observed)} converted, {write_expected(one.expected)} expected)"
        for kind, one in off[:_MOST_NAMED]
    ]
    more = f"; and {len(off) - len(named)} more" if len(off) > len(named) else ""
    verb = "strays" if len(off) == 1 else "stray"
    return f"{len(off)} of the {what} {verb} from what was said by more than chance allows: {'; '.join(named)}{more}."


def _count_of(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def say_compared(best: Judged) -> str:
    """Say how the chosen contender compares with the base rate."""
    gap = best.against_base
    if gap.low <= 0 <= gap.high:
        return f"Beside the base rate the chosen contender shows no sure difference in log loss {write_range(gap)}."
    less = "less" if gap.value < 0 else "more"
    far = Interval(abs(gap.value), *sorted((abs(gap.low), abs(gap.high))))
    return f"The chosen contender has {write_fixed(far.value)} {write_range(far)} {less} log loss than the base rate."


def say_months(rows: Sequence[Mapping[str, object]]) -> str:
    """Say between which shares the months lie; one with less than a tenth of the median month's leads does not count.

    >>> say_months([{"month": "2025-01", "leads": 90, "rate": 0.1}, {"month": "2025-02", "leads": 80, "rate": 0.12}])
    'By month between 10.0% (2025-01) and 12.0% (2025-02) of the new leads converted.'
    """
    sizes = sorted(float(str(row["leads"])) for row in rows)
    told = [row for row in rows if float(str(row["leads"])) >= 0.1 * sizes[len(sizes) // 2]]
    rates = sorted((float(str(row["rate"])), str(row["month"])) for row in told)
    (low, first), (high, last) = rates[0], rates[-1]
    between = f"between {write_percent(low)} ({first}) and {write_percent(high)} ({last})"
    return f"By month {between} of the new leads converted."


def say_features(names: Sequence[str]) -> str:
    """Say which features weigh most.

    >>> say_features(["visits", "source", "age", "country"])
    'Most weight have: visits; source; age.'
    """
    return f"Most weight have: {'; '.join(names[:_MOST_NAMED])}."


def say_delay(curve: DelayTable) -> str:
    """Say how long conversions take, and whether the horizon cuts many off."""
    if not curve.within:
        return "No conversion within the horizon is known."
    words = (
        f"Half of the conversions within the horizon came within {curve.days_until(0.5):.3g} days, 95% within "
        f"{curve.days_until(0.95):.3g}; {write_percent(curve.later_share)} of all known ones came after the horizon of "
        f"{curve.horizon_days:.4g} days"
    )
    return f"{words}: a longer horizon would tell more." if curve.later_share >= _MUCH_LATER else f"{words}."


def say_promises(promises: Sequence[Certificate]) -> str:
    """Say the strictest promise that can be given."""
    kept = [one for one in promises if one.threshold is not None]
    if not kept:
        return "No share of conversions can be promised yet: more outcomes are needed."
    best = kept[-1]
    return (
        f"Of the leads from {write_percent(best.threshold)} on, {write_percent(best.share)} of all, at least "
        f"{write_percent(best.target)} convert, with 95% confidence."
    )


def say_promise_else(one: Certificate) -> str:
    """Say what a promise would need that cannot be given."""
    if one.threshold is not None:
        return UNKNOWN
    if one.needed is None:
        return "no threshold shows so many"
    return f"about {write_count(one.needed)} more leads with known outcomes are needed"
