from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from features.catalogue import Catalogue, Feature, Statistic, Subject
from features.engine import build_features, read_lead_columns
from features.listing import build_catalogue
from features.tables import Tables
from project.errors import SchemaError
from project.folder import find_project
from worlds import ask, csv_text, days, iso, lines, make_tables, utc

TICK = timedelta(microseconds=1)
WINDOWS = {"6h": 21_600, "1d": 86_400, "7d": 604_800, "30d": 2_592_000, "90d": 7_776_000}
KINDS = ("O'Brien's call", 'say "hi", now', "звонок ё", "💥 boom", "100% off %s", "back\\slash", "a_b; --", "mail")
GROUPS = {"pair": ("звонок ё", "mail"), "trio": ("💥 boom", "a_b; --", "O'Brien's call")}
NAMES = (*(f"k{place}" for place in range(len(KINDS))), *GROUPS, "any_event")
MEMBERS = {**{f"k{place}": (kind,) for place, kind in enumerate(KINDS)}, **GROUPS, "any_event": KINDS}
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
COUNTS = ("count", "day_count", "session_count")
GAP = timedelta(minutes=30)
SEEDS = range(36)

TOML = """
[leads]
file = "leads.csv"
id = "id"
created_at = "created"

[events]
file = "events.csv"
lead = "lead"
at = "at"
kind = "kind"
value = "value"
recorded_at = "recorded"

[stages]
file = "stages.csv"
lead = "lead"
at = "at"

[outcome]
"""
STAGES = "lead,at\n"


@dataclass(frozen=True)
class Event:
    lead: str
    at: datetime
    kind: str
    value: Decimal | None = None
    recorded: datetime | None = None

    def row(self) -> list[str]:
        value = "" if self.value is None else str(self.value)
        return [self.lead, iso(self.at), self.kind, value, iso(self.recorded) if self.recorded else ""]


@dataclass(frozen=True)
class World:
    leads: dict[str, datetime]
    events: tuple[Event, ...]
    questions: tuple[tuple[str, datetime], ...]

    def tables(self, folder: Path) -> Tables:
        return make_tables(
            folder,
            TOML,
            {
                "leads.csv": csv_text([["id", "created"], *([lead, iso(at)] for lead, at in self.leads.items())]),
                "events.csv": csv_text(
                    [["lead", "at", "kind", "value", "recorded"], *(event.row() for event in self.events)]
                ),
                "stages.csv": STAGES,
            },
        )


def hand_made(statistic: Statistic, subject: str, window: int | None, name: str) -> Feature:
    return Feature(name, "number", "behaviour", subject, statistic, window, "", "", "")


def everything() -> Catalogue:
    """List every statistic over every window for every subject, whatever the settings would have chosen."""
    windowed: tuple[Statistic, ...] = ("count", "day_count", "share", "trend", "sum")
    ever: tuple[Statistic, ...] = ("since_last", "since_first")
    features = [
        *(
            hand_made(statistic, subject, seconds, f"{subject}|{statistic}|{window}")
            for subject in NAMES
            for statistic in windowed
            for window, seconds in WINDOWS.items()
        ),
        *(
            hand_made(statistic, subject, None, f"{subject}|{statistic}|ever")
            for subject in NAMES
            for statistic in ever
        ),
        *(
            hand_made("session_count", "any_event", seconds, f"any_event|session_count|{window}")
            for window, seconds in WINDOWS.items()
        ),
        *(hand_made("span", subject, None, f"{subject}|span|ever") for subject in NAMES),
        Feature("age", "number", "clock", "lead", "age", None, "", "", ""),
        Feature("hour", "number", "clock", "lead", "hour", None, "", "", ""),
        Feature("weekday", "category", "clock", "lead", "weekday", None, "", "", ""),
    ]
    return Catalogue(tuple(features), tuple(Subject(name, MEMBERS[name], name, name) for name in NAMES))


