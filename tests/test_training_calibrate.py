from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from models.calibration import AffineCalibrator, Calibrator
from training.calibration.calibrate import CalibrationChoice, choose_calibrator, fit_calibrator


def draw(rows: int, *, intercept: float, slope: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds z and outcomes whose true log-odds are intercept + slope · z."""
    random = np.random.default_rng(seed)
    log_odds = random.normal(-2.0, 1.2, rows)
    return log_odds, random.random(rows) < expit(intercept + slope * log_odds)


def draw_positives(rows: int, positives: int, *, slope: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds and exactly so many positives, drawn by slope · log-odds (Gumbel's trick)."""
    random = np.random.default_rng(3)
    log_odds = random.normal(-2.0, 1.2, rows)
    order = np.argsort(-(slope * log_odds + random.logistic(0, 1, rows)))
    return log_odds, np.isin(np.arange(rows), order[:positives])


def name_rows(rows: int) -> np.ndarray:
    return np.array([f"lead-{row}" for row in range(rows)])


def choose_rows(log_odds: np.ndarray, converted: np.ndarray) -> CalibrationChoice:
    """Choose where every row is a lead of its own."""
    return choose_calibrator(log_odds, converted, leads=name_rows(len(log_odds)))


def fit_rows(log_odds: np.ndarray, converted: np.ndarray) -> AffineCalibrator:
    """Fit where every row is a lead of its own and a straight line is known to do."""
    found = fit_calibrator(log_odds, converted, leads=name_rows(len(log_odds)))
    assert isinstance(found, AffineCalibrator)
    return found


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


@pytest.mark.parametrize(("intercept", "slope"), [(0.4, 0.6), (-0.8, 1.0), (0.3, 1.5), (0.0, 1.0)])
def test_a_known_distortion_is_recovered_from_a_large_sample(intercept: float, slope: float) -> None:
    found = fit_rows(*draw(60_000, intercept=intercept, slope=slope, seed=1))
    assert found.intercept == pytest.approx(intercept, abs=0.08)
    assert found.slope == pytest.approx(slope, abs=0.05)


def test_on_a_large_sample_the_priors_no_longer_matter() -> None:
    log_odds, converted = draw(60_000, intercept=0.4, slope=0.6, seed=2)
    free = LogisticRegression(C=np.inf, tol=1e-10).fit(log_odds[:, None], converted)
    found = fit_rows(log_odds, converted)
    assert found.intercept == pytest.approx(free.intercept_[0], abs=5e-3)
    assert found.slope == pytest.approx(free.coef_[0, 0], abs=2e-3)


@pytest.mark.parametrize("seed", range(5))
def test_log_odds_that_are_already_right_stay_nearly_as_they_are(seed: int) -> None:
    log_odds, converted = draw(5_000, intercept=0.0, slope=1.0, seed=seed)
    found = fit_rows(log_odds, converted)
    assert np.abs(found.probability(log_odds) - expit(log_odds)).max() < 0.06
    assert found.slope == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("positives", [0, 1, 30, 49])
def test_below_fifty_converted_leads_only_the_level_moves(positives: int) -> None:
    choice = choose_rows(*draw_positives(1_000, positives, slope=0.3))
    assert choice.kind == "level"
    assert isinstance(choice.calibrator, AffineCalibrator)
    assert choice.calibrator.slope == 1.0
    assert choice.calibrator.intercept < 0.0


def test_from_fifty_converted_leads_on_the_slope_may_move_too() -> None:
    assert fit_rows(*draw_positives(400, 50, slope=0.3)).slope < 0.99


def test_snapshots_of_one_lead_do_not_count_as_several_converted_leads() -> None:
    log_odds, converted = draw_positives(400, 40, slope=0.3)
    found = fit_calibrator(np.tile(log_odds, 6), np.tile(converted, 6), leads=np.tile(name_rows(400), 6))
    assert found.slope == 1.0


@pytest.mark.parametrize("positives", [30, 150, 400])
def test_looking_at_every_lead_six_times_says_no_more_than_looking_once(positives: int) -> None:
    log_odds, converted = draw_positives(2_000, positives, slope=0.6)
    once = fit_rows(log_odds, converted)
    often = fit_calibrator(np.tile(log_odds, 6), np.tile(converted, 6), leads=np.tile(name_rows(2_000), 6))
    assert often.intercept == pytest.approx(once.intercept, abs=1e-5)
    assert often.slope == pytest.approx(once.slope, abs=1e-5)
    assert abs(once.intercept) > 0.05


@pytest.mark.parametrize("positives", [100, 150, 400])
@pytest.mark.parametrize("slope", [0.3, 0.6])
def test_the_line_is_the_most_probable_one_under_a_prior_that_was_tried(positives: int, slope: float) -> None:
    log_odds, converted = draw_positives(1_500, positives, slope=slope)
    spread = log_odds - log_odds.mean()
    sign = np.where(converted, 1.0, -1.0)

    def best_line(priors: tuple[float, float]) -> tuple[float, float]:
        def loss(numbers: np.ndarray) -> float:
            margin = log_odds + numbers[0] * priors[0] + numbers[1] * priors[1] * spread
            return float(np.sum(np.log1p(np.exp(-sign * margin))) + (numbers**2).sum() / 2)

        options = {"xatol": 1e-8, "fatol": 1e-9, "maxiter": 2_000}
        best = optimize.minimize(loss, [0.0, 0.0], method="Nelder-Mead", options=options).x
        steepness = 1 + best[1] * priors[1]
        return best[0] * priors[0] + (1 - steepness) * log_odds.mean(), steepness

    found = fit_rows(log_odds, converted)
    tried = [(3.0, 0.5)] if positives >= 200 else [(0.5, 0.15), (3.0, 0.5)]
    assert any((found.intercept, found.slope) == pytest.approx(best_line(priors), abs=1e-3) for priors in tried)


@pytest.mark.parametrize("seed", range(5))
def test_with_some_thirty_positives_in_keeping_with_what_was_said_the_level_hardly_moves(seed: int) -> None:
    log_odds, converted = draw(180, intercept=0.0, slope=1.0, seed=seed)
    assert 15 <= converted.sum() < 50
    found = fit_rows(log_odds, converted)
    assert abs(found.intercept) < 0.3
    assert found.slope == 1.0


def test_between_fifty_and_two_hundred_positives_it_moves_less_than_a_free_fit_but_toward_it() -> None:
    log_odds, converted = draw_positives(1_500, 150, slope=0.3)
    free = LogisticRegression(C=np.inf, tol=1e-10).fit(log_odds[:, None], converted)
    found = fit_rows(log_odds, converted)
    assert free.coef_[0, 0] < found.slope < 1.0


@pytest.mark.parametrize("rows", [200, 1_000, 20_000])
def test_log_odds_that_point_the_wrong_way_never_turn_the_order_around(rows: int) -> None:
    log_odds, converted = draw(rows, intercept=-3.0, slope=-1.0, seed=7)
    assert fit_rows(log_odds, converted).slope > 0


def test_log_odds_that_point_the_wrong_way_still_get_the_right_level() -> None:
    log_odds, converted = draw(20_000, intercept=-3.0, slope=-1.0, seed=7)
    assert fit_rows(log_odds, converted).probability(log_odds).mean() == pytest.approx(converted.mean(), abs=0.02)


def test_a_constant_is_moved_to_the_rate_with_slope_one() -> None:
    found = fit_rows(np.full(10_000, -1.0), np.arange(10_000) < 700)
    assert found.slope == 1.0
    assert found.probability(np.array([-1.0]))[0] == pytest.approx(0.07, abs=2e-4)


@pytest.mark.parametrize("everybody", [True, False])
@pytest.mark.parametrize("rows", [1, 20, 5_000])
def test_outcomes_of_one_kind_only_give_a_finite_calibrator(everybody: bool, rows: int) -> None:
    log_odds = np.linspace(-3.0, 1.0, rows)
    found = fit_rows(log_odds, np.full(rows, everybody))
    probability = found.probability(log_odds)
    assert np.isfinite([found.intercept, found.slope]).all()
    assert found.slope > 0
    assert ((probability > 0) & (probability < 1)).all()


@pytest.mark.parametrize("scale", [0.01, 10.0])
def test_log_odds_of_any_size_are_taken_without_a_warning(scale: float) -> None:
    log_odds, converted = draw(5_000, intercept=0.0, slope=1.0, seed=8)
    found = fit_rows(log_odds * scale, converted)
    assert np.isfinite([found.intercept, found.slope]).all()
    assert found.probability(log_odds * scale).mean() == pytest.approx(converted.mean(), abs=0.02)


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
