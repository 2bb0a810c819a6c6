"""Groups of features that a person thinks of as one thing; their contributions are told as one reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from features.catalogue import Catalogue, Feature, Group, Origin
from features.subjects import ANY_EVENT
from project.errors import SettingsError, name_some

if TYPE_CHECKING:
    from project.settings import Settings

__all__ = ["assign_groups"]

_AGE = Group("age", "How long ago it came in", "Давность обращения")
_MOMENT = Group("moment", "When it came in", "Время обращения")
_SILENCE = Group("activity", "Activity and silence", "Активность и молчание")
_COLLEAGUES = Group("company", "History with the company", "История с компанией")
_IDEAL = Group("ideal customer", "Fit with the ideal customer", "Соответствие портрету клиента")


def assign_groups(catalogue: Catalogue, settings: Settings) -> Catalogue:
    """Return the catalogue with a group for every feature: the first of `reasons.groups` that fits, else a usual one.

    Usual groups are one for each column (with the track record of its levels), for each kind of behaviour, for all
    activity, for age, for the moment it came in, for colleagues and for the fit with the ideal customer.

    Raises
    ------
    SettingsError
        A pattern of `reasons.groups` fits no feature.
    """
    labels = {(feature.origin, feature.subject): feature for feature in catalogue.features}
    subjects = {subject.name: subject for subject in catalogue.subjects}

    def usual(feature: Feature) -> Group:
        match feature.origin:
            case "clock":
                return _AGE if feature.statistic == "age" else _MOMENT
            case "colleagues":
                return _COLLEAGUES
            case "ideal_customer":
                return _IDEAL
            case "behaviour":
                if feature.subject == ANY_EVENT:
                    return _SILENCE
                subject = subjects[feature.subject]
                return Group(f"behaviour {subject.name}", subject.en, subject.ru)
        origin: Origin = "lead" if feature.origin == "track_record" else feature.origin
        named = labels.get((origin, feature.subject), feature)
        return Group(f"{origin} {feature.subject}", named.en, named.ru)

    own = _own_groups(catalogue, settings)
    chosen = [own.get(feature.name) or usual(feature) for feature in catalogue.features]
    features = tuple(
        replace(feature, group=group.name) for feature, group in zip(catalogue.features, chosen, strict=True)
    )
    return replace(catalogue, features=features, groups=tuple(dict.fromkeys(chosen)))


def _own_groups(catalogue: Catalogue, settings: Settings) -> Mapping[str, Group]:
    found: dict[str, Group] = {}
    for name, group in settings.reasons.groups.items():
        for pattern in group.features:
            fitting = [feature for feature in catalogue.names if fnmatchcase(feature, pattern)]
            if not fitting:
                raise SettingsError(
                    f"reasons.groups.{name} names {pattern!r}, which fits no feature. There are "
                    f"{name_some(catalogue.names)}."
                )
            for feature in fitting:
                found.setdefault(feature, Group(f"own {name}", group.en, group.ru))
    return found
