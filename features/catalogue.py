"""The catalogue: one frozen entry a feature, built from the data once and stored with the model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from features.identity import FACT_LABELS
from features.words import describe_window_en, describe_window_ru, slug
from project.duration import format_duration
from project.source_settings import Label

if TYPE_CHECKING:
    from features.tables import Attribute, Tables
    from project.settings import Settings
    from project.source_settings import EventsSettings

__all__ = ["Catalogue", "Feature", "Subject", "build_catalogue"]

Statistic = Literal[
    "value", "age", "hour", "weekday", "count", "day_count", "share", "trend", "sum", "since_last", "since_first"
]


@dataclass(frozen=True)
class Subject:
    """Kinds of events that are counted together."""

    name: str
    kinds: tuple[str, ...]
    en: str
    ru: str


@dataclass(frozen=True)
class Feature:
    """One column of the feature frame.

    Attributes
    ----------
    origin
        `lead` and `account` attributes, the `clock` (age, hour and weekday of creation), or `behaviour`.
    subject
        The column's header for attributes, the subject's name for behaviour.
    window
        Length of the half-open window [as_of - window, as_of) in seconds; null where all history counts.
    known_by_then
        Why the value is known at `as_of`.
    """

    name: str
    kind: Literal["number", "category"]
    origin: Literal["lead", "account", "clock", "behaviour"]
    subject: str
    statistic: Statistic
    window: int | None
    known_by_then: str
    en: str
    ru: str


@dataclass(frozen=True)
class Catalogue:
    """All features, in the order of the frame's columns, and the subjects they speak of."""

    features: tuple[Feature, ...]
    subjects: tuple[Subject, ...]

    @property
    def names(self) -> list[str]:
        """The frame's columns, in order."""
        return [feature.name for feature in self.features]

    def keep(self, names: Iterable[str]) -> Catalogue:
        """Return the catalogue of the named features only, in its own order."""
        kept = set(names)
        return Catalogue(tuple(feature for feature in self.features if feature.name in kept), self.subjects)

    def to_json(self) -> dict[str, object]:
        """Return the readable form that the artefact stores."""
        return {
            "features": [asdict(feature) for feature in self.features],
            "subjects": [{**asdict(subject), "kinds": list(subject.kinds)} for subject in self.subjects],
        }

    @staticmethod
    def from_json(content: Mapping[str, Sequence[Mapping[str, object]]]) -> Catalogue:
        """Read what `to_json` wrote."""
        features = tuple(Feature(**entry) for entry in content["features"])  # type: ignore[arg-type]
        subjects = tuple(
            Subject(str(entry["name"]), tuple(entry["kinds"]), str(entry["en"]), str(entry["ru"]))  # type: ignore[arg-type]
            for entry in content["subjects"]
        )
        return Catalogue(features, subjects)


def build_catalogue(tables: Tables, settings: Settings, *, until: datetime | None = None) -> Catalogue:
    """List every feature that the declared columns and the kinds of events recorded before `until` allow."""
    accounts = settings.accounts
    features = [
        *_attribute_features(tables.lead_attributes, "lead", settings.leads.labels, dated=tables.dated),
        *_attribute_features(
            tables.account_attributes, "account", accounts.labels if accounts else {}, dated=tables.dated
        ),
        *(_clock_features() if tables.dated else []),
    ]
    subjects: tuple[Subject, ...] = ()
    if settings.events is not None and tables.dated:
        found = tables.connection.execute(
            "SELECT kind, count(value) FROM events WHERE ? IS NULL OR recorded_at < ? "
            "GROUP BY kind ORDER BY count(*) DESC, kind",
            [until, until],
        ).fetchall()
        valued = {str(kind): int(n) > 0 for kind, n in found if str(kind) not in settings.events.ignore}
        subjects = _subjects(list(valued), settings.events)
        for subject in subjects:
            # seconds on a page and minutes of a webinar do not add up; a declared group is its owner's word they do
            mixed = subject.name == "any_event" and len(subject.kinds) > 1
            has_values = not mixed and any(valued.get(kind, False) for kind in subject.kinds)
            features += _behaviour_features(subject, settings.events.windows, has_values=has_values)
    return Catalogue(_unique_names(features), subjects)


def _attribute_features(
    attributes: Sequence[Attribute], origin: Literal["lead", "account"], labels: Mapping[str, Label], *, dated: bool
) -> list[Feature]:
    why = "declared as known when the lead came in" if origin == "lead" else "the latest version valid by then"
    features = []
    for attribute in attributes:
        if attribute.kind == "rule":
            continue
        known = labels.get(attribute.header) or (FACT_LABELS.get(attribute.header) if origin == "lead" else None)
        label = known or Label(en=attribute.header, ru=attribute.header)
        features.append(
            Feature(
                slug(attribute.header), attribute.kind, origin, attribute.header, "value", None,
                why if dated else "as the file has it: no dates prove it", label.en, label.ru,
            )
        )  # fmt: skip
    return features


