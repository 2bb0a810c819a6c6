"""Why a lead was lost, and what that says of it: it did not buy, it could still have, or it was never a lead."""

from __future__ import annotations

from collections.abc import Mapping

from features.tables import quote

__all__ = ["says_duplicate_sql", "tell_reason_sql"]

# RE2 knows no word boundaries around Cyrillic letters, so a reason is padded with blanks first.
_DUPLICATE = r"duplicate|дубл"
_UNKNOWN = (
    r"unreach|not reach|no answer|no response|not respond|could not contact|unable to (reach|contact)|bad timing|"
    r" not now |(call|contact|come back) later|postpone| on hold |no contact |недозвон|не дозвон|не отвеча|нет ответа|"
    r"не выходит на связь|нет связи|не сейчас|не вовремя|отлож|позже|" + _DUPLICATE
)
_JUNK = (
    r" spam|спам| test |test (lead|record)| тест |тестов(ый|ая|ое) (лид|заявк|запис|сделк)| bot |wrong number|"
    r"invalid (number|phone)|bad number|(неверн|неправильн|ошибочн|несуществующ)[а-я]+ (номер|телефон)|fake|фейк"
)


def tell_reason_sql(reason: str, meanings: Mapping[str, str]) -> str:
    """Write the SQL of what a reason says of the lead: `lost`, `unknown` or `junk`; no reason at all is `lost`.

    The user's own words come first, whole and without letter case; then words that are built in, English and Russian.

    >>> import duckdb
    >>> with duckdb.connect() as connection:
    ...     said = connection.execute(
    ...         f"SELECT {tell_reason_sql('word', {'Too small': 'junk'})} FROM (VALUES ('No budget'), ('bad_timing'), "
    ...         "('Не дозвонились'), ('СПАМ'), ('too small'), (NULL)) AS words(word)"
    ...     ).fetchall()
    >>> [meaning for (meaning,) in said]
    ['lost', 'unknown', 'unknown', 'junk', 'junk', 'lost']
    """
    text = _plain(reason)
    own = "".join(
        f"WHEN lower(trim({reason})) = lower(trim({quote(word)})) THEN {quote(meaning)} "
        for word, meaning in meanings.items()
    )
    return (
        f"CASE {own}WHEN regexp_matches({text}, {quote(_UNKNOWN)}) THEN 'unknown' "
        f"WHEN regexp_matches({text}, {quote(_JUNK)}) THEN 'junk' ELSE 'lost' END"
    )


def says_duplicate_sql(reason: str) -> str:
    """Write the SQL of whether a reason says that the lead is a duplicate of another; false without a reason."""
    return f"coalesce(regexp_matches({_plain(reason)}, {quote(_DUPLICATE)}), false)"


def _plain(reason: str) -> str:
    words = f"regexp_replace(replace(lower(nfc_normalize({reason})), 'ё', 'е'), '[^\\p{{L}}\\p{{N}}]+', ' ', 'g')"
    return f"(' ' || {words} || ' ')"
