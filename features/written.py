"""Numbers and times as people write them, in expressions of DuckDB that read them.

A number may have blanks or points or commas between thousands, a currency before or after it, a minus of Unicode or
brackets for one; a percent is a hundredth. A time may be ISO, day first or month first, with the month in words, a
clock of twelve hours, a day as Excel counts it, or Unix seconds or milliseconds, which are UTC.
"""

from __future__ import annotations

from collections.abc import Sequence

from features.tables import quote

__all__ = ["DATE", "ISO_TIME", "PLAIN_NUMBER", "has_zone", "moment_of", "number_proof", "number_text"]

PLAIN_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
ISO_TIME = r"^\d{4}-\d{2}-\d{2}([ T].*)?$"
DATE = r"^(\d{1,2})[./-](\d{1,2})[./-](\d{4}|\d{2})(\D.*)?$"

_CODES = "RUB|RUR|USD|EUR|GBP|CHF|JPY|CNY|UAH|KZT|BYN|UZS|PLN|TRY|INR|CAD|AUD"
_CURRENCY = rf"(?:[€$£¥₽₴₸₹₺₩]|руб(?:\.|лей|ля|ль)?|р\.|тг\.?|тенге|грн\.?|{_CODES})"
_STRIPPED = (
    (r"^\s*\((.*)\)\s*$", r"-\1"),
    (rf"(?i)^\s*([+-]|\x{{2212}})?\s*{_CURRENCY}\s*|\s*{_CURRENCY}\s*$", r"\1"),
    (r"\x{2212}", "-"),
    (r"[\s\x{00a0}\x{2009}\x{202f}'\x{2019}%]", ""),
    (r"^\((.*)\)$", r"-\1"),
)
_COMMA_IS_DECIMAL = r"[+-]?(\d*,(\d{1,2}|\d{4,})|0+,\d+|\d{4,},\d+|\d{1,3}(\.\d{3})+,\d+|\d{1,3}(\.\d{3}){2,})"
_POINT_IS_DECIMAL = (
    r"[+-]?(\d*\.(\d{1,2}|\d{4,})|0+\.\d+|\d{4,}\.\d+|\d{1,3}(,\d{3})+\.\d+|\d{1,3}(,\d{3}){2,})([eE][+-]?\d+)?"
)
_EITHER = r"[+-]?[1-9]\d{0,2},\d{3}"
_POINT_BEFORE_THREE = r"[+-]?[1-9]\d{0,2}\.\d{3}"
_MONTHS = (
    "jan|янв", "feb|фев", "mar|мар", "apr|апр", "may|ма[йя]", "jun|июн", "jul|июл", "aug|авг", "sep|сен", "oct|окт",
    "nov|ноя", "dec|дек",
)  # fmt: skip
_UNIX = r"\d{9,10}([.,]\d{1,6})?|\d{12,13}"
_ZONE_AT_END = r":\d{2}.*(Z|z|UTC|GMT|[+-]\d{2}(:?\d{2})?)$"
_TWELVE_HOURS = ("%Y-%m-%d %I:%M:%S.%f %p", "%Y-%m-%d %I:%M:%S %p", "%Y-%m-%d %I:%M %p")


def number_text(cell: str, mark: str) -> str:
    """Return the expression of a number as text with a decimal point; null if the cell is none."""
    grouped, other = (r"\d{1,3}(\.\d{3})+(,\d+)?", ".") if mark == "," else (r"\d{1,3}(,\d{3})+(\.\d+)?", ",")
    # a thousands mark anywhere else would be a guess
    ungrouped = (
        f"CASE WHEN regexp_full_match(core, '[+-]?{grouped}') THEN replace(core, '{other}', '') "
        f"WHEN NOT contains(core, '{other}') THEN core END"
    )
    plain = f"replace({ungrouped}, ',', '.')" if mark == "," else ungrouped
    whole = f"CASE WHEN regexp_full_match(plain, '{PLAIN_NUMBER}') THEN plain END"
    number = _let("core", _core(cell), _let("plain", plain, whole))
    hundredth = f"regexp_full_match({cell}, '[^eE%]*%\\s*')"
    return f"CASE WHEN contains({cell}, '%') THEN CASE WHEN {hundredth} THEN {number} || 'e-2' END ELSE {number} END"


def number_proof(cell: str) -> str:
    """Return the expression of what a number proves: 1 the comma is decimal, -1 the point is.

    A comma that could be either is 0, such a point 2; 3 is a long number without marks between its thousands.
    """
    cases = [
        (_COMMA_IS_DECIMAL, 1),
        (_POINT_IS_DECIMAL, -1),
        (_EITHER, 0),
        (_POINT_BEFORE_THREE, 2),
        (r"[+-]?\d{4,}", 3),
    ]
    whens = " ".join(f"WHEN regexp_full_match(core, '{pattern}') THEN {said}" for pattern, said in cases)
    return _let("core", _core(cell), f"CASE {whens} END")


