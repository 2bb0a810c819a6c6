"""Lengths of time as people write them: `1h`, `45d`."""

from __future__ import annotations

import re
from datetime import timedelta

__all__ = ["days_of", "format_duration", "parse_duration"]

_UNITS = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_NAMES = {86_400: "d", 3_600: "h", 60: "m"}


def parse_duration(text: str) -> timedelta:
    """Read `30m`, `1h`, `45d` or `2w`; a bare `0` is no time at all.

    >>> parse_duration("36h")
    datetime.timedelta(days=1, seconds=43200)

    Raises
    ------
    ValueError
        The text is anything else.
    """
    found = re.fullmatch(r"\s*(\d+)\s*([mhdw])\s*", text)
    if text.strip() == "0":
        return timedelta(0)
    if not found:
        raise ValueError(f"{text!r} is not a length of time; write 30m, 1h, 45d or 2w")
    try:
        return timedelta(seconds=int(found[1]) * _UNITS[found[2]])
    except OverflowError as error:
        raise ValueError(f"{text!r} is longer than time can be counted") from error


def format_duration(length: timedelta) -> str:
    """Write a length in the largest unit that divides it.

    >>> format_duration(timedelta(hours=1)), format_duration(timedelta(days=45)), format_duration(timedelta(0))
    ('1h', '45d', '0d')
    """
    seconds = round(length.total_seconds())
    for size, name in _NAMES.items():
        if seconds % size == 0:
            return f"{seconds // size}{name}"
    return f"{seconds}s"


def days_of(length: timedelta) -> float:
    """Return a length in days."""
    return length.total_seconds() / 86_400
