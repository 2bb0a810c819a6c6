from __future__ import annotations

import pytest

from features.ingest import connect
from features.reasons import says_duplicate_sql, tell_reason_sql


@pytest.fixture(scope="module")
def connection():  # type: ignore[no-untyped-def]
    with connect() as opened:
        yield opened


@pytest.mark.parametrize(
    ("reason", "meaning"),
    [
        ("No budget", "lost"),
        ("Нет бюджета", "lost"),
        ("Went to a competitor", "lost"),
        ("Latest offer too high", "lost"),
        ("Тестовый период не понравился", "lost"),
        ("UNREACHABLE", "unknown"),
        ("bad_timing", "unknown"),
        ("Bad-timing", "unknown"),
        ("Not now", "unknown"),
        ("Недозвон", "unknown"),
        ("Не дозвонились", "unknown"),
        ("Отложено", "unknown"),
        ("не сейчас", "unknown"),
        ("Дубль", "unknown"),
        ("duplicate lead", "unknown"),
        ("Spam", "junk"),
        ("спам", "junk"),
        ("Тест", "junk"),
        ("test", "junk"),
        ("Тестовая заявка", "junk"),
        ("Неверный номер", "junk"),
        ("wrong_number", "junk"),
    ],
)
def test_common_reasons_are_understood(connection, reason: str, meaning: str) -> None:  # type: ignore[no-untyped-def]
    sql = f"SELECT {tell_reason_sql('reason', {})} FROM (VALUES (?)) AS given(reason)"
    assert connection.execute(sql, [reason]).fetchall() == [(meaning,)]


def test_the_users_own_words_come_before_ours(connection) -> None:  # type: ignore[no-untyped-def]
    meanings = {"It's spam": "lost", "Дубль": "junk"}
    sql = f"SELECT {tell_reason_sql('reason', meanings)} FROM (VALUES (?)) AS g(reason)"
    said = [connection.execute(sql, [word]).fetchall()[0][0] for word in ("IT'S SPAM ", "дубль", "spam", "Дубль 2")]
    assert said == ["lost", "junk", "junk", "unknown"]


def test_only_a_duplicate_is_called_one(connection) -> None:  # type: ignore[no-untyped-def]
    sql = f"SELECT {says_duplicate_sql('reason')} FROM (VALUES ('Дубликат'), ('Duplicate'), ('spam'), (NULL)) g(reason)"
    assert connection.execute(sql).fetchall() == [(True,), (True,), (False,), (False,)]
