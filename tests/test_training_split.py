from __future__ import annotations

import random
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from project.errors import NotEnoughDataError
from project.settings import TrainingSettings
from training.split import PERIODS, Split, split_examples
from worlds import days

START = datetime(2023, 1, 1)
SHORT = "The history is short"


def invent(seed: int, *, leads: int = 240, span: int = 400, share_of_accounts: float = 0.7) -> pd.DataFrame:
    """Invent labelled snapshots: leads of shared accounts come in over `span` days, asked about at some ages."""
    chance = random.Random(seed)
    rows: list[dict[str, Any]] = []
    for position in range(leads):
        created = START + timedelta(seconds=chance.randrange(span * 86_400))
        if chance.random() < 0.2:
            created = created.replace(hour=0, minute=0, second=0)
        account = f"company {chance.randrange(round(leads * share_of_accounts))}"
        for age in (0, 1, 3, 7, 14, 30)[: chance.randrange(1, 7)]:
            rows.append(
                {
                    "lead_id": f"lead {position}",
                    "account_id": account,
                    "group_id": account,
                    "created_at": created,
                    "as_of": created + days(age),
                    "position": position,
                    "converted": chance.random() < 0.3,
                }
            )
    return pd.DataFrame(rows).astype({"created_at": "datetime64[us]", "as_of": "datetime64[us]"})


def divide(examples: pd.DataFrame, *, horizon: int = 20, dated: bool = True, **chosen: Any) -> Split:
    return split_examples(examples, horizon=days(horizon), settings=TrainingSettings(**chosen), dated=dated)


@cache
def many() -> list[tuple[pd.DataFrame, timedelta, Split]]:
    """Divide many invented histories, short and long, with few and many accounts."""
    found = []
    for seed in range(100):
        chance = random.Random(1_000 + seed)
        examples = invent(
            seed,
            leads=chance.choice([80, 160, 320, 900]),
            span=chance.choice([90, 200, 500]),
            share_of_accounts=chance.choice([0.3, 0.6, 2.0]),
        )
        horizon = chance.choice([5, 20, 60])
        shares = {"test_share": chance.choice([0.1, 0.2, 0.4]), "forward_share": chance.choice([0.2, 0.45, 0.7])}
        try:
            found.append((examples, days(horizon), divide(examples, horizon=horizon, **shares)))
        except NotEnoughDataError:
            continue
    return found


def test_most_invented_histories_can_be_divided_and_some_are_short() -> None:
    assert len(many()) >= 35
    short = [split for _, _, split in many() if any(SHORT in warning for warning in split.warnings)]
    assert 3 <= len(short) <= len(many()) - 15


def test_no_account_and_no_lead_stands_on_two_sides() -> None:
    for examples, _, split in many():
        used = examples.assign(side=split.side)[split.side != ""]
        for column in ("account_id", "lead_id"):
            assert used.groupby(column)["side"].nunique().max() == 1


def test_every_example_is_fitted_tested_or_set_aside() -> None:
    for examples, _, split in many():
        assert set(split.side) <= {"fit", "test", ""}
        assert len(split.side) == len(examples)
        assert sum(split.set_aside.values()) == int((split.side == "").sum())
        assert set(split.rows("forward").tolist()) <= set(split.rows("fit").tolist())
        assert np.array_equal(split.final.fit, split.rows("fit"))
        assert np.array_equal(split.final.ahead, split.rows("test"))


def test_what_is_fitted_comes_before_the_test_period() -> None:
    for examples, _, split in many():
        begins = examples.iloc[split.rows("test")]["created_at"].min()
        fitted = examples.iloc[split.rows("fit")]
        assert fitted["created_at"].max() < begins
        assert fitted["as_of"].max() < begins
        assert split.final.at is not None
        assert split.final.at <= begins


def test_only_labels_known_before_the_test_period_are_called_mature() -> None:
    young = 0
    for examples, horizon, split in many():
        at = pd.Timestamp(split.final.at)  # type: ignore[arg-type]
        fitted = np.zeros(len(examples), dtype=bool)
        fitted[split.rows("fit")] = True
        over = (examples["as_of"] + horizon <= at).to_numpy()
        assert not (split.mature & ~over).any()
        assert split.mature[fitted & over].all()
        young += bool((fitted & ~over).any())
    assert young > 0


