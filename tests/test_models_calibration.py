from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.calibration import AffineCalibrator, logit

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
    assert json.loads(text) == {"intercept": -0.1 - 0.2, "slope": 1 / 3, "input": "log_odds"}
    assert AffineCalibrator.from_json(json.loads(text)) == calibrator


@pytest.mark.parametrize("rate", [1e-6, 0.05, 0.5, 0.93])
def test_logit_is_the_logarithm_of_the_odds(rate: float) -> None:
    assert logit(rate) == pytest.approx(math.log(rate) - math.log1p(-rate), rel=1e-12, abs=1e-15)
