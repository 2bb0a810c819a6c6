"""What the choice between calibrators does: what it takes back, what it costs, and what it says of itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from invented_log_odds import choose_rows, draw, draw_positives, name_rows
from models.calibration import AffineCalibrator, Calibrator
from training.calibration.calibrate import CalibrationChoice, choose_calibrator

TRUTH = np.random.default_rng(99).normal(-2.75, 1.0, 50_000)  # true log-odds; 8 % convert
DISTORTIONS = {
    "right": lambda truth: truth,
    "nearly right": lambda truth: (truth + 2.6) / 0.95 - 2.55,
    "too bold": lambda truth: (truth + 2.6) / 0.61 - 2.6,
    "other classes weighed": lambda truth: truth + 2.4,
    "s-shaped": lambda truth: -2.4 + 1.3 * np.arcsinh(truth + 2.4),
    "strongly s-shaped": lambda truth: -2.4 + 2.0 * np.arcsinh(2.0 * (truth + 2.4)),
}


def excess_loss(calibrator: Calibrator, *, distortion: str) -> float:
    """Return the log loss above that of the truth, exactly, in 1e-4 nats a lead."""
    said = calibrator.calibrated(DISTORTIONS[distortion](TRUTH))
    loss = expit(TRUTH) * (TRUTH - said) - np.logaddexp(0, TRUTH) + np.logaddexp(0, said)
    return 1e4 * float(loss.mean())


def choose_distorted(leads: int, *, distortion: str, seed: int) -> CalibrationChoice:
    random = np.random.default_rng(seed)
    truth = random.normal(-2.75, 1.0, leads)
    return choose_rows(DISTORTIONS[distortion](truth), random.random(leads) < expit(truth))


@pytest.mark.parametrize(("leads", "numbers"), [(500, 1), (2_000, 2), (5_000, 2)])
def test_where_nothing_is_wrong_less_is_lost_than_the_numbers_that_may_be_fitted_cost(leads: int, numbers: int) -> None:
    found = [choose_distorted(leads, distortion="right", seed=seed) for seed in range(60)]
    lost = np.mean([excess_loss(choice.calibrator, distortion="right") for choice in found])
    assert lost < 1e4 * numbers / (2 * leads)
    assert np.mean([choice.kind == "nothing" for choice in found]) > 0.7


# the bounds, in 1e-4 nats a lead, are some twice what choices of such sizes leave on average
@pytest.mark.parametrize(
    ("distortion", "leads", "draws", "bound"),
    [
        ("too bold", 2_000, 20, 10.0),
        ("too bold", 5_000, 20, 5.0),
        ("too bold", 20_000, 8, 1.5),
        ("other classes weighed", 500, 20, 30.0),
        ("other classes weighed", 5_000, 20, 5.0),
        ("nearly right", 5_000, 20, 6.0),
        ("nearly right", 20_000, 8, 2.0),
        ("s-shaped", 40_000, 3, 2.5),
        ("strongly s-shaped", 40_000, 3, 3.0),
    ],
)
def test_a_distortion_is_taken_back_up_to_what_chance_costs(
    distortion: str, leads: int, draws: int, bound: float
) -> None:
    found = [choose_distorted(leads, distortion=distortion, seed=seed) for seed in range(draws)]
    assert np.mean([excess_loss(choice.calibrator, distortion=distortion) for choice in found]) < bound


@pytest.mark.parametrize("distortion", ["s-shaped", "strongly s-shaped"])
def test_a_spline_straightens_what_no_line_can(distortion: str) -> None:
    choice = choose_distorted(100_000, distortion=distortion, seed=1)
    assert choice.kind == "spline"
    raw = excess_loss(AffineCalibrator(0.0, 1.0), distortion=distortion)
    assert excess_loss(choice.calibrator, distortion=distortion) < 0.15 * raw


def test_a_parabola_is_chosen_for_a_parabola() -> None:
    random = np.random.default_rng(2)
    log_odds = random.normal(-2.0, 1.2, 60_000)
    choice = choose_rows(log_odds, random.random(60_000) < expit(log_odds + 0.1 * (log_odds + 2.0) ** 2))
    assert choice.kind in ("quadratic", "spline")
    inside = np.linspace(-4.5, 0.8, 50)
    np.testing.assert_allclose(
        choice.calibrator.calibrated(inside), inside + 0.1 * (inside + 2.0) ** 2, atol=0.15, rtol=0
    )


@settings(deadline=None, derandomize=True, max_examples=20)
@given(
    st.integers(0, 10_000),
    st.sampled_from([30, 300, 2_500, 5_000]),
    st.sampled_from([np.square, np.abs, np.sin, np.negative, lambda z: 3 * np.sin(3 * z), lambda z: 40 * z]),
)
def test_the_chosen_calibrator_rises_whatever_happened(seed: int, leads: int, shape: Callable) -> None:
    random = np.random.default_rng(seed)
    log_odds = random.standard_t(3, leads)
    choice = choose_rows(log_odds, random.random(leads) < expit(shape(log_odds)))
    places = np.linspace(-50, 50, 5_001)
    assert (np.diff(choice.calibrator.calibrated(places)) > 0).all()


@pytest.mark.parametrize("seed", range(20))
def test_where_conversion_falls_with_the_score_the_curve_is_flat_there_and_follows_elsewhere(seed: int) -> None:
    random = np.random.default_rng(seed)
    log_odds = random.uniform(-4.0, 2.0, 12_000)
    truth = np.where(log_odds < -1.0, -1.5 - 0.4 * (log_odds + 1.0), -1.5 + 1.2 * (log_odds + 1.0))
    calibrator = choose_rows(log_odds, random.random(12_000) < expit(truth)).calibrator
    grid = calibrator.calibrated(np.linspace(-6, 4, 2_001))
    assert (np.diff(grid) > 0).all()
    assert calibrator.calibrated(np.array([-3.5, -1.5])).tolist() == pytest.approx([-1.0, -1.0], abs=0.35)
    assert calibrator.calibrated(np.array([1.0]))[0] == pytest.approx(0.9, abs=0.25)


def test_a_choice_says_what_it_gained_and_what_it_may_cost() -> None:
    log_odds, converted = draw(10_000, intercept=0.4, slope=0.6, seed=3)
    choice = choose_rows(log_odds, converted)
    assert (choice.kind, choice.leads, choice.positives) == ("line", 10_000, int(converted.sum()))
    assert choice.numbers == pytest.approx(2.0, abs=0.1)
    assert choice.cost == pytest.approx(choice.numbers / 20_000)
    truth = 0.4 + 0.6 * log_odds
    possible = np.mean(expit(truth) * (truth - log_odds) - np.logaddexp(0, truth) + np.logaddexp(0, log_odds))
    assert choice.gain == pytest.approx(possible, rel=0.25)


def test_a_choice_to_do_nothing_says_what_the_best_of_the_others_would_have_gained() -> None:
    choice = choose_distorted(2_000, distortion="right", seed=1)
    assert (choice.kind, choice.numbers) == ("nothing", 0.0)
    assert choice.calibrator == AffineCalibrator(0.0, 1.0)
    assert choice.gain <= choice.cost


def test_looking_at_every_lead_six_times_changes_neither_gain_nor_cost() -> None:
    log_odds, converted = draw_positives(2_000, 400, slope=0.6)
    once = choose_rows(log_odds, converted)
    often = choose_calibrator(np.tile(log_odds, 6), np.tile(converted, 6), leads=np.tile(name_rows(2_000), 6))
    assert (often.gain, often.cost, often.positives, often.leads) == pytest.approx(
        (once.gain, once.cost, once.positives, once.leads), rel=1e-6
    )


def test_equal_weights_decide_as_none_do_but_for_the_pull_of_the_prior() -> None:
    log_odds, converted = draw(5_000, intercept=0.4, slope=0.6, seed=4)
    half = choose_calibrator(log_odds, converted, leads=name_rows(5_000), weight=np.full(5_000, 0.5))
    whole = choose_rows(log_odds, converted)
    assert (half.positives, half.leads, half.kind) == (whole.positives, whole.leads, whole.kind)
    assert half.calibrator.calibrated(np.array([-2.0]))[0] == pytest.approx(
        whole.calibrator.calibrated(np.array([-2.0]))[0], abs=0.01
    )


def test_rows_of_little_weight_hardly_speak() -> None:
    early, old = draw(20_000, intercept=1.0, slope=1.0, seed=5)
    late, new = draw(20_000, intercept=-0.5, slope=1.0, seed=6)
    weight = np.repeat([0.01, 1.0], 20_000)
    found = choose_calibrator(
        np.concatenate([early, late]), np.concatenate([old, new]), leads=name_rows(40_000), weight=weight
    )
    assert found.calibrator.calibrated(np.array([-2.0]))[0] == pytest.approx(-2.5, abs=0.1)
    assert found.leads == pytest.approx(20_000, rel=0.03)


def test_the_order_of_the_rows_and_a_second_run_change_nothing() -> None:
    log_odds, converted = draw(8_000, intercept=0.4, slope=0.6, seed=7)
    leads = np.array([f"lead-{row // 2}" for row in range(8_000)])
    first = choose_calibrator(log_odds, converted, leads=leads)
    assert choose_calibrator(log_odds, converted, leads=leads) == first
    shuffled = np.random.default_rng(8).permutation(8_000)
    other = choose_calibrator(log_odds[shuffled], converted[shuffled], leads=leads[shuffled])
    assert (other.kind, other.gain) == (first.kind, pytest.approx(first.gain, rel=1e-6))


@pytest.mark.parametrize("rows", [0, 1, 2, 9])
def test_a_handful_of_leads_is_no_error(rows: int) -> None:
    choice = choose_rows(np.linspace(-3, 1, rows), np.arange(rows) < 1)
    assert np.isfinite(choice.calibrator.calibrated(np.zeros(1))).all()
    assert choice.leads == rows


@pytest.mark.parametrize("weight", [0.0, -1.0, 1.5, np.nan])
def test_weights_must_be_shares_above_nothing(weight: float) -> None:
    with pytest.raises(ValueError, match="weights"):
        choose_calibrator(np.zeros(2), np.zeros(2, dtype=bool), leads=name_rows(2), weight=np.array([1.0, weight]))


def test_log_odds_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="found 1 that are not"):
        choose_rows(np.array([0.0, np.inf]), np.zeros(2, dtype=bool))