def _clock_features() -> list[Feature]:
    why = "follows from when the lead came in"
    entries: list[tuple[str, Literal["number", "category"], Statistic, str, str]] = [
        ("age_days", "number", "age", "Days since the lead came in", "Дней с момента обращения"),
        ("created_hour", "number", "hour", "Hour of the day it came in (UTC)", "Час обращения (UTC)"),
        ("created_weekday", "category", "weekday", "Weekday it came in", "День недели обращения"),
    ]
    return [Feature(name, kind, "clock", "lead", what, None, why, en, ru) for name, kind, what, en, ru in entries]


def _subjects(kinds: list[str], events: EventsSettings) -> tuple[Subject, ...]:
    def label(name: str, en: str, ru: str) -> tuple[str, str]:
        given = events.labels.get(name)
        return (given.en, given.ru) if given else (en, ru)

    subjects = []
    if len(kinds) > 1:
        subjects.append(Subject("any_event", tuple(kinds), *label("any_event", "All activity", "Вся активность")))
    for name, patterns in events.groups.items():
        members = tuple(kind for kind in kinds if any(_matches(kind, pattern) for pattern in patterns))
        if members:
            subjects.append(Subject(slug(name), members, *label(name, f"“{name}” events", f"События «{name}»")))
    for kind in kinds[: events.max_kinds]:
        subjects.append(Subject(slug(kind), (kind,), *label(kind, f"“{kind}” events", f"События «{kind}»")))
    names = _unique([subject.name for subject in subjects])
    return tuple(replace(subject, name=name) for subject, name in zip(subjects, names, strict=True))


def _matches(kind: str, pattern: str) -> bool:
    return kind.startswith(pattern[:-1]) if pattern.endswith("*") else kind == pattern


def _behaviour_features(subject: Subject, windows: Sequence[timedelta], *, has_values: bool) -> list[Feature]:
    ordered = sorted(windows)
    longest = ordered[-1]
    middle = ordered[-2] if len(ordered) > 1 else longest
    features = [_windowed(subject, "count", window, "{subject} {window}") for window in ordered]
    features.append(
        _windowed(
            subject, "day_count", middle, "{subject}: days with any {window}", "{subject}: дней с событиями {window}"
        )
    )
    if len(ordered) > 2:
        en, ru = (
            "{subject}: pace of late against its own {window}",
            "{subject}: темп в последнее время против обычного {window}",
        )
        features.append(_windowed(subject, "trend", middle, f"{en} (1 = steady)", f"{ru} (1 = ровно)"))
    if len(subject.kinds) == 1:
        en, ru = "{subject}: share of all activity {window}", "{subject}: доля всей активности {window}"
        features.append(_windowed(subject, "share", longest, en, ru))
    if has_values:
        features.append(
            _windowed(subject, "sum", middle, "{subject}: total value {window}", "{subject}: сумма значений {window}")
        )
    features.append(
        _since(subject, "since_last", "{subject}: days since the last", "{subject}: дней с последнего события")
    )
    features.append(
        _since(subject, "since_first", "{subject}: days since the first", "{subject}: дней с первого события")
    )
    return features


_WHY_EVENTS = "only events that occurred and were recorded before as_of"


def _windowed(subject: Subject, statistic: Statistic, window: timedelta, en: str, ru: str | None = None) -> Feature:
    return Feature(
        f"{subject.name}_{statistic}_{format_duration(window)}", "number", "behaviour", subject.name, statistic,
        round(window.total_seconds()), _WHY_EVENTS,
        en.format(subject=subject.en, window=describe_window_en(window)),
        (ru or en).format(subject=subject.ru, window=describe_window_ru(window)),
    )  # fmt: skip


def _since(subject: Subject, statistic: Literal["since_last", "since_first"], en: str, ru: str) -> Feature:
    return Feature(
        f"days_{statistic}_{subject.name}", "number", "behaviour", subject.name, statistic, None, _WHY_EVENTS,
        en.format(subject=subject.en), ru.format(subject=subject.ru),
    )  # fmt: skip


def _unique_names(features: Sequence[Feature]) -> tuple[Feature, ...]:
    names = _unique([feature.name for feature in features])
    return tuple(replace(feature, name=name) for feature, name in zip(features, names, strict=True))


def _unique(names: Sequence[str]) -> list[str]:
    """Add _2, _3, … to names that stand there already, skipping any that another one has by itself."""
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