def _core(cell: str) -> str:
    return _rewrite(cell, _STRIPPED)


def moment_of(cell: str, order: str | None) -> str:
    """Return the expression of a time with its zone (the session's, where the cell has none); null if it is none.

    `order` is `dmy` or `mdy`; without one, `03.04.2026` is no time.
    """
    swapped = r"\3-\1-\2\4" if order == "mdy" else r"\3-\2-\1\4"
    steps = [(r"(?i)^(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? +", "")]
    steps += [(rf"(?i)(?:{words})[a-zа-яё]*\.?", f"M{number:02}") for number, words in enumerate(_MONTHS, start=1)]
    years = ((r"\d{4}", ""), (r"[0-6]\d", "20"), (r"[7-9]\d", "19")) if order else ()
    steps += [
        (rf"^(\d{{1,2}})[./-](\d{{1,2}})[./-]({year})(\D|$)", swapped.replace(r"\3", rf"{century}\3"))
        for year, century in years
    ]
    steps += [
        (r"^(\d{1,2})[ .-]+M(\d\d)[.,]?[ .-]+(\d{4})", r"\3-\2-\1"),
        (r"^M(\d\d) +(\d{1,2})(?:st|nd|rd|th)?,? +(\d{4})", r"\3-\1-\2"),
        (r"^(\d{4})[./](\d{1,2})[./](\d{1,2})", r"\1-\2-\3"),
        (r"^([\d-]+)(?:,? *г\.?)?,?(?: +в| +at|T)? +|^([\d-]+)T", r"\1\2 "),
        (r"(:\d{2}),(\d)", r"\1.\2"),
        (r"(?i) *([ap])\.?m\.?$", r" \1M"),
        (r"(:[\d.]+) +(Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)$", r"\1\2"),
        (r"(:[\d.]+)(?:UTC|GMT)$", r"\1Z"),
    ]
    read = (
        "coalesce(try_cast(written AS TIMESTAMPTZ), "
        f"CAST(try_strptime(written, [{', '.join(map(quote, _TWELVE_HOURS))}]) AS TIMESTAMPTZ))"
    )
    words = _let("written", _rewrite(cell, steps), read)
    return f"CASE WHEN regexp_full_match({cell}, '\\d+([.,]\\d+)?') THEN {_counted(cell)} ELSE {words} END"


def _counted(cell: str) -> str:
    """Read a time that is one number: a date without marks, a day of Excel's, Unix seconds or milliseconds."""
    number = f"replace({cell}, ',', '.')"
    date = f"regexp_replace({cell}, '^(\\d{{4}})(\\d\\d)(\\d\\d)$', '\\1-\\2-\\3')"
    excel = f"TIMESTAMP '1899-12-30' + to_milliseconds(CAST(round(CAST({number} AS DOUBLE) * 86400000) AS BIGINT))"
    since_1970 = f"make_timestamptz(CAST(CAST({number} AS DECIMAL(28, 6)) * 1000000 AS BIGINT))"
    return (
        f"CASE WHEN regexp_full_match({cell}, '(19|20)\\d{{6}}') THEN try_cast({date} AS TIMESTAMPTZ) "
        f"WHEN regexp_full_match({cell}, '[3-7]\\d{{4}}([.,]\\d+)?') THEN CAST({excel} AS TIMESTAMPTZ) "
        f"WHEN regexp_full_match({cell}, '\\d{{9,10}}([.,]\\d{{1,6}})?') THEN {since_1970} "
        f"WHEN regexp_full_match({cell}, '\\d{{12,13}}') THEN make_timestamptz(CAST({cell} AS BIGINT) * 1000) END"
    )


def has_zone(cell: str) -> str:
    """Return the condition that a time, if it is one, carries its zone."""
    return f"(regexp_full_match({cell}, '{_UNIX}') OR regexp_matches({cell}, '{_ZONE_AT_END}'))"


def _rewrite(cell: str, steps: Sequence[tuple[str, str]]) -> str:
    for pattern, replacement in steps:
        cell = f"regexp_replace({cell}, {quote(pattern)}, {quote(replacement)}, 'g')"
    return cell


def _let(name: str, value: str, expression: str) -> str:
    """Give a value a name inside an expression, so that it is worked out once."""
    return f"list_transform([{value}], lambda {name}: {expression})[1]"
