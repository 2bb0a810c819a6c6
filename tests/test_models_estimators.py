from __future__ import annotations

import itertools
import math
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models.columns import encode_frame
from models.estimators import BaseRate
from models.linear import LinearTerm, Logistic
from small_models import COLUMNS, KINDS, make_data, make_frame, small_model
from training.fitting.boost import fit_trees
from training.fitting.fit import FitData, fit_logistic

FITTED = ("logistic", "lightgbm", "blend")


def test_the_invented_rows_hold_everything_that_can_go_wrong() -> None:
    matrix = encode_frame(make_frame(500, seed=20), COLUMNS)
    assert np.isnan(matrix[:, 1]).any()  # a missing number
    assert np.isnan(matrix[:, 3]).any()  # a missing or unseen level
    assert (matrix[:, 3] == 3).any()  # a rare level
    splits = small_model("lightgbm").estimator.booster.trees_to_dataframe()  # type: ignore[union-attr]
    assert (splits["decision_type"] == "==").any()  # the trees do split on categories


@pytest.mark.parametrize("kind", KINDS)
def test_contributions_and_base_add_up_to_the_log_odds(kind: str) -> None:
    model, frame = small_model(kind), make_frame(500, seed=20)
    contributions, base = model.contributions(frame)
    assert contributions.shape == (500, len(COLUMNS))
    np.testing.assert_allclose(contributions.sum(axis=1) + base, model.log_odds(frame), rtol=0, atol=1e-9)


def test_the_base_rate_says_the_same_of_everybody_and_gives_no_reason() -> None:
    model = small_model("base_rate")
    frame = make_frame(7, seed=0)
    np.testing.assert_array_equal(model.log_odds(frame), np.full(7, -1.75))
    np.testing.assert_array_equal(model.contributions(frame)[0], np.zeros((7, 5)))
    assert model.reasons(frame, language="en") == [([], [])] * 7
    expected = 1 / (1 + math.exp(0.125 + 0.9 * 1.75))
    np.testing.assert_allclose(model.probability(frame), expected, rtol=1e-14)


def test_contributions_of_boosted_trees_are_shap_values() -> None:
    with warnings.catch_warnings():
        # shap sets up its colour maps in a way that matplotlib 3.11 announces to retire; nothing of it is used here.
        warnings.filterwarnings("ignore", r"The set_(bad|over|under) function", category=PendingDeprecationWarning)
        # shap says that it now returns one array a class; both shapes are taken below.
        warnings.filterwarnings("ignore", "LightGBM binary classifier with TreeExplainer", category=UserWarning)
        import shap

        estimator = small_model("lightgbm").estimator
        matrix = encode_frame(make_frame(200, seed=20), COLUMNS)
        explainer = shap.TreeExplainer(estimator.booster)  # type: ignore[union-attr]
        values = np.asarray(explainer.shap_values(matrix))
        values = values[1] if values.ndim == 3 else values
        expected = float(np.ravel(explainer.expected_value)[-1])
    contributions, base = estimator.contributions(matrix)
    np.testing.assert_allclose(contributions, values, rtol=0, atol=1e-9)
    assert base == pytest.approx(expected, abs=1e-9)


def _goes_left(node: dict[str, Any], value: float) -> bool:
    if node["decision_type"] == "==":
        levels = {int(level) for level in node["threshold"].split("||")}
        return not math.isnan(value) and int(value) in levels
    if math.isnan(value) and node["missing_type"] == "NaN":
        return bool(node["default_left"])
    return (0.0 if math.isnan(value) else value) <= node["threshold"]


def _tree_mean(node: dict[str, Any], row: np.ndarray, known: frozenset[int]) -> float:
    """Mean of a tree where only some features are known: follow those, average the others by the rows they held."""
    if "leaf_value" in node:
        return float(node["leaf_value"])
    if node["split_feature"] in known:
        side = "left_child" if _goes_left(node, row[node["split_feature"]]) else "right_child"
        return _tree_mean(node[side], row, known)
    children = [node["left_child"], node["right_child"]]
    counts = [child.get("internal_count", child.get("leaf_count")) for child in children]
    means = [_tree_mean(child, row, known) for child in children]
    return float(np.average(means, weights=counts))


def _shapley(trees: list[dict[str, Any]], row: np.ndarray) -> np.ndarray:
    """Shapley values by their definition, over all coalitions."""
    n = len(row)
    coalitions = [frozenset(c) for size in range(n + 1) for c in itertools.combinations(range(n), size)]
    worth = {c: sum(_tree_mean(tree, row, c) for tree in trees) for c in coalitions}
    share = np.zeros(n)
    for feature in range(n):
        for c in coalitions:
            if feature not in c:
                weight = math.factorial(len(c)) * math.factorial(n - len(c) - 1) / math.factorial(n)
                share[feature] += weight * (worth[c | {feature}] - worth[c])
    return share


