"""The simulated CRM: its truth is calibrated, and its tables look like those of a CRM."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from project.errors import SettingsError
from simulated import DAY, END, HONEST, TABLES, count, follow, read_fates
from training.simulator.crm import SIMULATED_LABELS, LeadTruth, SimulatedCrm, simulate_crm, write_crm


@pytest.fixture(scope="module")
def crm() -> SimulatedCrm:
    return simulate_crm(100_000, seed=7)


@pytest.fixture(scope="module")
def fates(crm: SimulatedCrm) -> pd.DataFrame:
    return read_fates(crm)


@pytest.mark.parametrize("age", [0, 7, 14, 45])
@pytest.mark.parametrize("horizon", [14, 60])
def test_the_truth_is_calibrated_in_every_decile(
    crm: SimulatedCrm, fates: pd.DataFrame, age: int, horizon: int
) -> None:
    _, truth, won = follow(crm, fates, age=age, horizon=horizon)
    decile = pd.qcut(truth, 10, labels=False)
    table = pd.DataFrame({"gap": won - truth, "variance": truth * (1 - truth)}).groupby(decile).sum()
    assert len(truth) > 10_000
    assert (table["gap"].abs() <= HONEST * np.sqrt(table["variance"])).all()
    assert abs(table["gap"].sum()) <= HONEST * np.sqrt(table["variance"].sum())


@pytest.mark.parametrize("age", [7, 30])
def test_what_a_lead_did_adds_nothing_to_its_truth(crm: SimulatedCrm, fates: pd.DataFrame, age: int) -> None:
    leads, truth, won = follow(crm, fates, age=age, horizon=60)
    qualified = crm.stages[crm.stages["stage"] == "qualified"]
    signs = {
        "events": np.log1p(count(crm.events, leads, time="recorded_at", days=age)),
        "touches": np.log1p(count(crm.touches, leads, time="occurred_at", days=age)),
        "qualified": count(qualified, leads, time="changed_at", days=age),
    }
    for name, sign in signs.items():
        x = (sign - sign.mean()).to_numpy()
        score = ((won - truth) * x).sum() / np.sqrt((truth * (1 - truth) * x**2).sum())
        assert abs(score) <= HONEST, name


def test_channels_differ_in_quality(fates: pd.DataFrame) -> None:
    mature = fates[fates["created_at"] <= END - 60 * DAY]
    wins = (mature["days"] < 60).groupby(mature["channel"]).agg(["mean", "size"])
    error = np.sqrt(wins["mean"] * (1 - wins["mean"]) / wins["size"])
    assert len(wins) == 8
    assert wins["mean"]["referral"] - HONEST * error["referral"] > wins["mean"]["organic"] + HONEST * error["organic"]
    assert wins["mean"]["organic"] - HONEST * error["organic"] > wins["mean"]["social"] + HONEST * error["social"]


def test_buyers_take_about_two_weeks_and_some_more_than_two_months(fates: pd.DataFrame) -> None:
    days = fates.loc[fates["created_at"] <= END - 180 * DAY, "days"].dropna()
    assert 10 < days.median() < 16
    assert 0.05 < (days > 60).mean() < 0.10


def test_a_model_at_age_seven_days_is_useful_but_far_from_perfect(crm: SimulatedCrm, fates: pd.DataFrame) -> None:
    leads, truth, won = follow(crm, fates, age=7, horizon=53)
    industry = leads["account_id"].map(crm.accounts.set_index("account_id")["industry"])
    columns = leads[["channel", "country", "role", "budget_answer"]].assign(industry=industry).fillna("blank")
    numbers = [
        np.log1p(count(crm.events[crm.events["kind"] == kind], leads, time="recorded_at", days=7))
        for kind in SIMULATED_LABELS
    ]
    x = StandardScaler().fit_transform(np.column_stack([pd.get_dummies(columns).to_numpy(float), *numbers]))
    half = len(x) // 2
    model = LogisticRegression(C=0.1, max_iter=500).fit(x[:half], won[:half])
    reached = roc_auc_score(won[half:], model.decision_function(x[half:]))
    assert 0.73 < reached < 0.82
    assert reached < roc_auc_score(won[half:], truth[half:])


def test_the_same_seed_gives_the_same_tables_and_the_same_bytes(tmp_path: Path) -> None:
    first, second = simulate_crm(1_000, seed=5), simulate_crm(1_000, seed=5)
    for table in TABLES:
        assert_frame_equal(getattr(first, table), getattr(second, table))
    paths, again = write_crm(first, tmp_path / "a"), write_crm(second, tmp_path / "b")
    assert all(paths[table].read_bytes() == again[table].read_bytes() for table in TABLES)


def test_the_default_history_is_the_one_it_always_was(tmp_path: Path) -> None:
    """The digest was taken before any argument beyond `base_rate` existed; a new one must change nothing by itself."""
    paths = write_crm(simulate_crm(1_000, seed=5), tmp_path)
    digest = hashlib.sha256(b"".join(paths[table].read_bytes() for table in sorted(paths)))
    assert digest.hexdigest() == "a248faf8d6e000bd1d8577e97ba6407bca1bda7b1bf77ec315e8d026fa187b8f"


def test_another_seed_gives_other_tables() -> None:
    first, second = simulate_crm(1_000, seed=5), simulate_crm(1_000, seed=6)
    assert all(not getattr(first, table).equals(getattr(second, table)) for table in TABLES)


def test_only_the_five_tables_are_written_and_never_the_truth(tmp_path: Path) -> None:
    crm = simulate_crm(1_000, seed=2)
    paths = write_crm(crm, tmp_path)
    assert {table: path.name for table, path in paths.items()} == {
        table: f"{table}.csv" + (".gz" if table == "events" else "") for table in TABLES
    }
    assert sorted(tmp_path.iterdir()) == sorted(paths.values())
    hidden = {field.name for field in fields(LeadTruth)} - {"lead_ids"}
    hidden |= {"intent", "spam", "duplicate", "closed", "won", "stop", "domain", "person", "truth"}
    for path in paths.values():
        assert not hidden & set(pd.read_csv(path, nrows=0).columns)


def test_written_tables_read_back_as_they_were(tmp_path: Path) -> None:
    crm = simulate_crm(1_000, seed=2)
    paths = write_crm(crm, tmp_path)
    for table in TABLES:
        frame = getattr(crm, table)
        times = frame.select_dtypes("datetimetz").columns
        text = pd.read_csv(paths[table], dtype="str")
        for column in times:
            assert text[column].str.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ").all()
            text[column] = pd.to_datetime(text[column], utc=True)
        assert_frame_equal(text.astype(frame.dtypes.to_dict()), frame)
    assert "Просмотры" not in gzip.decompress(paths["events"].read_bytes()).decode()


def test_nothing_but_the_close_happens_once_a_lead_is_closed(crm: SimulatedCrm, fates: pd.DataFrame) -> None:
    closed = fates.set_index("lead_id")["closed_at"]
    on_the_way = crm.stages[crm.stages["stage"].isin(["new", "contacted", "qualified"])]
    for table, time in (
        (crm.events, "occurred_at"),
        (crm.events, "recorded_at"),
        (crm.touches, "occurred_at"),
        (on_the_way, "changed_at"),
    ):
        assert not (table[time] >= table["lead_id"].map(closed)).any()
    assert (fates["won_at"].isna() | fates["lost_at"].isna()).all()


def test_nothing_is_dated_at_the_end_or_later(crm: SimulatedCrm) -> None:
    for table in TABLES:
        frame = getattr(crm, table)
        for column in frame.select_dtypes("datetimetz"):
            assert frame[column].max() < END, (table, column)


def test_events_are_as_many_as_late_and_as_busy_as_a_crm_shows(crm: SimulatedCrm, fates: pd.DataFrame) -> None:
    events = crm.events
    assert 6 < len(events) / len(fates) < 9
    assert set(events["kind"]) == set(SIMULATED_LABELS)
    assert set(events.loc[events["value"].notna(), "kind"]) == {"pricing_view", "webinar"}
    mail = events["kind"].str.startswith("email")
    late = events["recorded_at"] - events["occurred_at"] > pd.Timedelta(hours=2)
    assert 0.02 < late[mail].mean() < 0.04
    assert not late[~mail].any()
    age = events["occurred_at"] - events["lead_id"].map(fates.set_index("lead_id")["created_at"])
    assert -10 * DAY <= age.min() < -9 * DAY
    assert age[mail].min() >= pd.Timedelta(0)
    assert age.max() < 120 * DAY
    assert (events["occurred_at"].dt.day_of_week < 5).mean() > 0.85
    assert events["occurred_at"].dt.hour.between(6, 14).mean() > 0.6


def test_russian_and_foreign_names_occur_each_in_its_script(crm: SimulatedCrm) -> None:
    east = crm.leads["country"].isin(["RU", "KZ", "BY"])
    cyrillic = crm.leads["contact_name"].str.contains("[А-яЁё]")
    assert (cyrillic == east).all()
    assert 0.1 < east.mean() < 0.9
    assert crm.leads["email"].str.fullmatch(r"[a-z0-9.]+@[a-z0-9.]+").all()
    assert crm.leads["phone"].str.fullmatch(r"\+\d{8,15}").all()


def test_spam_and_duplicates_never_win(crm: SimulatedCrm, fates: pd.DataFrame) -> None:
    reasons = fates["lead_id"].map(crm.stages.dropna(subset="reason").set_index("lead_id")["reason"])
    failed = fates["spam_check"] == "failed"
    copied = fates.duplicated(["account_id", "contact_name", "email", "phone"])
    for junk, reason in ((failed, "spam"), (copied, "duplicate")):
        assert 0.015 < junk.mean() < 0.025
        assert not fates.loc[junk, "won_at"].notna().any()
        assert set(reasons[junk].dropna()) == {reason}
    never = fates[failed | (reasons == "duplicate")]
    assert (crm.truth.probability(never["lead_id"], never["created_at"], timedelta(days=365)) == 0).all()


def test_accounts_are_known_before_their_first_lead(crm: SimulatedCrm) -> None:
    first = crm.leads.groupby("account_id")["created_at"].min()
    accounts = crm.accounts.set_index("account_id")
    assert set(first.index) == set(accounts.index)
    assert (accounts["valid_from"] < first.reindex(accounts.index)).all()


def test_campaigns_belong_to_one_channel_and_come_and_go(crm: SimulatedCrm) -> None:
    campaigns = crm.leads.groupby("campaign")
    assert 50 <= len(campaigns) <= 64
    assert campaigns["channel"].nunique().max() == 1
    assert (campaigns["created_at"].min() > END - 450 * DAY).sum() > 10
    assert (campaigns["created_at"].max() < END - 90 * DAY).sum() > 10


def test_a_longer_horizon_never_lowers_the_truth_and_one_moment_serves_all(crm: SimulatedCrm) -> None:
    ids, horizons = crm.leads["lead_id"].head(1_000), (0, 30, 60, 9_999)
    truths = [crm.truth.probability(ids, datetime(2025, 12, 1), timedelta(days=days)) for days in horizons]
    assert (truths[0] == 0).all()
    assert (np.diff(truths, axis=0) >= 0).all()
    assert truths[-1].max() < 1
    moments = pd.Series([datetime(2025, 12, 1, tzinfo=UTC)] * 1_000)
    assert np.array_equal(crm.truth.probability(ids, moments, timedelta(days=30)), truths[1])


def test_the_truth_refuses_leads_that_are_unknown_or_not_there_yet(crm: SimulatedCrm) -> None:
    for lead_id, moment in (("L9999999", datetime(2025, 12, 1)), ("L0000001", datetime(2020, 1, 1))):
        with pytest.raises(SettingsError, match="unknown or not created yet"):
            crm.truth.probability([lead_id], moment, timedelta(days=30))


def test_every_kind_of_event_has_an_english_and_a_russian_name() -> None:
    assert SIMULATED_LABELS["pricing_view"] == ("Pricing page views", "Просмотры страниц с ценами")
    assert len(SIMULATED_LABELS) == 8
    for english, russian in SIMULATED_LABELS.values():
        assert english.isascii()
        assert not russian.isascii()
