"""What thresholds would bring: counted by hand, against known truth, and in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from invented_ground import POLICY, by_hand, draw, make_ground, settings_of
from project.errors import NotEnoughDataError
from project.settings import CapacitySettings
from training.banding.ground import find_ground
from training.banding.solve import solve
from training.banding.words import say_ground, say_solution
from training.evaluation.certificate import THRESHOLDS
from training.monitoring.recent import Recent


def test_what_a_threshold_brings_is_counted_by_hand() -> None:
    capacity = CapacitySettings(leads_per_week=2, cost_per_call=20, value_per_win=100)
    found = solve(by_hand(), POLICY, capacity, seed=0)
    present = found.find("present")
    assert present is not None
    assert present.threshold == 0.3
    assert (present.calls.value, present.share.value, present.wins.value) == pytest.approx((2.0, 0.5, 1.2))
    assert present.precision is not None and present.margin is not None
    assert (present.precision.value, present.margin.value) == pytest.approx((0.6, 1.2 * 100 - 2.0 * 20))
    full, even, best = (found.find(mark) for mark in ("capacity", "break-even", "margin"))  # type: ignore[arg-type]
    assert full is not None and even is not None and best is not None
    assert (full.threshold, even.threshold) == (0.4, 0.2)
    assert even.calls.value == pytest.approx(3.0)
    assert best.calls.value == pytest.approx(2.0)  # at 0.2 the margin is the same, but nobody could call them
    assert found.gain is not None
    assert found.gain.value == pytest.approx(0.0)
    assert {0.1, 0.3, *THRESHOLDS} <= {line.threshold for line in found.lines}
    assert [line.threshold for line in found.lines] == sorted((line.threshold for line in found.lines), reverse=True)


def test_leads_whose_fate_tells_nothing_are_called_and_bring_nothing() -> None:
    known = by_hand()
    found = solve(make_ground(known.best, known.won, arrived=60), POLICY, CapacitySettings(leads_per_week=3), seed=0)
    present, full = found.find("present"), found.find("capacity")
    assert present is not None and full is not None
    assert (present.calls.value, present.wins.value) == pytest.approx((3.0, 1.2))
    assert full.threshold == 0.4
    assert "20 more" in say_ground(found)


def test_a_win_counts_with_its_own_value_where_that_is_known() -> None:
    ground = by_hand()
    value = np.full(40, np.nan)
    value[:2] = 500.0  # two of the eight wins at 0.8
    value[39] = 9_999.0  # never won
    own = replace(ground, value=value)
    one = solve(own, POLICY, CapacitySettings(cost_per_call=20, value_per_win=100), seed=0).find("present")
    other = solve(own, POLICY, CapacitySettings(cost_per_call=20), seed=0).find("present")
    assert one is not None and one.margin is not None
    assert one.margin.value == pytest.approx((2 * 500 + 10 * 100) / 10 - 2.0 * 20)
    assert other is not None and other.margin is not None
    assert other.margin.value == pytest.approx(12 * 500 / 10 - 2.0 * 20)
    found = solve(own, POLICY, CapacitySettings(cost_per_call=20), seed=0)
    assert found.find("break-even") is None
    assert any("best margin" in words for words in say_solution(found, CapacitySettings(cost_per_call=20)))


def test_one_more_rep_brings_the_next_best_leads() -> None:
    capacity = CapacitySettings(leads_per_week=1, reps=1, cost_per_call=20, value_per_win=100)
    more = solve(by_hand(), POLICY, capacity, seed=0).more
    assert more is not None and more.margin is not None
    assert (more.threshold, more.calls, more.wins.value, more.margin.value) == pytest.approx((0.4, 1.0, 0.4, 20.0))
    assert more.wins.low < 0.4 < more.wins.high


def test_where_everybody_is_called_one_more_rep_brings_nothing() -> None:
    found = solve(by_hand(), POLICY, CapacitySettings(reps=2, calls_per_rep=50), seed=0)
    assert found.more is not None
    assert (found.more.calls, found.more.wins.value) == (0.0, 0.0)
    assert any("nobody to call" in words for words in say_solution(found, CapacitySettings(reps=2, calls_per_rep=50)))


@pytest.mark.parametrize("seed", range(12))
def test_the_capacity_is_filled_and_never_exceeded_and_the_best_margin_stays_within_it(seed: int) -> None:
    ground = draw(seed, leads=500)
    capacity = CapacitySettings(leads_per_week=float(seed % 6 + 1), cost_per_call=5, value_per_win=60)
    found = solve(ground, POLICY, capacity, seed=seed, draws=20)
    full, best = found.find("capacity"), found.find("margin")
    assert full is not None and best is not None
    assert capacity.leads_per_week is not None
    assert full.calls.value <= capacity.leads_per_week + 1e-9
    assert full.calls.value > capacity.leads_per_week - 1.01 / ground.weeks
    within = [line for line in found.lines if line.calls.value <= capacity.leads_per_week + 1e-9]
    assert best.margin is not None
    assert best.margin.value == max(line.margin.value for line in within if line.margin is not None)


def test_intervals_hold_the_truth_in_about_nine_of_ten_draws() -> None:
    # the wins a week at 0.2 of leads whose probabilities are right
    random = np.random.default_rng(0)
    said = random.beta(0.8, 5.0, 400_000)
    true = float((said * (said >= 0.2)).mean()) * 1_000 / 20
    held = 0
    for seed in range(100):
        lines = solve(draw(seed, leads=1_000), POLICY, CapacitySettings(), seed=seed, draws=100).lines
        wins = next(line.wins for line in lines if line.threshold == 0.2)
        held += wins.low <= true <= wins.high
    assert 82 <= held <= 97


def test_leads_of_one_account_are_no_independent_witnesses() -> None:
    random = np.random.default_rng(3)
    fate = random.random(200) < 0.4
    best, won = np.full(2_000, 0.5), np.repeat(fate, 10)
    widths = []
    for groups in (np.arange(2_000), np.repeat(np.arange(200), 10)):
        line = solve(make_ground(best, won, groups=groups), POLICY, CapacitySettings(), seed=0).find("present")
        assert line is not None and line.precision is not None
        widths.append(line.precision.high - line.precision.low)
    assert widths[1] > 2.5 * widths[0]


@pytest.mark.parametrize(("overconfident", "target"), [(1.0, 0.31), (0.8, 0.31), (0.6, 0.2)])
def test_a_promised_precision_is_broken_in_at_most_one_of_twenty_draws(overconfident: float, target: float) -> None:
    # a lead of which the model says p converts with p · overconfident; the truth at each threshold is known
    random = np.random.default_rng(0)
    everybody = np.sort(random.beta(0.9, 4.0, 200_000))
    true = {t: float(everybody[np.searchsorted(everybody, t) :].mean()) * overconfident for t in THRESHOLDS[15:]}
    broken = given = 0
    for _ in range(200):
        best = random.choice(everybody, 1_500)
        won = random.random(1_500) < best * overconfident
        line = solve(make_ground(best, won), POLICY, CapacitySettings(precision=target), seed=0, draws=2).find(
            "promise"
        )
        if line is not None:
            given += 1
            broken += true[line.threshold] < target
    assert given >= 100
    assert broken <= 10


def test_even_where_every_threshold_falls_just_short_the_promise_is_given_as_rarely_as_it_says() -> None:
    # the worst case: whatever is promised is broken. One in twenty is the limit, and 400 draws can show 1.1 % more
    random = np.random.default_rng(0)
    broken = 0
    for _ in range(400):
        best, won = random.uniform(0.0, 1.0, 1_000), random.random(1_000) < 0.299
        found = solve(make_ground(best, won), POLICY, CapacitySettings(precision=0.3), seed=0, draws=2)
        broken += found.find("promise") is not None
    assert 0 < broken <= 400 * (0.05 + 3 * 0.011)


def test_without_proof_nothing_is_promised_and_it_is_said_what_it_takes() -> None:
    capacity = CapacitySettings(precision=0.9)
    found = solve(by_hand(), POLICY, capacity, seed=0)
    assert found.find("promise") is None
    assert found.promise is not None and found.promise.needed is None
    assert any("ask for less" in words for words in say_solution(found, capacity))
    capacity = CapacitySettings(precision=0.35)
    few = solve(draw(2, leads=400), POLICY, capacity, seed=0)
    assert few.find("promise") is None
    assert few.promise is not None and few.promise.needed is not None
    assert any(f"{few.promise.needed:,} more leads" in words for words in say_solution(few, capacity))


def make_recent(created: list[str], said: list[float], won: list[bool], watched: list[float]) -> Recent:
    rows = len(created)
    snapshots = pd.DataFrame(
        {
            "lead_id": [f"l{n}" for n in range(rows)],
            "group_id": "g",
            "created_at": pd.Series(pd.to_datetime(created)).astype("datetime64[us]"),
            "converted": won,
            "watched": watched,
        }
    )
    moment = np.array(said)
    return Recent(
        snapshots, snapshots, moment, moment, moment, snapshots, None, datetime(2025, 3, 1), datetime(2025, 6, 1)
    )


def test_too_few_leads_with_a_known_fate_are_said_so_with_what_it_takes() -> None:
    recent = make_recent(["2025-03-02"] * 3, [0.5, 0.2, 0.1], [True, False, False], [1.0, 1.5, 0.5])
    tables = SimpleNamespace(observed_from=None)
    with pytest.raises(NotEnoughDataError, match=r"Only 2 leads .* 1 of them converted\. .* takes 200 leads"):
        find_ground(recent, tables, settings_of(CapacitySettings()))  # type: ignore[arg-type]