def some(seed: int, *, number: int = 60) -> Catalogue:
    """Take the next part of all features in a mixed order, since hundreds at once take a second."""
    whole = everything()
    order = random.Random(0).sample(whole.names, len(whole.names)) * 2
    start = seed * number % len(whole.names)
    return whole.keep([*order[start : start + number], "age", "hour", "weekday"])


def known(events: Sequence[Event], lead: str, as_of: datetime) -> list[Event]:
    """Keep what had happened and was known: the later of the two clocks is before as_of."""
    return [event for event in events if event.lead == lead and max(event.at, event.recorded or event.at) < as_of]


def expected(
    events: Sequence[Event], kinds: Sequence[str], statistic: str, length: timedelta, as_of: datetime
) -> float:
    """Answer one feature with plain loops over events that were known at as_of."""
    ours = [event for event in events if event.kind in kinds]
    inside = [event for event in ours if event.at >= as_of - length]
    match statistic:
        case "count":
            return float(len(inside))
        case "day_count":
            return float(len({event.at.date() for event in inside}))
        case "sum":
            return float(sum((event.value for event in inside if event.value is not None), Decimal(0)))
        case "share":
            everything = [event for event in events if event.at >= as_of - length]
            return len(inside) / len(everything) if everything else math.nan
        case "trend":
            late = [event for event in inside if event.at >= as_of - length / 4]
            return 4 * len(late) / len(inside) if inside else math.nan
        case "session_count":
            return float(sum(event.at >= as_of - length for event in openers(ours)))
        case "span":
            moments = [event.at for event in ours]
            return whole_days(max(moments) - min(moments)) if ours else math.nan
        case "since_last":
            return whole_days(as_of - max(event.at for event in ours)) if ours else math.nan
        case "since_first":
            return whole_days(as_of - min(event.at for event in ours)) if ours else math.nan
    raise AssertionError(statistic)


def openers(events: Sequence[Event]) -> list[Event]:
    """Return the first event of each session: nothing that is known lies less than half an hour before it."""
    instants = sorted({event.at for event in events})
    first = [at for at, before in zip(instants, [datetime(1900, 1, 1), *instants], strict=False) if at - before >= GAP]
    return [next(event for event in events if event.at == at) for at in first]


