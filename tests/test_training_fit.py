from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from models.columns import ModelColumn
from models.estimators import Estimator
from models.linear import Logistic
from small_models import COLUMNS, make_converted, make_data, make_frame
from training.fitting.boost import boosting_parameters, find_rounds, fit_bag, fit_trees
from training.fitting.design import Design
from training.fitting.fit import FitData, find_strength, fit_logistic

TREES = 80


def fit(kind: str, data: FitData) -> Estimator:
    return fit_logistic(data, strength=0.1) if kind == "logistic" else fit_trees(data, rounds=TREES, seed=0)


NUMBERS = tuple(ModelColumn(name, "number", name, name) for name in ("a", "b", "c"))


def numeric_data(rows: int, *, seed: int) -> FitData:
    random = np.random.default_rng(seed)
    matrix = random.normal([0.0, 100.0, -3.0], [1.0, 20.0, 0.1], (rows, 3))
    margin = -1.5 + 1.2 * matrix[:, 0] - 0.03 * (matrix[:, 1] - 100)
    return FitData(NUMBERS, matrix, (random.random(rows) < 1 / (1 + np.exp(-margin))).astype(float), np.arange(rows))


def with_column(data: FitData, values: np.ndarray, column: ModelColumn) -> FitData:
    return FitData((*data.columns, column), np.column_stack([data.matrix, values]), data.target, data.arrived)


def test_the_late_rows_are_those_of_the_last_leads_and_no_lead_is_on_both_sides() -> None:
    arrived = np.repeat(np.arange(20), 3)
    data = FitData((), np.empty((60, 0)), np.zeros(60), arrived)
    assert set(arrived[data.late()]) == {17, 18, 19}
    assert not set(arrived[data.late()]) & set(arrived[~data.late()])


def test_every_boosting_parameter_is_known_to_lightgbm_and_taken_as_given() -> None:
    data = make_data(300, seed=1)
    text = fit_trees(data, rounds=TREES, seed=5).text
    dump = dict(re.findall(r"^\[(\w+): (.*)\]$", text[text.index("\nparameters:") :], flags=re.MULTILINE))
    wanted = boosting_parameters(300, inputs=5, seed=5)
    assert wanted["seed"] == 5
    assert set(wanted) - set(dump) == set()
    for name, value in wanted.items():
        if isinstance(value, str):
            assert dump[name] == value
        else:
            assert float(dump[name]) == float(value), name  # type: ignore[arg-type]


@pytest.mark.parametrize(("rows", "leaf"), [(10, 20), (6_000, 20), (15_000, 50), (10**6, 100)])
def test_leaves_grow_with_the_history_within_bounds(rows: int, leaf: int) -> None:
    assert boosting_parameters(rows, inputs=5, seed=0)["min_data_in_leaf"] == leaf


def test_the_same_data_and_seed_give_the_same_trees_and_another_seed_others() -> None:
    data = make_data(400, seed=3)
    first = fit_trees(data, rounds=TREES, seed=1).text
    assert fit_trees(data, rounds=TREES, seed=1).text == first
    assert fit_trees(data, rounds=TREES, seed=2).text != first


def test_the_same_data_give_the_same_logistic_regression() -> None:
    data = make_data(400, seed=3)
    assert fit_logistic(data, strength=0.1) == fit_logistic(data, strength=0.1)


def test_fitting_leaves_its_data_as_they_were() -> None:
    data = make_data(200, seed=3)
    matrix, target = data.matrix.copy(), data.target.copy()
    fit_logistic(data, strength=0.1)
    fit_trees(data, rounds=TREES, seed=0)
    np.testing.assert_array_equal(data.matrix, matrix)
    np.testing.assert_array_equal(data.target, target)


@pytest.mark.parametrize("seed", range(3))
def test_the_logistic_regression_is_scikit_learns_on_lines_that_bend(seed: int) -> None:
    data = numeric_data(1_000, seed=seed)
    placed = (data.matrix - data.matrix.mean(axis=0)) / data.matrix.std(axis=0)
    parts = []
    for number in range(3):
        knots = np.quantile(placed[:, number], [0.25, 0.5, 0.75, 0.9])
        bent = np.maximum(placed[:, [number]] - knots, 0.0)
        parts += [placed[:, [number]], bent * (0.5 / bent.std(axis=0))]
    design = np.column_stack(parts)
    model = LogisticRegression(C=0.1, tol=1e-10, max_iter=5_000).fit(design, data.target)
    np.testing.assert_allclose(
        fit_logistic(data, strength=0.1).log_odds(data.matrix), model.decision_function(design), atol=2e-3
    )


