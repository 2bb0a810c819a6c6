"""The classifier two-sample test of `leads monitor`, on invented frames and on simulated histories."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.ingest import read_tables
from features.listing import build_catalogue
from features.snapshots import build_training_snapshots
from models.columns import ModelColumn
from project.folder import find_project
from training.demo import write_demo_project
from training.evaluation.evaluate import Interval
from training.monitoring.checks import Check, check_mix
from training.monitoring.two_samples import (
    TwoSamples,
    choose_moments,
    compare_moments,
    tell_apart,
    timeless_columns,
)
from training.simulator.crm import simulate_crm, write_crm
from worlds import utc

COLUMNS = [ModelColumn(name, "number", name.title(), name) for name in ("size", "budget", "noise")]
SINCE, UNTIL, HORIZON = utc("2025-08-01"), utc("2026-01-01"), timedelta(days=60)


def _halves(*, together: bool, seed: int) -> pd.DataFrame:
    """4,000 rows with columns of one distribution; in the second half size and budget have one sign, if together."""
    chance = np.random.default_rng(seed)
    frame = pd.DataFrame(chance.standard_normal((4_000, 3)), columns=["size", "budget", "noise"])
    if together:
        signs = np.sign(frame["size"].iloc[2_000:])
        frame.loc[2_000:, "budget"] = frame["budget"].iloc[2_000:].abs() * signs
    return frame


def _tell(frame: pd.DataFrame, groups: np.ndarray) -> tuple[Interval, np.ndarray]:  # type: ignore[type-arg]
    return tell_apart(frame, COLUMNS, new=np.arange(2_000, 4_000), old=np.arange(2_000), groups=groups)


def test_samples_of_one_kind_are_not_told_apart() -> None:
    inside = [_tell(_halves(together=False, seed=seed), np.arange(4_000))[0] for seed in range(8)]
    assert sum(one.low <= 0.5 <= one.high for one in inside) >= 6
    assert all(abs(one.value - 0.5) < 0.05 for one in inside)


def test_a_mix_that_moved_while_every_column_kept_its_shares_is_told_by_the_columns_that_moved_together() -> None:
    found, gains = _tell(_halves(together=True, seed=1), np.arange(4_000))
    # a classifier that knows the rule: same sign → 2/3 new, other sign → old for sure; its area is 0.75
    assert found.value == pytest.approx(0.75, abs=0.02)
    assert gains[2] < 0.2 * gains[:2].min()


def test_rows_of_one_account_never_stand_on_both_sides() -> None:
    frame = _halves(together=False, seed=2)
    accounts = np.repeat(np.arange(80), 50)
    for name in frame:
        frame[name] = np.random.default_rng(3).permutation(80)[accounts].astype(float)  # the account, by number
    assert _tell(frame, accounts)[0].value < 0.65
    assert _tell(frame, np.arange(4_000))[0].value > 0.99  # which is what learning accounts by heart would reach


def test_the_samples_stand_to_each_other_one_gap_earlier_and_never_meet() -> None:
    as_of = np.arange(np.datetime64("2024-01-01", "us"), np.datetime64("2026-01-01", "us"), np.timedelta64(6, "h"))
    for since in (SINCE, utc("2025-12-10")):
        found = choose_moments(as_of, since=since, until=UNTIL, horizon=HORIZON)
        gap = UNTIL - since
        stretch = np.timedelta64(min(HORIZON, gap), "us")
        assert len(found.now) == len(found.latest)
        assert len(found.before) == len(found.well_before)
        assert as_of[found.now].min() >= max(np.datetime64(since), np.datetime64(UNTIL) - stretch)
        assert as_of[found.before].max() < np.datetime64(since)
        assert as_of[found.latest].min() >= np.datetime64(since) - stretch
        assert as_of[found.latest].max() < np.datetime64(since)
        assert as_of[found.well_before].max() < np.datetime64(since - gap)
        assert not set(found.latest) & set(found.well_before)


def _compare(folder: Path, *, asked_differently: bool) -> TwoSamples | None:
    """Compare periods of a history that stands still, the budget question with other answers from `SINCE` on or not."""
    write_demo_project(folder, n_leads=2_500, seed=5)
    crm = simulate_crm(2_500, seed=5, drift=0.0, season=0.0, new_campaigns=False)
    leads = crm.leads
    if asked_differently:
        late = leads["created_at"] >= pd.Timestamp(SINCE, tz="UTC")
        leads = leads.assign(budget_answer=leads["budget_answer"].where(~late, leads["budget_answer"] + " EUR"))
    write_crm(replace(crm, leads=leads), folder / "data")
    project = find_project(folder)
    tables = read_tables(project)
    asked = build_training_snapshots(tables, project.settings.snapshots.ages)
    catalogue = build_catalogue(tables, project.settings)
    columns = [
        ModelColumn(feature.name, feature.kind, feature.en, feature.ru)
        for feature in catalogue.features
        if feature.subject in {"budget_answer", "channel", "role", "employees", "page_view", "call"}
    ]
    moments = choose_moments(asked["as_of"].to_numpy(), since=SINCE, until=UNTIL, horizon=HORIZON)
    return compare_moments(asked, tables, catalogue, timeless_columns(columns, catalogue), moments)


def test_leads_of_a_world_that_stands_still_are_not_told_apart(tmp_path: Path) -> None:
    found = _compare(tmp_path / "still", asked_differently=False)
    assert found is not None
    assert check_mix(found, ()).verdict == "fine"
    assert found.now.value < 0.65


def test_a_question_asked_differently_is_told_and_named(tmp_path: Path) -> None:
    found = _compare(tmp_path / "moved", asked_differently=True)
    assert found is not None
    assert found.told_by == ("Budget, as answered",)
    said = check_mix(found, ())
    assert (said.verdict, said.action) == ("watch", "nothing")
    assert "most by Budget, as answered" in said.words


def test_a_calendar_is_no_sign_of_another_mix(tmp_path: Path) -> None:
    write_demo_project(tmp_path / "demo", n_leads=300, seed=1)
    project = find_project(tmp_path / "demo")
    catalogue = build_catalogue(read_tables(project), project.settings)
    columns = [ModelColumn(one.name, one.kind, one.en, one.ru) for one in catalogue.features]
    left = {one.name for one in timeless_columns(columns, catalogue)}
    origins = {one.origin for one in catalogue.features if one.name in left}
    assert "track_record" in {one.origin for one in catalogue.features}
    assert "track_record" not in origins
    assert {"lead", "account", "behaviour"} <= origins


def test_in_a_history_that_moves_anyway_only_much_more_is_told() -> None:
    def apart(now: float, usual: float) -> bool:
        return TwoSamples(Interval(now, now - 0.02, now + 0.02), Interval(usual, usual - 0.02, usual + 0.02), ()).apart

    assert apart(0.85, 0.55)
    assert not apart(0.71, 0.55)
    assert not apart(0.85, 0.82)
    assert not apart(0.88, 0.81)
    assert apart(0.95, 0.81)


def test_leads_that_are_told_apart_without_a_single_slip_are_another_mix() -> None:
    nan = float("nan")
    found = TwoSamples(Interval(1.0, nan, nan), Interval(0.55, 0.52, 0.58), ("Form",))
    said = check_mix(found, ())
    assert said.verdict == "watch"
    assert "most by Form: AUC 1.0000, usual 0.5500 [" in said.words
    assert not TwoSamples(Interval(1.0, nan, nan), Interval(1.0, nan, nan), ()).apart


def test_the_usual_is_asked_within_the_history_however_long_the_model_has_been_in_use() -> None:
    as_of = np.arange(np.datetime64("2024-01-01"), np.datetime64("2026-01-01")).astype("datetime64[us]")
    moments = choose_moments(as_of, since=datetime(2025, 1, 1), until=datetime(2026, 1, 1), horizon=timedelta(days=60))
    assert as_of[moments.well_before].max() == np.datetime64("2024-07-01")
    assert len(moments.well_before) > 150


def test_an_alarm_of_the_level_is_given_its_likely_cause_and_keeps_its_own_action() -> None:
    moved = TwoSamples(Interval(0.9, 0.88, 0.92), Interval(0.6, 0.57, 0.63), ("Campaign",))
    level = Check("level", "alarm", "", "recalibrate")
    assert check_mix(moved, (level, Check("order", "fine", ""))).words.endswith(
        "The likely cause of the alarm of level."
    )
    assert check_mix(moved, (level,)).verdict == "watch"
    assert check_mix(None, (level,)).verdict == "unknown"
