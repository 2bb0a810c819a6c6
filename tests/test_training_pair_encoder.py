from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from sklearn.utils.estimator_checks import parametrize_with_checks

from training.fitting.pair_encoder import PastPairEncoder
from training.fitting.target_encoder import PastTargetEncoder


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([PastPairEncoder()])
def test_it_keeps_scikit_learns_contract(estimator: object, check: object) -> None:
    check(estimator)  # type: ignore[operator]


def draw(rows: int, *, together: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    levels = np.column_stack([random.choice(["web", "ads"], rows), random.choice(["bank", "shop"], rows)])
    both = (levels[:, 0] == "web") & (levels[:, 1] == "bank")
    return levels.astype(object), random.random(rows) < expit(-1.5 + together * both)


def test_a_pair_becomes_what_it_tells_beyond_its_two_levels_shrunk_to_them() -> None:
    levels, converted = draw(4_000, together=1.5, seed=1)
    encoder = PastPairEncoder(smoothing=10).fit(levels, converted)
    ((rates),) = encoder.rates_
    alone = PastTargetEncoder().fit(levels, converted)
    rate = (converted.sum() + 0.5) / 4_001
    for (left, right), told in rates.items():
        rows = (levels[:, 0] == left) & (levels[:, 1] == right)
        added = np.log(rate / (1 - rate)) + sum(
            float(alone.rates_[place][list(alone.levels_[place]).index(level)])
            for place, level in enumerate((left, right))
        )
        shrunk = (converted[rows].sum() + 10 * expit(added)) / (rows.sum() + 10)
        assert told == pytest.approx(np.log(shrunk / (1 - shrunk)) - added, abs=1e-9)
    assert rates["web", "bank"] > 0.3
    assert encoder.transform([["web", "never"], ["never", "bank"]]).tolist() == [[0.0], [0.0]]


def test_levels_that_only_add_up_have_pairs_that_tell_next_to_nothing() -> None:
    levels, converted = draw(20_000, together=0.0, seed=2)
    (rates,) = PastPairEncoder().fit(levels, converted).rates_
    assert max(abs(told) for told in rates.values()) < 0.1


def test_a_row_is_told_only_what_was_known_when_it_was_asked() -> None:
    levels, converted = draw(600, together=1.0, seed=3)
    asked = np.sort(np.random.default_rng(4).uniform(0, 100, 600))
    known = asked + 15
    told = PastPairEncoder().fit(levels, converted, asked=asked, known=known).transform(levels, asked=asked)
    for row in range(0, 600, 41):
        other = converted ^ (known > asked[row])
        again = PastPairEncoder().fit(levels, other, asked=asked, known=known).transform(levels, asked=asked)
        assert again[row, 0] == told[row, 0]
    assert (told[asked < 15] == 0).all()


def test_the_pairs_asked_for_are_those_told_in_their_order() -> None:
    random = np.random.default_rng(5)
    levels, converted = random.integers(0, 3, (300, 3)), random.random(300) < 0.3
    every = PastPairEncoder().fit(levels, converted)
    assert every.pairs_ == [(0, 1), (0, 2), (1, 2)]
    some = PastPairEncoder(pairs=[(1, 2)]).fit(levels, converted)
    np.testing.assert_array_equal(some.transform(levels)[:, 0], every.transform(levels)[:, 2])
