"""Expressions over features: what they mean, what they refuse, and how they say so."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.expression_parts import Kind
from features.expressions import Expression, read_expression
from project.errors import SettingsError

KINDS: dict[str, Kind] = {
    "employees": "number",
    "pages_30d": "number",
    "source": "category",
    "источник": "category",
    "2gis rating": "number",
    "class": "category",
}
FRAME = pd.DataFrame(
    {
        "employees": [10.0, 50.0, 500.0, np.nan],
        "pages_30d": [0.0, 2.0, 50.0, 3.0],
        "source": pd.Series(["web", "Вебинар", None, "mail"], dtype="str"),
        "источник": pd.Series(["а", "б", "а", None], dtype="str"),
        "2gis rating": [1.0, 4.0, np.nan, 5.0],
        "class": pd.Series(["a", "b", "c", None], dtype="str"),
    }
)


def read(text: str) -> Expression:
    return read_expression(text, KINDS, what="definition 'Готов'")


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("employees >= 50", [0, 1, 1, 0]),
        ("50 <= employees", [0, 1, 1, 0]),
        ("employees == 50", [0, 1, 0, 0]),
        ("10 < employees <= 500", [0, 1, 1, 0]),
        ("10 <= employees < 500 and pages_30d >= 1", [0, 1, 0, 0]),
        ("pages_30d > -1", [1, 1, 1, 1]),
        ("employees > pages_30d", [1, 1, 1, 0]),
        ("source == 'web'", [1, 0, 0, 0]),
        ('source in ("web", "Вебинар")', [1, 1, 0, 0]),
        ('источник in ["а"]', [1, 0, 1, 0]),
        ("pages_30d in {0, 3}", [1, 0, 0, 1]),
        ("employees >= 50 or source == 'mail'", [0, 1, 1, 1]),
        ("employees >= 50\n  and source == 'Вебинар'", [0, 1, 0, 0]),
        ("`2gis rating` > 3 and `class` != 'a'", [0, 1, 0, 0]),
        ("source == '`'", [0, 0, 0, 0]),
    ],
)
def test_an_expression_means_what_it_says(text: str, met: list[int]) -> None:
    assert read(text).meets(FRAME).astype(int).tolist() == met


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("employees > 3", False),
        ("employees <= 3", False),
        ("employees != 3", False),
        ("employees not in (3, 4)", False),
        ("1 < employees < 3", False),
        ("not (employees > 3)", True),
        ("not employees != 3", True),
        ("employees is None", True),
        ("employees is not None", False),
        ("employees is None or employees > 3", True),
    ],
)
def test_a_missing_value_makes_every_comparison_false_so_that_its_opposite_by_not_is_true(text: str, met: bool) -> None:
    missing = pd.DataFrame({"employees": [np.nan]})
    assert read(text).meets(missing).tolist() == [met]


def test_a_missing_text_is_missing_whatever_it_is_compared_with() -> None:
    assert read("source != 'web'").meets(FRAME).tolist() == [False, True, False, True]
    assert read("source not in ('web',)").meets(FRAME).tolist() == [False, True, False, True]
    assert read("source is None").meets(FRAME).tolist() == [False, False, True, False]


def test_no_rows_meet_nothing() -> None:
    assert read("employees > 1 and source in ('web',)").meets(FRAME.iloc[:0]).tolist() == []


def test_spacing_brackets_and_quotes_do_not_change_the_version_but_the_meaning_does() -> None:
    one = read('employees>=50 and (source in ["web"])')
    assert one.version == read("employees  >=  50 and\n source in ('web', )").version
    assert one.version != read("employees > 50 and source in ('web',)").version
    assert len(one.version) == 8
    assert one.names == ("employees", "source")
    assert read("`2gis rating` > 3").canonical == "`2gis rating` > 3"


def test_two_spellings_of_one_letter_are_one_name() -> None:
    composed, apart = "\u0439", "\u0438\u0306"
    for declared, written in ((apart, composed), (composed, apart)):
        expression = read_expression(f"{written} > 1", {declared: "number"}, what="d")
        assert expression.meets(pd.DataFrame({declared: [2.0]})).tolist() == [True]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("employes >= 50", r"definition 'Готов': at character 1 .*no feature is called 'employes'.*'employees'\?"),
        ("источник in ('а',) and сурс == 'б'", r"at character 24 .*no feature is called 'сурс'"),
        ("`2gis rating` > 1 and `2gis ratin` > 1", r"at character 23 .*'2gis ratin'. Did you mean '2gis rating'"),
        ("employees", "at character 1 .*'employees' alone is no condition"),
        ("employees + 1 > 3", r"at character 1 .*found `employees \+ 1`"),
        ("len(source) > 3", r"found `len\(source\)`"),
        ("__import__('os').system('true')", "is no condition"),
        ("(lambda: 1)() > 2", r"at character 1 .*found `\(lambda: 1\)\(\)`"),
        ("employees >= '50'", "at character 14 .*`employees` is a number, `'50'` is a text"),
        ("source > 'a'", "texts have no order"),
        ("source in ('web')", r"found `'web'` after `in`. Write a list"),
        ("source in (web, mail)", r"found `web` in a list. Put texts in quotes"),
        ("source in ('web', 3)", "`source` is a text, `3` is not"),
        ("3 in (3, 4)", "Only a feature can be in a list"),
        ("1 < 2", "neither is a feature"),
        ("source == None", "For a missing value write `is None`"),
        ("source is 'web'", "Only `feature is None`"),
        ("employees > True", "found `True`"),
        ("employees > 1e2j", "found `1e2j`"),
        ("employees = 50", "cannot be read at character"),
        ("employees >= 50 and", "cannot be read"),
        ("", "cannot be read"),
        ("employees > 1" + "0" * 400, "no feature, number or text"),
        ("(" * 300 + "employees > 1" + ")" * 300, "cannot be read"),
        ("not " * 450 + "employees > 1", "nested too deeply"),
        ("employees > 1 " * 200, "longer than 2,000"),
        ("employees > 1\x00", "cannot be read"),
        ("x := employees", "cannot be read"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as raised:
        read(text)
    assert "definition 'Готов'" in str(raised.value)
