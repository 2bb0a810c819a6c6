"""Is a model shown to know more than the base rate, by the test period or together with earlier forward leads?"""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.calibration import logit
from training.evaluation.evaluate import Interval
from training.evaluation.skill import Said, Together, add_forward, has_skill, recall_forward

MOMENT = datetime(2025, 1, 1)
UNSURE = Interval(-0.02, -0.05, 0.01)


def said(*, rows: int, seed: int, knows: float) -> Said:
    """Draw leads of two kinds, as many of each, 40 % and 20 % of which convert, and say so as far as `knows`."""
    random = np.random.default_rng(seed)
    better = random.random(rows) < 0.5
    converted = random.random(rows) < np.where(better, 0.4, 0.2)
    model = 0.3 + knows * np.where(better, 0.1, -0.1)
    names = np.array([f"{seed}-{place}" for place in range(rows)])
    return Said(model, np.full(rows, 0.3), converted, 100_000 * seed + np.arange(rows), names)


def test_more_leads_make_sure_of_what_a_short_test_period_only_hints_at() -> None:
    test = said(rows=200, seed=6, knows=1.0)
    alone = add_forward(first_rows(test, 0), test, tried=1)
    both = add_forward(said(rows=1_500, seed=2, knows=1.0), test, tried=1)
    assert (alone.forward_leads, both.forward_leads) == (0, 1_500)
    assert alone.against_base.value < 0 < alone.against_base.high
    assert both.against_base.high < 0
    assert (has_skill(alone.against_base, alone), has_skill(alone.against_base, both)) == (False, True)


def test_forward_leads_that_show_the_contrary_take_nothing_from_a_sure_test_period() -> None:
    against = Together(Interval(0.01, -0.01, 0.03), 400)
    assert has_skill(Interval(-0.03, -0.05, -0.01), against)
    assert not has_skill(UNSURE, against)


@pytest.mark.parametrize("value", [0.0, 0.001])
def test_where_the_test_period_does_not_speak_for_the_model_no_forward_lead_helps(value: float) -> None:
    assert has_skill(UNSURE, Together(Interval(-0.05, -0.06, -0.04), 9_000))
    assert not has_skill(Interval(value, -0.05, 0.05), Together(Interval(-0.05, -0.06, -0.04), 9_000))


def test_rows_of_one_account_count_as_one() -> None:
    forward, nobody = said(rows=300, seed=2, knows=1.0), first_rows(said(rows=1, seed=5, knows=1.0), 0)
    once = add_forward(forward, nobody, tried=1)
    parts = (forward.model, forward.base, forward.converted, forward.groups, forward.leads)
    again = add_forward(Said(*(np.concatenate([part] * 9) for part in parts)), nobody, tried=1)
    assert again.forward_leads == once.forward_leads == 300
    assert again.against_base.low == pytest.approx(once.against_base.low)
    assert again.against_base.high == pytest.approx(once.against_base.high)


def test_the_best_of_many_models_has_to_be_surer() -> None:
    forward, test = said(rows=300, seed=2, knows=1.0), said(rows=200, seed=6, knows=1.0)
    one, four = (add_forward(forward, test, tried=tried).against_base for tried in (1, 4))
    assert one.value == four.value
    assert (four.value - four.low) / (one.value - one.low) == pytest.approx(2.498 / 1.960, abs=1e-3)
    assert one.high < four.high


def first_rows(one: Said, rows: int) -> Said:
    return Said(one.model[:rows], one.base[:rows], one.converted[:rows], one.groups[:rows], one.leads[:rows])


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


def test_an_earlier_model_is_taken_half_way_to_the_base_rate_of_its_moment() -> None:
    rows = np.arange(5)
    base = np.array([logit(0.2), logit(0.2), logit(0.3), logit(0.3), logit(0.4)])
    found = recall_forward(contest(base + 2.0, base, rows), examples(MOMENT, MOMENT, MOMENT))
    assert found is not None
    assert found.base == pytest.approx([0.2, 0.2, 0.3, 0.3, 0.4])
    assert logit(float(found.model[2])) == pytest.approx(logit(0.3) + 1.0)
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
