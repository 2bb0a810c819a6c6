"""The catalogue: one frozen entry a feature, as it is stored with the model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

__all__ = ["Catalogue", "Criterion", "Feature", "Group", "Origin", "Statistic", "Subject"]

Origin = Literal["lead", "account", "clock", "behaviour", "colleagues", "track_record", "ideal_customer"]
Statistic = Literal[
    "value", "age", "hour", "weekday", "month", "count", "day_count", "session_count", "share", "trend", "sum",
    "since_last", "since_first", "span", "leads", "wins", "win_rate", "fit",
]  # fmt: skip


@dataclass(frozen=True)
class Subject:
    """Kinds of events that are counted together."""

    name: str
    kinds: tuple[str, ...]
    en: str
    ru: str


@dataclass(frozen=True)
class Group:
    """Features that a person thinks of as one thing, and what it is called."""

    name: str
    en: str
    ru: str


@dataclass(frozen=True)
class Feature:
    """One column of the feature frame.

    Attributes
    ----------
    origin
        `lead` and `account` attributes, the `clock` (age, and hour, weekday, month of creation), `behaviour` of the
        lead, that of its `colleagues` (other leads of the account), the `track_record` of earlier leads with the same
        level of a column, or the fit with the `ideal_customer`.
    subject
        The column's header for attributes and track records, the subject's name for behaviour.
    window
        In seconds: length of the half-open window [as_of - window, as_of), null where all history counts; for an
        attribute of the account how long a version counts as known, null for ever; for a track record the horizon.
    known_by_then
        Why the value is known at `as_of`.
    group
        Name of the group whose reason it is part of; empty in catalogues older than groups.
    """

    name: str
    kind: Literal["number", "category"]
    origin: Origin
    subject: str
    statistic: Statistic
    window: int | None
    known_by_then: str
    en: str
    ru: str
    group: str = ""


@dataclass(frozen=True)
class Criterion:
    """One line of the portrait of an ideal customer: a column that holds one of `levels`, or a number in a range.

    The range is [low, high], both ends included; null is open. `window` is how long a version of the account counts as
    known, in seconds, null for ever.
    """

    origin: Literal["lead", "account"]
    subject: str
    levels: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    window: int | None = None


@dataclass(frozen=True)
class Catalogue:
    """All features, in the order of the frame's columns, the subjects they speak of, the ideal customer, and groups."""

    features: tuple[Feature, ...]
    subjects: tuple[Subject, ...]
    ideal_customer: tuple[Criterion, ...] = ()
    groups: tuple[Group, ...] = ()

    @property
    def names(self) -> list[str]:
        """The frame's columns, in order."""
        return [feature.name for feature in self.features]

    def keep(self, names: Iterable[str]) -> Catalogue:
        """Return the catalogue of the named features only, in its own order."""
        kept = set(names)
        features = tuple(feature for feature in self.features if feature.name in kept)
        return replace(self, features=features)

    def to_json(self) -> dict[str, object]:
        """Return the readable form that the artefact stores."""
        return {
            "features": [asdict(feature) for feature in self.features],
            "subjects": [{**asdict(subject), "kinds": list(subject.kinds)} for subject in self.subjects],
            "ideal_customer": [{**asdict(one), "levels": list(one.levels)} for one in self.ideal_customer],
            "groups": [asdict(group) for group in self.groups],
        }

    @staticmethod
    def from_json(content: Mapping[str, Sequence[Mapping[str, object]]]) -> Catalogue:
        """Read what `to_json` wrote."""
        features = tuple(Feature(**entry) for entry in content["features"])  # type: ignore[arg-type]
        subjects = tuple(
            Subject(str(entry["name"]), tuple(entry["kinds"]), str(entry["en"]), str(entry["ru"]))  # type: ignore[arg-type]
            for entry in content["subjects"]
        )
        ideal = tuple(
            Criterion(**{**entry, "levels": tuple(entry["levels"])})  # type: ignore[arg-type]
            for entry in content.get("ideal_customer", ())
        )
        groups = tuple(Group(**entry) for entry in content.get("groups", ()))  # type: ignore[arg-type]
        return Catalogue(features, subjects, ideal, groups)
