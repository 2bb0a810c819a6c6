from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from models.calibration import AffineCalibrator
from models.columns import ModelColumn
from models.estimators import BaseRate, Estimator, Logistic
from small_models import COLUMNS, make_converted, make_data, make_frame
from training.contenders import Contender, choose_contender, fit_contenders
from training.fit import FitData, boosting_parameters, fit_boosted, fit_logistic

NUMBERS = tuple(ModelColumn(name, "number", name, name) for name in ("a", "b", "c"))


def numeric_data(rows: int, *, seed: int) -> FitData:
    random = np.random.default_rng(seed)
    matrix = random.normal([0.0, 100.0, -3.0], [1.0, 20.0, 0.1], (rows, 3))
    margin = -1.5 + 1.2 * matrix[:, 0] - 0.03 * (matrix[:, 1] - 100)
    return FitData(NUMBERS, matrix, random.random(rows) < 1 / (1 + np.exp(-margin)), np.arange(rows))


def with_column(data: FitData, values: np.ndarray, column: ModelColumn) -> FitData:
    return FitData((*data.columns, column), np.column_stack([data.matrix, values]), data.converted, data.arrived)


def test_the_late_rows_are_those_of_the_last_leads_and_no_lead_is_on_both_sides() -> None:
    arrived = np.repeat(np.arange(20), 3)
    data = FitData((), np.empty((60, 0)), np.zeros(60, dtype=bool), arrived)
    assert set(arrived[data.late()]) == {17, 18, 19}
    assert not set(arrived[data.late()]) & set(arrived[~data.late()])


def test_every_boosting_parameter_is_known_to_lightgbm_and_taken_as_given() -> None:
    data = make_data(300, seed=1)
    text = fit_boosted(data, seed=5).text
    dump = dict(re.findall(r"^\[(\w+): (.*)\]$", text[text.index("\nparameters:") :], flags=re.MULTILINE))
    wanted = boosting_parameters(300, seed=5)
    assert wanted["seed"] == 5
    assert set(wanted) - set(dump) == set()
    for name, value in wanted.items():
        if isinstance(value, str):
            assert dump[name] == value
        else:
            assert float(dump[name]) == float(value), name  # type: ignore[arg-type]


@pytest.mark.parametrize(("rows", "leaf"), [(10, 20), (6_000, 20), (15_000, 50), (10**6, 100)])
def test_leaves_grow_with_the_history_within_bounds(rows: int, leaf: int) -> None:
    assert boosting_parameters(rows, seed=0)["min_data_in_leaf"] == leaf


def test_the_same_data_and_seed_give_the_same_trees_and_another_seed_others() -> None:
    data = make_data(400, seed=3)
    first = fit_boosted(data, seed=1).text
    assert fit_boosted(data, seed=1).text == first
    assert fit_boosted(data, seed=2).text != first


def test_the_same_data_give_the_same_logistic_regression() -> None:
    data = make_data(400, seed=3)
    assert fit_logistic(data) == fit_logistic(data)


def test_fitting_leaves_its_data_as_they_were() -> None:
    data = make_data(200, seed=3)
    matrix, converted = data.matrix.copy(), data.converted.copy()
    fit_logistic(data)
    fit_boosted(data, seed=0)
    np.testing.assert_array_equal(data.matrix, matrix)
    np.testing.assert_array_equal(data.converted, converted)


@pytest.mark.parametrize("seed", range(3))
def test_the_logistic_regression_is_scikit_learns_with_the_strength_that_suits_the_late_leads(seed: int) -> None:
    data = numeric_data(1_000, seed=seed)
    early, late = slice(None, 850), slice(850, None)

    def fit(rows: slice, strength: float) -> tuple[LogisticRegression, np.ndarray]:
        centre, scale = data.matrix[rows].mean(axis=0), data.matrix[rows].std(axis=0)
        low, high = data.matrix[rows].min(axis=0), data.matrix[rows].max(axis=0)
        shaped = (np.clip(data.matrix, low, high) - centre) / scale
        return LogisticRegression(C=strength, tol=1e-10, max_iter=2_000).fit(shaped[rows], data.converted[rows]), shaped

    losses = {}
    for strength in (0.001, 0.01, 0.1, 1.0):
        model, shaped = fit(early, strength)
        losses[strength] = log_loss(data.converted[late], model.predict_proba(shaped[late])[:, 1])
    model, shaped = fit(slice(None), min(losses, key=losses.__getitem__))
    np.testing.assert_allclose(fit_logistic(data).log_odds(data.matrix), model.decision_function(shaped), atol=1e-4)