def test_a_line_that_bends_fits_what_bends() -> None:
    random = np.random.default_rng(0)
    x = random.uniform(-3, 3, 6_000)
    truth = np.where(x < 0, -3.0, -3.0 + 1.5 * x)
    converted = random.random(6_000) < 1 / (1 + np.exp(-truth))
    data = FitData(NUMBERS[:1], x[:, None], converted.astype(float), np.arange(6_000))
    said = fit_logistic(data, strength=1.0).log_odds(np.array([[-2.5], [-0.5], [1.0], [2.5]]))
    np.testing.assert_allclose(said, [-3.0, -3.0, -1.5, 0.75], atol=0.35)


def test_the_strength_is_the_one_that_suits_the_late_leads() -> None:
    data = numeric_data(1_000, seed=2)
    losses = {}
    for strength in (0.003, 0.01, 0.03, 0.1, 0.3, 1.0):
        late = data.part(data.late())
        margin = fit_logistic(data.part(~data.late()), strength=strength).log_odds(late.matrix)
        losses[strength] = np.mean(np.logaddexp(0, margin) - late.target * margin)
    assert find_strength(data) == min(losses, key=losses.__getitem__)


def test_half_known_labels_weigh_as_much_as_they_are_probable() -> None:
    data = numeric_data(800, seed=3)
    half = np.where(np.arange(800) % 3 == 0, 0.25, data.target)
    twice = np.concatenate([np.arange(800), np.flatnonzero(half == 0.25).repeat(3)])
    labels = np.concatenate([np.where(half == 0.25, 1.0, half), np.zeros(len(twice) - 800)])
    four = FitData(NUMBERS, data.matrix[twice], labels, data.arrived[twice])
    # each half-known lead stands four times, once converted; so must the others
    whole = np.flatnonzero(half != 0.25).repeat(3)
    four = FitData(
        NUMBERS, np.vstack([four.matrix, data.matrix[whole]]), np.concatenate([labels, half[whole]]),
        np.concatenate([four.arrived, data.arrived[whole]]), weight=0.25,
    )  # fmt: skip
    soft = fit_logistic(FitData(NUMBERS, data.matrix, half, data.arrived), strength=0.1)
    hard = fit_logistic(four, strength=0.1)
    np.testing.assert_allclose(soft.log_odds(data.matrix), hard.log_odds(data.matrix), atol=0.02)


def test_rows_that_are_left_out_of_a_long_history_are_made_up_for() -> None:
    data = numeric_data(3_000, seed=1)
    thin = data.thin(500)
    assert len(thin.target) == 500
    assert thin.weight * 500 == pytest.approx(3_000)
    assert data.thin(3_000) is data


def test_a_model_looks_at_its_inputs_only() -> None:
    data = numeric_data(400, seed=1)
    other = data.matrix.copy()
    other[:, 1] += 50.0
    for model in (
        fit_logistic(replace(data, inputs=(0, 2)), strength=0.1),
        fit_trees(replace(data, inputs=(0, 2)), rounds=TREES, seed=0),
    ):
        assert np.array_equal(model.log_odds(other), model.log_odds(data.matrix))
        assert np.array_equal(model.contributions(data.matrix)[0][:, 1], np.zeros(400))


def test_more_trees_are_asked_for_where_there_is_more_to_say() -> None:
    random = np.random.default_rng(0)
    noise = FitData(NUMBERS, random.normal(0, 1, (600, 3)), (random.random(600) < 0.2).astype(float), np.arange(600))
    assert 1 <= find_rounds(noise, seed=0) < 40 < find_rounds(numeric_data(2_000, seed=1), seed=0)


