from __future__ import annotations

import re
from itertools import product
from pathlib import Path
from typing import get_args

import pytest

from features.catalogue import Origin, Statistic
from features.listing import build_catalogue
from models.wording import Wording, say_condition, say_value
from project.language import Language, speak
from training.telling import _word
from worlds import make_tables

DAY = 86_400
MADE = {  # what the catalogue can make: origin → statistics
    "lead": ("value",),
    "account": ("value",),
    "clock": ("age", "hour", "weekday", "month"),
    "behaviour": ("count", "day_count", "session_count", "share", "trend", "sum", "since_last", "since_first", "span"),
    "colleagues": ("leads", "wins", "count", "since_last"),
    "track_record": ("win_rate",),
    "ideal_customer": ("fit",),
}
FORMS = [f"{origin} {statistic}" for origin, statistics in MADE.items() for statistic in statistics]
VALUES: list[float | str | None] = [None, 0.0, 0.01, 0.5, 1.0, 1.6, 2.0, 5.0, 11.0, 21.0, 22.4, 1234567.0, float("inf")]


def wording(form: str, *, window: int | None = 7 * DAY) -> Wording:
    return Wording(form, "Prices", "Цены", "g", "Prices", "Цены", window)


def test_the_forms_tested_here_are_all_that_the_catalogue_knows() -> None:
    assert set(MADE) == set(get_args(Origin))
    assert {statistic for statistics in MADE.values() for statistic in statistics} == set(get_args(Statistic))


@pytest.mark.parametrize(("form", "language"), list(product(FORMS, ("en", "ru"))))
def test_every_form_has_a_sentence_for_every_value_in_both_languages(form: str, language: Language) -> None:
    for value in VALUES:
        said = say_condition(wording(form), value, speak(language))
        assert said.strip() == said != ""
        assert not re.search(r"[{}]|nan|None|_", said), said
        latin = re.sub(r"UTC|∞|[\d\W_]", "", said)
        if language == "ru":
            assert re.fullmatch(r"[а-яёА-ЯЁ]+", latin), said


@pytest.mark.parametrize(
    ("form", "value", "english", "russian"),
    [
        ("behaviour count", 3.0, "Prices: 3 times in the last 7 days", "Цены: 3 раза за последние 7 дней"),
        ("behaviour count", 1.0, "Prices: once in the last 7 days", "Цены: 1 раз за последние 7 дней"),
        ("behaviour count", 0.0, "Prices: nothing in the last 7 days", "Цены: ничего за последние 7 дней"),
        ("behaviour since_last", None, "Prices: never", "Цены: ни разу"),
        ("behaviour since_last", 3.9, "Prices: last 3 days ago", "Цены: последний раз 3 дня назад"),
        ("behaviour since_last", 0.2, "Prices: last 4 hours ago", "Цены: последний раз 4 часа назад"),
        (
            "behaviour trend", 0.0, "Prices: nothing of late, after some activity in the last 7 days",
            "Цены: в последнее время тихо, хотя за последние 7 дней активность была",
        ),
        ("lead value", 250.0, "Prices: 250", "Цены: 250"),
        ("lead value", "web", "Prices: web", "Цены: web"),
        ("lead value", None, "Prices: not known", "Цены: нет данных"),
        ("clock weekday", "Mon", "Weekday it came in: Monday", "День недели обращения: понедельник"),
        ("clock hour", 14.0, "Came in between 14:00 and 15:00 UTC", "Обращение между 14:00 и 15:00 UTC"),
        ("clock age", 12.7, "Came in 12 days ago", "Обращение: 12 дней назад"),
        ("colleagues wins", 2.0, "The company bought 2 times before", "Компания уже купила 2 раза"),
        (
            "track_record win_rate", 0.12, "Prices: of earlier leads like it 12\u00a0% bought",
            "Цены: из прежних похожих лидов купили 12\u00a0%",
        ),
    ],
)  # fmt: skip
def test_sentences_say_the_leads_own_value(form: str, value: object, english: str, russian: str) -> None:
    assert say_condition(wording(form), value, speak("en")) == english
    assert say_condition(wording(form), value, speak("ru")) == russian


def test_levels_that_are_words_of_ours_are_said_in_russian() -> None:
    yes = Wording("lead value", "Private e-mail", "Личная почта", "g", "g", "g", None, {"yes": "да"})
    assert say_condition(yes, "yes", speak("ru")) == "Личная почта: да"
    assert say_condition(yes, "yes", speak("en")) == "Private e-mail: yes"


def test_ends_of_ranges_are_said_in_the_unit_of_the_column() -> None:
    words = speak("en")
    assert say_value(wording("track_record win_rate"), 0.25, words) == "25\u00a0%"
    assert say_value(wording("behaviour since_last"), 13.2, words) == "13 days"
    assert say_value(wording("clock hour"), 9.0, words) == "09:00"
    assert say_value(wording("lead value"), 1500.0, words) == "1,500"


LEADS = """id,created,company,employee_count,КАНАЛ,mail
L1,2026-01-01T00:00:00Z,A,10,сайт,a@gmail.com
L2,2026-01-02T00:00:00Z,A,20,сайт,b@b.com
"""
EVENTS = "lead,at,kind,value\nL1,2026-01-01T01:00:00Z,page_view,3\nL1,2026-01-01T02:00:00Z,demo_request,\n"
STAGES = "lead,at,stage\nL1,2026-01-09T00:00:00Z,won\nL2,2026-03-09T00:00:00Z,lost\n"
TOML = """
[leads]
file = "leads.csv"
id = "id"
created_at = "created"
account = "company"
[leads.columns]
employee_count = "number"
"КАНАЛ" = "category"
[leads.identity]
email = "mail"
[events]
file = "events.csv"
lead = "lead"
at = "at"
kind = "kind"
value = "value"
[stages]
file = "stages.csv"
lead = "lead"
at = "at"
stage = "stage"
[outcome]
won = ["won"]
[features]
track_record = ["КАНАЛ"]
ideal_customer = { employee_count = { min = 5 } }
"""


def test_no_raw_feature_name_reaches_a_reader_even_where_nobody_gave_words(tmp_path: Path) -> None:
    from project.folder import find_project

    tables = make_tables(tmp_path, TOML, {"leads.csv": LEADS, "events.csv": EVENTS, "stages.csv": STAGES})
    catalogue = build_catalogue(tables, find_project(tmp_path).settings)
    assert len(catalogue.features) > 40
    for feature in catalogue.features:
        told = _word(feature, catalogue, {})
        for language in ("en", "ru"):
            value: object = "web" if feature.kind == "category" else 2.0
            for cell in (value, None):
                said = say_condition(told, cell, speak(language))  # type: ignore[arg-type]
                assert "_" not in said, said
                assert "_" not in f"{told.group_en}{told.group_ru}"
