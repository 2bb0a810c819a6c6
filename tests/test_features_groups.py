from __future__ import annotations

import pytest

from features.catalogue import Catalogue, Feature, Subject
from features.groups import assign_groups
from features.subjects import ANY_EVENT
from project.errors import SettingsError
from project.settings import Settings


def feature(name: str, origin: str, subject: str, statistic: str) -> Feature:
    return Feature(name, "number", origin, subject, statistic, None, "why", name, name)  # type: ignore[arg-type]


CATALOGUE = Catalogue(
    (
        Feature("channel", "category", "lead", "Канал", "value", None, "why", "Channel", "Канал"),
        feature("size", "lead", "size", "value"),
        feature("revenue", "account", "revenue", "value"),
        feature("age_days", "clock", "lead", "age"),
        feature("created_hour", "clock", "lead", "hour"),
        feature("any_event_count_7d", "behaviour", ANY_EVENT, "count"),
        feature("days_since_last_any_event", "behaviour", ANY_EVENT, "since_last"),
        feature("pricing_count_7d", "behaviour", "pricing", "count"),
        feature("pricing_count_30d", "behaviour", "pricing", "count"),
        feature("colleague_count", "colleagues", "account", "leads"),
        feature("channel_win_rate", "track_record", "Канал", "win_rate"),
        feature("ideal_customer_fit", "ideal_customer", "ideal customer", "fit"),
    ),
    (Subject(ANY_EVENT, ("a", "b"), "All", "Всё"), Subject("pricing", ("a",), "Pricing pages", "Страницы цен")),
)


def settings(reasons: dict[str, object]) -> Settings:
    return Settings.model_validate(
        {
            "leads": {"file": "leads.csv", "id": "id"},
            "outcome": {"column": "won", "won": ["yes"]},
            "reasons": reasons,
        }
    )


def groups_of(catalogue: Catalogue) -> dict[str, str]:
    titles = {group.name: group.ru for group in catalogue.groups}
    return {one.name: titles[one.group] for one in catalogue.features}


def test_what_a_person_thinks_of_as_one_thing_is_one_group() -> None:
    assert groups_of(assign_groups(CATALOGUE, settings({}))) == {
        "channel": "Канал",
        "channel_win_rate": "Канал",
        "size": "size",
        "revenue": "revenue",
        "age_days": "Давность обращения",
        "created_hour": "Время обращения",
        "any_event_count_7d": "Активность и молчание",
        "days_since_last_any_event": "Активность и молчание",
        "pricing_count_7d": "Страницы цен",
        "pricing_count_30d": "Страницы цен",
        "colleague_count": "История с компанией",
        "ideal_customer_fit": "Соответствие портрету клиента",
    }


def test_leads_toml_may_draw_groups_of_its_own_by_name_or_pattern() -> None:
    own = {"money": {"en": "Money", "ru": "Деньги", "features": ["revenue", "pricing_*"]}}
    found = groups_of(assign_groups(CATALOGUE, settings({"groups": own})))
    assert [name for name, title in found.items() if title == "Деньги"] == [
        "revenue",
        "pricing_count_7d",
        "pricing_count_30d",
    ]
    assert found["size"] == "size"


def test_the_first_group_that_fits_counts() -> None:
    own = {
        "one": {"en": "1", "ru": "1", "features": ["size"]},
        "two": {"en": "2", "ru": "2", "features": ["s*", "revenue"]},
    }
    found = groups_of(assign_groups(CATALOGUE, settings({"groups": own})))
    assert (found["size"], found["revenue"]) == ("1", "2")


def test_a_pattern_that_fits_nothing_is_an_error_that_shows_what_there_is() -> None:
    own = {"money": {"en": "Money", "ru": "Деньги", "features": ["price_*"]}}
    with pytest.raises(SettingsError, match=r"reasons\.groups\.money names 'price_\*'.*There are channel"):
        assign_groups(CATALOGUE, settings({"groups": own}))


def test_groups_survive_writing_and_reading() -> None:
    catalogue = assign_groups(CATALOGUE, settings({}))
    assert Catalogue.from_json(catalogue.to_json()) == catalogue  # type: ignore[arg-type]


def test_a_catalogue_older_than_groups_still_reads() -> None:
    content = CATALOGUE.to_json()
    del content["groups"]
    for entry in content["features"]:  # type: ignore[attr-defined]
        del entry["group"]
    assert Catalogue.from_json(content) == CATALOGUE  # type: ignore[arg-type]
