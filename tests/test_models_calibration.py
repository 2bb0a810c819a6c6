from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.interpolate import PchipInterpolator

from models.calibration import (
    AffineCalibrator,
    Calibrator,
    QuadraticCalibrator,
    SplineCalibrator,
    logit,
    read_calibrator,
)

numbers = st.floats(-30, 30, allow_nan=False)


@pytest.mark.parametrize(("intercept", "slope"), [(0.0, 1.0), (-0.7, 0.4), (2.5, 3.0)])
def test_a_probability_is_the_logistic_function_of_a_line_in_log_odds(intercept: float, slope: float) -> None:
    log_odds = np.array([-5.0, -0.3, 0.0, 1.0, 4.2])
    expected = [1 / (1 + math.exp(-(intercept + slope * z))) for z in log_odds]
    np.testing.assert_allclose(AffineCalibrator(intercept, slope).probability(log_odds), expected, rtol=1e-14)


@settings(deadline=None, derandomize=True)
@given(numbers, st.floats(1e-3, 10), st.lists(numbers, min_size=2, max_size=30))
def test_a_calibrator_never_changes_the_order(intercept: float, slope: float, log_odds: list[float]) -> None:
    probability = AffineCalibrator(intercept, slope).probability(np.sort(np.array(log_odds)))
    assert (np.diff(probability) >= 0).all()
    assert (probability >= 0).all()
    assert (probability <= 1).all()


def test_higher_log_odds_have_strictly_higher_probability() -> None:
    probability = AffineCalibrator(-1.0, 0.05).probability(np.linspace(-20, 20, 2_001))
    assert (np.diff(probability) > 0).all()


@pytest.mark.parametrize("slope", [0.0, -0.0, -1.0, math.nan])
def test_a_slope_must_be_positive(slope: float) -> None:
    with pytest.raises(ValueError, match="slope must be positive"):
        AffineCalibrator(0.0, slope)


def test_the_readable_form_names_its_input_and_keeps_every_digit() -> None:
    calibrator = AffineCalibrator(-0.1 - 0.2, 1 / 3)
    text = json.dumps(calibrator.to_json())
    assert json.loads(text) == {"intercept": -0.1 - 0.2, "slope": 1 / 3, "input": "log_odds", "kind": "affine"}
    assert AffineCalibrator.from_json(json.loads(text)) == calibrator


BENT = [
    AffineCalibrator(-0.3, 0.8),
    QuadraticCalibrator(-0.3, 0.9, 0.12, low=-3.5, high=2.0),
    QuadraticCalibrator(0.2, 0.9, -0.15, low=-4.0, high=2.5),
    SplineCalibrator(-5.0, 2.0, (-4.0, -3.5, -2.5, -2.0, -1.4, -0.4, 0.2, 0.8)),
    SplineCalibrator(-1e-3, 1e-3, (-2.0, 0.0, 2.0)),
]


# hardly rising somewhere, where rounding errors are larger than the rise from one floating-point number to the next
FLAT = [
    QuadraticCalibrator(0.3, 0.402, -0.1, low=-4.0, high=2.0),
    QuadraticCalibrator(-1.3, 0.806, 0.1, low=-4.0, high=2.0),
    SplineCalibrator(-4.0, 2.0, (-3.0, -2.99, -2.98, -2.97, -2.96, -2.95, -2.94)),
    SplineCalibrator(-4.0, 2.0, (-3.0, -2.6, -2.3, -2.1, -2.0, -1.95, -1.94)),
]


@st.composite
def calibrators(draw: st.DrawFn) -> Calibrator:
    """Any bent calibrator that may be made, from nearly flat to steep."""
    low, width = draw(st.floats(-8, 4)), draw(st.floats(0.01, 8))
    slopes = st.floats(2e-3, 4)
    if draw(st.booleans()):
        at_low, at_high = draw(slopes), draw(slopes)
        curve = (at_high - at_low) / (2 * width)
        return QuadraticCalibrator(draw(numbers), at_low - 2 * curve * low, curve, low=low, high=low + width)
    steps = draw(st.lists(st.floats(0.5, 1.5), min_size=2, max_size=9))
    values = draw(numbers) + np.concatenate([[0.0], np.cumsum(steps)]) * draw(slopes) * width / len(steps)
    spline = (low, low + width, tuple(float(value) for value in values))
    try:
        return SplineCalibrator(*spline)
    except ValueError:
        assume(False)
        raise


