"""What a simulated CRM may be asked for: base rate, drift, season, signal, shuffled outcomes."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from project.errors import SettingsError
from simulated import DAY, END, HONEST, count, follow, read_fates
from training.simulator.crm import SimulatedCrm, simulate_crm


@pytest.mark.parametrize("base_rate", [0.03, 0.10, 0.30])
def test_the_base_rate_is_as_asked_for(base_rate: float) -> None:
    crm = simulate_crm(20_000, seed=11, base_rate=base_rate, drift=0.0)
    truth = crm.truth.probability(crm.leads["lead_id"], crm.leads["created_at"], timedelta(days=60))
    assert truth.mean() == pytest.approx(base_rate, abs=1e-9)
    fates = read_fates(crm)
    mature = fates["days"][fates["created_at"] <= END - 60 * DAY]
    error = np.sqrt(base_rate * (1 - base_rate) / len(mature))
    assert abs((mature < 60).mean() - base_rate) <= HONEST * error


def test_drift_lowers_the_truth_of_late_leads() -> None:
    means = {}
    for drift in (-0.25, 0.0):
        crm = simulate_crm(5_000, seed=3, drift=drift)
        truth = crm.truth.probability(crm.leads["lead_id"], crm.leads["created_at"], timedelta(days=60))
        means[drift] = truth[:1_000].mean(), truth[-1_000:].mean()
    assert means[-0.25][1] / means[-0.25][0] < 0.9 * means[0.0][1] / means[0.0][0]


def monthly_spread(crm: SimulatedCrm) -> float:
    """Return the largest less the smallest log-odds of the mean truth of a month's leads, at creation."""
    truth = pd.Series(crm.truth.probability(crm.leads["lead_id"], crm.leads["created_at"], timedelta(days=60)))
    rate = truth.groupby(crm.leads["created_at"].dt.strftime("%Y-%m")).mean()
    return float(np.ptp(np.log(rate / (1 - rate))))


def test_a_world_stands_still_if_asked_to() -> None:
    still = {"drift": 0.0, "season": 0.0, "new_campaigns": False}
    crm = simulate_crm(40_000, seed=4, **still)  # type: ignore[arg-type]
    campaigns = crm.leads.groupby("campaign")["created_at"]
    running = campaigns.size() > 200
    assert (campaigns.min()[running] < END - 500 * DAY).all()
    assert (campaigns.max()[running] > END - 60 * DAY).all()
    assert monthly_spread(crm) < 0.25
    assert monthly_spread(simulate_crm(40_000, seed=4, **{**still, "season": 0.5})) > 0.7  # type: ignore[arg-type]


def test_less_signal_makes_leads_harder_to_tell_apart() -> None:
    reached = []
    for signal in (0.0, 0.4, 1.0):
        crm = simulate_crm(20_000, seed=8, signal=signal)
        _, truth, won = follow(crm, read_fates(crm), age=0, horizon=60)
        reached.append(roc_auc_score(won, truth))
    assert reached[0] < 0.6 < reached[1] < 0.72 < reached[2]


def test_shuffled_outcomes_follow_nothing_and_their_truth_is_still_known() -> None:
    crm = simulate_crm(40_000, seed=9, shuffle_outcomes=True)
    fates = read_fates(crm)
    leads, truth, won = follow(crm, fates, age=0, horizon=60)
    assert roc_auc_score(won, truth) > 0.7
    assert abs((won - truth).sum()) <= HONEST * np.sqrt((truth * (1 - truth)).sum())
    columns = leads[["channel", "country", "role", "budget_answer"]].fillna("blank")
    early = [np.log1p(count(crm.events, leads, time="recorded_at", days=0)), leads["created_at"].astype("int64")]
    x = StandardScaler().fit_transform(np.column_stack([pd.get_dummies(columns).to_numpy(float), *early]))
    order = np.random.default_rng(1).permutation(len(x))
    half, rest = order[: len(x) // 2], order[len(x) // 2 :]
    model = LogisticRegression(C=0.1, max_iter=500).fit(x[half], won[half])
    assert abs(roc_auc_score(won[rest], model.decision_function(x[rest])) - 0.5) < 0.025


def test_junk_is_no_junk_once_outcomes_are_shuffled() -> None:
    crm = simulate_crm(20_000, seed=9, shuffle_outcomes=True)
    fates = read_fates(crm)
    failed, reasons = fates["spam_check"] == "failed", crm.stages.dropna(subset="reason").set_index("lead_id")["reason"]
    assert fates.loc[failed, "won_at"].notna().mean() > 0.05
    assert (fates.loc[failed, "lead_id"].map(reasons) == "spam").mean() < 0.1


@pytest.mark.parametrize("n_leads", [100, 1_000, 12_345])
def test_there_are_exactly_as_many_leads_as_asked_for(n_leads: int) -> None:
    leads = simulate_crm(n_leads, seed=1).leads
    assert leads["lead_id"].tolist() == [f"L{number:07d}" for number in range(1, n_leads + 1)]
    assert leads["created_at"].is_monotonic_increasing
    assert n_leads / leads["account_id"].nunique() == pytest.approx(1.25, rel=0.01)


def test_the_end_may_be_given_in_any_zone() -> None:
    moscow = datetime(2025, 7, 1, 3, tzinfo=timezone(timedelta(hours=3)))
    here, there = simulate_crm(1_000, seed=1, end=moscow), simulate_crm(1_000, seed=1, end=datetime(2025, 7, 1))
    assert_frame_equal(here.leads, there.leads)


@pytest.mark.parametrize(
    "wrong",
    [{"n_leads": 99}, {"months": 0}, {"base_rate": 0.0}, {"base_rate": 0.9}, {"season": -1.0}, {"signal": -1.0}],
)
def test_impossible_wishes_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match="Change these"):
        simulate_crm(**{"n_leads": 1_000, "seed": 1, **wrong})  # type: ignore[arg-type]