def test_young_leads_are_fitted_only_where_enough_conversions_tell_how_long_they_take() -> None:
    for examples, _, split in many():
        converted = examples["converted"].to_numpy()
        leads = examples.loc[split.mature & converted, "lead_id"].nunique()
        young = (split.side == "fit") & ~split.mature
        assert not young.any() or leads >= 100


def test_origins_follow_each_other_and_predict_what_comes_after_them() -> None:
    dated = 0
    for examples, horizon, split in many():
        seen: set[int] = set()
        last = pd.Timestamp.min
        for origin in split.origins:
            ahead, fitted = examples.iloc[origin.ahead], examples.iloc[origin.fit]
            arrived = examples.groupby("group_id")["created_at"].transform("min").iloc[origin.ahead]
            assert last <= arrived.min()
            assert fitted["as_of"].max() < arrived.min()
            assert not set(fitted["group_id"]) & set(ahead["group_id"])
            assert not seen & set(origin.ahead.tolist())
            assert 2 <= fitted["converted"].sum() <= len(fitted) - 2
            seen |= set(origin.ahead.tolist())
            last = arrived.max()
            if origin.at is not None:
                dated += 1
                over = fitted["as_of"] + horizon <= pd.Timestamp(origin.at)
                assert fitted.loc[over & fitted["converted"], "lead_id"].nunique() >= 100
            else:
                assert split.mature[origin.fit].all()
        assert seen >= set(split.rows("forward").tolist())
    assert dated > 0


def test_where_earlier_models_know_what_came_later_the_warning_says_so() -> None:
    for _, _, split in many():
        knowing = any(origin.at is None for origin in split.origins)
        assert knowing == any(SHORT in warning for warning in split.warnings)


def test_the_test_period_begins_where_the_last_leads_came_in() -> None:
    examples = invent(3, leads=500, share_of_accounts=50)
    split = divide(examples, horizon=5, test_share=0.3)
    created = examples.drop_duplicates("lead_id")["created_at"]
    tested = set(examples.iloc[split.rows("test")]["lead_id"])
    late = created >= examples.iloc[split.rows("test")]["created_at"].min()
    assert 0.29 <= late.mean() <= 0.31
    assert len(tested) / late.sum() > 0.95


def test_an_account_stays_where_its_first_lead_came_in() -> None:
    for examples, _, split in many()[::5]:
        begins = examples.iloc[split.rows("test")]["created_at"].min()
        first = examples.groupby("account_id")["created_at"].min()
        tested = set(examples.iloc[split.rows("test")]["account_id"])
        assert (first[list(tested)] >= begins).all()


def test_periods_tell_what_is_in_them() -> None:
    for examples, _, split in many()[::5]:
        for name in PERIODS:
            rows, period = examples.iloc[split.rows(name)], split.periods[name]
            assert (period.first, period.last) == (min(rows["as_of"]), max(rows["as_of"]))
            assert period.snapshots == len(rows)
            assert period.leads == len(set(rows["lead_id"]))
            assert period.positives == sum(rows["converted"].tolist())
            assert period.to_json()["from"] == min(rows["as_of"]).isoformat()


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), turn=st.sampled_from(["flip", "shuffle"]), dated=st.booleans())
def test_where_an_example_goes_does_not_depend_on_any_outcome(seed: int, turn: str, dated: bool) -> None:
    examples = invent(seed, leads=120)
    labels = examples["converted"].to_numpy()
    other = ~labels if turn == "flip" else np.random.default_rng(seed).permutation(labels)
    one = divide(examples, dated=dated)
    assert divide(examples.assign(converted=other), dated=dated).side.tolist() == one.side.tolist()


def test_the_order_of_the_examples_means_nothing() -> None:
    examples = invent(11)
    order = random.Random(0).sample(range(len(examples)), len(examples))
    for dated, how in ((True, "row_order"), (False, "row_order"), (False, "random")):
        one = divide(examples, dated=dated, split=how)
        other = divide(examples.iloc[order].reset_index(drop=True), dated=dated, split=how)
        assert other.side.tolist() == [one.side[place] for place in order]


