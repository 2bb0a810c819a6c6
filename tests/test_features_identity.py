"""Companies, addresses and names in one form."""

from __future__ import annotations

import pytest

from features.identity import company_sql, email_sql, name_sql
from features.ingest import connect


def say(sql: str) -> object:
    with connect() as connection:
        return connection.execute(f"SELECT {sql}").fetchall()[0][0]


@pytest.mark.parametrize(
    "text",
    [
        "ООО «Ромашка»",
        "РОМАШКА, ООО",
        'О.О.О. "Ромашка"',
        "Общество с ограниченной ответственностью Ромашка",
        " ромашка ",
    ],
)
def test_a_company_is_the_same_in_any_dress(text: str) -> None:
    assert say(company_sql("'" + text + "'")) == "ромашка"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Müller GmbH & Co. KG", "müller"),
        ("Acme, Inc.", "acme"),
        ("S.p.A. Fiat", "fiat"),
        ("Зелёный дом", "зеленый дом"),
        ("ООО", None),
        ("...", None),
    ],
)
def test_legal_forms_and_punctuation_do_not_make_a_company(text: str, wanted: str | None) -> None:
    assert say(company_sql(f"'{text}'")) == wanted


def test_addresses_and_names_in_one_form() -> None:
    assert say(email_sql("' Ann.B+web@Acme.COM '")) == "ann.b@acme.com"
    assert [say(email_sql(f"'{text}'")) for text in ("ann", "ann@acme", "+x@acme.com", "a b@acme.com")] == [None] * 4
    assert say(name_sql("'Белова, Алёна'")) == say(name_sql("'алена БЕЛОВА'"))
