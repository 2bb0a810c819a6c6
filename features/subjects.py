"""Which kinds of events are counted together, and what is asked of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from features.catalogue import Feature, Statistic, Subject
from features.tables import PAGE_MARK, TOUCH
from features.words import describe_window_en, describe_window_ru, slug, unique_names
from project.duration import format_duration

if TYPE_CHECKING:
    from project.source_settings import EventsSettings, Label, TouchesSettings

__all__ = ["ANY_EVENT", "behaviour_features", "list_subjects", "list_touches", "windowed"]

ANY_EVENT = "any_event"
_WHY = "only events that occurred and were recorded before as_of"


def list_subjects(kinds: Sequence[str], events: EventsSettings) -> tuple[Subject, ...]:
    """List all activity, the declared groups, the groups of pages, and the most frequent kinds.

    Parameters
    ----------
    kinds
        Kinds as the events table has them, most frequent first, without the ignored ones. A visit to a page of a
        group has the group behind its kind.
    """
    subjects = []
    if len(kinds) > 1:
        subjects.append(_subject(ANY_EVENT, kinds, events.labels, "All activity", "Вся активность"))
    for name, patterns in events.groups.items():
        members = [kind for kind in kinds if any(_matches(_plain(kind), pattern) for pattern in patterns)]
        subjects.append(_subject(name, members, events.labels, *_call(name)))
    for name in events.page_groups:
        members = [kind for kind in kinds if kind.endswith(f"{PAGE_MARK}{name}")]
        subjects.append(_subject(name, members, events.labels, f"Visits to “{name}” pages", f"Визиты на «{name}»"))
    plain = list(dict.fromkeys(map(_plain, kinds)))
    for name in plain[: events.max_kinds]:
        members = [kind for kind in kinds if _plain(kind) == name]
        subjects.append(_subject(name, members, events.labels, *_call(name)))
    return _named_apart([subject for subject in subjects if subject.kinds])


def list_touches(kinds: Sequence[str], touches: TouchesSettings) -> tuple[Subject, ...]:
    """List what sales did, kind by kind; these never count as activity of the lead."""
    plain = [kind.removeprefix(TOUCH) for kind in kinds]
    subjects = [
        _subject(f"touch {name}", [kind], touches.labels, f"“{name}” by sales", f"«{name}» от продавца", key=name)
        for kind, name in zip(kinds, plain, strict=True)
    ]
    return _named_apart(subjects)


def _subject(
    name: str, kinds: Sequence[str], labels: Mapping[str, Label], en: str, ru: str, *, key: str | None = None
) -> Subject:
    given = labels.get(key or name)
    return Subject(slug(name), tuple(kinds), *((given.en, given.ru) if given else (en, ru)))


def _named_apart(subjects: Sequence[Subject]) -> tuple[Subject, ...]:
    names = unique_names([subject.name for subject in subjects])
    return tuple(replace(subject, name=name) for subject, name in zip(subjects, names, strict=True))


def _call(name: str) -> tuple[str, str]:
    """Call events that nobody gave words for."""
    plain = " ".join(name.replace("_", " ").split())
    return f"“{plain}” events", f"События «{plain}»"


def _plain(kind: str) -> str:
    return kind.partition(PAGE_MARK)[0]


def _matches(kind: str, pattern: str) -> bool:
    return kind.startswith(pattern[:-1]) if pattern.endswith("*") else kind == pattern


def behaviour_features(
    subject: Subject, windows: Sequence[timedelta], *, has_values: bool, whole: bool
) -> list[Feature]:
    """Ask of one subject how often, on how many days, at what pace, what share, how much, and since when.

    Parameters
    ----------
    whole
        Whether the subject is all activity, which has sessions and a span, and no share.
    """
    ordered = sorted(windows)
    longest = ordered[-1]
    middle = ordered[-2] if len(ordered) > 1 else longest
    features = [windowed(subject, "count", window, "{subject} {window}") for window in ordered]
    en, ru = "{subject}: days with any {window}", "{subject}: дней с событиями {window}"
    features.append(windowed(subject, "day_count", middle, en, ru))
    if whole:
        en, ru = "{subject}: sessions {window}", "{subject}: сессий {window}"
        features.append(windowed(subject, "session_count", middle, en, ru))
    if len(ordered) > 2:
        en = "{subject}: pace of late against its own {window} (1 = steady)"
        ru = "{subject}: темп в последнее время против обычного {window} (1 = ровно)"
        features.append(windowed(subject, "trend", middle, en, ru))
    if not whole:
        en, ru = "{subject}: share of all activity {window}", "{subject}: доля всей активности {window}"
        features.append(windowed(subject, "share", longest, en, ru))
    if has_values:
        en, ru = "{subject}: total value {window}", "{subject}: сумма значений {window}"
        features.append(windowed(subject, "sum", middle, en, ru))
    features.append(
        _ever(subject, "since_last", "{subject}: days since the last", "{subject}: дней с последнего события")
    )
    features.append(
        _ever(subject, "since_first", "{subject}: days since the first", "{subject}: дней с первого события")
    )
    if whole:
        en, ru = "{subject}: days from the first to the last", "{subject}: дней от первого до последнего события"
        features.append(_ever(subject, "span", en, ru))
    return features


def windowed(subject: Subject, statistic: Statistic, window: timedelta, en: str, ru: str | None = None) -> Feature:
    """Make a feature over a window; `{subject}` and `{window}` in its words are filled in."""
    return Feature(
        f"{subject.name}_{statistic}_{format_duration(window)}", "number", "behaviour", subject.name, statistic,
        round(window.total_seconds()), _WHY,
        en.format(subject=subject.en, window=describe_window_en(window)),
        (ru or en).format(subject=subject.ru, window=describe_window_ru(window)),
    )  # fmt: skip


def _ever(subject: Subject, statistic: Statistic, en: str, ru: str) -> Feature:
    return Feature(
        f"days_{statistic}_{subject.name}", "number", "behaviour", subject.name, statistic, None, _WHY,
        en.format(subject=subject.en), ru.format(subject=subject.ru),
    )  # fmt: skip