def test_the_base_is_the_log_odds_of_the_average_fitted_lead() -> None:
    data = make_data(500, seed=4)
    model = fit_logistic(data)
    contributions, base = model.contributions(data.matrix)
    np.testing.assert_allclose(contributions.mean(axis=0), 0.0, atol=1e-12)
    assert base == pytest.approx(model.log_odds(data.matrix).mean(), abs=1e-12)


def test_skewed_numbers_enter_by_their_logarithm_and_even_ones_as_they_are() -> None:
    random = np.random.default_rng(0)
    matrix = np.column_stack([np.exp(random.normal(5, 2, 500)), random.normal(0, 1, 500), -random.random(500)])
    model = fit_logistic(FitData(NUMBERS, matrix, random.random(500) < 0.3, np.arange(500)))
    assert [term.transform for term in model.terms] == ["log", "identity", "identity"]


def odd_columns(rows: int) -> dict[str, tuple[np.ndarray, ModelColumn]]:
    half = np.where(np.arange(rows) % 2 == 0, 0.0, np.nan)
    number, category = ("x", "number", "x", "x"), ("x", "category", "x", "x")
    return {
        "constant": (np.full(rows, 7.0), ModelColumn(*number)),
        "zero": (np.zeros(rows), ModelColumn(*number)),
        "constant or missing": (half, ModelColumn(*number)),
        "all missing": (np.full(rows, np.nan), ModelColumn(*number)),
        "one level": (np.zeros(rows), ModelColumn(*category, frequent=("only",))),
        "one level or missing": (half, ModelColumn(*category, frequent=("only",))),
        "only rare levels": (np.zeros(rows), ModelColumn(*category, rare=("once", "twice"))),
        "no level ever": (np.full(rows, np.nan), ModelColumn(*category)),
        "huge": (np.where(np.arange(rows) == 5, 1e300, 1.0), ModelColumn(*number)),
        "one in a thousand": (np.where(np.arange(rows) == 5, 1.0, 0.0), ModelColumn(*number)),
    }


@pytest.mark.parametrize("which", odd_columns(1))
@pytest.mark.parametrize("kind", ["logistic", "lightgbm"])
def test_odd_columns_neither_stop_a_fit_nor_spoil_its_numbers(kind: str, which: str) -> None:
    data = with_column(numeric_data(300, seed=1), *odd_columns(300)[which])
    model: Estimator = fit_logistic(data) if kind == "logistic" else fit_boosted(data, seed=0)
    log_odds = model.log_odds(data.matrix)
    assert np.isfinite(log_odds).all()
    assert np.corrcoef(log_odds, data.matrix[:, 0])[0, 1] > 0.5
    contributions, base = model.contributions(data.matrix)
    np.testing.assert_allclose(contributions.sum(axis=1) + base, log_odds, rtol=0, atol=1e-9)


@pytest.mark.parametrize("which", ["constant", "zero", "all missing", "one level", "only rare levels", "no level ever"])
@pytest.mark.parametrize("kind", ["logistic", "lightgbm"])
def test_a_column_that_never_varies_contributes_nothing(kind: str, which: str) -> None:
    data = with_column(numeric_data(300, seed=1), *odd_columns(300)[which])
    model: Estimator = fit_logistic(data) if kind == "logistic" else fit_boosted(data, seed=0)
    np.testing.assert_allclose(model.contributions(data.matrix)[0][:, 3], 0.0, atol=1e-12)


def test_an_all_missing_column_that_is_known_later_says_nothing_to_a_logistic_regression() -> None:
    data = with_column(numeric_data(300, seed=1), *odd_columns(300)["all missing"])
    later = data.matrix.copy()
    later[:, 3] = 1e6
    model = fit_logistic(data)
    np.testing.assert_allclose(model.log_odds(later), model.log_odds(data.matrix), rtol=0, atol=1e-12)


def test_numbers_outside_the_fit_period_count_as_its_ends() -> None:
    data = numeric_data(300, seed=1)
    model = fit_logistic(data)
    low, high = data.matrix.min(axis=0), data.matrix.max(axis=0)
    beyond = np.array([low - 1e6, high + 1e6])
    assert np.array_equal(model.log_odds(beyond), model.log_odds(np.array([low, high])))