def test_contributions_of_boosted_trees_are_shapley_values_by_definition() -> None:
    data = make_data(400, seed=5)
    fewer = FitData(COLUMNS[1:4], data.matrix[:, 1:4], data.target, data.arrived)
    estimator = fit_trees(fewer, rounds=60, seed=1)
    trees = [tree["tree_structure"] for tree in estimator.booster.dump_model()["tree_info"]]
    rows = data.matrix[:25, 1:4]
    expected = np.array([_shapley(trees, row) for row in rows])
    assert np.isnan(rows).any()
    assert np.abs(expected).max(axis=0).min() > 0.01
    np.testing.assert_allclose(estimator.contributions(rows)[0], expected, rtol=0, atol=1e-6)
    by_hand = [sum(_tree_mean(tree, row, frozenset({0, 1, 2})) for tree in trees) for row in rows]
    np.testing.assert_allclose(estimator.log_odds(rows), by_hand, rtol=0, atol=1e-9)


def test_contributions_of_a_logistic_regression_are_coefficient_times_distance_from_the_mean() -> None:
    random = np.random.default_rng(0)
    matrix = random.normal([5.0, -2.0], [2.0, 0.5], (800, 2))
    converted = random.random(800) < 1 / (1 + np.exp(-(matrix[:, 0] - 5.0) + 1.5 * (matrix[:, 1] + 2.0)))
    matrix = np.round(matrix * 2) / 2  # few different values: lines stay straight
    model = fit_logistic(FitData(COLUMNS[:2], matrix, converted.astype(float), np.arange(800)), strength=0.1)
    mean = matrix.mean(axis=0)
    # The coefficients, read off the model as a black box: the step in log-odds when one number grows by one.
    start = model.log_odds(mean[None])[0]
    steps = [model.log_odds((mean + unit)[None])[0] - start for unit in np.array([[1.0, 0.0], [0.0, 0.5]])]
    coefficients = np.array(steps) / np.array([1.0, 0.5])
    assert coefficients[0] > 0.5
    assert coefficients[1] < -0.5
    contributions, base = model.contributions(matrix)
    np.testing.assert_allclose(contributions, coefficients * (matrix - mean), rtol=0, atol=1e-9)
    assert base == pytest.approx(start, abs=1e-9)


HAND_MADE = Logistic(
    -1.0,
    (
        LinearTerm("identity", (2.0,), missing_weight=0.3, mean=0.5, centre=10.0, scale=4.0, low=0.0, high=20.0),
        LinearTerm("log", (-1.5,), missing_weight=-0.2, mean=-0.1, centre=1.0, scale=2.0, low=-7.0, high=7.0),
        LinearTerm("levels", (0.4, -0.6, 0.1), missing_weight=0.05, mean=0.02),
    ),
)


def test_a_line_bends_at_its_knots() -> None:
    term = LinearTerm("identity", (1.0, -3.0, 2.0), 0.5, 0.0, 0.0, 2.0, -8.0, 8.0, knots=(0.0, 1.0))
    values = np.array([-10.0, -2.0, 1.0, 2.0, 6.0, 99.0, math.nan])
    np.testing.assert_allclose(term.contribution(values), [-4.0, -1.0, -1.0, -2.0, -2.0, -2.0, 0.5])


def test_trees_on_some_inputs_give_the_others_no_share() -> None:
    data = make_data(400, seed=5)
    trees = fit_trees(replace(data, inputs=(0, 2)), rounds=30, seed=1)
    shares, base = trees.contributions(data.matrix)
    assert shares.shape == data.matrix.shape
    assert np.array_equal(shares[:, [1, 3, 4]], np.zeros((400, 3)))
    np.testing.assert_allclose(shares.sum(axis=1) + base, trees.log_odds(data.matrix), rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("row", "shares"),
    [
        ([14.0, 0.0, 0.0], [2 * 1.0 - 0.5, -1.5 * -0.5 + 0.1, 0.4 - 0.02]),
        ([2.0, 7.0, 1.0], [2 * -2.0 - 0.5, -1.5 * (math.log(8) - 1) / 2 + 0.1, -0.6 - 0.02]),
        ([2.0, -7.0, 2.0], [2 * -2.0 - 0.5, -1.5 * (-math.log(8) - 1) / 2 + 0.1, 0.1 - 0.02]),
        ([99.0, -99.0, 2.0], [2 * 2.5 - 0.5, -1.5 * (-math.log(8) - 1) / 2 + 0.1, 0.1 - 0.02]),
        ([math.nan] * 3, [0.3 - 0.5, -0.2 + 0.1, 0.05 - 0.02]),
    ],
    ids=["plain", "log", "negative log", "clipped to the fit period", "missing"],
)
def test_a_hand_made_logistic_regression_gives_the_shares_worked_out_by_hand(
    row: list[float], shares: list[float]
) -> None:
    contributions, base = HAND_MADE.contributions(np.array([row]))
    np.testing.assert_allclose(contributions[0], shares, rtol=1e-14)
    assert base == -1.0
    np.testing.assert_allclose(HAND_MADE.log_odds(np.array([row])), [-1.0 + sum(shares)], rtol=1e-14)


