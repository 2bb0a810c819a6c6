"""Is a model shown to know more than the base rate, by the test period or together with earlier forward leads?"""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from training.evaluation.evaluate import Interval
from training.evaluation.skill import Said, Together, add_forward, has_skill, recall_forward

MOMENT = datetime(2025, 1, 1)
UNSURE = Interval(-0.02, -0.05, 0.01)
SURE, DOUBTFUL = Together(Interval(0.62, 0.55, 0.69), 400), Together(Interval(0.55, 0.49, 0.61), 400)


def said(*, rows: int, seed: int, knows: bool = True) -> Said:
    """Draw leads of two kinds, as many of each, 40 % and 20 % of which convert, and order them by kind or by chance."""
    random = np.random.default_rng(seed)
    better = random.random(rows) < 0.5
    converted = random.random(rows) < np.where(better, 0.4, 0.2)
    order = better if knows else random.random(rows) < 0.5
    names = np.array([f"{seed}-{place}" for place in range(rows)])
    return Said(order.astype(float), np.zeros(rows, dtype=np.intp), converted, 100_000 * seed + np.arange(rows), names)


def first_rows(one: Said, rows: int) -> Said:
    return Said(one.order[:rows], one.model[:rows], one.converted[:rows], one.groups[:rows], one.leads[:rows])


NOBODY = first_rows(said(rows=1, seed=5), 0)


def test_more_leads_make_sure_of_what_a_short_test_period_only_hints_at() -> None:
    test = said(rows=90, seed=6)
    alone, both = add_forward(NOBODY, test, tried=1), add_forward(said(rows=1_500, seed=2), test, tried=1)
    assert (alone.forward_leads, both.forward_leads) == (0, 1_500)
    assert alone.order.value > 0.5
    assert (alone.beats_chance, both.beats_chance) == (False, True)
    assert (has_skill(UNSURE, alone), has_skill(UNSURE, both)) == (False, True)


def test_with_one_model_it_is_the_area_under_its_curve() -> None:
    one = said(rows=2_000, seed=3)
    assert add_forward(NOBODY, one, tried=1).order.value == pytest.approx(roc_auc_score(one.converted, one.order))


def test_what_one_model_says_is_not_compared_with_what_another_says() -> None:
    forward, test = said(rows=900, seed=2), said(rows=600, seed=6)
    higher = Said(forward.order * 9 - 500, forward.model, forward.converted, forward.groups, forward.leads)
    assert add_forward(forward, test, tried=1) == add_forward(higher, test, tried=1)


def test_a_model_of_which_no_row_converted_tells_nothing() -> None:
    forward, test = said(rows=300, seed=2), said(rows=200, seed=6)
    silent = Said(forward.order, forward.model, np.zeros(300, dtype=bool), forward.groups, forward.leads)
    with_silent, without = (add_forward(one, test, tried=1).order for one in (silent, NOBODY))
    assert with_silent.value == without.value
    assert with_silent.low == pytest.approx(without.low, abs=1e-3)
    assert np.isnan(add_forward(silent, NOBODY, tried=1).order.value)
    assert not add_forward(silent, NOBODY, tried=1).beats_chance


def test_an_order_by_chance_seldom_passes_for_skill() -> None:
    claims = sum(
        add_forward(said(rows=400, seed=seed, knows=False), said(rows=200, seed=900 + seed, knows=False), tried=4)
        .beats_chance
        for seed in range(300)
    )  # fmt: skip
    assert claims <= 3  # 0.125 % each


def test_a_handful_of_conversions_that_happen_to_agree_is_no_skill() -> None:
    claims = 0
    for seed in range(1_000):
        random = np.random.default_rng(seed)
        parts = []
        for rows, won in ((80, 8), (50, 5)):
            converted = random.permutation(rows) < won
            places = 1_000 * rows + np.arange(rows)
            model = np.zeros(rows, dtype=np.intp)
            parts.append(Said(random.random(rows), model, converted, places, places.astype(str)))
        claims += add_forward(*parts, tried=2).beats_chance
    assert claims <= 8  # 0.25 % each, and a little more since areas are not quite normal