def test_a_bag_is_the_mean_of_its_members_and_each_saw_other_accounts() -> None:
    data = numeric_data(600, seed=1)
    bag = fit_bag(data, data.arrived // 3, rounds=20, members=3, seed=4)
    assert len({part.text for part in bag.parts}) == 3  # type: ignore[union-attr]
    said = [part.log_odds(data.matrix) for part in bag.parts]
    np.testing.assert_allclose(bag.log_odds(data.matrix), np.mean(said, axis=0), atol=1e-12)
    again = fit_bag(data, data.arrived // 3, rounds=20, members=3, seed=4)
    assert again == bag


def test_the_base_is_the_log_odds_of_the_average_fitted_lead() -> None:
    data = make_data(500, seed=4)
    model = fit_logistic(data, strength=0.1)
    contributions, base = model.contributions(data.matrix)
    np.testing.assert_allclose(contributions.mean(axis=0), 0.0, atol=1e-12)
    assert base == pytest.approx(model.log_odds(data.matrix).mean(), abs=1e-12)


def test_skewed_numbers_enter_by_their_logarithm_and_even_ones_as_they_are() -> None:
    random = np.random.default_rng(0)
    matrix = np.column_stack([np.exp(random.normal(5, 2, 500)), random.normal(0, 1, 500), -random.random(500)])
    model = fit_logistic(
        FitData(NUMBERS, matrix, (random.random(500) < 0.3).astype(float), np.arange(500)), strength=0.1
    )
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
    model = fit(kind, data)
    log_odds = model.log_odds(data.matrix)
    assert np.isfinite(log_odds).all()
    assert np.corrcoef(log_odds, data.matrix[:, 0])[0, 1] > 0.5
    contributions, base = model.contributions(data.matrix)
    np.testing.assert_allclose(contributions.sum(axis=1) + base, log_odds, rtol=0, atol=1e-9)


@pytest.mark.parametrize("which", ["constant", "zero", "all missing", "one level", "only rare levels", "no level ever"])
@pytest.mark.parametrize("kind", ["logistic", "lightgbm"])
def test_a_column_that_never_varies_contributes_nothing(kind: str, which: str) -> None:
    data = with_column(numeric_data(300, seed=1), *odd_columns(300)[which])
    model = fit(kind, data)
    np.testing.assert_allclose(model.contributions(data.matrix)[0][:, 3], 0.0, atol=1e-12)


def test_an_all_missing_column_that_is_known_later_says_nothing_to_a_logistic_regression() -> None:
    data = with_column(numeric_data(300, seed=1), *odd_columns(300)["all missing"])
    later = data.matrix.copy()
    later[:, 3] = 1e6
    model = fit_logistic(data, strength=0.1)
    np.testing.assert_allclose(model.log_odds(later), model.log_odds(data.matrix), rtol=0, atol=1e-12)


def test_numbers_outside_the_fit_period_count_as_its_ends() -> None:
    data = numeric_data(300, seed=1)
    model = fit_logistic(data, strength=0.1)
    low, high = data.matrix.min(axis=0), data.matrix.max(axis=0)
    beyond = np.array([low - 1e6, high + 1e6])
    assert np.array_equal(model.log_odds(beyond), model.log_odds(np.array([low, high])))


@pytest.mark.parametrize("kind", ["logistic", "lightgbm"])
@pytest.mark.parametrize("places", [(100,), (295,), (0, 1, 299), tuple(range(298))], ids=len)
def test_very_few_outcomes_of_a_kind_still_give_a_finite_model_near_their_rate(
    kind: str, places: tuple[int, ...]
) -> None:
    data = numeric_data(300, seed=1)
    converted = np.isin(np.arange(300), places).astype(float)
    data = FitData(data.columns, data.matrix, converted, data.arrived)
    model = fit(kind, data)
    probability = 1 / (1 + np.exp(-model.log_odds(data.matrix)))
    assert np.isfinite(probability).all()
    assert probability.mean() == pytest.approx(converted.mean(), abs=0.02)


def test_noise_does_not_spread_the_probabilities_of_trees() -> None:
    random = np.random.default_rng(0)
    data = FitData(
        NUMBERS, random.normal(0, 1, (1_000, 3)), (random.random(1_000) < 0.1).astype(float), np.arange(1_000)
    )
    probability = 1 / (1 + np.exp(-fit_trees(data, rounds=TREES, seed=0).log_odds(random.normal(0, 1, (1_000, 3)))))
    assert probability.std() < 0.05
    assert probability.mean() == pytest.approx(0.1, abs=0.04)


def test_outcomes_drawn_from_another_seed_are_others() -> None:
    """The invented worlds of these tests do vary: else equal models would prove nothing."""
    frame = make_frame(200, seed=0)
    assert 10 < make_converted(frame, seed=1).sum() < 190
    assert (make_converted(frame, seed=1) != make_converted(frame, seed=2)).any()
    assert isinstance(fit_logistic(make_data(200, seed=1), strength=0.1), Logistic)
    assert len(fit_logistic(make_data(200, seed=1), strength=0.1).terms) == len(COLUMNS)


def test_a_design_of_some_rows_is_that_of_the_rows_taken_first() -> None:
    data = make_data(600, seed=9)
    rows = np.sort(np.random.default_rng(0).permutation(600)[:250])
    some, first = Design.of(data, rows), Design.of(data.part(rows))
    np.testing.assert_array_equal(some.inputs, first.inputs)
    numbers = np.linspace(-1.0, 1.0, some.inputs.shape[1] + 1)
    assert some.read(numbers) == first.read(numbers)
    np.testing.assert_allclose(first.read(numbers).log_odds(data.matrix[rows]), first.margin(numbers), atol=1e-4)
