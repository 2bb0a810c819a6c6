from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.special import expit, logit

from models.calibration import AffineCalibrator
from models.sooner import Sooner, column_of
from small_models import make_frame, small_model

AT_AGE = ((-3.0, 0.1), (-1.0, -1.0), (0.3, 0.2))
TWO = Sooner(("7d", "30d"), (0.2, 0.6), (-1.4, 0.4), 0.5, "visits", (0.0, 10.0, 30.0), AT_AGE, 200)
UNTOLD = Sooner(("7d", "30d"), conversions=12)


def finite(size: float) -> st.SearchStrategy[float]:
    return st.floats(-size, size, allow_nan=False)


def test_shares_follow_the_formula() -> None:
    margin, age = np.array([-3.0, -1.0, 0.5]), np.array([0.0, 5.0, 30.0])
    at_age = np.array([[-3.0, -2.0, 0.3], [0.1, -0.45, 0.2]])
    expected = [expit(level + 0.5 * margin + shift) for level, shift in zip((-1.4, 0.4), at_age, strict=True)]
    np.testing.assert_allclose(TWO.share(margin, age), np.column_stack(expected), rtol=1e-14)


def test_ages_are_level_beyond_the_ends_and_nothing_where_not_known() -> None:
    margin = np.zeros(4)
    shares = TWO.share(margin, np.array([30.0, 400.0, np.nan, 0.0]))
    np.testing.assert_array_equal(shares[0], shares[1])
    np.testing.assert_allclose(shares[2], [expit(-1.4), expit(0.4)])
    np.testing.assert_array_equal(shares[2], TWO.share(margin, None)[0])


@given(
    start=finite(30),
    gaps=st.lists(st.floats(1e-12, 20, allow_nan=False), min_size=1, max_size=4),
    slope=finite(5),
    margins=st.lists(finite(40), min_size=1, max_size=8),
    at_age=finite(5),
    wider=st.floats(0, 20, allow_nan=False),
)
def test_a_longer_horizon_never_gets_less_and_none_more_than_the_whole(
    start: float, gaps: list[float], slope: float, margins: list[float], at_age: float, wider: float
) -> None:
    levels = np.array([start, *(start + np.cumsum(gaps))])
    assume(np.all(np.diff(levels) > 0))
    horizons = tuple(f"{place + 1}d" for place in range(len(levels)))
    shifts = tuple((at_age + wider * np.arange(len(levels))).tolist())
    pooled = tuple(((np.arange(len(levels)) + 1) / (len(levels) + 1)).tolist())
    sooner = Sooner(horizons, pooled, tuple(levels.tolist()), slope, "age", (0.0,), (shifts,), 90)
    margin = np.array(margins)
    whole = expit(margin)
    within = whole[:, None] * sooner.share(margin, np.zeros(len(margin)))
    assert (np.diff(np.column_stack([within, whole]), axis=1) >= 0).all()
    assert (within >= 0).all()


def test_a_lead_alone_gets_what_it_gets_in_a_batch_to_the_last_bit() -> None:
    random = np.random.default_rng(4)
    margin, age = random.normal(-2.0, 1.5, 501), random.uniform(0.0, 40.0, 501)
    together = TWO.share(margin, age)
    alone = [TWO.share(margin[place : place + 1], age[place : place + 1])[0] for place in range(501)]
    np.testing.assert_array_equal(together, np.array(alone))


def test_what_cannot_be_told_is_told_of_nobody() -> None:
    assert not UNTOLD.known
    assert np.isnan(UNTOLD.share(np.zeros(3), np.zeros(3))).all()


def test_a_shift_of_the_level_leaves_the_shares_of_every_lead_alone() -> None:
    margin, age = np.linspace(-4.0, 2.0, 20), np.linspace(0.0, 40.0, 20)
    np.testing.assert_allclose(TWO.shifted(0.7).share(margin + 0.7, age), TWO.share(margin, age), rtol=1e-12)


@pytest.mark.parametrize("sooner", [TWO, UNTOLD, replace(TWO, age_column="", ages=(), at_age=())])
def test_the_readable_form_gives_it_back(sooner: Sooner) -> None:
    assert Sooner.from_json(json.loads(json.dumps(sooner.to_json()))) == sooner


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"horizons": ("30d", "7d")}, "horizons must rise"),
        ({"horizons": ("7d", "7d")}, "horizons must rise"),
        ({"horizons": ()}, "horizons must rise"),
        ({"levels": (0.4, -1.4)}, "must be finite and rise"),
        ({"levels": (0.4, float("nan"))}, "must be finite and rise"),
        ({"levels": ()}, "as many as horizons, or none"),
        ({"pooled": (0.2, 1.0)}, "between 0 and 1"),
        ({"at_age": AT_AGE[:2]}, "a number for each horizon"),
        ({"at_age": ((0.1,), (0.2,), (0.3,))}, "a number for each horizon"),
        ({"at_age": (*AT_AGE[:2], (2.0, 0.1))}, "rise at every age"),
        ({"at_age": (*AT_AGE[:2], (float("nan"), 0.1))}, "rise at every age"),
        ({"age_column": ""}, "need the column"),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        replace(TWO, **change)


def test_a_model_multiplies_its_probability_with_the_share_of_its_calibrated_log_odds() -> None:
    model = replace(small_model("logistic"), sooner=TWO, calibrator=AffineCalibrator(-0.4, 0.8))
    frame = make_frame(300, seed=8)
    log_odds = model.log_odds(frame)
    said = model.within(frame, log_odds)
    assert tuple(said) == model.sooner_columns == ("probability_7d", "probability_30d")
    whole = model.probability(frame)
    share = TWO.share(logit(whole), frame["visits"].to_numpy())
    np.testing.assert_allclose(said["probability_30d"], whole * share[:, 1], rtol=1e-9)


def test_a_model_that_nobody_asked_has_no_columns() -> None:
    model, frame = small_model("logistic"), make_frame(3, seed=8)
    assert model.sooner_columns == ()
    assert model.within(frame, model.log_odds(frame)) == {}


def test_columns_are_named_after_the_horizon() -> None:
    assert column_of("36h") == "probability_36h"
