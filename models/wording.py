"""How a column of a model is spoken of: one sentence for its value, whatever the column asks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from project.language import Words

__all__ = ["Wording", "say_condition", "say_value"]

_MINUTE = 1 / 1440
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_IN_DAYS = {"behaviour since_last", "behaviour since_first", "behaviour span", "clock age", "colleagues since_last"}
_SHARES = {"behaviour share", "track_record win_rate", "ideal_customer fit"}
_STEADY = (0.8, 1.25)


@dataclass(frozen=True)
class Wording:
    """What a column is about.

    Attributes
    ----------
    form
        What is asked of the subject: the origin and the statistic of the catalogue, such as `behaviour count`.
    en, ru
        The subject: of a column of the leads its label, of behaviour what was done.
    group, group_en, group_ru
        What a person thinks of as one thing: columns of one group are told as one reason.
    window
        Over how many seconds before the moment; null where all history counts.
    levels_ru
        Russian words for levels that are words of ours.
    key
        Whether a lead is to be verified where it is not known.
    hidden
        Whether it is left out of what people read.
    """

    form: str
    en: str
    ru: str
    group: str
    group_en: str
    group_ru: str
    window: int | None = None
    levels_ru: Mapping[str, str] = field(default_factory=dict)
    key: bool = False
    hidden: bool = False


def say_condition(wording: Wording, value: object, words: Words) -> str:
    """Say what is so of a lead: the subject and its own value, in one sentence without a full stop.

    Parameters
    ----------
    value
        A number or a level, None or NaN if it is not known.
    """
    subject = words.pick(wording.en, wording.ru)
    if value is None or value != value:
        return _say_missing(wording, subject, words)
    if isinstance(value, str):
        return _say_level(wording, subject, value, words)
    return _say_number(wording, subject, float(value), words)  # type: ignore[arg-type]


def say_value(wording: Wording, value: object, words: Words) -> str:
    """Say a value alone, as in a range: a share in percent, a number, a level."""
    if value is None or value != value:
        return words.text("not known")
    if isinstance(value, str):
        return _name_level(wording, value, words)
    number = float(value)  # type: ignore[arg-type]
    if math.isinf(number):
        return words.number(number)
    if wording.form in _SHARES:
        return words.percent(number)
    if wording.form in _IN_DAYS:
        return words.days(timedelta(days=number))
    return f"{number:02.0f}:00" if wording.form == "clock hour" else words.number(number)


def _name_level(wording: Wording, level: str, words: Words) -> str:
    if wording.form == "clock weekday" and level in _WEEKDAYS:
        return words.weekday(_WEEKDAYS.index(level))
    if wording.form == "clock month" and level in _MONTHS:
        return words.month(_MONTHS.index(level) + 1)
    return wording.levels_ru.get(level, level) if words.language == "ru" else level


def _say_level(wording: Wording, subject: str, level: str, words: Words) -> str:
    name = _name_level(wording, level, words)
    if wording.form == "clock weekday":
        return words.text("Weekday it came in: {name}", name=name)
    if wording.form == "clock month":
        return words.text("Month it came in: {name}", name=name)
    return f"{subject}: {name}"


def _window(wording: Wording, words: Words) -> str:
    return words.window(timedelta(seconds=wording.window)) if wording.window else ""


def _say_missing(wording: Wording, subject: str, words: Words) -> str:
    match wording.form:
        case "behaviour since_last" | "behaviour since_first":
            return words.text("{subject}: never", subject=subject)
        case "behaviour share" | "behaviour trend" | "behaviour sum":
            return words.text("{subject}: nothing {window}", subject=subject, window=_window(wording, words))
        case "behaviour span":
            return words.text("{subject}: nothing so far", subject=subject)
        case "colleagues since_last":
            return words.text("Colleagues: no activity so far")
        case "track_record win_rate":
            return words.text("{subject}: nothing is known of earlier leads like it", subject=subject)
        case "ideal_customer fit":
            return words.text("Nothing of the ideal customer's portrait is known of it")
    return words.text("{subject}: not known", subject=subject)


def _say_number(wording: Wording, subject: str, value: float, words: Words) -> str:
    if math.isinf(value):
        return f"{subject}: {words.number(value)}"
    window = _window(wording, words)
    match wording.form.partition(" "):
        case ("behaviour", _, statistic):
            return _say_behaviour(statistic, subject, value, window, words)
        case ("colleagues", _, statistic):
            return _say_colleagues(statistic, value, window, words)
        case ("clock", _, "age"):
            return words.text("Came in {ago}", ago=_ago(value, words))
        case ("clock", _, "hour"):
            return words.text(
                "Came in between {start}:00 and {end}:00 UTC", start=f"{value:02.0f}", end=f"{value + 1:02.0f}"
            )
        case ("track_record", _, _):
            return words.text(
                "{subject}: of earlier leads like it {share} bought", subject=subject, share=words.percent(value)
            )
        case ("ideal_customer", _, _):
            return words.text("Meets {share} of what is known of the ideal customer", share=words.percent(value))
    return f"{subject}: {words.number(value)}"


def _say_behaviour(statistic: str, subject: str, value: float, window: str, words: Words) -> str:
    told: dict[str, object] = {"subject": subject, "window": window}
    if statistic in {"count", "day_count", "session_count", "sum"} and value == 0:
        return words.text("{subject}: nothing {window}", **told)
    match statistic:
        case "count":
            return words.plural("{subject}: once {window}", "{subject}: {n} times {window}", value, **told)
        case "day_count":
            return words.plural("{subject}: on {n} day {window}", "{subject}: on {n} days {window}", value, **told)
        case "session_count":
            return words.plural("{subject}: {n} visit {window}", "{subject}: {n} visits {window}", value, **told)
        case "share":
            return words.text("{subject}: {share} of all it did {window}", share=words.percent(value), **told)
        case "sum":
            return words.text("{subject}: {total} in total {window}", total=words.number(value), **told)
        case "since_last":
            return words.text("{subject}: last {ago}", ago=_ago(value, words), **told)
        case "since_first":
            return words.text("{subject}: first {ago}", ago=_ago(value, words), **told)
        case "span":
            if value < 1:
                return words.text("{subject}: all within one day", **told)
            return words.plural("{subject}: over {n} day", "{subject}: over {n} days", value, **told)
    if value == 0:
        return words.text("{subject}: nothing of late, after some activity {window}", **told)
    if value < _STEADY[0]:
        return words.text("{subject}: less of late than before, {window}", **told)
    if value > _STEADY[1]:
        return words.text("{subject}: more of late than before, {window}", **told)
    return words.text("{subject}: as often of late as before, {window}", **told)


def _say_colleagues(statistic: str, value: float, window: str, words: Words) -> str:
    match statistic:
        case "leads":
            if value == 0:
                return words.text("No earlier lead of the same company")
            return words.plural("{n} earlier lead of the same company", "{n} earlier leads of the same company", value)
        case "wins":
            if value == 0:
                return words.text("The company has not bought before")
            return words.plural("The company bought once before", "The company bought {n} times before", value)
        case "since_last":
            return words.text("Colleagues: last active {ago}", ago=_ago(value, words))
    if value == 0:
        return words.text("Colleagues: no activity {window}", window=window)
    return words.plural(
        "Colleagues: active once {window}", "Colleagues: active {n} times {window}", value, window=window
    )


def _ago(days: float, words: Words) -> str:
    if days < _MINUTE:
        return words.text("just now")
    if days < 1:
        hours = math.floor(days * 24)
        if hours == 0:
            return words.text("less than an hour ago")
        return words.plural("{n} hour ago", "{n} hours ago", hours)
    return words.plural("{n} day ago", "{n} days ago", math.floor(days))