@pytest.mark.parametrize("kind", ["logistic", "lightgbm"])
@pytest.mark.parametrize("places", [(100,), (295,), (0, 1, 299), tuple(range(298))], ids=len)
def test_very_few_outcomes_of_a_kind_still_give_a_finite_model_near_their_rate(
    kind: str, places: tuple[int, ...]
) -> None:
    data = numeric_data(300, seed=1)
    converted = np.isin(np.arange(300), places)
    data = FitData(data.columns, data.matrix, converted, data.arrived)
    model: Estimator = fit_logistic(data) if kind == "logistic" else fit_boosted(data, seed=0)
    probability = 1 / (1 + np.exp(-model.log_odds(data.matrix)))
    assert np.isfinite(probability).all()
    assert probability.mean() == pytest.approx(converted.mean(), abs=0.02)


def test_noise_does_not_spread_the_probabilities_of_trees() -> None:
    random = np.random.default_rng(0)
    data = FitData(NUMBERS, random.normal(0, 1, (1_000, 3)), random.random(1_000) < 0.1, np.arange(1_000))
    probability = 1 / (1 + np.exp(-fit_boosted(data, seed=0).log_odds(random.normal(0, 1, (1_000, 3)))))
    assert probability.std() < 0.05
    assert probability.mean() == pytest.approx(0.1, abs=0.04)


def snapshots_of(converted: np.ndarray) -> pd.DataFrame:
    names = [f"lead-{row}" for row in range(len(converted))]
    return pd.DataFrame({"lead_id": names, "group_id": names, "converted": converted})


def test_contenders_are_base_rate_logistic_and_trees_in_this_order() -> None:
    data, later = make_data(400, seed=1), make_data(300, seed=8)
    found, notes = fit_contenders(data, snapshots_of(later.converted), later.matrix, seed=0)
    assert [contender.name for contender in found] == ["base_rate", "logistic", "lightgbm"]
    assert notes == []
    for contender in found:
        said = contender.probability(later.matrix)
        assert said.mean() == pytest.approx(later.converted.mean(), abs=0.03)
    # The trend in make_converted is linear and strong: both models beat the base rate out of sample.
    assert max(found[1].calibrate_loss, found[2].calibrate_loss) < found[0].calibrate_loss


@pytest.mark.parametrize(("positives", "expected"), [(19, 1), (20, 3)])
def test_below_twenty_conversions_nothing_but_the_base_rate_is_told(positives: int, expected: int) -> None:
    data, later = numeric_data(300, seed=1), numeric_data(200, seed=2)
    few = np.isin(np.arange(300), np.arange(0, 300, 15)[:positives])
    data = FitData(data.columns, data.matrix, few, data.arrived)
    found, notes = fit_contenders(data, snapshots_of(later.converted), later.matrix, seed=0)
    assert len(found) == expected
    assert [("Only 19 conversions" in note) for note in notes] == ([True] if expected == 1 else [])


def test_a_calibration_period_without_any_conversion_still_gives_contenders() -> None:
    data, later = make_data(300, seed=1), make_data(100, seed=2)
    found, _ = fit_contenders(data, snapshots_of(np.zeros(100, dtype=bool)), later.matrix, seed=0)
    assert len(found) == 3
    for contender in found:
        probability = contender.probability(later.matrix)
        assert ((probability > 0) & (probability < 1)).all()
        raw = 1 / (1 + np.exp(-contender.estimator.log_odds(later.matrix)))
        assert probability.mean() <= raw.mean()


def test_the_lowest_loss_is_chosen_and_the_simpler_contender_if_they_tie() -> None:
    def contender(name: str, loss: float) -> Contender:
        return Contender(name, BaseRate(0.0), AffineCalibrator(0.0, 1.0), loss)

    simple, middle, rich = contender("simple", 0.3), contender("middle", 0.2), contender("rich", 0.2)
    assert choose_contender([simple, middle, rich]).name == "middle"
    assert choose_contender([simple, contender("rich", 0.3)]).name == "simple"


def test_outcomes_drawn_from_another_seed_are_others() -> None:
    """The invented worlds of these tests do vary: else equal models would prove nothing."""
    frame = make_frame(200, seed=0)
    assert 10 < make_converted(frame, seed=1).sum() < 190
    assert (make_converted(frame, seed=1) != make_converted(frame, seed=2)).any()
    assert isinstance(fit_logistic(make_data(200, seed=1)), Logistic)
    assert len(fit_logistic(make_data(200, seed=1)).terms) == len(COLUMNS)
