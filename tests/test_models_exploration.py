"""A share of the leads below SQL is called all the same, and with which chance is known."""

from __future__ import annotations

import numpy as np
import pandas as pd

from models.bands import EXPLORATION, BandPolicy, Rule


def test_a_share_of_the_leads_below_sql_is_explored_by_their_ids_alone_and_its_chance_is_logged() -> None:
    policy = BandPolicy(0.3, 0.1, exploration=0.05)
    leads = [f"lead-{number}" for number in range(20_000)]
    probability = np.where(np.arange(20_000) < 2_000, 0.5, 0.05)
    nothing = pd.DataFrame(index=range(20_000))
    bands, why = policy.assign_with_rules(probability, nothing, leads=leads)
    explored = np.array([one == EXPLORATION for one in why])
    assert not explored[:2_000].any()
    assert abs(explored[2_000:].mean() - 0.05) < 0.006
    assert {band for band, one in zip(bands, why, strict=True) if one == EXPLORATION} == {"SQL"}
    chance = policy.propensity(probability, why)
    assert set(chance[:2_000]) == {1.0}
    assert set(chance[2_000:]) == {0.05}
    again = policy.assign_with_rules(probability[::-1], nothing, leads=leads[::-1])[1]
    assert again[::-1] == why


def test_nothing_is_explored_unless_asked_for_and_rules_have_no_chance() -> None:
    policy = BandPolicy(0.3, 0.1, (Rule("spam", "check", ("spam",), "disqualified"),))
    leads = [f"lead-{number}" for number in range(1_000)]
    checks = pd.DataFrame({"check": ["spam"] * 500 + ["fine"] * 500})
    bands, why = policy.assign_with_rules(np.full(1_000, 0.05), checks, leads=leads)
    assert set(bands) == {"disqualified", "nurture"}
    chance = policy.propensity(np.full(1_000, 0.05), why)
    assert np.isnan(chance[:500]).all()
    assert set(chance[500:]) == {0.0}


def test_a_policy_without_exploration_is_written_as_it_always_was() -> None:
    assert "exploration" not in BandPolicy(0.3, 0.1).to_json()
    policy = BandPolicy(0.3, 0.1, exploration=0.1)
    assert BandPolicy.from_json(policy.to_json()) == policy
