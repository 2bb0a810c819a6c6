from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training.evaluation.calibration_check import CalibrationCheck, CorpCurve, ErrorWithFloor
from training.evaluation.certificate import Certificate
from training.evaluation.decomposition import Decomposition
from training.evaluation.delay_table import tabulate_delays
from training.evaluation.evaluate import Interval
from training.evaluation.examine import Reached
from training.evaluation.slices import Slice, SliceTable
from training.report.sentences import (
    say_delay,
    say_level,
    say_line,
    say_miscalibration,
    say_months,
    say_parts,
    say_promise_else,
    say_promises,
    say_reached,
    say_slices,
    say_smooth_error,
    write_range,
)

NOTHING = np.array([])
CHECK = CalibrationCheck(
    said=0.12,
    seen=Interval(0.114, 0.108, 0.121),
    observed_over_expected=Interval(0.95, 0.9, 1.01),
    smooth_error=ErrorWithFloor(0.008, 0.007, 0.009, 0.31),
    miscalibration=ErrorWithFloor(0.0021, 0.0019, 0.0027, 0.3),
    slope=Interval(1.03, 0.95, 1.05),
    intercept=Interval(-0.04, -0.05, 0.05),
    curve=CorpCurve(NOTHING, NOTHING, NOTHING, NOTHING, NOTHING),
    draws=200,
    clustered=True,
)
LEVEL = Interval(1.0, 0.9, 1.1)


def test_the_level_is_said_beside_what_was_seen() -> None:
    assert say_level(CHECK) == "Said 12.0%, seen 11.4% [10.8%, 12.1%]: on average the level is right."
    fewer = replace(CHECK, observed_over_expected=Interval(0.95, 0.9, 0.99))
    assert say_level(fewer).endswith("fewer leads convert than was said (observed over expected 0.95 [0.90, 0.99]).")
    more = replace(CHECK, observed_over_expected=Interval(1.2, 1.1, 1.3))
    assert "more leads convert than was said" in say_level(more)


def test_the_smooth_error_is_said_beside_that_of_a_perfect_model() -> None:
    assert say_smooth_error(CHECK) == (
        "Smooth calibration error 0.0080; a perfect model of this size would show 0.0070 [up to 0.0090]: chance "
        "explains all of it (p = 0.310)."
    )
    found = replace(CHECK, smooth_error=ErrorWithFloor(0.02, 0.007, 0.009, 0.005))
    assert say_smooth_error(found).endswith("more than chance explains (p = 0.005).")


def test_slope_and_parts_are_said_with_their_ranges() -> None:
    assert say_line(CHECK) == (
        "Calibration slope 1.03 (perfect models: 0.95 to 1.05), intercept −0.04 (−0.05 to 0.05), each in 95% of 200 "
        "draws, all rows of a lead hanging together."
    )
    assert "one row being one lead" in say_line(replace(CHECK, clustered=False))
    assert "takes 0.0021 off the log loss" in say_miscalibration(CHECK)
    assert "0.0019 [up to 0.0027] (p = 0.300)" in say_miscalibration(CHECK)
    assert say_parts(Decomposition(0.31, 0.01, 0.05, 0.35)) == (
        "The test period's base rate, known in hindsight, has 0.3500; the order takes 0.0500 off that, errors of level "
        "put 0.0100 back: 0.3100."
    )


def test_what_the_top_holds_is_said_of_the_team_or_of_a_tenth() -> None:
    team = Reached(0.18, True, Interval(0.47, 0.44, 0.5), Interval(2.61, 2.44, 2.78))
    assert say_reached(team) == (
        "The top 18% of the leads (what the team can call) hold 47% of the conversions [44%, 50%]: 2.6 times [2.4, "
        "2.8] what an arbitrary choice holds."
    )
    assert "(no capacity is set)" in say_reached(replace(team, of_team=False))


def slice_of(name: str, *, p_value: float, adjusted: float, rows: int = 100) -> Slice:
    return Slice(name, rows, 50, 20.0, 10.26, LEVEL, LEVEL, p_value, adjusted)


def test_slices_that_stray_are_named_the_surest_first() -> None:
    quiet = SliceTable("Month", 1.0, 0.0, (slice_of("2025-01", p_value=0.5, adjusted=0.6, rows=99),))
    assert say_slices([quiet]) == (
        "None of the 1 slice of 1 kind strays from what was said by more than chance allows."
    )
    loud = SliceTable(
        "Source", 1.0, 0.0, tuple(slice_of(f"s{n}", p_value=0.01 - 0.001 * n, adjusted=0.02) for n in range(5))
    )
    assert say_slices([quiet, loud]) == (
        "5 of the 6 slices of 2 kinds stray from what was said by more than chance allows: Source s4 (20 converted, "
        "10.3 expected); Source s3 (20 converted, 10.3 expected); Source s2 (20 converted, 10.3 expected); and 2 more."
    )


def test_a_horizon_that_cuts_off_many_conversions_is_said_to_be_short() -> None:
    early = say_delay(tabulate_delays(np.arange(1.0, 41.0), 60))
    assert early == (
        "Half of the conversions within the horizon came within 20 days, 95% within 38; 0.0% of all known ones came "
        "after the horizon of 60 days."
    )
    assert say_delay(tabulate_delays(np.arange(1.0, 41.0), 30)).endswith(
        "of 30 days: a longer horizon would tell more."
    )
    assert say_delay(tabulate_delays(np.array([]), 30)) == "No conversion within the horizon is known."


def test_a_month_of_few_leads_is_no_extreme() -> None:
    rows: list[dict[str, object]] = [
        {"month": f"2025-0{n}", "leads": leads, "rate": rate}
        for n, leads, rate in ((1, 100, 0.1), (2, 110, 0.2), (3, 90, 0.15), (4, 3, 1.0))
    ]
    assert say_months(rows) == "By month between 10.0% (2025-01) and 20.0% (2025-02) of the new leads converted."


@pytest.mark.parametrize(("kind", "expected"), [("fixed", "[−0.10, 0.20]"), ("percent", "[−10.00%, 20.00%]")])
def test_ranges_take_their_digits(kind: str, expected: str) -> None:
    assert write_range(Interval(0.0, -0.1, 0.2), kind, 2) == expected


def test_the_strictest_promise_kept_is_told_and_the_others_say_what_they_need() -> None:
    kept = Certificate(0.1, 0.05, 0.12, 300, 0.25, 0.15, None)
    stricter = Certificate(0.2, 0.05, 0.21, 90, 0.075, 0.31, None)
    near = Certificate(0.3, 0.05, None, 60, 0.05, 0.33, 1_250)
    far = Certificate(0.9, 0.05, None, 20, 0.01, 0.4, None)
    words = say_promises([kept, stricter, near, far])
    assert words == "Of the leads from 21.0% on, 7.5% of all, at least 20.0% convert, with 95% confidence."
    assert say_promises([near, far]) == "No share of conversions can be promised yet: more outcomes are needed."
    assert say_promise_else(kept) == "–"
    assert "1,250 more leads" in say_promise_else(near)
    assert say_promise_else(far) == "no threshold shows so many"
