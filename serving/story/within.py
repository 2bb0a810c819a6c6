"""Say in words how many leads like this one buy within less time than the whole horizon."""

from __future__ import annotations

from collections.abc import Mapping

from project.duration import parse_duration
from project.language import Words

__all__ = ["say_within"]


def say_within(sooner: Mapping[str, float], words: Words) -> list[str]:
    r"""Say each horizon's probability as so many of a hundred, or of a thousand where that would be none.

    Parameters
    ----------
    sooner
        Horizon as people write it → probability.

    >>> from project.language import speak
    >>> say_within({"7d": 0.0041, "30d": 0.072}, speak("en"))
    ['4 of 1,000 like this buy within 7 days', '7 of 100 like this buy within 30 days']
    """
    return [_say(probability, words.days(parse_duration(horizon)), words) for horizon, probability in sooner.items()]


def _say(probability: float, days: str, words: Words) -> str:
    many = 100 if probability >= 0.00995 else 1_000
    n = round(many * probability)
    if n == 0:
        return words.text("fewer than 1 of {total} like this buys within {days}", total=words.number(many), days=days)
    return words.plural(
        "{n} of {total} like this buys within {days}", "{n} of {total} like this buy within {days}", n,
        total=words.number(many), days=days,
    )  # fmt: skip
