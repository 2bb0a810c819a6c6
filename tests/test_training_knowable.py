"""What the records of simulated leads tell: right on average at every level, and closer to the truth than less."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from project.errors import SettingsError
from training.simulator.crm import SimulatedCrm, simulate_crm
from training.simulator.knowable import knowable_probability

_HORIZON = timedelta(days=60)


@pytest.fixture(scope="module")
def crm() -> SimulatedCrm:
    return simulate_crm(20_000, seed=5)


@pytest.fixture(scope="module")
def open_leads(crm: SimulatedCrm) -> pd.DataFrame:
    """Leads a week after they came in, if they are still open then."""
    asked = crm.leads[["lead_id", "created_at"]].assign(as_of=lambda rows: rows["created_at"] + timedelta(days=7))
    closed = crm.stages.loc[crm.stages["stage"].isin(["won", "lost"])].set_index("lead_id")["changed_at"]
    still = asked["lead_id"].map(closed).fillna(pd.Timestamp("2100-01-01", tz="UTC")) >= asked["as_of"]
    return asked.loc[still & (asked["as_of"] < datetime(2026, 1, 1, tzinfo=UTC))]


def _excess(said: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    told = truth > 0
    p, q = truth[told], said[told]
    return float(np.mean(p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))))


def test_among_leads_of_which_the_records_tell_the_same_the_truth_is_that_on_average(
    crm: SimulatedCrm, open_leads: pd.DataFrame
) -> None:
    asked = open_leads["lead_id"], open_leads["as_of"], _HORIZON
    truth, knowable = crm.truth.probability(*asked), knowable_probability(crm, *asked)
    for rows in np.array_split(np.argsort(knowable), 8):
        error = truth[rows].std() / np.sqrt(len(rows))
        assert abs(truth[rows].mean() - knowable[rows].mean()) < 4 * error + 0.03 * knowable[rows].mean()


def test_records_bring_one_closer_to_the_truth_but_not_all_the_way(crm: SimulatedCrm, open_leads: pd.DataFrame) -> None:
    asked = open_leads["lead_id"], open_leads["as_of"], _HORIZON
    truth, knowable = crm.truth.probability(*asked), knowable_probability(crm, *asked)
    silent = SimulatedCrm(crm.leads, crm.events[:0], crm.stages, crm.accounts, crm.touches[:0], crm.truth)
    base = np.full(len(truth), truth.mean())
    assert 0 < _excess(knowable, truth) < 0.5 * _excess(base, truth)
    assert _excess(knowable, truth) < _excess(knowable_probability(silent, *asked), truth)


def test_nothing_recorded_later_is_read(crm: SimulatedCrm, open_leads: pd.DataFrame) -> None:
    moment = datetime(2025, 9, 1, tzinfo=UTC)
    leads = crm.leads.loc[crm.leads["created_at"] < moment, "lead_id"]
    past = SimulatedCrm(
        crm.leads, crm.events.loc[crm.events["recorded_at"] < moment], crm.stages, crm.accounts,
        crm.touches.loc[crm.touches["occurred_at"] < moment], crm.truth,
    )  # fmt: skip
    whole, cut = (knowable_probability(one, leads, moment, _HORIZON) for one in (crm, past))
    np.testing.assert_allclose(whole, cut, rtol=1e-9)


def test_fates_dealt_at_random_are_told_by_nothing() -> None:
    crm = simulate_crm(500, seed=1, shuffle_outcomes=True)
    known = knowable_probability(crm, crm.leads["lead_id"], datetime(2026, 1, 1, tzinfo=UTC), _HORIZON)
    assert np.isnan(known[crm.truth.chance > 0]).all()


def test_a_lead_that_is_not_there_yet_is_an_error(crm: SimulatedCrm) -> None:
    with pytest.raises(SettingsError, match="not created yet"):
        knowable_probability(crm, crm.leads["lead_id"].tail(1), datetime(2024, 1, 1, tzinfo=UTC), _HORIZON)
