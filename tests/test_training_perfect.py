from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize
from scipy.special import expit

from training.evaluation.evaluate import evaluate_probabilities
from training.evaluation.perfect import Cells, draw_cells, fit_lines, smooth_errors


def smooth_error_by_integration(probability: np.ndarray, converted: np.ndarray) -> float:
    """Return smECE the long way: a Gaussian and its mirror images at 0 and 1, summed row by row on a fine grid."""
    grid = (np.arange(4_000) + 0.5) / 4_000
    miss = converted - probability

    def error(width: float) -> float:
        kernel = sum(
            np.exp(-(((grid[:, None] - (sign * probability + shift)) / width) ** 2) / 2)
            for shift in (-2, 0, 2)
            for sign in (1, -1)
        )
        return float(np.abs(kernel @ miss).sum() / (4_000 * len(miss) * width * np.sqrt(2 * np.pi)))

    return float(optimize.brentq(lambda width: error(width) - width, 0.003, 1.0, xtol=1e-7))


def alone(probability: np.ndarray, converted: np.ndarray, *, draws: int = 0, seed: int = 0) -> Cells:
    return draw_cells(probability, converted, leads=np.arange(len(probability)), seed=seed, draws=draws)


@pytest.mark.parametrize(
    ("bend", "middle"),
    [pytest.param(1.0, -2.0, id="calibrated"), pytest.param(2.0, -1.0, id="bold"), pytest.param(0.4, 0.0, id="timid")],
)
def test_the_smooth_error_is_that_of_direct_integration(bend: float, middle: float) -> None:
    random = np.random.default_rng(0)
    margin = random.normal(middle, 1.0, 400)
    probability, converted = expit(bend * margin), random.random(400) < expit(margin)
    cells = alone(probability, converted)
    expected = smooth_error_by_integration(probability, converted.astype(float))
    assert smooth_errors(cells, cells.wins[None])[0] == pytest.approx(expected, rel=0.01)


def test_two_constant_errors_by_hand() -> None:
    # one probability, far from both ends: smoothing only spreads the error, so it is |seen − said|
    probability, converted = np.full(1_000, 0.3), np.arange(1_000) < 380
    cells = alone(probability, converted)
    assert smooth_errors(cells, cells.wins[None])[0] == pytest.approx(0.08, abs=1e-4)


@pytest.mark.parametrize(
    ("middle", "rows", "floor", "ceiling"),
    [(-2.75, 2_000, 0.0156, 0.0191), (-2.75, 5_000, 0.0114, 0.0134), (-2.75, 20_000, 0.0072, 0.0086)],
)
def test_the_floor_of_a_perfect_model_is_the_one_measured_before(
    middle: float, rows: int, floor: float, ceiling: float
) -> None:
    # base rate 9 %; measured on other probabilities with the same base rate, so only about
    probability = expit(np.random.default_rng(1).normal(middle, 1.05, rows))
    cells = alone(probability, probability > 1, draws=200)
    drawn = smooth_errors(cells, cells.drawn)
    assert drawn.mean() == pytest.approx(floor, rel=0.1)
    assert np.quantile(drawn, 0.95) == pytest.approx(ceiling, rel=0.12)


@pytest.mark.parametrize("rows", [30, 3_000])
def test_cells_hold_every_row_from_the_lowest_up(rows: int) -> None:
    random = np.random.default_rng(2)
    probability = np.concatenate([[0.0, 1.0], random.beta(0.5, 5, rows)])
    converted = random.random(rows + 2) < 0.3
    cells = alone(probability, converted, draws=3)
    assert cells.rows.sum() == rows + 2
    assert cells.wins.sum() == converted.sum()
    assert cells.rows @ cells.said == pytest.approx(probability.sum())
    assert (np.diff(cells.said) > 0).all()
    assert (np.diff(cells.step) >= 0).all()
    assert (cells.drawn <= cells.rows).all()


def test_equal_probabilities_share_a_cell() -> None:
    probability = np.repeat([0.1, 0.1001, 0.5], [300, 300, 300])
    cells = alone(probability, np.zeros(900, dtype=bool))
    assert cells.rows.max() >= 300
    assert all(n % 300 == 0 for n in cells.rows.tolist())


def test_drawn_conversions_have_the_mean_and_the_spread_of_their_probabilities() -> None:
    probability = np.repeat(expit(np.random.default_rng(3).normal(-2, 1, 1_500)), 4)
    leads = np.repeat(np.arange(1_500), 4)
    expected, variance = probability.sum(), (probability * (1 - probability)).sum()
    for names, inflation in ((np.arange(6_000), 1.0), (leads, 4.0)):
        cells = draw_cells(probability, probability > 1, leads=names, seed=1, draws=800)
        totals = cells.drawn.sum(axis=1)
        assert cells.clustered == (inflation > 1)
        assert totals.mean() == pytest.approx(expected, abs=4 * np.sqrt(inflation * variance / 800))
        # rows of one lead that say the same stand or fall together: four times the variance
        assert totals.var() == pytest.approx(inflation * variance, rel=0.2)


def test_the_same_seed_draws_the_same_and_another_seed_does_not() -> None:
    probability = expit(np.random.default_rng(4).normal(-2, 1, 600))
    for leads in (np.arange(600), np.arange(600) // 3):
        one, two, other = (
            draw_cells(probability, probability > 1, leads=leads, seed=seed, draws=5).drawn for seed in (1, 1, 2)
        )
        np.testing.assert_array_equal(one, two)
        assert (one != other).any()


def test_lines_are_those_of_the_headline_numbers() -> None:
    random = np.random.default_rng(5)
    margin = random.normal(-2.0, 1.2, 5_000)
    probability, converted = expit(0.2 + 1.4 * margin), random.random(5_000) < expit(margin)
    cells, found = alone(probability, converted), evaluate_probabilities(probability, converted)
    slope, intercept = fit_lines(cells, cells.wins[None])
    assert slope[0] == pytest.approx(found.calibration_slope, abs=2e-3)
    assert intercept[0] == pytest.approx(found.calibration_intercept, abs=2e-3)


def test_a_constant_has_no_slope_and_outcomes_of_one_kind_have_no_line() -> None:
    cells = alone(np.full(100, 0.2), np.arange(100) < 30)
    slope, intercept = fit_lines(cells, cells.wins[None])
    assert np.isnan(slope[0])
    assert intercept[0] == pytest.approx(np.log(0.3 / 0.7) - np.log(0.2 / 0.8), abs=1e-9)
    spread = alone(np.linspace(0.1, 0.9, 50), np.zeros(50, dtype=bool))
    assert all(np.isnan(part).all() for part in fit_lines(spread, np.vstack([spread.wins, spread.rows])))
