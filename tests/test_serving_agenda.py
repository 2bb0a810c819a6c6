"""The agenda: clocks in business time, today's list under its cap, and who comes back from nurture."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from project.language import speak
from project.settings import BandSettings, CapacitySettings, SlaSettings
from serving.agenda import come_back_at, due_at, is_back, plan_today

MINUTE = timedelta(minutes=1)
UTC = ZoneInfo("UTC")


def slow_due(moment: datetime, allowance: timedelta, sla: SlaSettings, zone: str) -> datetime:
    """Walk minute by minute, and count those that begin while the business is open."""
    left, at = allowance, moment
    while left > timedelta(0):
        local = at.replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
        since_midnight = timedelta(hours=local.hour, minutes=local.minute)
        if local.strftime("%a") in sla.days and sla.opens <= since_midnight < sla.closes:
            left -= MINUTE
        at += MINUTE
    return at


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/New_York", "Asia/Beirut"])
@pytest.mark.parametrize(
    "sla",
    [
        SlaSettings(),
        SlaSettings(SQL="3h", MQL="2d", hours="08:30-12:15", days=("Mon", "Wed", "Sat")),
        SlaSettings(SQL="90m", MQL="1d", hours="00:00-24:00", days=("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")),
    ],
    ids=["office", "mornings", "always"],
)
def test_clocks_agree_with_walking_through_the_minutes(zone: str, sla: SlaSettings) -> None:
    # late March and late October 2025 hold a change of the clock in three of the zones
    random = np.random.default_rng(1)
    starts = [
        datetime(2025, month, 1) + int(minute) * MINUTE
        for month in (3, 10)
        for minute in random.integers(5 * 1_440, 32 * 1_440, 7)
    ]
    bands = [("SQL", "MQL")[number % 2] for number in range(len(starts))]
    found = due_at(np.array(starts, dtype="datetime64[us]"), bands, sla, zone).tolist()
    for moment, band, due in zip(starts, bands, found, strict=True):
        allowance = sla.allowance(band)
        assert allowance is not None
        assert due == slow_due(moment, allowance, sla, zone), (moment, band)


def test_a_lead_that_comes_on_friday_night_is_due_on_monday_morning() -> None:
    moments = np.array(["2025-06-06T22:00", "2025-06-06T17:57:30", "2025-06-06T17:55"], dtype="datetime64[us]")
    found = due_at(moments, ["SQL"] * 3, SlaSettings(), None)
    # what is over just at closing is due at closing, not in the morning
    assert found.astype("datetime64[s]").astype(str).tolist() == [
        "2025-06-09T09:05:00",
        "2025-06-09T09:02:30",
        "2025-06-06T18:00:00",
    ]


def test_one_business_day_is_the_same_hour_of_the_next_working_day() -> None:
    moments = np.array(["2025-06-05T10:00", "2025-06-06T10:00"], dtype="datetime64[us]")
    assert due_at(moments, ["MQL"] * 2, SlaSettings(), "UTC").astype("datetime64[m]").astype(str).tolist() == [
        "2025-06-06T10:00",
        "2025-06-09T10:00",
    ]


def test_other_bands_and_missing_moments_have_no_clock() -> None:
    moments = np.array(["2025-06-05T10:00", "2025-06-05T10:00", "NaT"], dtype="datetime64[us]")
    assert np.isnat(due_at(moments, ["nurture", "disqualified", "SQL"], SlaSettings(), "UTC")).all()
    assert due_at([], [], SlaSettings(), "UTC").shape == (0,)


def test_a_lead_has_the_same_clock_alone_and_beside_others() -> None:
    random = np.random.default_rng(2)
    moments = np.datetime64("2024-01-01", "us") + random.integers(0, 3 * 365 * 86_400_000_000, 300)
    bands = ["SQL", "MQL", "nurture"] * 100
    together = due_at(moments, bands, SlaSettings(), "Europe/Moscow")
    alone = [due_at(moments[place : place + 1], bands[place : place + 1], SlaSettings(), "Europe/Moscow")[0]
             for place in range(0, 300, 7)]  # fmt: skip
    np.testing.assert_array_equal(together[::7], alone)


lead = st.tuples(
    st.sampled_from(["SQL", "MQL", "nurture", "disqualified"]),
    st.sampled_from([0.1, 0.5, 0.500001, 0.9]),
    st.sampled_from([-1.0, 0.0, 2.0]),
    st.sampled_from([float("nan"), -5.0, 0.0, 80.0]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(lead, max_size=40), st.one_of(st.none(), st.integers(0, 45)), st.randoms(use_true_random=False))
def test_the_cap_is_never_exceeded_and_the_best_come_first(
    leads: list[tuple[str, float, float, float]], cap: int | None, random: object
) -> None:
    ids = [f"лид {number:02}" for number in range(len(leads))]
    bands = [row[0] for row in leads]
    said, margin, value = (np.array([row[place] for row in leads], dtype=float) for place in (1, 2, 3))
    plan = plan_today(bands, said, margin, value, ids, cap)
    sql = np.array([band == "SQL" for band in bands], dtype=bool)
    places = plan.place[plan.place > 0]
    assert sorted(places) == list(range(1, min(sql.sum(), len(ids) if cap is None else cap) + 1))
    assert not plan.place[~sql].any()
    np.testing.assert_array_equal(plan.overflow, sql & (plan.place == 0))
    assert plan.words.count("overflow") == plan.overflow.sum()

    def rank(row: int) -> tuple[float, float, float, str]:
        return (-np.inf if np.isnan(value[row]) else value[row]) * -1, -said[row], -margin[row], ids[row]

    called = sorted(np.flatnonzero(plan.place), key=lambda row: plan.place[row])
    assert called == sorted(called, key=rank)
    waiting = np.flatnonzero(plan.overflow)
    assert all(rank(row) < rank(other) for row in called for other in waiting)
    order = list(range(len(ids)))
    random.shuffle(order)  # type: ignore[attr-defined]
    again = plan_today(
        [bands[row] for row in order], said[order], margin[order], value[order], [ids[row] for row in order], cap
    )
    assert again.place.tolist() == plan.place[order].tolist()


def test_a_negative_cap_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        plan_today(["SQL"], np.ones(1), np.ones(1), np.ones(1), ["a"], -1)


def test_the_cap_of_a_day_is_a_fifth_of_the_week_rounded_up_unless_set() -> None:
    assert BandSettings().cap_of_a_day(CapacitySettings()) is None
    assert BandSettings().cap_of_a_day(CapacitySettings(leads_per_week=41)) == 9
    assert BandSettings().cap_of_a_day(CapacitySettings(reps=0.1, calls_per_rep=300)) == 6  # 0.1 · 300 is 30.000…04
    assert BandSettings(daily_cap=3).cap_of_a_day(CapacitySettings(leads_per_week=41)) == 3


def test_nurture_comes_back_after_its_time_and_nothing_else_does() -> None:
    moments = np.array(["2025-01-01T08:00", "2025-01-01T08:00"], dtype="datetime64[us]")
    found = come_back_at(moments, ["nurture", "SQL"], BandSettings(nurture_return=timedelta(days=10)))
    assert found[0] == np.datetime64("2025-01-11T08:00")
    assert np.isnat(found[1])


@pytest.mark.parametrize(
    ("later", "events", "english", "russian"),
    [
        (timedelta(days=29, hours=23), 0, "", ""),
        (timedelta(days=30), 0, "waiting since 1 January 2025", "ждёт с 1 января 2025"),
        (timedelta(days=2), 2, "", ""),
        (timedelta(days=2), 3, "3 new events since 1 January 2025", "3 новых события с 1 января 2025"),
        (timedelta(days=40), 5, "5 new events since 1 January 2025", "5 новых событий с 1 января 2025"),
    ],
)
def test_a_nurtured_lead_is_back_by_time_or_by_what_it_did(
    later: timedelta, events: int, english: str, russian: str
) -> None:
    decided = datetime(2025, 1, 1)
    assert is_back(decided, decided + later, events, BandSettings(), speak("en")) == english
    assert is_back(decided, decided + later, events, BandSettings(), speak("ru")) == russian


def test_without_a_number_of_events_only_time_brings_a_lead_back() -> None:
    decided = datetime(2025, 1, 1)
    assert is_back(decided, decided + timedelta(days=1), 1_000, BandSettings(nurture_events=0), speak("en")) == ""


def test_leads_that_asked_to_be_called_come_before_all_others_within_the_cap() -> None:
    said = np.array([0.9, 0.8, 0.05, 0.04])
    found = plan_today(["SQL"] * 4, said, said, said * 100, ["a", "b", "c", "d"], 3, first=[False, False, True, True])
    assert found.words == ["3", "overflow", "1", "2"]
