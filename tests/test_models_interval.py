from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.interval import IntervalTable

TABLE = IntervalTable((0.1, 0.3, 0.7), (0.0, 0.2, 0.6), (0.2, 0.6, 1.0), level=0.9, leads=500, window=78)
ONE_POINT = IntervalTable((0.1,), (0.05,), (0.2,), level=0.9, leads=500, window=78)
shares = st.floats(0, 1, allow_nan=False)


@pytest.mark.parametrize(
    ("probability", "low", "high"),
    [(0.0, 0.0, 0.2), (0.1, 0.0, 0.2), (0.2, 0.1, 0.4), (0.3, 0.2, 0.6), (0.6, 0.5, 0.9), (0.7, 0.6, 1.0), (1, 0.6, 1)],
)
def test_bounds_are_on_straight_lines_between_points_and_level_beyond(
    probability: float, low: float, high: float
) -> None:
    found = TABLE.bounds(np.array([probability]))
    assert [float(end[0]) for end in found] == pytest.approx([low, high], abs=1e-12)


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.9])
def test_a_table_of_one_point_says_the_same_of_everybody(probability: float) -> None:
    assert [float(end[0]) for end in ONE_POINT.bounds(np.array([probability]))] == [0.05, 0.2]


@st.composite
def tables(draw: st.DrawFn) -> IntervalTable:
    points = sorted(draw(st.sets(shares, min_size=1, max_size=20)))
    ends = [sorted(draw(st.tuples(shares, shares))) for _ in points]
    low, high = (tuple(column) for column in zip(*ends, strict=True))
    return IntervalTable(tuple(points), low, high, level=0.9, leads=100, window=26)


@settings(deadline=None, derandomize=True)
@given(tables(), st.lists(shares, min_size=1, max_size=30))
def test_low_is_never_above_high_and_a_row_does_not_depend_on_the_rows_beside_it(
    table: IntervalTable, probability: list[float]
) -> None:
    low, high = table.bounds(np.array(probability))
    assert (low <= high).all()
    assert (low >= 0).all()
    assert (high <= 1).all()
    alone = [table.bounds(np.array([one])) for one in probability]
    assert low.tolist() == [float(ends[0][0]) for ends in alone]
    assert high.tolist() == [float(ends[1][0]) for ends in alone]


@settings(deadline=None, derandomize=True)
@given(tables())
def test_the_readable_form_keeps_every_digit(table: IntervalTable) -> None:
    assert IntervalTable.from_json(json.loads(json.dumps(table.to_json()))) == table


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"probability": (0.1, 0.1, 0.7)}, "must rise"),
        ({"probability": (0.1, 0.3, 1.7)}, "must rise"),
        ({"probability": (0.1, 0.3, float("nan"))}, "must rise"),
        ({"probability": (0.1, 0.3)}, "both ends"),
        ({"probability": (), "low": (), "high": ()}, "1 to 200 points"),
        ({"low": (0.0, 0.7, 0.6)}, "in order"),
        ({"high": (0.2, 0.6, 1.1)}, "in order"),
        ({"level": 1.0}, "level"),
    ],
)
def test_a_table_that_says_nonsense_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(TABLE, **wrong)
