"""What the simulated CRM is made of: its levels with their shares and effects, its kinds of events, its week."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = [
    "BEFORE",
    "BUDGETS",
    "CAMPAIGN_TOPICS",
    "CHANNELS",
    "COUNTRIES",
    "CYRILLIC",
    "DECAY",
    "FITS",
    "INDUSTRIES",
    "KINDS",
    "LIFE",
    "LOST_REASONS",
    "MEASURE_INTENT",
    "MEASURE_SPREAD",
    "PAIR",
    "RISE",
    "ROLES",
    "SIMULATED_LABELS",
    "TAIL",
    "TOUCH_KINDS",
    "WEEK",
    "Codes",
    "Flags",
    "Floats",
    "Kind",
    "Levels",
    "as_moments",
    "busyness",
    "choose_topics",
    "draw",
    "effects",
    "masses",
    "pick",
    "split_words",
    "take",
]

Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]


class Level(NamedTuple):
    """One level of a category: its share of the rows, and its effect on the log-odds to buy."""

    name: str | None
    share: float
    effect: float


class Country(NamedTuple):
    """Name, share, effect, hours from UTC, telephone prefix and how many digits follow it, script, regions."""

    name: str
    share: float
    effect: float
    utc_offset: int
    phone: str
    digits: int
    cyrillic: bool
    regions: tuple[str, ...]


class Kind(NamedTuple):
    """A kind of event: its rate per day at age 0 in an average hour for the mean lead, β of its exp(β z), its labels.

    `before` tells whether it happens before creation; `value` is the median of its measure (0: it has none).
    """

    name: str
    rate: float
    intent: float
    labels: tuple[str, str]
    mail: bool = False
    before: bool = False
    value: float = 0.0


Levels = Sequence[Level | Country]


def _levels(text: str) -> tuple[Level, ...]:
    """Read "name share effect; …" as levels; the name "-" is a blank cell."""
    rows = (row.split() for row in text.split(";"))
    return tuple(Level(None if name == "-" else name, float(share), float(effect)) for name, share, effect in rows)


def split_words(text: str, *, mark: str = " ") -> tuple[str, ...]:
    """Split a text into its words."""
    return tuple(text.split(mark))


CHANNELS = _levels(
    "organic .24 .10; paid_search .17 -.10; yandex_direct .18 -.40; webinar .08 .25; partner .08 .70; referral .06 1.1;"
    "outbound .10 -.60; social .09 -1.0"
)
# The first topic of a channel runs all the time; the others are born and die.
CAMPAIGN_TOPICS = split_words("always_on brand calculator case_studies comparison conference free_trial season_offer")
INDUSTRIES = _levels(
    "software .15 .50; manufacturing .15 .20; retail .14 -.15; construction .11 -.25; logistics .10 .30;"
    "finance .08 .40; healthcare .08 0; education .08 -.60; agriculture .06 -.35; public_sector .05 -.80"
)
ROLES = _levels("owner .14 .55; director .17 .50; manager .27 .10; specialist .20 -.30; student .06 -1.8; - .16 -.20")
LOST_REASONS = _levels("no_budget .27 0; no_need .25 0; bad_timing .16 0; unreachable .20 0; competitor .12 0")
BUDGETS = ("<5k", "5-20k", ">20k")
COUNTRIES = (
    Country("RU", 0.52, 0.00, 3, "+71", 9, True, ("Москва", "Санкт-Петербург", "Урал", "Сибирь", "Поволжье", "Юг")),
    Country("KZ", 0.12, 0.10, 5, "+70", 9, True, ("Алматы", "Астана", "Караганда")),
    Country("BY", 0.08, 0.05, 3, "+37510", 7, True, ("Минск", "Гомель", "Брест")),
    Country("DE", 0.09, -0.10, 1, "+4910", 8, False, ("Bayern", "Berlin", "Hessen")),
    Country("GB", 0.07, -0.15, 0, "+446", 9, False, ("London", "Midlands", "Scotland")),
    Country("US", 0.08, -0.25, -5, "+11", 9, False, ("California", "New York", "Texas")),
    Country("FR", 0.04, -0.10, 1, "+330", 8, False, ("Occitanie", "Paris", "Rhône")),
)
FITS: dict[str, Levels] = {"channel": CHANNELS, "industry": INDUSTRIES, "role": ROLES, "country": COUNTRIES}
# Webinars suit software: the two codes, and what the pair adds.
PAIR = (3, 0, 0.7)
CYRILLIC = np.array([country.cyrillic for country in COUNTRIES])
KINDS = (
    Kind("page_view", 0.22, 0.65, ("Page views", "Просмотры страниц"), before=True),
    Kind("pricing_view", 0.055, 1.0, ("Pricing page views", "Просмотры страниц с ценами"), before=True, value=40.0),
    Kind("email_open", 0.125, 0.5, ("E-mails opened", "Открытые письма"), mail=True),
    Kind("email_click", 0.03, 0.8, ("Clicks in e-mails", "Переходы из писем"), mail=True),
    Kind("form_submit", 0.014, 0.9, ("Forms sent", "Отправленные формы")),
    Kind("webinar", 0.01, 0.6, ("Webinars attended", "Посещённые вебинары"), before=True, value=32.0),
    Kind("download", 0.02, 0.6, ("Downloads", "Скачанные материалы"), before=True),
    Kind("chat", 0.014, 0.9, ("Chats", "Обращения в чат")),
)
TOUCH_KINDS = (
    Kind("call", 0.07, 0.25, ("Calls", "Звонки")),
    Kind("mail", 0.08, 0.15, ("Mails", "Письма")),
    Kind("meeting", 0.012, 0.5, ("Meetings", "Встречи")),
)
# Monday 00:00 to Sunday 23:00, local; nine to six on weekdays is the busiest.
_DAY = np.select([np.arange(24) < 7, np.arange(24) < 9, np.arange(24) < 18], [0.06, 0.35, 1.0], 0.35)
WEEK = np.concatenate([_DAY] * 5 + [0.3 * _DAY] * 2)
# Events: exp(age / 3) in the ten days before creation, then exp(-age / 20) and a flat tail, up to 120 days.
BEFORE, RISE, DECAY, TAIL, LIFE = 10.0, 3.0, 20.0, 0.05, 120
# The measure of an event is its median times exp(0.15 z + 0.6 N(0, 1)).
MEASURE_INTENT, MEASURE_SPREAD = 0.15, 0.6
SIMULATED_LABELS: dict[str, tuple[str, str]] = {kind.name: kind.labels for kind in KINDS}


def draw(rng: np.random.Generator, levels: Levels, n: int) -> Codes:
    """Draw `n` codes of levels by their shares."""
    shares = np.array([level.share for level in levels])
    return rng.choice(len(levels), n, p=shares / shares.sum())


def masses(kind: Kind, days: Floats) -> tuple[float, Floats, Floats]:
    """Return how much of a kind's events lies before creation, before that and the decay, and in all, by that age."""
    before = RISE * (1 - np.exp(-BEFORE / RISE)) * kind.before
    early = before + DECAY * (1 - np.exp(-days / DECAY))
    return before, early, early + TAIL * days


