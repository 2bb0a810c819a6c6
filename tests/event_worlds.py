"""Worlds of events around the edges of every window, and the answer to each feature by plain loops."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd

from features.catalogue import Catalogue, Feature, Statistic, Subject
from features.tables import Tables
from worlds import csv_text, days, iso, make_tables

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
NO_STAGES = "lead,at\n"


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
                "stages.csv": NO_STAGES,
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


def bits(frame: pd.DataFrame) -> list[tuple[object, ...]]:
    """Return rows whose numbers compare bit for bit, missing ones too."""
    rows = []
    for row in frame.itertuples(index=False):
        rows.append(tuple(np.float64(cell).tobytes() if isinstance(cell, float) else cell for cell in row))
    return rows
