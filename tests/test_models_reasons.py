from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.breakdown import Breakdown, group_places
from models.columns import ModelColumn
from models.lead_model import LeadModel
from models.linear import LinearTerm, Logistic
from models.reasons import Reason, find_reasons, reason_columns
from models.reasons import say_value as say_cell_value
from project.language import Language, speak
from small_models import COLUMNS, POLICY, small_model

NUMBER = ModelColumn("n", "number", "Number", "Число", "never", "ни разу")
WEEKDAY = COLUMNS[4]
FIVE = tuple(ModelColumn(name, "number", name.upper(), name) for name in "abcde")


def say_value(value: object, column: ModelColumn, *, language: Language) -> str:
    return say_cell_value(value, column, words=speak(language))


def apart(contributions: np.ndarray, columns: tuple[ModelColumn, ...]) -> Breakdown:
    places = group_places(columns)
    agreed = np.ones((len(contributions), len(places)), dtype=np.bool_)
    return Breakdown(contributions.sum(axis=1), 0.0, contributions, places, np.zeros(len(contributions)), agreed)


def told(
    contributions: np.ndarray, frame: pd.DataFrame, columns: tuple[ModelColumn, ...], **asked: object
) -> list[tuple[list[Reason], list[Reason]]]:
    return find_reasons(apart(contributions, columns), frame, columns, **asked)  # type: ignore[arg-type]


def reasons_of(contributions: list[float], **limits: int) -> tuple[list[str], list[str]]:
    frame = pd.DataFrame({name: [1.0] for name in "abcde"})
    ((those_for, against),) = told(np.array([contributions]), frame, FIVE, language="en", **limits)
    return [reason.column for reason in those_for], [reason.column for reason in against]


def test_the_three_largest_for_and_the_two_largest_against_are_told_in_their_order() -> None:
    assert reasons_of([0.1, 0.5, 0.3, 0.9, 0.2]) == (["d", "b", "c"], [])
    assert reasons_of([-0.1, -0.5, -0.3, -0.9, -0.2]) == ([], ["d", "b"])
    assert reasons_of([0.4, -0.5, 0.3, -0.9, 0.2]) == (["a", "c", "e"], ["d", "b"])


def test_how_many_are_told_can_be_asked_for() -> None:
    assert reasons_of([0.4, -0.5, 0.3, -0.9, 0.2], most_for=1, most_against=1) == (["a"], ["d"])


def test_contributions_smaller_than_two_hundredths_are_not_told() -> None:
    assert reasons_of([0.0199, 0.0, 0.02, -0.0199, -0.02]) == (["c"], ["e"])


def test_every_reason_carries_its_own_contribution_and_the_rows_stay_apart() -> None:
    frame = pd.DataFrame({name: [1.0, 2.0, 3.0] for name in "abcde"})
    shares = np.random.default_rng(0).normal(0, 1, (3, 5))
    for row, pair in enumerate(told(shares, frame, FIVE, language="en")):
        both = [*pair[0], *pair[1]]
        assert both
        for reason in both:
            assert reason.contribution == shares[row, "abcde".index(reason.column)]
            assert reason.value == str(row + 1)
            assert reason.sentence == f"{reason.column.upper()}: {row + 1}"


def test_a_hand_made_two_feature_model_gives_the_obvious_first_reason() -> None:
    linear = Logistic(
        -1.0,
        (
            LinearTerm("identity", (0.5,), missing_weight=0.0, mean=1.0, low=0.0, high=20.0),  # two visits on average
            LinearTerm("identity", (-0.1,), missing_weight=-0.9, mean=-1.0, low=0.0, high=90.0),
        ),
    )
    model = LeadModel(COLUMNS[:2], linear, small_model("base_rate").calibrator, POLICY, {})
    frame = pd.DataFrame({"visits": [9.0, 2.0, 0.0], "idle_days": [11.0, 0.0, 40.0]})
    busy, fresh, silent = model.reasons(frame, language="en")
    assert [reason.sentence for reason in busy[0]] == ["Visits: 9"]
    assert [reason.sentence for reason in busy[1]] == ["Days since the last visit: 11"]
    assert [reason.sentence for reason in fresh[0]] == ["Days since the last visit: 0"]
    assert fresh[1] == []
    assert silent[0] == []
    assert [reason.column for reason in silent[1]] == ["idle_days", "visits"]
    assert busy[0][0].contribution == pytest.approx(0.5 * 9 - 1.0)
    assert silent[1][0].contribution == pytest.approx(-0.1 * 40 + 1.0)