def test_a_logistic_regression_is_the_same_after_its_readable_form() -> None:
    fitted = small_model("logistic").estimator
    assert isinstance(fitted, Logistic)
    assert Logistic.from_json(HAND_MADE.to_json()) == HAND_MADE
    assert Logistic.from_json(fitted.to_json()) == fitted


@pytest.mark.parametrize("kind", FITTED)
def test_a_row_scored_alone_equals_the_same_row_in_any_batch_bit_for_bit(kind: str) -> None:
    model, frame = small_model(kind), make_frame(150, seed=30)
    log_odds, probability = model.log_odds(frame), model.probability(frame)
    assert len(np.unique(log_odds)) > 100
    alone = [model.log_odds(frame.iloc[[row]])[0] for row in range(150)]
    assert np.array_equal(alone, log_odds)
    for size in range(1, 51):
        start = 2 * size
        assert np.array_equal(model.log_odds(frame.iloc[start : start + size]), log_odds[start : start + size])
        assert np.array_equal(model.probability(frame.iloc[start : start + size]), probability[start : start + size])


@pytest.mark.parametrize("kind", FITTED)
@pytest.mark.parametrize("size", [1, 7, 64, 1_999, 2_000, 2_001, 2_600])
def test_chunks_do_not_matter_even_when_threads_score_big_ones(kind: str, size: int) -> None:
    model, frame = small_model(kind), make_frame(2_700, seed=31)
    together = model.probability(frame)
    rows = 300 if size == 1 else 2_700
    chunks = [model.probability(frame.iloc[start : start + size]) for start in range(0, rows, size)]
    assert np.array_equal(np.concatenate(chunks)[:rows], together[:rows])


@pytest.mark.parametrize("kind", FITTED)
@pytest.mark.parametrize("rows", [50, 2_500])
def test_the_order_of_rows_does_not_matter(kind: str, rows: int) -> None:
    model, frame = small_model(kind), make_frame(rows, seed=32)
    shuffle = np.random.default_rng(0).permutation(rows)
    assert np.array_equal(model.log_odds(frame.iloc[shuffle]), model.log_odds(frame)[shuffle])
    assert np.array_equal(model.probability(frame.iloc[shuffle]), model.probability(frame)[shuffle])


@pytest.mark.parametrize("kind", FITTED)
@pytest.mark.parametrize("rows", [1, 17, 2_500])
def test_the_layout_of_the_matrix_in_memory_does_not_matter(kind: str, rows: int) -> None:
    estimator = small_model(kind).estimator
    matrix = encode_frame(make_frame(rows, seed=33), COLUMNS)
    expected = estimator.log_odds(matrix)
    wide = np.zeros((rows * 2, len(COLUMNS) * 3))
    wide[::2, ::3] = matrix
    for other in (np.asfortranarray(matrix), wide[::2, ::3]):
        assert np.array_equal(estimator.log_odds(other), expected)
        assert np.array_equal(estimator.contributions(other)[0], estimator.contributions(matrix)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_contributions_do_not_depend_on_the_batch(kind: str) -> None:
    model, frame = small_model(kind), make_frame(60, seed=34)
    together, base = model.contributions(frame)
    alone = [model.contributions(frame.iloc[[row]]) for row in range(60)]
    assert np.array_equal(np.vstack([share for share, _ in alone]), together)
    assert {found for _, found in alone} == {base}


@pytest.mark.parametrize("kind", KINDS)
def test_no_rows_give_no_answers(kind: str) -> None:
    model, nobody = small_model(kind), make_frame(5, seed=0).iloc[:0]
    assert model.probability(nobody).shape == (0,)
    contributions, base = model.contributions(nobody)
    assert contributions.shape == (0, len(COLUMNS))
    assert base == model.contributions(make_frame(5, seed=0))[1]
    assert model.reasons(nobody, language="en") == []
    assert model.flags(nobody) == []


def test_a_model_without_columns_gives_its_base() -> None:
    for estimator in (Logistic(-2.0, ()), BaseRate(-2.0)):
        assert estimator.log_odds(np.empty((3, 0))).tolist() == [-2.0] * 3
        assert estimator.contributions(np.empty((3, 0)))[0].shape == (3, 0)
