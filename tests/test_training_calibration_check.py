from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from training.evaluation.calibration_check import CalibrationCheck, check_calibration
from training.evaluation.decomposition import decompose, recalibrate


def check(probability: np.ndarray, converted: np.ndarray, *, draws: int = 99, seed: int = 0) -> CalibrationCheck:
    rows = np.arange(len(probability))
    return check_calibration(probability, converted, leads=rows, groups=rows, seed=seed, draws=draws)


@pytest.fixture(scope="module")
def perfect() -> list[CalibrationCheck]:
    """Sixty perfect models of 1,000 leads."""
    random = np.random.default_rng(0)
    checks = []
    for seed in range(60):
        probability = expit(random.normal(-2, 1, 1_000))
        checks.append(check(probability, random.random(1_000) < probability, draws=59, seed=seed))
    return checks


@pytest.mark.parametrize("name", ["smooth_error", "miscalibration"])
def test_p_values_of_perfect_models_are_uniform(perfect: list[CalibrationCheck], name: str) -> None:
    p_values = [getattr(one, name).p_value for one in perfect]
    assert stats.kstest(p_values, "uniform").pvalue > 0.01
    assert sum(getattr(one, name).explained_by_chance for one in perfect) >= 51


def test_ranges_of_perfect_models_hold_ninety_five_per_cent_of_them(perfect: list[CalibrationCheck]) -> None:
    for name in ("slope", "intercept"):
        held = [getattr(one, name).low <= getattr(one, name).value <= getattr(one, name).high for one in perfect]
        assert np.mean(held) >= 0.87
    for name, truth in (("observed_over_expected", 1.0),):
        held = [getattr(one, name).low <= truth <= getattr(one, name).high for one in perfect]
        assert np.mean(held) >= 0.87


def test_the_band_holds_ninety_per_cent_of_the_curves_at_each_place(perfect: list[CalibrationCheck]) -> None:
    held = [
        np.average((one.curve.low <= one.curve.seen) & (one.curve.seen <= one.curve.high), weights=one.curve.rows)
        for one in perfect
    ]
    assert np.mean(held) == pytest.approx(0.9, abs=0.05)


def test_a_bold_model_is_found_out() -> None:
    random = np.random.default_rng(1)
    margin = random.normal(-2, 1, 6_000)
    found = check(expit(1.6 * margin + 0.5), random.random(6_000) < expit(margin))
    assert found.smooth_error.p_value == found.miscalibration.p_value == 0.01
    assert not found.smooth_error.explained_by_chance
    assert found.smooth_error.value > found.smooth_error.ceiling > found.smooth_error.floor
    assert found.slope.value < found.slope.low
    outside = (found.curve.seen < found.curve.low) | (found.curve.seen > found.curve.high)
    assert np.average(outside, weights=found.curve.rows) > 0.3


def test_level_is_what_was_seen_over_what_was_said() -> None:
    random = np.random.default_rng(2)
    probability = expit(random.normal(-2, 1, 4_000))
    converted = random.random(4_000) < 0.7 * probability
    found = check(probability, converted)
    assert found.said == pytest.approx(probability.mean())
    assert found.seen.value == pytest.approx(converted.mean())
    assert found.observed_over_expected.value == pytest.approx(converted.sum() / probability.sum())
    assert found.observed_over_expected.low < 0.7 < found.observed_over_expected.high < 1


def test_in_small_samples_the_curve_and_its_miscalibration_are_the_exact_ones() -> None:
    random = np.random.default_rng(3)
    probability = np.sort(random.choice([0.05, 0.1, 0.2, 0.4, 0.7], 300))
    converted = random.random(300) < probability
    found = check(probability, converted)
    np.testing.assert_allclose(
        np.repeat(found.curve.seen, found.curve.rows.astype(int)), recalibrate(probability, converted), atol=1e-12
    )
    exact = decompose(probability, converted, score="log_loss").miscalibration
    assert found.miscalibration.value == pytest.approx(exact, abs=1e-10)


def test_rows_of_one_lead_raise_the_floor() -> None:
    random = np.random.default_rng(4)
    probability = np.repeat(expit(random.normal(-2, 1, 800)), 5)
    leads = np.repeat(np.arange(800), 5)
    converted = np.repeat(random.random(800), 5) < probability
    together = check_calibration(probability, converted, leads=leads, groups=leads, seed=0)
    apart = check_calibration(probability, converted, leads=np.arange(4_000), groups=leads, seed=0)
    assert together.clustered
    assert not apart.clustered
    assert together.smooth_error.value == apart.smooth_error.value
    assert together.smooth_error.floor > 1.3 * apart.smooth_error.floor
    assert together.smooth_error.p_value > apart.smooth_error.p_value


def test_a_constant_without_a_conversion_is_checked_without_complaint() -> None:
    found = check(np.full(50, 0.02), np.zeros(50, dtype=bool))
    assert found.seen.value == 0.0
    assert np.isnan(found.slope.value)
    assert np.isnan(found.intercept.value)
    assert found.smooth_error.value == pytest.approx(0.02, abs=1e-3)


def test_the_same_seed_gives_the_same_check() -> None:
    random = np.random.default_rng(5)
    probability = expit(random.normal(-2, 1, 500))
    converted = random.random(500) < probability
    one, two, other = (check(probability, converted, seed=seed) for seed in (1, 1, 2))
    assert one.smooth_error == two.smooth_error != other.smooth_error
    np.testing.assert_array_equal(one.curve.low, two.curve.low)
