"""Phones in one form, E.164, and the country each belongs to."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import phonenumbers

from project.errors import SettingsError

if TYPE_CHECKING:
    import duckdb

__all__ = ["normalise_phone", "read_phones"]

_NOT_DIALLED = re.compile(r"[\s()\u00a0.\-–/]")
_CLEAN = re.compile(r"\+[1-9]\d{7,14}")
_EIGHT = re.compile(r"8\d{10}")
_BATCH = 50_000
_PREFIX = 7  # "+" and six digits: enough to tell the countries apart that share a calling code


def read_phones(connection: duckdb.DuckDBPyConnection, source: str, *, region: str | None) -> None:
    """Make the table `phones` (`text`, `phone` in E.164, `country`) of the distinct texts that a query gives.

    Parameters
    ----------
    source
        A query with one column of text.
    region
        Where a number without a country code is dialled, such as `DE`.

    Raises
    ------
    SettingsError
        The region is unknown.
    """
    import pyarrow as pa

    if region is not None and region not in phonenumbers.SUPPORTED_REGIONS:
        raise SettingsError(
            f"leads.identity.phone_region {region!r} is no country code; write two letters such as RU, DE or US."
        )
    connection.execute("CREATE TABLE phones (text VARCHAR, phone VARCHAR, country VARCHAR)")
    asking = connection.cursor()
    asking.execute(f"SELECT DISTINCT text FROM ({source}) AS asked(text) WHERE text IS NOT NULL")
    countries: dict[str, str | None] = {}
    while rows := asking.fetchmany(_BATCH):
        texts = [str(text) for (text,) in rows]
        phones = [normalise_phone(text, region=region) for text in texts]
        for phone in phones:
            if phone is not None and phone[:_PREFIX] not in countries:
                countries[phone[:_PREFIX]] = _country(phone)
        read = {
            "text": pa.array(texts, pa.string()),
            "phone": pa.array(phones, pa.string()),
            "country": pa.array([countries[p[:_PREFIX]] if p is not None else None for p in phones], pa.string()),
        }
        connection.register("read_phones", pa.table(read))
        connection.execute("INSERT INTO phones SELECT * FROM read_phones")
        connection.unregister("read_phones")
    asking.close()


def normalise_phone(text: str, *, region: str | None = None) -> str | None:
    """Write a phone in E.164; null if the text holds no number that could be dialled.

    Without a region a number needs its country code, written with + or 00; only eleven digits that begin with 8 are
    read as Russian all the same.

    >>> [normalise_phone(text) for text in ("+7 (916) 123-45-67", "8 916 123 45 67", "916 123 45 67")]
    ['+79161234567', '+79161234567', None]
    >>> normalise_phone("030 1234567", region="DE")
    '+49301234567'
    """
    number = _NOT_DIALLED.sub("", text)
    if number.startswith("00"):
        number = "+" + number[2:]
    if _CLEAN.fullmatch(number) and _is_plain(number):
        return number
    if region is None and not number.startswith("+"):
        if not _EIGHT.fullmatch(number):
            return None
        region = "RU"
    try:
        parsed = phonenumbers.parse(number if number.startswith("+") else text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(parsed):
        return None
    parsed.extension = None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def _is_plain(number: str) -> bool:
    """Whether a number with + fits its country as it stands, so that the parser, ten times slower, changes nothing."""
    for digits in (2, 3, 4):
        shape = _shape(number[1:digits])
        if shape is not None:
            pattern, trunk = shape
            rest = number[digits:]
            return pattern.fullmatch(rest) is not None and not (trunk and rest.startswith(trunk))
    return False


@cache
def _shape(code: str) -> tuple[re.Pattern[str], str | None] | None:
    region = phonenumbers.region_code_for_country_code(int(code))
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region, None)
    pattern = metadata.general_desc.national_number_pattern if metadata and metadata.general_desc else None
    if metadata is None or pattern is None:
        return None
    if metadata.national_prefix_for_parsing != metadata.national_prefix:
        return re.compile("(?!)"), None  # more than a fixed prefix may be cut off: the parser knows
    return re.compile(pattern), metadata.national_prefix


def _country(phone: str) -> str | None:
    parsed = phonenumbers.parse(phone)
    code = phonenumbers.region_code_for_number(parsed)
    if code is None and parsed.country_code is not None:
        code = phonenumbers.region_code_for_country_code(parsed.country_code)
    return code if code and len(code) == 2 and code != "ZZ" else None