def whole_days(length: timedelta) -> float:
    """Return days to the whole second, as the catalogue promises."""
    return (length // timedelta(seconds=1)) / 86_400


def answers(world: World, name: str) -> list[float | str]:
    column: list[float | str] = []
    for lead, as_of in world.questions:
        created = world.leads[lead]
        if "|" in name:
            subject, statistic, window = name.split("|")
            length = timedelta(seconds=WINDOWS.get(window, 0))
            visible = known(world.events, lead, as_of)
            column.append(expected(visible, MEMBERS[subject], statistic, length, as_of))
        else:
            whole: dict[str, Callable[[], float | str]] = {
                "age": lambda: whole_days(as_of - created),  # noqa: B023
                "hour": lambda: float(created.hour),  # noqa: B023
                "weekday": lambda: WEEKDAYS[created.weekday()],  # noqa: B023
            }
            column.append(whole[name]())
    return column


def random_world(seed: int) -> World:
    """Invent a few leads with events thickly around the edges of every window of every question."""
    chance = random.Random(seed)
    start = datetime(2024, 1, 1) + timedelta(
        seconds=chance.randrange(400 * 86_400), microseconds=chance.randrange(10**6)
    )
    leads = {f"лид '{place}\"": start + days(chance.uniform(0, 40)) for place in range(5)}
    leads["silent"] = start
    questions = []
    events: list[Event] = []
    for lead, created in leads.items():
        for _ in range(3):
            as_of = created + chance.choice([timedelta(0), days(1), days(30), days(chance.uniform(0, 120))])
            questions.append((lead, as_of))
            if lead != "silent":
                events += [random_event(chance, lead, as_of) for _ in range(12)]
    events += chance.sample(events, 5)  # the same thing twice at one instant is two events
    chance.shuffle(events)
    return World(leads, tuple(events), tuple(questions))


def random_event(chance: random.Random, lead: str, as_of: datetime) -> Event:
    edge = timedelta(seconds=chance.choice([0, *WINDOWS.values(), *(seconds // 4 for seconds in WINDOWS.values())]))
    at = chance.choice(
        [
            as_of - edge,
            as_of - edge - TICK,
            as_of - edge + TICK,
            (as_of - edge).replace(hour=0, minute=0, second=0, microsecond=0),
            as_of - days(chance.expovariate(0.1)),
            as_of - timedelta(seconds=chance.randrange(90_000)),
            as_of - timedelta(hours=1) - chance.randrange(4) * GAP,
            as_of - timedelta(hours=1) - GAP + TICK,
            as_of + days(chance.uniform(0, 5)),
        ]
    )
    recorded = chance.choice([None, None, at, at + days(chance.uniform(0, 9)), at - days(3), as_of, as_of - TICK])
    value = chance.choice([None, Decimal(chance.randrange(-(10**9), 10**9)).scaleb(-chance.randrange(7)), Decimal(0)])
    return Event(lead, at, chance.choice(KINDS), value, recorded)


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
            "stages.csv": STAGES,
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
            "stages.csv": STAGES,
        },
    )
    catalogue = Catalogue(
        tuple(hand_made("day_count", name, 2_592_000, name) for name in ("a", "b", "both")),
        (Subject("a", ("a",), "", ""), Subject("b", ("b",), "", ""), Subject("both", ("a", "b"), "", "")),
    )
    frame = build_features(ask(("1", utc("2024-05-10"))), tables, catalogue)
    assert frame.iloc[0].to_dict() == {"a": 2.0, "b": 2.0, "both": 3.0}


def bits(frame: pd.DataFrame) -> list[tuple[object, ...]]:
    """Return rows whose numbers compare bit for bit, missing ones too."""
    rows = []
    for row in frame.itertuples(index=False):
        rows.append(tuple(np.float64(cell).tobytes() if isinstance(cell, float) else cell for cell in row))
    return rows


@pytest.mark.parametrize("seed", range(100, 104))
def test_the_future_cannot_change_a_feature(tmp_path: Path, seed: int) -> None:
    world, catalogue = random_world(seed), some(seed)
    lead, as_of = world.questions[seed % 4]
    before = replace(world, events=tuple(event for event in world.events if known([event], event.lead, as_of)))
    chance = random.Random(seed)
    later = [Event(lead, as_of + days(chance.uniform(0, 99)), kind, Decimal(10**6)) for kind in KINDS * 3]
    later += [Event(lead, as_of, kind, Decimal(7)) for kind in KINDS]
    unheard = [
        replace(event, lead=lead, recorded=as_of + gap) for event in world.events for gap in (TICK * 0, TICK, days(8))
    ]
    after = replace(world, events=(*later, *world.events, *unheard))
    assert len(before.events) < len(world.events)
    frames = [
        build_features(ask((lead, as_of)), each.tables(tmp_path / str(place)), catalogue)
        for place, each in enumerate((world, before, after))
    ]
    assert bits(frames[0]) == bits(frames[1]) == bits(frames[2])
    assert np.nansum(frames[0].filter(regex=r"\|(count|since_first)\|").to_numpy()) > 0


@pytest.mark.parametrize("seed", range(200, 203))
def test_a_lead_alone_has_the_same_bits_as_in_a_batch(tmp_path: Path, seed: int) -> None:
    world, catalogue = random_world(seed), some(seed)
    tables = world.tables(tmp_path)
    together = bits(build_features(ask(*world.questions), tables, catalogue))
    for place, question in list(enumerate(world.questions))[::4]:
        assert bits(build_features(ask(question), tables, catalogue)) == [together[place]]
    order = random.Random(seed).sample(range(len(together)), len(together))
    shuffled = ask(*world.questions).iloc[order]
    assert bits(build_features(shuffled, tables, catalogue)) == [together[place] for place in order]


def test_the_index_of_the_snapshots_means_nothing(tmp_path: Path) -> None:
    world, catalogue = random_world(1), some(1)
    tables = world.tables(tmp_path)
    plain = ask(*world.questions)
    named = plain.set_axis([f"row {-place}" for place in range(len(plain))])
    assert_frame_equal(build_features(named, tables, catalogue), build_features(plain, tables, catalogue))


def test_the_order_of_the_events_file_means_nothing(tmp_path: Path) -> None:
    world, catalogue = random_world(2), some(2)
    turned = replace(world, events=world.events[::-1])
    one = build_features(ask(*world.questions), world.tables(tmp_path / "1"), catalogue)
    other = build_features(ask(*world.questions), turned.tables(tmp_path / "2"), catalogue)
    assert bits(one) == bits(other)


def test_one_lead_asked_twice_at_one_moment_answers_twice(tmp_path: Path) -> None:
    world, catalogue = random_world(3), some(3)
    question = world.questions[0]
    frame = build_features(ask(question, question), world.tables(tmp_path), catalogue)
    assert bits(frame)[0] == bits(frame)[1]


def test_no_questions_have_no_answers_but_all_columns(tmp_path: Path) -> None:
    world, catalogue = random_world(4), some(4)
    frame = build_features(ask(), world.tables(tmp_path), catalogue)
    assert frame.shape == (0, len(catalogue.names))
    assert list(frame.columns) == catalogue.names
    assert {str(kind) for kind in frame.drop(columns="weekday").dtypes} == {"float64"}
    assert str(frame["weekday"].dtype) == "str"


def test_an_unknown_lead_does_not_give_its_row_to_another(tmp_path: Path) -> None:
    world, catalogue = random_world(5), some(5)
    tables = world.tables(tmp_path)
    (first, second) = world.questions[0], world.questions[4]
    try:
        frame = build_features(ask(first, ("nobody", first[1]), second), tables, catalogue)
    except SchemaError:
        return
    alone = build_features(ask(second), tables, catalogue)
    assert bits(frame)[2] == bits(alone)[0]


ACCOUNTS_TOML = """
[leads]
file = "leads.csv"
id = "id"
created_at = "created"
account = "company"
columns = { "Источник, \\"лида\\"" = "category", "Size" = "number", "Test?" = "rule" }

[accounts]
file = "accounts.csv"
id = "company"
valid_from = "since"
columns = { "Size" = "number", "Field's" = "category" }

[stages]
file = "stages.csv"
lead = "lead"
at = "at"

[outcome]
"""
LEADS = lines(
    """id,created,company,"Источник, ""лида""\",Size,Test?
    1,2024-05-01T00:00:00Z,ACME,сайт,10,no
    2,2024-05-01T00:00:00Z,ACME,,,yes
    3,2024-05-01T00:00:00Z,,O'Hara,3.5,
    4,2024-05-01T00:00:00Z,Bolt,ads,0,no"""
)
ACCOUNTS = """company,since,Size,Field's
    ACME,2024-01-01T00:00:00Z,100,steel
    ACME,2024-05-10T00:00:00Z,200,"""
LATER_ACCOUNTS = """
    ACME,2024-05-20T00:00:00.000001Z,900,rubber
    ACME,2024-06-20T00:00:00Z,999,paper
    Bolt,2024-05-20T00:00:00.000001Z,7,screws"""


def account_world(folder: Path, accounts: str) -> tuple[Tables, Catalogue]:
    files = {"leads.csv": LEADS, "accounts.csv": lines(accounts), "stages.csv": STAGES}
    tables = make_tables(folder, ACCOUNTS_TOML, files)
    return tables, build_catalogue(tables, find_project(folder).settings)


def test_attributes_are_those_of_the_version_valid_then(tmp_path: Path) -> None:
    tables, catalogue = account_world(tmp_path, ACCOUNTS + LATER_ACCOUNTS)
    moments = ["2024-05-09 23:59:59.999999", "2024-05-10", "2024-05-20", "2024-05-20 00:00:00.000001", "2024-07-01"]
    frame = build_features(ask(*(("1", utc(moment)) for moment in moments)), tables, catalogue)
    assert frame["size_2"].tolist() == [100, 200, 200, 900, 999]
    assert frame["field_s"].fillna("?").tolist() == ["steel", "?", "?", "rubber", "paper"]
    assert frame["size"].tolist() == [10.0] * 5
    assert "test" not in frame


def test_lead_attributes_stand_as_the_file_has_them(tmp_path: Path) -> None:
    tables, catalogue = account_world(tmp_path, ACCOUNTS)
    frame = build_features(ask(*((lead, utc("2024-05-20")) for lead in "1234")), tables, catalogue)
    assert frame["источник_лида"].fillna("?").tolist() == ["сайт", "?", "O'Hara", "ads"]
    assert frame["size"].fillna(-1).tolist() == [10, -1, 3.5, 0]
    assert frame["size_2"].fillna(-1).tolist() == [200, 200, -1, -1]
    assert frame["источник_лида"].isna().sum() == 1
    assert read_lead_columns(tables, ["4", "1"], ["Test?"])["Test?"].tolist() == ["no", "no"]


def test_later_versions_of_an_account_cannot_change_a_feature(tmp_path: Path) -> None:
    questions = ask(*((lead, utc("2024-05-20")) for lead in "1234"))
    frames = []
    for place, accounts in enumerate((ACCOUNTS, ACCOUNTS + LATER_ACCOUNTS)):
        tables, catalogue = account_world(tmp_path / str(place), accounts)
        frames.append(build_features(questions, tables, catalogue))
    assert bits(frames[0]) == bits(frames[1])


def test_versions_in_any_order_of_rows_give_the_same_attributes(tmp_path: Path) -> None:
    head, *rows = lines(ACCOUNTS + LATER_ACCOUNTS).splitlines()
    questions = ask(*((lead, utc("2024-06-30")) for lead in "1234"))
    frames = []
    for place, ordered in enumerate((rows, rows[::-1])):
        tables, catalogue = account_world(tmp_path / str(place), "\n".join([head, *ordered]))
        frames.append(build_features(questions, tables, catalogue))
    assert bits(frames[0]) == bits(frames[1])


def test_a_model_that_needs_a_column_nobody_declares_is_refused(tmp_path: Path) -> None:
    tables, _ = account_world(tmp_path, ACCOUNTS)
    gone: dict[str, Any] = {
        "kind": "number",
        "statistic": "value",
        "window": None,
        "known_by_then": "",
        "en": "",
        "ru": "",
    }
    catalogue = Catalogue((Feature("budget", origin="lead", subject="Budget", **gone),), ())
    with pytest.raises(SchemaError, match="lead column 'Budget'"):
        build_features(ask(("1", utc("2024-05-20"))), tables, catalogue)
    with pytest.raises(SchemaError, match="'Nope'"):
        read_lead_columns(tables, ["1"], ["Nope"])


def test_the_clock_speaks_utc(tmp_path: Path) -> None:
    tables = make_tables(
        tmp_path,
        '[project]\ntimezone = "Asia/Tokyo"\n' + TOML,
        {
            "leads.csv": "id,created\n1,2024-05-01 03:30:00\n",
            "events.csv": "lead,at,kind,value,recorded\n",
            "stages.csv": STAGES,
        },
    )
    catalogue = everything().keep(["age", "hour", "weekday"])
    frame = build_features(
        ask(("1", datetime(2024, 5, 2, 6, 30, 0, tzinfo=UTC).replace(tzinfo=None))), tables, catalogue
    )
    # 3:30 of a Wednesday in Tokyo is 18:30 of the Tuesday before in UTC
    assert frame.iloc[0].to_dict() == {"age": 1.5, "hour": 18.0, "weekday": "Tue"}


def test_events_of_a_lead_that_does_not_exist_change_nothing(tmp_path: Path) -> None:
    world, catalogue = random_world(6), some(6)
    strangers = replace(world, events=(*world.events, *(replace(event, lead="nobody") for event in world.events)))
    one = build_features(ask(*world.questions), world.tables(tmp_path / "1"), catalogue)
    other = build_features(ask(*world.questions), strangers.tables(tmp_path / "2"), catalogue)
    assert bits(one) == bits(other)
