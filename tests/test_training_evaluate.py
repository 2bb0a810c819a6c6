from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from training.evaluation.evaluate import (
    Interval,
    compare_log_loss,
    cumulative_gains,
    evaluate_probabilities,
    lift_at,
    log_loss_per_row,
    mean_with_interval,
    reliability_table,
)


def draw(rows: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Over-confident probabilities with many ties, and outcomes."""
    random = np.random.default_rng(seed)
    truth = random.normal(-2.0, 1.0, rows)
    return np.round(expit(0.4 + 1.4 * truth), 2).clip(0.01, 0.99), random.random(rows) < expit(truth)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("rows", [60, 3_000])
def test_auc_log_loss_and_brier_are_scikit_learns(rows: int, seed: int) -> None:
    probability, converted = draw(rows, seed=seed)
    found = evaluate_probabilities(probability, converted)
    assert found.auc == pytest.approx(roc_auc_score(converted, probability), abs=1e-12)
    assert found.log_loss == pytest.approx(log_loss(converted, probability), rel=1e-12)
    assert found.brier == pytest.approx(brier_score_loss(converted, probability), rel=1e-12)
    assert (found.n, found.positives) == (rows, sum(converted.tolist()))
    assert found.base_rate == pytest.approx(sum(converted.tolist()) / rows, rel=1e-14)


@pytest.mark.parametrize("seed", range(4))
def test_calibration_slope_is_that_of_a_logistic_regression_on_the_logit(seed: int) -> None:
    probability, converted = draw(3_000, seed=seed)
    free = LogisticRegression(C=np.inf, tol=1e-12, max_iter=1_000).fit(logit(probability)[:, None], converted)
    found = evaluate_probabilities(probability, converted)
    assert found.calibration_slope == pytest.approx(free.coef_[0, 0], abs=1e-3)
    # The shift with the slope held at one is where the mean of what is said equals what came.
    said = expit(logit(probability) + found.calibration_intercept)
    assert said.mean() == pytest.approx(converted.mean(), abs=1e-9)


def test_true_probabilities_have_slope_one_and_intercept_nought() -> None:
    random = np.random.default_rng(0)
    probability = expit(random.normal(-2, 1.2, 80_000))
    found = evaluate_probabilities(probability, random.random(80_000) < probability)
    assert found.calibration_slope == pytest.approx(1.0, abs=0.04)
    assert found.calibration_intercept == pytest.approx(0.0, abs=0.04)


@pytest.mark.parametrize(("intercept", "slope"), [(0.5, 0.5), (-0.7, 2.0)])
def test_a_distortion_shows_in_slope_and_intercept(intercept: float, slope: float) -> None:
    random = np.random.default_rng(1)
    margin = random.normal(-1.0, 1.0, 80_000)
    converted = random.random(80_000) < expit(intercept + slope * margin)
    found = evaluate_probabilities(expit(margin), converted)
    assert found.calibration_slope == pytest.approx(slope, abs=0.05)


def test_a_constant_probability_has_a_level_but_no_slope() -> None:
    converted = np.arange(1_000) < 200
    found = evaluate_probabilities(np.full(1_000, 0.1), converted)
    assert math.isnan(found.calibration_slope)
    assert found.calibration_intercept == pytest.approx(math.log(0.2 / 0.8) - math.log(0.1 / 0.9), abs=1e-9)
    assert found.auc == 0.5
    assert found.lift_at_10 == pytest.approx(1.0)


@pytest.mark.parametrize("everybody", [True, False])
def test_outcomes_of_one_kind_only_leave_the_other_numbers_empty(everybody: bool) -> None:
    found = evaluate_probabilities(np.linspace(0.1, 0.9, 50), np.full(50, everybody))
    assert math.isnan(found.auc)
    assert math.isnan(found.calibration_slope)
    assert math.isnan(found.calibration_intercept)
    assert np.isfinite([found.log_loss, found.brier]).all()
    assert math.isnan(found.lift_at_10) != everybody


def test_numbers_that_do_not_exist_are_null_in_json() -> None:
    content = evaluate_probabilities(np.full(10, 0.1), np.arange(10) < 2).to_json()
    assert content["calibration_slope"] is None
    assert json.loads(json.dumps(content, allow_nan=False))["n"] == 10


def test_certainty_that_proved_wrong_costs_much_but_not_infinitely_much() -> None:
    probability, converted = np.array([0.0, 1.0, 0.0, 1.0]), np.array([True, False, False, True])
    losses = log_loss_per_row(probability, converted)
    assert np.isfinite(losses).all()
    assert (losses[:2] > 20).all()
    np.testing.assert_allclose(losses[2:], 0.0, atol=1e-9)
    assert np.isfinite(evaluate_probabilities(probability, converted).calibration_slope)


def test_log_loss_of_a_row_is_minus_the_logarithm_of_what_was_given_to_the_outcome() -> None:
    found = log_loss_per_row(np.array([0.25, 0.25]), np.array([True, False]))
    np.testing.assert_allclose(found, [math.log(4), math.log(4 / 3)], rtol=1e-12)


# Ten leads, four of them won; two share the first place, four the next.
TIED = np.array([0.9, 0.9, 0.5, 0.5, 0.5, 0.5, 0.2, 0.1, 0.1, 0.1])
WON = np.array([True, False, True, True, False, False, False, True, False, False])


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.1, (0.5 / 4) / 0.1),  # one of the two at 0.9: half a win
        (0.2, (1 / 4) / 0.2),
        (0.3, (1.5 / 4) / 0.3),  # and one of the four at 0.5, of which two won
        (0.6, (3 / 4) / 0.6),
        (0.8, (3 + 1 / 3) / 4 / 0.8),
        (1.0, 1.0),
    ],
)
def test_lift_shares_a_tie_evenly(share: float, expected: float) -> None:
    assert lift_at(TIED, WON, share=share) == pytest.approx(expected, rel=1e-12)
    backwards = lift_at(TIED[::-1].copy(), WON[::-1].copy(), share=share)
    assert backwards == pytest.approx(expected, rel=1e-12)
    if share == 0.1:
        assert evaluate_probabilities(TIED, WON).lift_at_10 == pytest.approx(expected, rel=1e-12)


def test_the_gains_curve_has_a_point_for_every_distinct_probability() -> None:
    expected = [[0, 0], [0.2, 0.25], [0.6, 0.75], [0.7, 0.75], [1, 1]]
    np.testing.assert_allclose(cumulative_gains(TIED, WON), expected, rtol=1e-12)


def test_a_model_compared_with_itself_is_exactly_level() -> None:
    probability, converted = draw(200, seed=0)
    found = compare_log_loss(probability, probability, converted, groups=np.arange(200), seed=0)
    assert found == Interval(0.0, 0.0, 0.0)


def test_a_better_model_is_below_zero_by_the_difference_of_the_log_losses() -> None:
    random = np.random.default_rng(0)
    truth = expit(random.normal(-1, 1.5, 3_000))
    converted = random.random(3_000) < truth
    rival = np.full(3_000, converted.mean())
    found = compare_log_loss(truth, rival, converted, groups=np.arange(3_000), seed=0)
    assert found.value == pytest.approx(log_loss(converted, truth) - log_loss(converted, rival), rel=1e-9)
    assert found.low < found.value < found.high < 0
    swapped = compare_log_loss(rival, truth, converted, groups=np.arange(3_000), seed=0)
    assert swapped.value == pytest.approx(-found.value, rel=1e-12)
    assert swapped.low > 0


def test_copies_in_a_group_do_not_make_the_interval_narrower() -> None:
    probability, converted = draw(150, seed=3)
    rival = np.full(150, 0.2)
    once = compare_log_loss(probability, rival, converted, groups=np.arange(150), seed=1)
    copied = [np.repeat(values, 9) for values in (probability, rival, converted)]
    by_groups = compare_log_loss(*copied, groups=np.repeat(np.arange(150), 9), seed=1)
    by_rows = compare_log_loss(*copied, groups=np.arange(1_350), seed=1)
    assert by_groups.value == pytest.approx(once.value, rel=1e-12)
    assert by_groups.high - by_groups.low == pytest.approx(once.high - once.low, rel=1e-9)
    assert by_groups.high - by_groups.low > 2 * (by_rows.high - by_rows.low)


def test_the_interval_of_a_mean_is_as_wide_as_theory_says() -> None:
    values = np.random.default_rng(0).normal(5.0, 2.0, 2_000)
    found = mean_with_interval(values, groups=np.arange(2_000), seed=0)
    half = 1.96 * values.std() / math.sqrt(2_000)
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.15 * half)


def test_the_interval_of_a_mean_over_groups_is_that_of_a_ratio_of_sums() -> None:
    random = np.random.default_rng(1)
    sizes = random.integers(1, 6, 800)
    groups = np.repeat(np.arange(800), sizes)
    values = np.repeat(random.normal(0.0, 1.0, 800), sizes)
    found = mean_with_interval(values, groups=groups, seed=0)
    # Linearised standard error of a ratio estimator (Cochran, Sampling Techniques, §6.3).
    residual = np.bincount(groups, weights=values) - values.mean() * sizes
    half = 1.96 * math.sqrt((residual**2).sum()) / len(values)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.15)


def test_the_same_seed_gives_the_same_interval_and_group_names_do_not_matter() -> None:
    probability, converted = draw(300, seed=3)
    rival = np.full(300, 0.2)
    groups = np.arange(300) // 3
    first = compare_log_loss(probability, rival, converted, groups=groups, seed=1)
    assert compare_log_loss(probability, rival, converted, groups=groups, seed=1) == first
    assert compare_log_loss(probability, rival, converted, groups=groups * 7 + 100, seed=1) == first
    assert compare_log_loss(probability, rival, converted, groups=groups, seed=2) != first


def test_a_reliability_table_by_hand() -> None:
    probability = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.8])
    converted = np.array([False, False, True, False, True, True])
    low, middle, high = reliability_table(probability, converted, bins=3)
    assert [row["n"] for row in (low, middle, high)] == [2, 2, 2]
    assert [row["said"] for row in (low, middle, high)] == pytest.approx([0.15, 0.35, 0.7])
    assert [row["seen"] for row in (low, middle, high)] == [0.0, 0.5, 1.0]
    assert (low["low"], high["high"]) == (0.0, 1.0)
    for row in (low, middle, high):
        exact = stats.binomtest(round(row["seen"] * 2), 2).proportion_ci(0.95, method="exact")
        assert (row["low"], row["high"]) == (pytest.approx(exact.low), pytest.approx(exact.high))


@pytest.mark.parametrize("seed", range(3))
def test_bins_of_a_reliability_table_hold_all_rows_and_split_no_tie(seed: int) -> None:
    random = np.random.default_rng(seed)
    probability = random.choice([0.05, 0.1, 0.11, 0.3, 0.7], 500, p=[0.5, 0.2, 0.1, 0.1, 0.1])
    converted = random.random(500) < probability
    table = reliability_table(probability, converted)
    assert sum(row["n"] for row in table) == 500
    assert sum(row["n"] * row["seen"] for row in table) == pytest.approx(converted.sum())
    assert sum(row["n"] * row["said"] for row in table) == pytest.approx(probability.sum())
    counts = np.unique(probability, return_counts=True)[1]
    ends = np.cumsum([row["n"] for row in table])
    assert set(ends) <= set(np.cumsum(counts))
    said = [row["said"] for row in table]
    assert said == sorted(said)
    assert len(said) >= 3


def test_bins_without_ties_hold_equally_many() -> None:
    table = reliability_table(np.linspace(0.01, 0.99, 1_000), np.arange(1_000) % 3 == 0)
    assert len(table) == 10
    assert {row["n"] for row in table} <= {99.0, 100.0, 101.0}


def test_a_reliability_table_of_one_constant_has_one_row() -> None:
    (row,) = reliability_table(np.full(40, 0.2), np.arange(40) < 10)
    assert (row["n"], row["seen"]) == (40, 0.25)
    assert row["said"] == pytest.approx(0.2)


def test_an_interval_is_said_with_four_digits() -> None:
    assert str(Interval(0.123456, -0.1, 1.0)) == "0.1235 [-0.1000, 1.0000]"


def test_a_slope_is_found_where_one_lead_lies_far_out() -> None:
    margin = np.random.default_rng(0).normal(-3.0, 0.01, 60)
    margin[0] = -20.0
    converted = np.zeros(60, dtype=bool)
    converted[[0, np.argmax(margin)]] = True
    slope = evaluate_probabilities(expit(margin), converted).calibration_slope
    plain = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(margin[:, None], converted)
    assert slope == pytest.approx(plain.coef_[0, 0], rel=1e-3)
