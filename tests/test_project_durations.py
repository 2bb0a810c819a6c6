"""Lengths of time as people write them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from project.duration import days_of, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30m", 1_800), ("1h", 3_600), ("45d", 3_888_000), ("2w", 1_209_600), (" 7 d ", 604_800), ("0", 0), ("0d", 0)],
)
def test_lengths_of_time_are_read_as_people_write_them(text: str, seconds: int) -> None:
    assert parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "d", "1", "1.5d", "-1d", "1d2h", "1D", "1y", "P1D", "1d\n1d"])
def test_anything_else_is_no_length_of_time(text: str) -> None:
    with pytest.raises(ValueError, match="is not a length of time"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["30m", "1h", "36h", "45d", "14d", "90m"])
def test_a_length_is_written_as_it_was_read(text: str) -> None:
    assert format_duration(parse_duration(text)) == text


def test_a_length_in_days_has_decimals() -> None:
    assert days_of(timedelta(hours=36)) == 1.5
