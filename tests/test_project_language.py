from __future__ import annotations

import math
import re
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from project.language import CATALOGUES, speak

ROOT = Path(__file__).parents[1]
ROOMS = ("features", "models", "project", "serving", "training")


def asked_for() -> set[str | tuple[str, ...]]:
    """Every text of the code that is to be said in the reader's language."""
    found: set[str | tuple[str, ...]] = set()
    for room in ROOMS:
        keywords = {"text": None, "plural": (1, 2)}
        for _, _, message, _, _ in extract_from_dir(str(ROOT / room), [("**.py", "python")], keywords=keywords):
            found.add(message)
    return found


def catalogue() -> dict[str | tuple[str, ...], str | tuple[str, ...]]:
    with (CATALOGUES / "ru.po").open(encoding="utf-8") as lines:
        return {entry.id: entry.string for entry in read_po(lines, locale="ru") if entry.id}


def test_every_text_of_the_code_is_in_the_russian_catalogue_and_nothing_else_is() -> None:
    asked = asked_for()
    assert len(asked) > 80
    assert set(catalogue()) == asked


def test_no_entry_is_empty_or_uncertain_and_all_plural_forms_are_there() -> None:
    with (CATALOGUES / "ru.po").open(encoding="utf-8") as lines:
        for entry in read_po(lines, locale="ru"):
            assert not entry.fuzzy or not entry.id
    for message, translated in catalogue().items():
        forms = [translated] if isinstance(translated, str) else list(translated)
        assert len(forms) == (1 if isinstance(message, str) else 3), message
        assert all(form.strip() for form in forms), message


def test_translations_name_the_same_values_as_the_originals() -> None:
    for message, translated in catalogue().items():
        original = message if isinstance(message, str) else message[1]
        for form in [translated] if isinstance(translated, str) else translated:
            assert set(re.findall(r"{(\w+)}", form)) == set(re.findall(r"{(\w+)}", original)), message


@pytest.mark.parametrize(
    ("n", "said"),
    [(0, "0 дней"), (1, "1 день"), (2, "2 дня"), (5, "5 дней"), (11, "11 дней"), (21, "21 день"), (112, "112 дней")],
)
def test_russian_takes_the_plural_form_of_the_number(n: int, said: str) -> None:
    assert speak("ru").plural("{n} day", "{n} days", n) == said


@pytest.mark.parametrize(
    ("probability", "english", "russian"),
    [
        (0.97, "almost certain", "почти наверняка"),
        (0.62, "about 6 in 10", "примерно 6 из 10"),
        (0.21, "about 1 in 5", "примерно 1 из 5"),
        (0.0, "about 1 in 1,000,000", "примерно 1 из 1\u00a0000\u00a0000"),
    ],
)
def test_probabilities_are_said_as_one_in_so_many(probability: float, english: str, russian: str) -> None:
    assert (speak("en").odds(probability), speak("ru").odds(probability)) == (english, russian)


@pytest.mark.parametrize(
    ("share", "english", "russian"),
    [
        (0.0, "0\u00a0%", "0\u00a0%"),
        (0.0312, "3.1\u00a0%", "3,1\u00a0%"),
        (0.0996, "10\u00a0%", "10\u00a0%"),
        (0.316, "32\u00a0%", "32\u00a0%"),
    ],
)
def test_shares_are_said_in_percent(share: float, english: str, russian: str) -> None:
    assert (speak("en").percent(share), speak("ru").percent(share)) == (english, russian)


def test_points_have_a_sign_that_cannot_be_taken_for_a_dash() -> None:
    assert [speak("en").points(x) for x in (0.1234, -0.034)] == ["+12.3", "\u22123.4"]
    assert speak("ru").points(-0.034) == "\u22123,4"


@pytest.mark.parametrize("seed", range(3))
def test_numbers_keep_three_digits(seed: int) -> None:
    random = np.random.default_rng(seed)
    for value in random.normal(0, 1, 100) * 10.0 ** random.integers(-4, 9, 100):
        said = speak("en").number(float(value)).replace(",", "")
        assert math.isclose(float(said), value, rel_tol=6e-3)


def test_days_and_weekdays_are_said_in_the_language() -> None:
    assert speak("en").date(date(2026, 1, 5)) == "5 January 2026"
    assert speak("ru").date(date(2026, 1, 5)) == "5 января 2026"
    assert speak("ru").moment(datetime(2026, 1, 5, 7, 30)) == "5 января 2026, 07:30 UTC"
    late = datetime(2026, 1, 5, 22, 30)
    assert speak("en").moment(late, "Europe/Moscow") == "6 January 2026, 01:30 Europe/Moscow"
    assert (speak("en").weekday(0), speak("ru").weekday(6), speak("ru").month(3)) == ("Monday", "воскресенье", "март")


def test_lengths_of_time_are_said_in_hours_and_days() -> None:
    lengths = [timedelta(hours=5), timedelta(days=1), timedelta(hours=30), timedelta(days=62.4)]
    assert [speak("en").days(one) for one in lengths] == ["5 hours", "1 day", "30 hours", "62 days"]
