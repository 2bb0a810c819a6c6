"""Features of events: equal to plain loops, half-open windows, the clock."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from event_worlds import (
    COUNTS,
    NO_STAGES,
    SEEDS,
    TICK,
    TOML,
    WINDOWS,
    answers,
    everything,
    hand_made,
    random_world,
    some,
)
from features.catalogue import Catalogue, Subject
from features.engine import build_features
from worlds import ask, lines, make_tables, utc


@pytest.mark.parametrize("seed", SEEDS)
def test_every_feature_equals_a_plain_loop_over_the_events(tmp_path: Path, seed: int) -> None:
    world, catalogue = random_world(seed), some(seed)
    frame = build_features(ask(*world.questions), world.tables(tmp_path), catalogue)
    assert list(frame.columns) == catalogue.names
    for name in catalogue.names:
        wanted = answers(world, name)
        if name == "weekday":
            assert frame[name].tolist() == wanted
        elif any(f"|{statistic}|" in name for statistic in COUNTS) or name == "hour":
            assert frame[name].tolist() == wanted, name
        else:
            np.testing.assert_allclose(frame[name], np.array(wanted), rtol=1e-12, atol=1e-12, err_msg=name)


def test_the_random_worlds_hold_every_hard_case() -> None:
    worlds = [random_world(seed) for seed in SEEDS]
    cases = {
        (event.at - as_of) / TICK + edge * 10**6
        for world in worlds
        for lead, as_of in world.questions
        for event in world.events
        for edge in (0, *WINDOWS.values())
        if event.lead == lead
    }
    assert {-1.0, 0.0, 1.0} <= cases
    late = [event for world in worlds for event in world.events if event.recorded and event.recorded > event.at]
    early = [event for world in worlds for event in world.events if event.recorded and event.recorded < event.at]
    assert late
    assert early
    assert {name for seed in SEEDS for name in some(seed).names} == set(everything().names)
    for name in everything().names[::7]:
        assert len({str(value) for world in worlds[:12] for value in answers(world, name)}) > 1, name


EDGES = """
    at,                          recorded,                    seen, should
    2024-05-31T12:00:00.000000Z, ,                            0,    at as_of itself
    2024-05-31T12:00:00.000001Z, ,                            0,    a microsecond after as_of
    2024-05-31T11:59:59.999999Z, ,                            1,    a microsecond before as_of
    2024-05-24T12:00:00.000000Z, ,                            1,    exactly one window before
    2024-05-24T11:59:59.999999Z, ,                            0,    a microsecond before the window
    2024-05-24T12:00:00.000001Z, ,                            1,    a microsecond inside the window
    2024-05-30T12:00:00.000000Z, 2024-05-31T12:00:00.000000Z, 0,    recorded at as_of
    2024-05-30T12:00:00.000000Z, 2024-05-31T11:59:59.999999Z, 1,    recorded a microsecond before as_of
    2024-05-30T12:00:00.000000Z, 2024-06-09T12:00:00.000000Z, 0,    recorded long after as_of
    2024-05-31T12:00:00.000000Z, 2024-05-01T12:00:00.000000Z, 0,    recorded early and occurred at as_of
    2024-05-30T12:00:00.000000Z, 2024-05-01T12:00:00.000000Z, 1,    recorded before it occurred
"""
CASES = [[cell.strip() for cell in line.split(",")] for line in EDGES.strip().splitlines()[1:]]


@pytest.mark.parametrize(("at", "recorded", "seen", "should"), CASES, ids=[case[-1] for case in CASES])
def test_a_window_is_half_open_on_both_clocks(tmp_path: Path, at: str, recorded: str, seen: str, should: str) -> None:
    tables = make_tables(
        tmp_path,
        TOML,
        {
            "leads.csv": "id,created\n1,2024-01-01T00:00:00Z\n",
            "events.csv": f"lead,at,kind,value,recorded\n1,{at},x,2.5,{recorded}\n",
            "stages.csv": NO_STAGES,
        },
    )
    catalogue = Catalogue(
        (
            hand_made("count", "x", 604_800, "n"),
            hand_made("sum", "x", 604_800, "v"),
            hand_made("day_count", "x", 604_800, "d"),
        ),
        (Subject("x", ("x",), "x", "x"),),
    )
    frame = build_features(ask(("1", utc("2024-05-31 12:00:00"))), tables, catalogue)
    assert frame.iloc[0].tolist() == [float(seen), 2.5 * float(seen), float(seen)], should


def test_a_day_with_events_of_two_kinds_counts_once(tmp_path: Path) -> None:
    tables = make_tables(
        tmp_path,
        TOML,
        {
            "leads.csv": "id,created\n1,2024-01-01T00:00:00Z\n",
            "events.csv": lines(
                """lead,at,kind,value,recorded
                1,2024-05-01T00:00:00Z,a,,
                1,2024-05-01T23:59:59.999999Z,b,,
                1,2024-05-02T00:00:00Z,b,,
                1,2024-05-04T12:00:00Z,a,,"""
            ),
            "stages.csv": NO_STAGES,
        },
    )
    catalogue = Catalogue(
        tuple(hand_made("day_count", name, 2_592_000, name) for name in ("a", "b", "both")),
        (Subject("a", ("a",), "", ""), Subject("b", ("b",), "", ""), Subject("both", ("a", "b"), "", "")),
    )
    frame = build_features(ask(("1", utc("2024-05-10"))), tables, catalogue)
    assert frame.iloc[0].to_dict() == {"a": 2.0, "b": 2.0, "both": 3.0}


def test_the_clock_speaks_utc(tmp_path: Path) -> None:
    tables = make_tables(
        tmp_path,
        '[project]\ntimezone = "Asia/Tokyo"\n' + TOML,
        {
            "leads.csv": "id,created\n1,2024-05-01 03:30:00\n",
            "events.csv": "lead,at,kind,value,recorded\n",
            "stages.csv": NO_STAGES,
        },
    )
    catalogue = everything().keep(["age", "hour", "weekday"])
    frame = build_features(
        ask(("1", datetime(2024, 5, 2, 6, 30, 0, tzinfo=UTC).replace(tzinfo=None))), tables, catalogue
    )
    # 3:30 of a Wednesday in Tokyo is 18:30 of the Tuesday before in UTC
    assert frame.iloc[0].to_dict() == {"age": 1.5, "hour": 18.0, "weekday": "Tue"}
