from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from models.bands import BandPolicy, Rule
from project.settings import CapacitySettings, RuleSettings
from training.banding.ground import Ground
from training.banding.solve import solve
from training.bands import capacity_share, choose_policy, describe_bands, make_rules


def draw(seed: int, *, ties: bool = True) -> tuple[pd.DataFrame, np.ndarray]:
    """Invent a calibration period: 1 to 6 snapshots a lead, some weeks long, probabilities with heavy ties."""
    random = np.random.default_rng(seed)
    leads = int(random.integers(5, 200))
    lead = np.repeat(np.arange(leads), random.integers(1, 7, leads))
    created = pd.Timestamp("2025-01-01", tz="UTC") + pd.to_timedelta(random.integers(0, 9 * 7 * 24, leads), unit="h")
    probability = random.beta(0.6, 4.0, len(lead))
    if ties:
        probability = np.round(probability, int(random.integers(1, 3))).clip(1e-3)
    examples = pd.DataFrame(
        {
            "lead_id": [f"lead-{n}" for n in lead],
            "created_at": created[lead],
            "converted": random.random(len(lead)) < 0.2,
        }
    )
    return examples, probability


def weeks_of(examples: pd.DataFrame) -> float:
    span = examples["created_at"].max() - examples["created_at"].min()
    return max(1.0, span / pd.Timedelta(weeks=1))


def best_of(examples: pd.DataFrame, probability: np.ndarray) -> pd.Series:
    return examples.assign(p=probability).groupby("lead_id")["p"].max()


@pytest.mark.parametrize("ties", [True, False], ids=["ties", "distinct"])
@pytest.mark.parametrize("seed", range(40))
def test_no_more_leads_become_sql_than_the_team_can_call(seed: int, ties: bool) -> None:
    examples, probability = draw(seed, ties=ties)
    capacity = float(np.random.default_rng(seed + 1_000).choice([0.05, 0.5, 1, 2, 5, 15, 500]))
    policy, notes = choose_policy(examples, probability, capacity=CapacitySettings(leads_per_week=capacity), rules=())
    best = best_of(examples, probability)
    room = capacity * weeks_of(examples)
    assert (best >= policy.sql).sum() <= room
    assert 0 < policy.mql <= policy.sql
    # And the capacity is used: with the next lower probability too, there would be more than the team can call.
    # (No threshold is below 0.0001: nobody calls for less.)
    below = best[(best < policy.sql) & (best >= 1e-4)]
    if len(below):
        assert (best >= below.max()).sum() > room
    assert not any("capacity" in note and "top fifth" in note for note in notes)


@pytest.mark.parametrize("seed", range(20))
def test_no_sql_costs_more_than_it_brings(seed: int) -> None:
    examples, probability = draw(seed)
    random = np.random.default_rng(seed)
    cost, value = float(random.uniform(1, 50)), float(random.uniform(60, 500))
    capacity = CapacitySettings(leads_per_week=float(random.uniform(1, 30)), cost_per_call=cost, value_per_win=value)
    policy, _ = choose_policy(examples, probability, capacity=capacity, rules=())
    best = best_of(examples, probability)
    assert policy.sql >= cost / value
    assert (best >= policy.sql).sum() <= capacity.leads_per_week * weeks_of(examples)  # type: ignore[operator]
    assert 0 < policy.mql <= policy.sql
    gain = policy.expected_value(probability)
    assert (gain[policy.assign(probability) == "SQL"] >= -1e-9).all()
    np.testing.assert_allclose(gain, probability * value - cost, atol=1e-12)


def test_mql_begins_at_break_even_where_capacity_is_scarcer_than_money() -> None:
    examples, probability = draw(1, ties=False)
    capacity = CapacitySettings(leads_per_week=1, cost_per_call=5, value_per_win=1_000)
    policy, notes = choose_policy(examples, probability, capacity=capacity, rules=())
    assert policy.mql == 0.005
    assert policy.sql > 0.1
    assert notes == []


def test_where_money_is_scarcer_sql_begins_at_break_even_and_mql_at_half_of_it() -> None:
    examples, probability = draw(1, ties=False)
    capacity = CapacitySettings(leads_per_week=10_000, cost_per_call=100, value_per_win=400)
    policy, _ = choose_policy(examples, probability, capacity=capacity, rules=())
    assert (policy.sql, policy.mql) == (0.25, 0.125)


def test_where_a_call_costs_more_than_a_win_brings_nobody_is_sql() -> None:
    examples, probability = draw(1)
    capacity = CapacitySettings(leads_per_week=10_000, cost_per_call=500, value_per_win=400)
    policy, _ = choose_policy(examples, probability, capacity=capacity, rules=())
    assert "SQL" not in policy.assign(probability)


def test_free_calls_leave_the_capacity_to_decide() -> None:
    examples, probability = draw(1, ties=False)
    bare = CapacitySettings(leads_per_week=2)
    free = CapacitySettings(leads_per_week=2, cost_per_call=0, value_per_win=100)
    assert choose_policy(examples, probability, capacity=free, rules=())[0].sql == (
        choose_policy(examples, probability, capacity=bare, rules=())[0].sql
    )


