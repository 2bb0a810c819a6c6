"""The fit of a level and of a line: what they recover, and how little they move where little is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from invented_log_odds import choose_rows, draw, draw_positives, name_rows
from models.calibration import AffineCalibrator
from training.calibration.calibrate import fit_calibrator


def fit_rows(log_odds: np.ndarray, converted: np.ndarray) -> AffineCalibrator:
    """Fit where every row is a lead of its own and a straight line is known to do."""
    found = fit_calibrator(log_odds, converted, leads=name_rows(len(log_odds)))
    assert isinstance(found, AffineCalibrator)
    return found


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
