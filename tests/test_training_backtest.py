"""The parts of a replay: weeks, orders, calls, and what is said of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from features.catalogue import Catalogue, Feature
from project.errors import NotEnoughDataError, SettingsError
from project.settings import CapacitySettings, DefinitionSettings
from training.backtest.judgement import Backtest, Reached, Training, judge_calls, say_difference
from training.backtest.page import pick_lines, render_backtest, wins_by_week_figure
from training.backtest.policies import Policy, list_policies, rank_leads
from training.backtest.replay import WEEK, Calls, Pool, call_leads, list_weeks
from training.promotion.resampling import Bounds

MONDAY = datetime(2024, 1, 1)


def pool(week: int, lead: list[int], *, won: list[int], orders: list[list[int]]) -> Pool:
    """A week in which `won` convert; each order names leads, the first to be called first."""
    place = [[order.index(one) for one in lead] for order in orders]
    return Pool(
        MONDAY + week * WEEK, np.array(lead), np.isin(lead, won), np.array(place, dtype=np.int64).reshape(-1, len(lead))
    )


def test_a_week_is_replayed_only_if_its_horizon_is_over() -> None:
    weeks = list_weeks(datetime(2024, 3, 4), timedelta(days=14), weeks=3)
    assert weeks == [datetime(2024, 2, 5), datetime(2024, 2, 12), datetime(2024, 2, 19)]
    assert list_weeks(datetime(2024, 3, 3, 23, 59), timedelta(days=14), weeks=1) == [datetime(2024, 2, 12)]


def test_a_policy_calls_a_lead_once_and_wins_are_those_of_the_week_of_the_call() -> None:
    both = [[0, 1, 2], [2, 1, 0]]
    pools = [pool(0, [0, 1, 2], won=[2], orders=both), pool(1, [0, 1, 2], won=[0, 2], orders=both)]
    calls = call_leads(pools, leads=3, per_week=1)
    assert calls.called.tolist() == [[True, False], [True, True], [False, True]]
    # lead 0 was called by the first policy in a week in which it did not convert in time
    assert calls.won.tolist() == [[False, False], [False, False], [False, True]]
    assert calls.wins_by_week.tolist() == [[0, 1], [0, 0]]
    assert calls.within_reach == 2


def test_all_policies_make_the_same_number_of_calls_even_where_one_has_none_left() -> None:
    pools = [
        pool(0, [0, 1, 2, 3], won=[], orders=[[0, 1, 2, 3], [3, 2, 1, 0]]),
        pool(1, [2, 3], won=[3], orders=[[2, 3], [3, 2]]),
    ]
    calls = call_leads(pools, leads=4, per_week=2)
    assert calls.room == (2, 0)  # the second has called 3 and 2, and nobody else is open
    assert calls.called.sum(axis=0).tolist() == [2, 2]


def test_a_fraction_of_a_call_is_made_up_for_in_a_later_week() -> None:
    everyone = list(range(12))
    pools = [pool(week, everyone, won=[], orders=[everyone]) for week in range(4)]
    assert call_leads(pools, leads=12, per_week=1.5).room == (1, 2, 1, 2)
    assert call_leads(pools, leads=12, per_week=0.25).room == (0, 0, 0, 1)


def _feature(name: str) -> Feature:
    return Feature(name, "number", "lead", name, "value", None, "", name, name)


CATALOGUE = Catalogue((_feature("size"),), ())
SNAPSHOTS = pd.DataFrame(
    {
        "lead_id": pd.Series(["d", "c", "b", "a"], dtype="str"),
        "created_at": pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"]),
        "position": [0, 1, 2, 3],
    }
)


def _order(policies: tuple[Policy, ...], **said: list[float]) -> dict[str, str]:
    lesson = SimpleNamespace(
        score=lambda frame: (np.array(said["probability"]), np.array(said["log_odds"])),
        odoo=SimpleNamespace(probability=lambda frame: np.array(said["odoo"])),
    )
    frame = pd.DataFrame({"size": [1.0, 9.0, np.nan, 9.0]})
    place = rank_leads(policies, SNAPSHOTS, lesson, frame=frame, defined=frame)  # type: ignore[arg-type]
    ids = SNAPSHOTS["lead_id"].to_numpy()
    return {one.title: "".join(ids[np.argsort(row)]) for one, row in zip(policies, place, strict=True)}


def test_every_policy_has_its_own_order() -> None:
    policies = list_policies([DefinitionSettings(name="Крупные", when="size > 5", present=True)], CATALOGUE)
    found = _order(policies, probability=[0.1, 0.2, 0.9, 0.2], log_odds=[0.0, 1.0, 2.0, 1.5], odoo=[0.3, 0.3, 0.1, 0.2])
    assert found == {
        "our model": "bacd",
        "Крупные": "cadb",
        "Крупные, newest first": "acbd",
        "Odoo's naive Bayes": "cdab",
        "newest first": "abcd",
        "first come, first served": "dcba",
    }


def test_ties_of_our_model_are_ordered_by_log_odds_and_then_by_id() -> None:
    ours = list_policies([], CATALOGUE)[:1]
    assert _order(ours, probability=[0.5] * 4, log_odds=[0.0, 0.0, 1.0, 0.0])["our model"] == "bacd"


def test_a_definition_that_cannot_be_read_is_named() -> None:
    with pytest.raises(SettingsError, match=r"definition 'Крупные': at character 1 .*'sise'.*Did you mean 'size'"):
        list_policies([DefinitionSettings(name="Крупные", when="sise > 5")], CATALOGUE)


POLICIES = (Policy("ours", "our model"), Policy("newest", "newest first"), Policy("odoo", "Odoo's naive Bayes"))


def _calls(won: list[list[int]]) -> Calls:
    """Everybody calls the same leads; `won` names, policy by policy, which of 40 leads are wins."""
    table = np.zeros((40, len(won)), dtype=np.bool_)
    for policy, leads in enumerate(won):
        table[leads, policy] = True
    weeks = np.stack([table[:20].sum(axis=0), table[20:].sum(axis=0)])
    return Calls(np.ones_like(table), table, weeks, (20, 20), 30)


def _judge(won: list[list[int]], **capacity: float) -> tuple[Reached, ...]:
    return judge_calls(_calls(won), POLICIES, block=np.arange(40) // 2, capacity=CapacitySettings(**capacity), seed=3)


def test_wins_shares_and_money_have_intervals_and_differences_are_paired() -> None:
    ours, same, worse = _judge(
        [list(range(0, 40, 2)), list(range(0, 40, 2)), list(range(0, 40, 8))], value_per_win=100, cost_per_call=5
    )
    assert ours.wins.value == 20
    assert ours.precision.value == 0.5
    assert ours.difference is None
    assert ours.money is not None
    assert ours.money.value == 20 * 100 - 40 * 5
    assert same.difference is not None
    assert (same.difference.value, same.difference.low, same.difference.high) == (0, 0, 0)
    assert worse.difference is not None
    assert worse.difference_money is not None
    assert worse.wins.low < worse.wins.value < worse.wins.high
    assert 0 < worse.difference.low < worse.difference.value == 15 < worse.difference.high
    assert worse.difference_money.low == pytest.approx(100 * worse.difference.low)
    assert worse.by_week == (3, 5)


def test_without_a_price_there_is_no_money() -> None:
    assert all(one.money is None and one.difference_money is None for one in _judge([[1], [2], [3]], value_per_win=100))


def test_calls_to_one_account_only_tell_nothing() -> None:
    with pytest.raises(NotEnoughDataError, match="too few to tell anything"):
        judge_calls(_calls([[1], [2], [3]]), POLICIES, block=np.zeros(40), capacity=CapacitySettings(), seed=0)


def _rival(value: float, low: float, high: float, *, policy: Policy = POLICIES[1]) -> Reached:
    ours = 20.0
    nothing = Bounds(0.0, 0.0, 0.0, 0.0)
    gap = Bounds(value, low, high, 1.0)
    wins = int(ours - value)
    return Reached(policy, 40, Bounds(wins, 0, 40, 1.0), nothing, None, gap, None, (wins // 2, wins))


def _backtest(*rivals: Reached, name: str = "Воронка") -> Backtest:
    ours = Reached(POLICIES[0], 40, Bounds(20.0, 15, 25, 3.0), Bounds(0.5, 0.4, 0.6, 0.1), None, None, None, (9, 20))
    return Backtest(
        name, (MONDAY, MONDAY + WEEK), timedelta(days=10), 40.0, 20.0, True, "weeks", 40, 30, "", (ours, *rivals),
        (Training(MONDAY, "logistic", 900, 90),), (),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rival", "said"),
    [
        (_rival(5, 2, 8), "5 more than newest first reached (90% interval +2 to +8; chance does not explain it)."),
        (_rival(5, -2, 8), "5 more than newest first reached (90% interval −2 to +8; chance could explain it)."),
        (_rival(-5, -8, 2), "5 FEWER than newest first reached (90% interval −8 to +2; chance could explain it)."),
        (_rival(-5, -8, -2), "5 FEWER than newest first reached (90% interval −8 to −2; chance does not explain it)."),
        (_rival(0, -2, 2), "That is as many as newest first reached"),
    ],
)  # fmt: skip
def test_a_comparison_says_plainly_who_reached_more(rival: Reached, said: str) -> None:
    assert said in say_difference(rival)


def test_a_rival_that_reached_more_is_in_the_headline_whatever_else_there_is() -> None:
    today = Policy("definition", "Крупные", present=True)
    ahead = _backtest(_rival(5, 2, 8), _rival(6, 2, 8, policy=today))
    assert not ahead.is_behind
    assert "6 more than 'Крупные' (in use today) reached" in ahead.headline
    behind = _backtest(_rival(-5, -8, 2), _rival(6, 2, 8, policy=today))
    assert behind.is_behind
    assert behind.to_json()["fewer_than_a_rival"] is True
    assert "5 FEWER than newest first" in behind.headline
    assert "6 more than 'Крупные'" in behind.headline
    many = _backtest(*(_rival(-n, -9, 2, policy=Policy("definition", f"d{n}")) for n in range(1, 5)))
    assert many.headline.endswith("More was also reached by 'd2', 'd1'.")


def test_the_page_is_whole_and_keeps_every_letter() -> None:
    today = Policy("definition", "Крупные <b>", list_policies(
        [DefinitionSettings(name="x", when="size > 5")], CATALOGUE
    )[1].when, present=True)  # fmt: skip
    page = render_backtest(_backtest(_rival(6, 2, 8, policy=today)), tested_at="today")
    assert "Крупные &lt;b&gt; (in use today)" in page
    assert "Воронка: would it have helped?" in page
    assert "not what a call changes" in page
    assert "<svg role" in page
    assert "size &gt; 5" in page
    assert 'src="' not in page
    assert "box ahead" in page
    assert "box behind" in render_backtest(_backtest(_rival(-6, -8, 2)), tested_at="today")


def test_of_two_orders_of_a_definition_the_better_is_drawn_and_ours_is_always_there() -> None:
    many = [
        _rival(n, 0, 9, policy=Policy("definition", f"d{n}", fresh=fresh)) for n in range(12) for fresh in (True, False)
    ]
    drawn = pick_lines(_backtest(*many, _rival(19, 1, 20, policy=Policy("definition", "today", present=True))))
    assert len(drawn) == 8
    assert {"our model", "today"} <= {one.policy.name for one in drawn}
    assert len({one.policy.name for one in drawn}) == 8
    assert "today (in use today)" in wins_by_week_figure(
        _backtest(*[one for one in drawn if one.policy.kind != "ours"])
    )