def test_the_index_of_the_examples_means_nothing() -> None:
    examples = invent(12)
    moved = examples.set_axis(range(7_000, 7_000 + len(examples)))
    assert divide(moved).side.tolist() == divide(examples).side.tolist()


def flat(examples: pd.DataFrame) -> pd.DataFrame:
    never = pd.Series([None] * len(examples), dtype="datetime64[us]")
    return examples.assign(created_at=never, as_of=never).drop_duplicates("lead_id").reset_index(drop=True)


@pytest.mark.parametrize("seed", range(8))
def test_without_dates_the_rows_stand_for_time(seed: int) -> None:
    examples = flat(invent(seed, leads=300))
    split = divide(examples, dated=False, test_share=0.2, forward_share=0.5, origins=2)
    first = examples.groupby("account_id")["position"].transform("min")
    ends = [(first[rows].min(), first[rows].max()) for rows in (split.rows("fit"), split.rows("test"))]
    assert ends[0][1] < ends[1][0]
    parts = [split.origins[0].fit, split.origins[0].ahead, split.origins[1].ahead, split.rows("test")]
    accounts = [examples.iloc[rows]["account_id"].nunique() for rows in parts]
    assert [count / sum(accounts) for count in accounts] == pytest.approx([0.4, 0.2, 0.2, 0.2], abs=0.01)
    assert set(split.origins[1].fit) == {*split.origins[0].fit, *split.origins[0].ahead}
    assert split.kind == "row_order"
    assert split.warnings[0].startswith("No dates: the order of the rows stands for time")
    assert split.set_aside == {}
    assert split.periods["test"].first is None


@pytest.mark.parametrize("seed", range(8))
def test_a_random_split_keeps_accounts_together_and_follows_its_seed(seed: int) -> None:
    examples = flat(invent(seed, leads=300))
    split = divide(examples, dated=False, split="random", seed=seed)
    used = examples.assign(side=split.side)
    assert used.groupby("account_id")["side"].nunique().max() == 1
    accounts = used.groupby("side")["account_id"].nunique() / used["account_id"].nunique()
    assert accounts.to_dict() == pytest.approx({"fit": 0.8, "test": 0.2}, abs=0.01)
    assert divide(examples, dated=False, split="random", seed=seed).side.tolist() == split.side.tolist()
    assert divide(examples, dated=False, split="random", seed=seed + 1).side.tolist() != split.side.tolist()
    assert np.corrcoef(examples["position"], split.side == "test")[0, 1] < 0.5
    assert "the split is random" in split.warnings[0]
    assert split.kind == "random"


def test_a_history_shorter_than_the_horizon_is_refused_with_the_cure() -> None:
    with pytest.raises(NotEnoughDataError, match=r"no lead whose 200d are over\. Shorten outcome\.horizon"):
        divide(invent(1, span=100), horizon=200)


def test_a_period_without_conversions_is_refused_by_name() -> None:
    examples = invent(2)
    tested = divide(examples).rows("test")
    examples.loc[tested, "converted"] = False
    with pytest.raises(NotEnoughDataError, match=r"The test period has 0 conversions among \d+ leads"):
        divide(examples)
    examples.loc[tested, "converted"] = True
    with pytest.raises(NotEnoughDataError, match="it needs at least 2 of each outcome"):
        divide(examples)


def test_one_lead_is_not_enough() -> None:
    with pytest.raises(NotEnoughDataError):
        divide(invent(1, leads=1))
    with pytest.raises(NotEnoughDataError):
        divide(flat(invent(1, leads=1)), dated=False)


def test_late_leads_of_accounts_seen_before_are_set_aside_and_the_warning_says_so() -> None:
    split = divide(invent(5, leads=600, share_of_accounts=0.4), horizon=5)
    assert split.set_aside["an earlier lead of the account or person is in another period"] > 0
    assert any("accounts seen before" in warning for warning in split.warnings)
    lonely = divide(invent(5, leads=400, share_of_accounts=100.0), horizon=5)
    assert not any("accounts seen before" in warning for warning in lonely.warnings)


def test_splitting_changes_nothing_in_the_examples() -> None:
    examples = invent(6)
    before = examples.copy(deep=True)
    divide(examples)
    assert examples.equals(before)