def choose_topics(rng: np.random.Generator, channel: Codes, *, share: Floats, new_campaigns: bool) -> Codes:
    """Choose a campaign of each lead's channel among those that run at its `share` (0 to 1) of the span.

    Without `new_campaigns` all of them run all the time.
    """
    size = len(CHANNELS), len(CAMPAIGN_TOPICS)
    birth, life, liked = rng.uniform(-0.4, 0.8, size), 0.15 + rng.exponential(0.4, size), rng.exponential(1, size)
    always = slice(0, 1 if new_campaigns else None)
    birth[:, always], life[:, always] = -1, 3
    running = (birth[channel] <= share[:, None]) & (share[:, None] < (birth + life)[channel])
    edges = np.cumsum(running * liked[channel], axis=1)
    return np.asarray((rng.random((len(channel), 1)) * edges[:, -1:] >= edges).sum(axis=1), dtype=np.int64)


def effects(levels: Levels) -> Floats:
    """Return the effect of each level (logits)."""
    return np.array([level.effect for level in levels])


def pick(words: Sequence[str | None], codes: Codes) -> pd.Series:
    """Return `words[code]` for each code as a text column; None becomes missing."""
    return pd.Series(pd.array(list(words), dtype="str").take(codes))


def take(column: pd.Series, codes: Codes | pd.Series) -> pd.Series:
    """Return `column[code]` for each code, numbered anew."""
    return column.take(np.asarray(codes)).reset_index(drop=True)


def as_moments(seconds: Codes) -> pd.DatetimeIndex:
    """Turn seconds since 1970 into UTC times."""
    return pd.DatetimeIndex(seconds.astype("datetime64[s]").astype("datetime64[us]")).tz_localize("UTC")


def busyness(seconds: Codes, utc_offset: Codes | int) -> Floats:
    """Return how busy that hour of the local week is, from 0 to 1."""
    # 1970 began on a Thursday.
    return np.asarray(WEEK[(seconds // 3_600 + utc_offset + 72) % 168], dtype=np.float64)