@pytest.mark.parametrize(
    ("value", "english", "russian"),
    [
        (0.0, "0", "0"),
        (3.0, "3", "3"),
        (-2.0, "-2", "-2"),
        (12345.0, "12,345", "12\u00a0345"),
        (1234567.0, "1,234,567", "1\u00a0234\u00a0567"),
        (0.1 + 0.2, "0.300", "0,300"),
        (2.5, "2.50", "2,50"),
        (4.35 * 100, "435", "435"),
        (12.3456, "12.3", "12,3"),
        (-0.0416667, "-0.0417", "-0,0417"),
        (1234.5678, "1,235", "1\u00a0235"),
        (7, "7", "7"),
        (np.float64(0.5), "0.500", "0,500"),
        (float("nan"), "never", "ни разу"),
        (None, "never", "ни разу"),
    ],
    ids=str,
)
def test_numbers_are_said_for_people_with_a_decimal_comma_in_russian(value: object, english: str, russian: str) -> None:
    assert say_value(value, NUMBER, language="en") == english
    assert say_value(value, NUMBER, language="ru") == russian


@pytest.mark.parametrize("seed", range(5))
def test_no_number_is_said_with_the_noise_of_floats(seed: int) -> None:
    random = np.random.default_rng(seed)
    for value in random.normal(0, 1, 200) * 10.0 ** random.integers(-4, 9, 200):
        text = say_value(float(value), NUMBER, language="en").replace(",", "")
        assert float(text) == pytest.approx(value, rel=6e-3)
        significant = text.lstrip("-").replace(".", "").lstrip("0")
        assert "e" in text or "." not in text or len(significant) <= 4, text


@pytest.mark.parametrize(("language", "expected"), [("en", "not known"), ("ru", "нет данных")])
@pytest.mark.parametrize("missing", [None, float("nan")])
def test_a_missing_level_is_said_in_neutral_words(language: Language, expected: str, missing: object) -> None:
    assert say_value(missing, WEEKDAY, language=language) == expected


@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_reason_from_an_infinite_number_is_told_since_the_lead_was_scored(value: float, language: Language) -> None:
    frame = pd.DataFrame({"n": [value, 5.0]})
    first, second = told(np.array([[0.5], [0.5]]), frame, (NUMBER,), language=language)
    assert [reason.column for reason in first[0]] == ["n"]
    assert first[0][0].sentence
    assert [reason.value for reason in second[0]] == ["5"]


def test_weekdays_are_said_in_the_language_of_the_reader() -> None:
    assert [say_value(day, WEEKDAY, language="ru") for day in ("Mon", "Tue", "Sat")] == ["пн", "вт", "сб"]
    assert [say_value(day, WEEKDAY, language="en") for day in ("Mon", "Tue", "Sat")] == ["Mon", "Tue", "Sat"]


def test_levels_without_words_of_ours_are_said_as_they_are() -> None:
    for language in ("en", "ru"):
        assert say_value("Выставка 💥", COLUMNS[3], language=language) == "Выставка 💥"  # type: ignore[arg-type]


def test_sentences_carry_the_leads_own_values_in_both_languages() -> None:
    frame = pd.DataFrame(
        {"visits": [1204.0], "idle_days": [np.nan], "budget": [0.25], "source": ["Выставка"], "weekday": ["Sat"]}
    )
    shares = np.array([[0.5, -0.5, 0.4, -0.4, 0.3]])
    ((for_en, against_en),) = told(shares, frame, COLUMNS, language="en")
    ((for_ru, against_ru),) = told(shares, frame, COLUMNS, language="ru")
    assert [r.sentence for r in for_en] == ["Visits: 1,204", "Budget: 0.250", "Weekday it came in: Sat"]
    assert [r.sentence for r in against_en] == ["Days since the last visit: never", "Source: Выставка"]
    assert [r.sentence for r in for_ru] == ["Визиты: 1\u00a0204", "Бюджет: 0,250", "День недели обращения: сб"]
    assert [r.sentence for r in against_ru] == ["Дней с визита: ни разу", "Источник: Выставка"]


def test_sentences_are_laid_out_in_five_columns_empty_where_there_is_no_reason() -> None:
    frame = pd.DataFrame({name: [1.0, 1.0] for name in "abcde"})
    shares = np.array([[0.4, 0.3, -0.2, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    assert reason_columns(told(shares, frame, FIVE, language="en")) == {
        "reason_for_1": ["A: 1", ""],
        "reason_for_2": ["B: 1", ""],
        "reason_for_3": ["", ""],
        "reason_against_1": ["C: 1", ""],
        "reason_against_2": ["", ""],
    }
