from __future__ import annotations

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from training.fitting.target_encoder import PastTargetEncoder


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([PastTargetEncoder()])
def test_it_keeps_scikit_learns_contract(estimator: object, check: object) -> None:
    check(estimator)  # type: ignore[operator]


def log_odds(p: float) -> float:
    return float(np.log(p / (1 - p)))


def test_a_level_becomes_its_shrunk_log_odds_less_those_of_all() -> None:
    levels = np.array([["a"]] * 30 + [["b"]] * 70, dtype=object)
    converted = np.array([1] * 15 + [0] * 15 + [1] * 7 + [0] * 63)
    told = PastTargetEncoder(smoothing=10).fit(levels, converted).transform([["a"], ["b"], ["never seen"]])
    rate = 22.5 / 101
    expected = [log_odds((15 + 10 * rate) / 40) - log_odds(rate), log_odds((7 + 10 * rate) / 80) - log_odds(rate), 0.0]
    np.testing.assert_allclose(told[:, 0], expected, rtol=1e-12)


def test_a_row_is_told_only_what_was_known_when_it_was_asked() -> None:
    chance = np.random.default_rng(0)
    levels = chance.integers(0, 4, (400, 1)).astype(float)
    converted = chance.random(400) < 0.3
    asked = np.sort(chance.uniform(0, 100, 400))
    known = asked + 15
    encoder = PastTargetEncoder().fit(levels, converted, asked=asked, known=known)
    told = encoder.transform(levels, asked=asked)
    for row in range(0, 400, 23):
        later = known > asked[row]
        other = converted ^ later
        again = PastTargetEncoder().fit(levels, other, asked=asked, known=known).transform(levels, asked=asked)
        assert again[row, 0] == told[row, 0]
    assert (told[asked < 15] == 0).all()
    assert len(np.unique(told)) > 20


def test_labels_without_weight_say_nothing() -> None:
    levels = np.array([["a"], ["a"], ["b"], ["b"]] * 20, dtype=object)
    weight = np.tile([0.0, 1.0, 1.0, 1.0], 20)
    one, other = (
        PastTargetEncoder().fit(levels, np.tile([first, 0, 1, 0], 20), sample_weight=weight).transform(levels)
        for first in (0, 1)
    )
    np.testing.assert_array_equal(one, other)
    assert one[0, 0] < 0 < one[2, 0]


def test_an_impossible_smoothing_is_refused() -> None:
    with pytest.raises(ValueError, match="smoothing must be > 0"):
        PastTargetEncoder(smoothing=0).fit([["a"], ["b"]], [0, 1])
