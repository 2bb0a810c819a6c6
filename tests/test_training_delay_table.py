from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from training.evaluation.delay_table import tabulate_delays


def test_a_curve_by_hand() -> None:
    # 10 days are the horizon: what comes exactly then comes too late
    curve = tabulate_delays(np.array([8.0, 0.0, 2.0, 2.0, 10.0, 40.0]), 10.0)
    assert (curve.within, curve.later) == (4, 2)
    assert curve.later_share == pytest.approx(1 / 3)
    at = dict(zip(np.round(curve.days, 9).tolist(), curve.share.tolist(), strict=True))
    assert [at[day] for day in (0.0, 1.9, 2.0, 7.9, 8.0, 10.0)] == [0.25, 0.25, 0.75, 0.75, 1.0, 1.0]
    assert [curve.days_until(share) for share in (0.25, 0.5, 0.75, 0.76, 1.0)] == [0.0, 2.0, 2.0, 8.0, 8.0]


def test_intervals_are_clopper_and_pearsons() -> None:
    curve = tabulate_delays(np.arange(40.0), 40.0)
    for place in (0, 20, 50, 100):
        exact = stats.binomtest(round(curve.share[place] * 40), 40).proportion_ci(0.95, method="exact")
        assert (curve.low[place], curve.high[place]) == pytest.approx((exact.low, exact.high))


def test_the_curve_rises_and_its_interval_holds_it() -> None:
    curve = tabulate_delays(np.random.default_rng(0).exponential(20, 500), 60)
    assert (np.diff(curve.share) >= 0).all()
    assert ((curve.low <= curve.share) & (curve.share <= curve.high)).all()
    assert curve.share[-1] == 1.0


@pytest.mark.parametrize("days", [[], [70.0]])
def test_without_a_conversion_within_the_horizon_there_is_no_curve(days: list[float]) -> None:
    curve = tabulate_delays(np.array(days), 60)
    assert curve.within == 0
    assert np.isnan(curve.share).all()
    assert math.isnan(curve.days_until(0.5))
    assert math.isnan(curve.later_share) == (not days)


@pytest.mark.parametrize(
    ("days", "horizon", "words"),
    [([1.0, -2.0, math.nan], 10.0, "2 values that are negative or missing"), ([1.0], 0.0, "must be positive")],
)
def test_impossible_delays_are_refused(days: list[float], horizon: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        tabulate_delays(np.array(days), horizon)
