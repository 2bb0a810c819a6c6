from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.breakdown import Breakdown, group_places, take_apart
from models.calibration import AffineCalibrator, Calibrator, QuadraticCalibrator, SplineCalibrator
from models.columns import ModelColumn, encode_frame
from models.estimators import BaseRate, Blend
from models.linear import LinearTerm, Logistic
from models.reasons import find_reasons
from models.wording import Wording
from small_models import COLUMNS, KINDS, make_frame, small_model

CURVES: list[Calibrator] = [
    AffineCalibrator(-0.2, 1.1),
    QuadraticCalibrator(0.1, 1.0, 0.1, low=-4.0, high=2.0),
    SplineCalibrator(-3.0, 1.0, (-2.5, -1.2, 0.9)),
]


def grouped(name: str, group: str) -> Wording:
    return Wording("lead value", name, name, group, f"Group {group}", f"Группа {group}")


TWO_GROUPS = tuple(
    replace(column, wording=grouped(column.name, "what it did" if place < 2 else column.name))
    for place, column in enumerate(COLUMNS)
)


@pytest.mark.parametrize("kind", KINDS)
def test_base_and_groups_add_up_to_the_log_odds_for_every_kind_of_model(kind: str) -> None:
    model = small_model(kind)
    frame = make_frame(300, seed=4)
    apart = take_apart(model.estimator, encode_frame(frame, COLUMNS), TWO_GROUPS)
    np.testing.assert_allclose(apart.base + apart.by_group.sum(axis=1), model.log_odds(frame), rtol=0, atol=1e-9)
    assert apart.by_group.shape == (300, 4)
    np.testing.assert_allclose(apart.by_group[:, 0], apart.contributions[:, :2].sum(axis=1), atol=1e-12)


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.kind)
@pytest.mark.parametrize("kind", KINDS)
def test_points_and_the_typical_lead_add_up_to_the_calibrated_probability(kind: str, curve: Calibrator) -> None:
    model = replace(small_model(kind), calibrator=curve)
    frame = make_frame(300, seed=5)
    points, start = model.take_apart(frame).points(curve)
    np.testing.assert_allclose(start + points.sum(axis=1), model.probability(frame), rtol=0, atol=1e-9)


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.kind)
def test_points_have_the_signs_and_the_order_of_the_contributions(curve: Calibrator) -> None:
    apart = small_model("blend").take_apart(make_frame(200, seed=6))
    points, _ = apart.points(curve)
    assert np.array_equal(np.sign(points), np.sign(apart.by_group))
    assert np.array_equal(np.argsort(points, axis=1), np.argsort(apart.by_group, axis=1))


def test_a_lead_like_the_typical_one_is_told_along_the_tangent() -> None:
    columns = (ModelColumn("a", "number", "A", "A"), ModelColumn("b", "number", "B", "B"))
    shares = np.array([[0.4, -0.4]])
    apart = Breakdown(np.array([-1.0]), -1.0, shares, group_places(columns), np.zeros(1), np.ones((1, 2), dtype=bool))
    points, start = apart.points(AffineCalibrator(0.0, 1.0))
    assert points.sum() == pytest.approx(0.0, abs=1e-12)
    assert points[0, 0] == pytest.approx(0.4 * start * (1 - start), rel=1e-6)


def linear(first: float, second: float) -> Logistic:
    def term(weight: float) -> LinearTerm:
        return LinearTerm("identity", (weight,), missing_weight=0.0, mean=0.0, low=-9.0, high=9.0)

    return Logistic(0.0, (term(first), term(second)))


PAIR = (ModelColumn("a", "number", "A", "A"), ModelColumn("b", "number", "B", "B"))


def test_a_group_whose_sign_a_quarter_of_the_ensemble_disputes_is_no_reason() -> None:
    import pandas as pd

    blend = Blend((linear(1, 1), linear(1, 1), linear(1, 1), linear(1, -0.5)), (0.25,) * 4)
    frame = pd.DataFrame({"a": [1.0], "b": [1.0]})
    apart = take_apart(blend, encode_frame(frame, PAIR), PAIR)
    assert apart.agreed.tolist() == [[True, False]]
    ((told, against),) = find_reasons(apart, frame, PAIR, language="en")
    assert ([reason.column for reason in told], against) == (["a"], [])


def test_a_fifth_may_disagree_and_parts_that_are_added_to_all_take_no_side() -> None:
    five = Blend((*[linear(1, 1)] * 4, linear(1, -0.5)), (0.2,) * 5)
    matrix = np.array([[1.0, 1.0]])
    assert take_apart(five, matrix, PAIR).agreed.tolist() == [[True, True]]
    moved = Blend((BaseRate(-1.0), linear(-3, 0), *[linear(1, 1)] * 2), (1.0, 1.0, 0.5, 0.5))
    assert take_apart(moved, matrix, PAIR).agreed.all()
    assert np.sign(take_apart(moved, matrix, PAIR).by_group).tolist() == [[-1.0, 1.0]]


def test_the_column_that_moves_a_group_most_in_its_direction_speaks_for_it() -> None:
    import pandas as pd

    frame = pd.DataFrame({column.name: [1.0] if column.kind == "number" else ["web"] for column in COLUMNS})
    shares = np.array([[0.9, -0.2, 0.0, 0.0, 0.0]])
    apart = Breakdown(np.array([0.7]), 0.0, shares, group_places(TWO_GROUPS), np.zeros(1), np.ones((1, 4), dtype=bool))
    ((told, _),) = find_reasons(apart, frame, TWO_GROUPS, language="ru")
    assert [(reason.column, reason.title, round(reason.contribution, 9)) for reason in told] == [
        ("visits", "Группа what it did", 0.7)
    ]


def test_a_track_record_is_told_by_the_level_whose_record_it_is() -> None:
    import pandas as pd

    level = ModelColumn("c", "category", "C", "C", frequent=("web",), wording=grouped("Channel", "channel"))
    rate = ModelColumn(
        "r", "number", "R", "R", wording=Wording("track_record win_rate", "Channel", "Канал", "channel", "C", "C")
    )
    apart = Breakdown(np.array([0.5]), 0.0, np.array([[0.1, 0.4]]), ((0, 1),), np.zeros(1), np.ones((1, 1), dtype=bool))
    ((told, _),) = find_reasons(apart, pd.DataFrame({"c": ["web"], "r": [0.3]}), (level, rate), language="en")
    assert [reason.sentence for reason in told] == ["Channel: web"]


def test_hidden_columns_are_never_told() -> None:
    import pandas as pd

    hidden = tuple(replace(column, wording=replace(grouped(column.name, column.name), hidden=True)) for column in PAIR)
    apart = take_apart(linear(1, 1), np.array([[1.0, 1.0]]), hidden)
    assert find_reasons(apart, pd.DataFrame({"a": [1.0], "b": [1.0]}), hidden, language="en") == [([], [])]
