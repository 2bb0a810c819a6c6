"""Clues of a leak: what each says, how strongly, and what they make together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from training.leaks.clues import Clue, auc_interval, clue_of_filling, clue_of_skill, measure_alone
from training.leaks.rest import clue_of_rest
from training.leaks.verdict import decide
from training.leaks.writing import (
    clue_of_age,
    clue_of_breaks,
    clue_of_name,
    clue_of_one_side,
    clue_of_times,
    clue_of_words,
)

WON = np.array([True, False, False, False, False] * 200)


def texts(*values: object) -> pd.Series:
    return pd.Series(list(values), dtype="str")


def clue(family: str, weight: str) -> Clue:
    return Clue(family, weight, 0.9, f"{weight} {family}")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("clues", "should"),
    [
        pytest.param([], "clean", id="nothing"),
        pytest.param([clue("skill", "hint")], "clean", id="a hint is no suspicion"),
        pytest.param([clue("skill", "hint"), clue("name", "hint")], "suspicious", id="two hints"),
        pytest.param([clue("fill", "strong")], "suspicious", id="one strong statistic condemns nobody"),
        pytest.param([clue("fill", "strong"), clue("skill", "strong")], "suspicious", id="the same thing said twice"),
        pytest.param([clue("fill", "strong"), clue("age", "strong")], "leak", id="two kinds agree"),
        pytest.param([clue("skill", "strong"), clue("name", "hint")], "leak", id="a name supports"),
        pytest.param([clue("future", "proof")], "leak", id="proof"),
    ],
)
def test_clues_become_a_verdict(clues: list[Clue], should: str) -> None:
    assert decide(clues)[0] == should


def test_the_interval_of_an_auc_narrows_with_the_leads() -> None:
    few, many = auc_interval(0.96, won=20, lost=50), auc_interval(0.96, won=2_000, lost=5_000)
    assert few.low < 0.95 < many.low
    assert clue_of_skill(0.96, won=20, lost=50) == clue_of_skill(0.96, won=20, lost=50)
    assert clue_of_skill(0.96, won=20, lost=50).weight == "strong"
    assert clue_of_skill(0.96, won=2_000, lost=5_000).weight == "proof"
    assert clue_of_skill(0.75, won=2_000, lost=5_000).weight == "hint"


def test_a_count_that_is_nearly_always_zero_is_still_measured() -> None:
    values = pd.Series(np.where(WON, np.arange(len(WON)) % 90 + 1.0, 0.0))
    assert measure_alone(values, WON) > 0.99
    assert measure_alone(pd.Series(np.random.default_rng(0).random(1000)), WON) == pytest.approx(0.5, abs=0.08)


def test_many_levels_are_no_skill() -> None:
    levels = texts(*(f"c{n}" for n in np.random.default_rng(1).integers(0, 500, len(WON))))
    assert measure_alone(levels, WON) == pytest.approx(0.5, abs=0.08)


def test_filling_is_weighed_by_how_much_it_tells() -> None:
    chance = np.random.default_rng(0)
    assert clue_of_filling(chance.random(1000) < 0.2, WON) is None
    assert clue_of_filling(chance.random(1000) < np.where(WON, 0.6, 0.2), WON).weight == "strong"
    assert clue_of_filling(chance.random(1000) < np.where(WON, 0.95, 0.02), WON).weight == "proof"


def test_a_reason_that_only_lost_leads_have_is_proof() -> None:
    lost = ~WON & (np.arange(len(WON)) % 3 > 0)
    assert clue_of_one_side(lost, WON, lost).weight == "proof"
    few = lost & (np.arange(len(WON)) % 20 == 7)
    junk = clue_of_one_side(few, WON, lost)
    assert junk is None or junk.weight == "strong"
    assert clue_of_one_side(np.ones(len(WON), dtype=bool), WON, lost) is None


def test_the_newest_leads_lack_what_is_written_later() -> None:
    order, mature = np.arange(4_000), np.arange(4_000) < 3_600
    late = pd.Series(np.where(mature, 3.0, 0.0))
    assert clue_of_age(late, order, mature).weight == "strong"
    assert clue_of_age(pd.Series(np.where(order % 5, np.nan, 1.0)), order, mature) is None


def test_filling_in_batches_is_noticed_and_a_new_question_is_not() -> None:
    order = np.arange(2_000)
    assert clue_of_breaks((order < 600) | (order > 1_500), order) is not None
    assert clue_of_breaks(order > 1_000, order) is None


def test_words_of_an_outcome_count_only_where_they_came_true() -> None:
    ends = texts(*np.where(WON, "Closed Won", "talking"))
    assert clue_of_words(ends, WON, named_won=(), named_lost=()).weight == "proof"
    russian = texts(*np.where(WON, "новый", "Закрыто и не реализовано"))
    assert clue_of_words(russian, WON, named_won=(), named_lost=()).weight == "proof"
    own = texts(*np.where(WON, "Ура", "talking"))
    assert clue_of_words(own, WON, named_won=("ура",), named_lost=()).weight == "proof"
    plans = texts(*np.where(WON, "Will revert after reading the email", "talking"))
    assert clue_of_words(plans, WON, named_won=(), named_lost=()) is None
    untrue = texts(*np.where(np.arange(len(WON)) % 2, "won", "talking"))
    assert clue_of_words(untrue, WON, named_won=(), named_lost=()) is None


def test_times_after_the_outcome_are_told_from_wishes() -> None:
    closed = pd.Series(pd.date_range("2024-01-01", periods=200, freq="D").astype("datetime64[us]"))
    until = np.datetime64("2024-07-20", "us")
    assert clue_of_times(closed + pd.Timedelta("2h"), closed, until=until).weight == "proof"
    assert (
        clue_of_times((closed + pd.Timedelta("20D")).clip(upper=pd.Timestamp(until)), closed, until=until).weight
        == "proof"
    )
    assert clue_of_times(closed + pd.Timedelta("90D"), closed, until=until).weight == "strong"
    assert clue_of_times(closed - pd.Timedelta("9D"), closed, until=until) is None


@pytest.mark.parametrize("header", ["Tags", "Lead Quality", "lead_score", "причина", "Last Notable Activity"])
def test_a_name_is_never_more_than_a_hint(header: str) -> None:
    assert clue_of_name(header).weight == "hint"
    assert clue_of_name("marital_status") is None


def test_a_strong_honest_column_is_not_condemned_for_beating_the_rest() -> None:
    from training.evaluation.evaluate import Interval

    honest = auc_interval(0.75, won=1_000, lost=3_000)
    drop = Interval(0.2, 0.19, 0.21)
    assert clue_of_rest(honest, rest=0.55, drop=drop, next_drop=0.001, base=0.5) is None
    leak = auc_interval(0.93, won=1_000, lost=3_000)
    assert clue_of_rest(leak, rest=0.70, drop=drop, next_drop=0.001, base=0.5).weight == "proof"