@pytest.mark.parametrize("seed", range(10))
def test_without_a_capacity_at_most_the_top_fifth_is_sql_and_the_reader_is_told(seed: int) -> None:
    examples, probability = draw(seed)
    policy, notes = choose_policy(examples, probability, capacity=CapacitySettings(), rules=())
    best = best_of(examples, probability)
    assert (best >= policy.sql).sum() <= 0.2 * len(best)
    assert any("top fifth" in note for note in notes)


def test_without_dates_a_capacity_cannot_be_used_and_the_reader_is_told() -> None:
    examples, probability = draw(4, ties=False)
    undated = examples.assign(created_at=pd.Series(pd.NaT, index=examples.index, dtype="datetime64[us, UTC]"))
    policy, notes = choose_policy(undated, probability, capacity=CapacitySettings(leads_per_week=500), rules=())
    best = best_of(examples, probability)
    assert (best >= policy.sql).sum() == math.floor(0.2 * len(best))
    assert any("top fifth" in note for note in notes)


@pytest.mark.parametrize("money", [{}, {"cost_per_call": 5.0}, {"value_per_win": 50.0}], ids=["none", "cost", "value"])
def test_without_money_on_both_sides_the_reader_is_told_what_then_happens(money: dict[str, float]) -> None:
    examples, probability = draw(2)
    capacity = CapacitySettings(leads_per_week=3, **money)  # type: ignore[arg-type]
    policy, notes = choose_policy(examples, probability, capacity=capacity, rules=())
    assert any("cost_per_call" in note for note in notes)
    said_empty = any("expected_value stays empty" in note for note in notes)
    assert said_empty == np.isnan(policy.expected_value(probability)).all()


@pytest.mark.parametrize("value", [1e-9, 1e-5, 0.3, 0.999999, 1.0])
def test_leads_that_all_tie_are_called_all_or_not_at_all(value: float) -> None:
    examples, _ = draw(3)
    probability = np.full(len(examples), value)
    few, _ = choose_policy(examples, probability, capacity=CapacitySettings(leads_per_week=0.1), rules=())
    assert set(few.assign(probability)) <= {"MQL", "nurture"}
    many, _ = choose_policy(examples, probability, capacity=CapacitySettings(leads_per_week=1e6), rules=())
    assert len(set(many.assign(probability))) == 1


def test_a_lead_counts_once_with_the_highest_probability_it_reached() -> None:
    created = pd.to_datetime(["2025-01-01"] * 4 + ["2025-01-08"] * 4, utc=True)
    examples = pd.DataFrame({"lead_id": list("aaaabbcd"), "created_at": created})
    probability = np.array([0.1, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15, 0.05])
    policy, _ = choose_policy(examples, probability, capacity=CapacitySettings(leads_per_week=2), rules=())
    assert policy.sql == 0.3  # one week, two leads: a reached 0.6, b reached 0.3
    assert policy.mql == 0.15


def test_rules_and_money_travel_with_the_policy() -> None:
    rules = make_rules((RuleSettings(name="ours", column="status", equals=("customer",)),))
    assert rules == (Rule("ours", "status", ("customer",), "disqualified"),)
    examples, probability = draw(2)
    capacity = CapacitySettings(leads_per_week=3, cost_per_call=5, value_per_win=90, currency="₽")
    policy, _ = choose_policy(examples, probability, capacity=capacity, rules=rules)
    assert (policy.rules, policy.cost_per_call, policy.value_per_win, policy.currency) == (rules, 5, 90, "₽")


def test_what_a_band_held_is_counted_by_hand() -> None:
    created = pd.to_datetime(["2025-01-01", "2025-01-01", "2025-01-05", "2025-01-15", "2025-01-15"], utc=True)
    examples = pd.DataFrame(
        {"lead_id": list("aabcc"), "created_at": created, "converted": [True, False, False, True, False]}
    )
    probability = np.array([0.5, 0.2, 0.15, 0.3, 0.05])
    rows = describe_bands(BandPolicy(0.3, 0.1), examples, probability, groups=np.array([0, 0, 1, 2, 2]), seed=0)
    sql, mql, nurture = rows
    assert [row.band for row in rows] == ["SQL", "MQL", "nurture"]
    assert [(row.low, row.high) for row in rows] == [(0.3, 1.0), (0.1, 0.3), (0.0, 0.1)]
    assert [row.snapshots for row in rows] == [2, 2, 1]
    # Leads by the best they reached: a 0.5 and c 0.3 are SQL, b is MQL; the period is two weeks long.
    assert [row.share for row in rows] == pytest.approx([2 / 3, 1 / 3, 0.0])
    assert [row.leads_per_week for row in rows] == pytest.approx([1.0, 0.5, 0.0])
    assert sql.precision is not None
    assert (sql.precision.value, sql.precision.low, sql.precision.high) == (1.0, 1.0, 1.0)
    assert mql.precision is not None
    assert mql.precision.value == 0.0
    assert nurture.precision is not None
    assert nurture.precision.value == 0.0