@st.composite
def touching(draw: st.DrawFn) -> np.ndarray:
    """Sorted log-odds, many of which are as near to each other as floating-point numbers can be."""
    found = draw(st.lists(st.floats(-20, 20, allow_nan=False), min_size=1, max_size=10))
    for _ in range(draw(st.integers(0, 20))):
        found.append(float(np.nextafter(found[-1], 99)))
    return np.sort(np.array(found))


@settings(deadline=None, derandomize=True, max_examples=300)
@given(calibrators(), touching())
def test_bent_calibrators_never_change_the_order_not_even_of_neighbouring_numbers(
    calibrator: Calibrator, log_odds: np.ndarray
) -> None:
    assert (np.diff(calibrator.calibrated(log_odds)) >= 0).all()
    probability = calibrator.probability(log_odds)
    assert (np.diff(probability) >= 0).all()
    assert (probability >= 0).all()
    assert (probability <= 1).all()


@pytest.mark.parametrize("calibrator", FLAT, ids=repr)
def test_rounding_never_turns_two_numbers_around(calibrator: Calibrator) -> None:
    for start in np.random.default_rng(0).uniform(calibrator.low - 0.5, calibrator.high + 0.5, 300):
        neighbours = start + np.spacing(abs(start)) * np.arange(200)
        assert (np.diff(calibrator.calibrated(neighbours)) >= 0).all()


@settings(deadline=None, derandomize=True)
@given(calibrators(), st.lists(st.floats(-20, 20), min_size=1, max_size=30))
def test_a_row_does_not_depend_on_the_rows_beside_it(calibrator: Calibrator, log_odds: list[float]) -> None:
    together = calibrator.probability(np.array(log_odds))
    assert together.tolist() == [float(calibrator.probability(np.array([one]))[0]) for one in log_odds]


@pytest.mark.parametrize("calibrator", BENT, ids=repr)
def test_higher_log_odds_have_strictly_higher_calibrated_log_odds(calibrator: Calibrator) -> None:
    assert (np.diff(calibrator.calibrated(np.linspace(-20, 20, 20_001))) > 0).all()


@pytest.mark.parametrize("calibrator", BENT[1:], ids=repr)
def test_beyond_its_range_a_calibrator_goes_on_as_the_line_it_ends_with(calibrator: Calibrator) -> None:
    assert not isinstance(calibrator, AffineCalibrator)
    for end, way in ((calibrator.low, -1.0), (calibrator.high, 1.0)):
        beyond = calibrator.calibrated(end + way * np.array([0.0, 1.0, 2.0, 10.0]))
        slope = (beyond[1] - beyond[0]) * way
        np.testing.assert_allclose(beyond, beyond[0] + slope * way * np.array([0, 1, 2, 10]), atol=1e-8, rtol=1e-9)
        step = 1e-6
        inside = calibrator.calibrated(np.array([end, end - way * step]))
        assert (inside[0] - inside[1]) * way / step == pytest.approx(slope, rel=0.02)


@pytest.mark.parametrize("curve", [0.12, -0.12, 0.0])
def test_a_quadratic_is_the_parabola_inside_its_range(curve: float) -> None:
    log_odds = np.linspace(-3.5, 2.0, 101)
    found = QuadraticCalibrator(-0.3, 0.95, curve, low=-3.5, high=2.0).calibrated(log_odds)
    np.testing.assert_allclose(found, -0.3 + 0.95 * log_odds + curve * log_odds**2, atol=1e-13)


