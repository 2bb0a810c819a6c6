"""List every feature that the declared columns and the events of a history allow."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from features.catalogue import Catalogue, Criterion, Feature, Statistic, Subject
from features.groups import assign_groups
from features.identity import FACT_LABELS
from features.subjects import ANY_EVENT, behaviour_features, list_subjects, list_touches
from features.tables import TOUCH
from features.words import describe_window_en, describe_window_ru, readable, slug, unique_names
from project.duration import format_duration
from project.errors import SettingsError
from project.settings import Range
from project.source_settings import Label

if TYPE_CHECKING:
    from features.tables import Attribute, Tables
    from project.settings import Settings

__all__ = ["build_catalogue"]

_YEARS_FOR_A_SEASON = 2
_WHY_COLLEAGUES = "only what other leads of the account had done, and was recorded, before as_of"


def build_catalogue(tables: Tables, settings: Settings, *, until: datetime | None = None) -> Catalogue:
    """List every feature that the declared columns and the kinds of events recorded before `until` allow.

    Raises
    ------
    SettingsError
        `features.forbidden` names a feature that is not there.
    """
    accounts = settings.accounts
    features = _attribute_features(tables.lead_attributes, "lead", settings.leads.labels, dated=tables.dated)
    if accounts is not None:
        versions = _attribute_features(tables.account_attributes, "account", accounts.labels, dated=tables.dated)
        features += [replace(feature, window=_alive(settings)) for feature in versions]
    subjects: tuple[Subject, ...] = ()
    if tables.dated:
        features += _clock_features(season=_spans_seasons(tables, until))
        subjects, behaviour = _behaviour(tables, settings, until)
        features += behaviour
        features += _colleague_features(settings) if _has_colleagues(tables, settings) else []
        features += _track_record_features(settings)
    criteria = _criteria(settings)
    features += _ideal_features() if criteria else []
    catalogue = assign_groups(Catalogue(_named_apart(features), subjects, criteria), settings)
    _check_forbidden(catalogue, tables, settings, until)
    return catalogue.keep(name for name in catalogue.names if name not in settings.features.forbidden)


def _alive(settings: Settings) -> int | None:
    """Return how long a version of an account counts as known, in seconds."""
    length = settings.accounts.time_to_live if settings.accounts else None
    return round(length.total_seconds()) if length else None


def _check_forbidden(catalogue: Catalogue, tables: Tables, settings: Settings, until: datetime | None) -> None:
    """Refuse a forbidden name that is no feature; one of a kind of events that comes after `until` only is none yet."""
    absent = [name for name in settings.features.forbidden if name not in catalogue.names]
    if not absent:
        return
    if until is not None:
        free = settings.features.model_copy(update={"forbidden": {}})
        later = build_catalogue(tables, settings.model_copy(update={"features": free})).names
        absent = [name for name in absent if name not in later]
    for name in absent:
        near = difflib.get_close_matches(name, catalogue.names, n=1, cutoff=0)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise SettingsError(f"features.forbidden names {name!r}, which is no feature of this history.{hint}")


def _attribute_features(
    attributes: Sequence[Attribute], origin: Literal["lead", "account"], labels: Mapping[str, Label], *, dated: bool
) -> list[Feature]:
    why = "declared as known when the lead came in" if origin == "lead" else "the latest version valid by then"
    features = []
    for attribute in attributes:
        if attribute.kind == "rule":
            continue
        known = labels.get(attribute.header) or (FACT_LABELS.get(attribute.header) if origin == "lead" else None)
        label = known or Label(en=readable(attribute.header), ru=readable(attribute.header))
        features.append(
            Feature(
                slug(attribute.header), attribute.kind, origin, attribute.header, "value", None,
                why if dated else "as the file has it: no dates prove it", label.en, label.ru,
            )
        )  # fmt: skip
    return features


def _spans_seasons(tables: Tables, until: datetime | None) -> bool:
    """Tell whether leads came in over two years: a season seen once cannot be told from a trend."""
    first, last = tables.connection.execute(
        "SELECT min(created_at), max(created_at) FROM leads WHERE ? IS NULL OR created_at < ?", [until, until]
    ).fetchall()[0]
    return first is not None and last - first >= timedelta(days=365 * _YEARS_FOR_A_SEASON)


def _clock_features(*, season: bool) -> list[Feature]:
    why = "follows from when the lead came in"
    entries: list[tuple[str, Literal["number", "category"], Statistic, str, str]] = [
        ("age_days", "number", "age", "Days since the lead came in", "Дней с момента обращения"),
        ("created_hour", "number", "hour", "Hour of the day it came in (UTC)", "Час обращения (UTC)"),
        ("created_weekday", "category", "weekday", "Weekday it came in", "День недели обращения"),
    ]
    if season:
        entries.append(("created_month", "category", "month", "Month it came in", "Месяц обращения"))
    return [Feature(name, kind, "clock", "lead", what, None, why, en, ru) for name, kind, what, en, ru in entries]


def _behaviour(tables: Tables, settings: Settings, until: datetime | None) -> tuple[tuple[Subject, ...], list[Feature]]:
    events, touches = settings.events, settings.touches
    found = tables.connection.execute(
        "SELECT kind, count(value) FROM events WHERE ? IS NULL OR recorded_at < ? "
        "GROUP BY kind ORDER BY count(*) DESC, kind",
        [until, until],
    ).fetchall()
    valued = {str(kind): int(n) > 0 for kind, n in found}
    features: list[Feature] = []
    subjects: tuple[Subject, ...] = ()
    if events is not None:
        kinds = [kind for kind in valued if kind not in events.ignore and not kind.startswith(TOUCH)]
        subjects = list_subjects(kinds, events)
        for subject in subjects:
            # seconds on a page and minutes of a webinar do not add up; a declared group is its owner's word they do
            whole = subject.name == ANY_EVENT and len(subject.kinds) > 1
            has_values = not whole and any(valued[kind] for kind in subject.kinds)
            features += behaviour_features(subject, events.windows, has_values=has_values, whole=whole)
    if touches is not None and touches.as_features:
        windows = events.windows if events is not None else (timedelta(days=7), timedelta(days=30))
        done = list_touches([kind for kind in valued if kind.startswith(TOUCH)], touches)
        features += [
            feature
            for subject in done
            for feature in behaviour_features(subject, windows, has_values=False, whole=False)
            if feature.statistic in {"count", "since_last"}
        ]
        subjects += done
    return subjects, features


def _has_colleagues(tables: Tables, settings: Settings) -> bool:
    return settings.features.colleagues and settings.leads.account is not None


def _colleague_features(settings: Settings) -> list[Feature]:
    def feature(name: str, statistic: Statistic, window: timedelta | None, en: str, ru: str) -> Feature:
        seconds = round(window.total_seconds()) if window else None
        return Feature(name, "number", "colleagues", "account", statistic, seconds, _WHY_COLLEAGUES, en, ru)

    features = [
        feature("colleague_count", "leads", None, "Earlier leads of the same company", "Прежние обращения компании"),
        feature("colleague_win_count", "wins", None, "Earlier purchases of the company", "Прежние покупки компании"),
    ]
    if settings.events is not None:
        ordered = sorted(settings.events.windows)
        middle = ordered[-2] if len(ordered) > 1 else ordered[-1]
        en = f"Activity of colleagues {describe_window_en(middle)}"
        ru = f"Активность коллег {describe_window_ru(middle)}"
        features.append(feature(f"colleague_event_count_{format_duration(middle)}", "count", middle, en, ru))
        en, ru = "Days since a colleague was active", "Дней с последней активности коллег"
        features.append(feature("days_since_last_colleague_event", "since_last", None, en, ru))
    return features


def _track_record_features(settings: Settings) -> list[Feature]:
    horizon = round(settings.outcome.horizon.total_seconds())
    why = "only leads whose horizon was over by the day of as_of"
    features = []
    for header in settings.features.track_record:
        label = settings.leads.labels.get(header) or Label(en=readable(header), ru=readable(header))
        features.append(
            Feature(
                f"{slug(header)}_win_rate", "number", "track_record", header, "win_rate", horizon, why,
                f"{label.en}: share of earlier leads that bought",
                f"{label.ru}: доля купивших среди прежних обращений",
            )
        )  # fmt: skip
    return features


def _criteria(settings: Settings) -> tuple[Criterion, ...]:
    criteria = []
    for header, wanted in settings.features.ideal_customer.items():
        origin: Literal["lead", "account"] = "lead" if header in settings.leads.columns else "account"
        if isinstance(wanted, Range):
            criterion = Criterion(origin, header, low=wanted.min, high=wanted.max)
        else:
            criterion = Criterion(origin, header, wanted)
        criteria.append(replace(criterion, window=_alive(settings)) if origin == "account" else criterion)
    return tuple(criteria)


def _ideal_features() -> list[Feature]:
    return [
        Feature(
            "ideal_customer_fit", "number", "ideal_customer", "ideal customer", "fit", None,
            "follows from columns known by then", "Fit with the ideal customer (share of what is known)",
            "Соответствие портрету идеального клиента (доля известного)",
        )
    ]  # fmt: skip


def _named_apart(features: Sequence[Feature]) -> tuple[Feature, ...]:
    names = unique_names([feature.name for feature in features])
    return tuple(replace(feature, name=name) for feature, name in zip(features, names, strict=True))
