from __future__ import annotations

import numpy as np
import pytest

from training.evaluation.evaluate import ratios_with_intervals
from training.evaluation.resample import clustered_error, resample_ratios, sum_by_group


def test_draws_are_those_of_a_plain_loop() -> None:
    random = np.random.default_rng(0)
    above, below = random.normal(size=(37, 2)), random.uniform(1, 2, (37, 2))
    chance, expected = np.random.default_rng(5), []
    for _ in range(21):
        again = chance.integers(0, 37, 37)
        expected.append(above[again].sum(axis=0) / below[again].sum(axis=0))
    np.testing.assert_allclose(resample_ratios(above, below, seed=5, draws=21), expected, rtol=1e-12)


def test_a_column_of_its_own_sees_the_same_draws() -> None:
    random = np.random.default_rng(1)
    values, groups = random.normal(size=(200, 3)), np.arange(200) // 4
    together = ratios_with_intervals(values, np.ones((200, 1)), groups=groups, seed=3)
    for column, found in enumerate(together):
        (own,) = ratios_with_intervals(values[:, [column]], np.ones((200, 1)), groups=groups, seed=3)
        assert (own.value, own.low, own.high) == pytest.approx((found.value, found.low, found.high), rel=1e-12)


def test_sums_by_group_are_in_the_order_of_the_groups() -> None:
    assert sum_by_group(np.array([1.0, 2.0, 3.0, 4.0]), np.array([8, 1, 8, 5])).tolist() == [2.0, 4.0, 4.0]


def test_the_clustered_error_of_a_mean_is_the_textbooks() -> None:
    values = np.random.default_rng(2).normal(size=500)
    found = clustered_error(values - values.mean(), np.arange(500))
    assert found == pytest.approx(values.std(ddof=1) / np.sqrt(500), rel=1e-12)
    assert clustered_error(values - values.mean(), np.zeros(500, dtype=np.int64)) == 0.0
