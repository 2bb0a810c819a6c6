from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.ingest import connect
from features.phones import normalise_phone, read_phones
from project.errors import SettingsError

CODES = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)


@settings(deadline=None, derandomize=True, max_examples=400)
@given(st.sampled_from(CODES), st.from_regex(r"[0-9]{4,13}", fullmatch=True))
def test_the_short_way_says_what_the_parser_says(code: int, rest: str) -> None:
    number = f"+{code}{rest}"
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        wanted = None
    else:
        possible = phonenumbers.is_possible_number(parsed)
        wanted = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) if possible else None
    assert normalise_phone(number) == wanted


@settings(deadline=None, derandomize=True, max_examples=200)
@given(st.text(max_size=20), st.sampled_from([None, "RU", "DE", "US"]))
def test_any_text_is_a_phone_or_none(text: str, region: str | None) -> None:
    phone = normalise_phone(text, region=region)
    assert phone is None or (phone.startswith("+") and phone[1:].isdigit())


@pytest.mark.parametrize(
    ("text", "region", "wanted"),
    [
        ("+7 916 123-45-67", None, "+79161234567"),
        ("8(916)1234567", None, "+79161234567"),
        ("79161234567", "RU", "+79161234567"),
        ("0044 20 7946 0958", None, "+442079460958"),
        ("+44 (0)20 7946 0958", None, "+442079460958"),
        ("+7 916 123-45-67 доб. 12", None, "+79161234567"),
        ("(212) 555-0100 ext. 9", "US", "+12125550100"),
        ("916 123 45 67", None, None),
        ("123", "RU", None),
        ("нет", "RU", None),
    ],
)
def test_the_dressings_of_a_phone(text: str, region: str | None, wanted: str | None) -> None:
    assert normalise_phone(text, region=region) == wanted


@pytest.mark.parametrize(
    ("phone", "country"),
    [
        ("+79161234567", "RU"),
        ("+77012345678", "KZ"),
        ("+14165550100", "CA"),
        ("+12125550100", "US"),
        ("+4930123456", "DE"),
    ],
)
def test_countries_that_share_a_code_are_told_apart(phone: str, country: str) -> None:
    with connect() as connection:
        read_phones(connection, f"SELECT '{phone}'", region=None)
        assert connection.execute("SELECT phone, country FROM phones").fetchall() == [(phone, country)]


def test_an_unknown_region_is_refused() -> None:
    with connect() as connection, pytest.raises(SettingsError, match="phone_region 'XX'"):
        read_phones(connection, "SELECT '1'", region="XX")