def test_a_perfect_order_of_two_conversions_is_no_skill() -> None:
    places = np.arange(20)
    one = Said(places.astype(float), np.zeros(20, dtype=np.intp), places >= 18, places, places.astype(str))
    assert not add_forward(NOBODY, one, tried=4).beats_chance


def test_forward_leads_that_show_the_contrary_take_nothing_from_a_sure_test_period() -> None:
    assert has_skill(Interval(-0.03, -0.05, -0.01), DOUBTFUL)
    assert not has_skill(UNSURE, DOUBTFUL)


@pytest.mark.parametrize("value", [0.0, 0.001])
def test_where_the_test_period_does_not_speak_for_the_model_no_forward_lead_helps(value: float) -> None:
    assert has_skill(UNSURE, SURE)
    assert not has_skill(Interval(value, -0.05, 0.05), SURE)


def test_rows_of_one_account_count_as_one() -> None:
    forward = said(rows=300, seed=2)
    parts = (forward.order, forward.model, forward.converted, forward.groups, forward.leads)
    again = add_forward(Said(*(np.concatenate([part] * 9) for part in parts)), NOBODY, tried=1)
    once = add_forward(forward, NOBODY, tried=1)
    assert again.forward_leads == once.forward_leads == 300
    assert again.order.low == pytest.approx(once.order.low, rel=1e-3)
    assert again.order.high == pytest.approx(once.order.high, rel=1e-3)


def test_the_best_of_many_models_has_to_be_surer() -> None:
    forward, test = said(rows=300, seed=2), said(rows=200, seed=6)
    one, four = (add_forward(forward, test, tried=tried).order for tried in (1, 4))
    assert one.value == four.value
    assert (four.value - four.low) / (one.value - one.low) == pytest.approx(3.023 / 2.576, abs=1e-3)


def contest(model: NDArray[np.float64], base: NDArray[np.float64], rows: NDArray[np.intp]) -> Any:
    chosen = SimpleNamespace(said=model)
    return SimpleNamespace(rows=rows, chosen=chosen, contenders=(SimpleNamespace(said=base), chosen))


def examples(*at: datetime | None, kind: str = "time") -> Any:
    """Six rows, two ahead of each of three origins; row 5 is not mature."""
    origins = tuple(
        SimpleNamespace(at=moment, ahead=np.array([2 * place, 2 * place + 1])) for place, moment in enumerate(at)
    )
    split = SimpleNamespace(kind=kind, origins=origins, mature=np.array([True] * 5 + [False]))
    names = np.array(list("aabbcd"))
    return SimpleNamespace(split=split, converted=np.array([True, False] * 3), groups=np.arange(6), leads=names)


def test_what_each_earlier_model_said_is_recalled_with_what_came_of_it() -> None:
    rows = np.arange(5)
    found = recall_forward(contest(rows + 2.0, np.zeros(5), rows), examples(MOMENT, MOMENT, MOMENT))
    assert found is not None
    assert found.model.tolist() == [0, 0, 1, 1, 2]
    assert found.order.tolist() == [2.0, 3.0, 4.0, 5.0, 6.0]
    assert found.converted.tolist() == [True, False, True, False, True]
    assert found.leads.tolist() == list("aabbc")


def test_models_told_labels_from_after_their_moment_are_left_out() -> None:
    rows, base = np.arange(5), np.full(5, -1.0)
    found = recall_forward(contest(base + 1.0, base, rows), examples(None, MOMENT, MOMENT))
    assert found is not None
    assert found.leads.tolist() == list("bbc")
    assert recall_forward(contest(base + 1.0, base, rows), examples(None, None, None)) is None


def test_without_dates_no_model_is_told_anything_of_the_rows_after_it() -> None:
    rows, base = np.arange(5), np.full(5, -1.0)
    found = recall_forward(contest(base + 1.0, base, rows), examples(None, None, None, kind="row_order"))
    assert found is not None
    assert len(found.leads) == 5