def test_a_spline_goes_through_its_values_smoothly_and_bends_least_of_all_such_curves() -> None:
    spline = SplineCalibrator(-4.0, 2.0, (-3.0, -2.0, 0.5, 1.5))
    np.testing.assert_allclose(spline.calibrated(spline.knots), spline.values, atol=1e-9)
    log_odds = np.linspace(-4.0, 2.0, 1_201)
    bends = [
        float(np.sum(np.diff(curve, 2) ** 2))
        for curve in (spline.calibrated(log_odds), PchipInterpolator(spline.knots, spline.values)(log_odds))
    ]
    assert bends[0] < bends[1]
    slope = np.diff(spline.calibrated(log_odds)) / 0.005
    assert np.abs(np.diff(slope)).max() < 0.02


def test_a_spline_knows_its_smallest_slope() -> None:
    spline = SplineCalibrator(-5.0, 2.0, (-4.0, -3.5, -2.5, -2.0, -1.4, -0.4, 0.2, 0.8))
    slopes = np.diff(spline.calibrated(np.linspace(-6, 3, 90_001))) / 1e-4
    assert spline.least_slope == pytest.approx(slopes.min(), abs=1e-3)


@pytest.mark.parametrize("calibrator", BENT, ids=repr)
def test_every_kind_is_read_back_as_it_was_written(calibrator: Calibrator) -> None:
    content = json.loads(json.dumps(calibrator.to_json()))
    assert read_calibrator(content) == calibrator
    assert content["kind"] == calibrator.kind
    assert sum(isinstance(value, float) for value in content.values()) + len(content.get("values", ())) <= 12


def test_a_manifest_without_a_kind_is_of_the_time_when_all_were_affine() -> None:
    older = {"intercept": -0.25, "slope": 0.5, "input": "log_odds"}
    assert read_calibrator(older) == AffineCalibrator(-0.25, 0.5)


@pytest.mark.parametrize("calibrator", BENT, ids=repr)
@pytest.mark.parametrize("change", [{"input": "probability"}, {"kind": "isotonic"}])
def test_what_this_version_cannot_take_is_refused(calibrator: Calibrator, change: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"found 'probability'|unknown calibrator 'isotonic'"):
        read_calibrator({**calibrator.to_json(), **change})


@pytest.mark.parametrize("calibrator", BENT, ids=repr)
def test_a_shifted_calibrator_has_all_its_log_odds_moved(calibrator: Calibrator) -> None:
    log_odds = np.linspace(-9, 9, 77)
    moved = calibrator.shifted(-0.4).calibrated(log_odds)
    np.testing.assert_allclose(moved, calibrator.calibrated(log_odds) - 0.4, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: QuadraticCalibrator(0.0, 1.0, 0.2, low=-3.0, high=1.0), "must rise"),
        (lambda: QuadraticCalibrator(0.0, 1.0, -0.6, low=-3.0, high=1.0), "must rise"),
        (lambda: QuadraticCalibrator(0.0, math.nan, 0.0, low=-3.0, high=1.0), "must rise"),
        (lambda: QuadraticCalibrator(0.0, 1.0, 0.0, low=1.0, high=1.0), "range"),
        (lambda: QuadraticCalibrator(0.0, 1.0, 0.0, low=-math.inf, high=1.0), "range"),
        (lambda: SplineCalibrator(-3.0, 1.0, (0.0, -1.0, 1.0)), "must rise"),
        (lambda: SplineCalibrator(-3.0, 1.0, (0.0, 0.01, 9.0, 9.01)), "must rise"),
        (lambda: SplineCalibrator(-3.0, 1.0, (0.0, 1.0)), "3 to 10"),
        (lambda: SplineCalibrator(-3.0, 1.0, tuple(map(float, range(11)))), "3 to 10"),
        (lambda: SplineCalibrator(-3.0, 1.0, (0.0, math.nan, 1.0)), "finite"),
        (lambda: SplineCalibrator(1.0, -3.0, (0.0, 1.0, 2.0)), "range"),
    ],
)
def test_a_calibrator_that_falls_or_has_no_range_cannot_be_made(make: Callable[[], Calibrator], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("rate", [1e-6, 0.05, 0.5, 0.93])
def test_logit_is_the_logarithm_of_the_odds(rate: float) -> None:
    assert logit(rate) == pytest.approx(math.log(rate) - math.log1p(-rate), rel=1e-12, abs=1e-15)