def test_an_empty_band_has_no_precision_and_without_dates_no_leads_a_week() -> None:
    examples = pd.DataFrame(
        {"lead_id": ["a", "b"], "created_at": pd.to_datetime([None, None], utc=True), "converted": [True, False]}
    )
    rows = describe_bands(BandPolicy(0.3, 0.1), examples, np.array([0.5, 0.6]), groups=np.array([0, 1]), seed=0)
    assert [row.precision is None for row in rows] == [False, True, True]
    assert [row.leads_per_week for row in rows] == [None, None, None]
    assert [row.snapshots for row in rows] == [2, 0, 0]


def test_the_share_that_a_team_can_call_is_capacity_over_leads() -> None:
    # 40 leads in four weeks, looked at twice each; eight calls a week
    created = pd.Timestamp("2025-01-01", tz="UTC") + pd.to_timedelta(np.linspace(0, 28, 40), unit="D")
    examples = pd.DataFrame({"lead_id": [f"l{n}" for n in range(40)], "created_at": created})
    twice = pd.concat([examples, examples])
    assert capacity_share(twice, capacity=CapacitySettings(leads_per_week=8)) == pytest.approx(32 / 40)
    assert capacity_share(twice, capacity=CapacitySettings(leads_per_week=8), coverage=0.5) == pytest.approx(16 / 40)
    assert capacity_share(twice, capacity=CapacitySettings(leads_per_week=80)) == 1.0
    assert capacity_share(twice, capacity=CapacitySettings()) is None
    undated = twice.assign(created_at=pd.NaT)
    assert capacity_share(undated, capacity=CapacitySettings(leads_per_week=8)) is None


def test_hysteresis_travels_with_the_policy_only_where_it_is_set() -> None:
    examples, probability = draw(2)
    capacity = CapacitySettings(leads_per_week=3)
    plain, _ = choose_policy(examples, probability, capacity=capacity, rules=())
    steady, _ = choose_policy(examples, probability, capacity=capacity, rules=(), hysteresis=0.15)
    assert (plain.hysteresis, steady.hysteresis) == (0.0, 0.15)
    assert (plain.sql, plain.mql) == (steady.sql, steady.mql)
    assert "hysteresis" not in plain.to_json()


def test_a_rule_about_an_event_names_the_column_of_its_answer() -> None:
    settings = (
        RuleSettings(name="demo", event="demo", within=timedelta(days=7), band="SQL"),
        RuleSettings(name="звонок", event="звонок", band="SQL"),
    )
    assert make_rules(settings) == (
        Rule("demo", "event demo within 7d", ("yes",), "SQL", event="demo", within=604_800),
        Rule("звонок", "event звонок", ("yes",), "SQL", event="звонок"),
    )


@pytest.mark.parametrize("seed", range(10))
def test_training_and_leads_bands_fill_the_week_with_the_same_threshold(seed: int) -> None:
    """The same leads, a fifth of those that came in without a known fate: both count all that came in."""
    examples, probability = draw(seed, ties=False)
    capacity = CapacitySettings(leads_per_week=3)
    best = best_of(examples, probability).to_numpy()
    arrived = round(1.25 * len(best))
    policy, _ = choose_policy(examples, probability, capacity=capacity, rules=(), coverage=len(best) / arrived)
    since = examples["created_at"].min().to_pydatetime()
    ground = Ground(
        best, np.arange(len(best)) % 5 == 0, np.arange(len(best)), arrived, since,
        since + timedelta(weeks=weeks_of(examples)),
    )  # fmt: skip
    line = solve(ground, policy, capacity, seed=0, draws=5).find("capacity")
    assert line is not None
    assert line.threshold == policy.sql
    assert line.calls.value <= 3 + 1e-9
    inside = describe_bands(
        policy, examples, probability, groups=np.arange(len(examples)), seed=0, coverage=len(best) / arrived
    )[0]
    assert inside.leads_per_week == pytest.approx(line.calls.value)


def test_a_lead_that_stands_for_four_takes_the_room_of_four() -> None:
    examples, probability = draw(2, ties=False)
    ids = examples["lead_id"].to_numpy()
    weight = np.where(examples["lead_id"].str[-1].isin(["1", "3", "5"]), 4.0, 1.0)
    copies = pd.concat(
        [examples.assign(lead_id=ids + f"/{copy}", p=probability).loc[weight > copy] for copy in range(4)]
    )
    capacity = CapacitySettings(leads_per_week=6)
    # coverage is in leads as they are counted: each of them stands for mean-of-weights times as many
    many = copies["lead_id"].nunique() / examples["lead_id"].nunique()
    one, _ = choose_policy(examples, probability, capacity=capacity, rules=(), coverage=1.0 / many, weight=weight)
    other, _ = choose_policy(copies.drop(columns="p"), copies["p"].to_numpy(), capacity=capacity, rules=())
    assert one.sql == other.sql
