"""How features are called in front of people, in English and in Russian."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from project.duration import format_duration

__all__ = ["describe_window_en", "describe_window_ru", "readable", "slug", "unique_names"]

_UNITS_EN = {"d": "day", "h": "hour", "m": "minute", "s": "second"}
_UNITS_RU = {
    "d": ("день", "дня", "дней", "последний"),
    "h": ("час", "часа", "часов", "последний"),
    "m": ("минуту", "минуты", "минут", "последнюю"),
    "s": ("секунду", "секунды", "секунд", "последнюю"),
}


def describe_window_en(window: timedelta) -> str:
    """Say a window.

    >>> describe_window_en(timedelta(days=1)), describe_window_en(timedelta(days=30))
    ('in the last day', 'in the last 30 days')
    """
    number, unit = _split(window)
    return f"in the last {_UNITS_EN[unit]}" if number == 1 else f"in the last {number} {_UNITS_EN[unit]}s"


def describe_window_ru(window: timedelta) -> str:
    """Say a window in Russian.

    >>> [describe_window_ru(timedelta(days=days)) for days in (1, 3, 30)]
    ['за последний день', 'за последние 3 дня', 'за последние 30 дней']
    """
    number, unit = _split(window)
    one, few, many, last = _UNITS_RU[unit]
    if number == 1:
        return f"за {last} {one}"
    if number % 10 == 1 and number % 100 != 11:
        return f"за {last} {number} {one}"
    form = few if number % 10 in {2, 3, 4} and number % 100 not in {12, 13, 14} else many
    return f"за последние {number} {form}"


def _split(window: timedelta) -> tuple[int, str]:
    text = format_duration(window)
    return int(text[:-1]), text[-1]


def readable(header: str) -> str:
    """Say a header that nobody gave words for: no underscores, a capital first.

    >>> readable("employee_count"), readable("Total Time Spent"), readable("КАНАЛ")
    ('Employee count', 'Total Time Spent', 'КАНАЛ')
    """
    text = " ".join(header.replace("_", " ").split())
    return text[:1].upper() + text[1:]


def slug(text: str) -> str:
    """Make a name that reads aloud out of any header; letters of every script stay.

    >>> slug("Total Time Spent on Website"), slug("Источник лида"), slug("💥")
    ('total_time_spent_on_website', 'источник_лида', 'column')
    """
    kept = "".join(letter if letter.isalnum() else " " for letter in text.lower())
    return "_".join(kept.split()) or "column"


def unique_names(names: Sequence[str]) -> list[str]:
    """Add _2, _3, … to names that stand there already, skipping any that another one has by itself.

    >>> unique_names(["a", "a", "a_2"])
    ['a', 'a_3', 'a_2']
    """
    taken: set[str] = set()
    unique = []
    for name in names:
        candidate, number = name, 1
        while candidate in taken or (number > 1 and candidate in names):
            number += 1
            candidate = f"{name}_{number}"
        taken.add(candidate)
        unique.append(candidate)
    return unique
