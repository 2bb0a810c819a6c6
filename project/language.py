"""English and Russian for people: a gettext catalogue, its plural forms, numbers, shares and dates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

from project.duration import format_duration

if TYPE_CHECKING:
    from gettext import NullTranslations

__all__ = ["CATALOGUES", "Language", "Words", "speak"]

Language = Literal["en", "ru"]
CATALOGUES = Path(__file__).with_name("locale")
_NARROW = "\u00a0"


@dataclass(frozen=True)
class Words:
    r"""What a reader of one language is told; English is the language of the code, others are in `locale`.

    >>> words = speak("ru")
    >>> words.plural("{n} day", "{n} days", 3), words.number(12345.0), words.percent(0.314)
    ('3 дня', '12\xa0345', '31\xa0%')
    """

    language: Language
    catalogue: NullTranslations

    def text(self, text: str, **values: object) -> str:
        """Return a text in the language, with `{names}` filled in."""
        return self.catalogue.gettext(text).format(**values) if text else ""

    def plural(self, one: str, many: str, n: float, **values: object) -> str:
        """Return a text with `{n}` in the plural form that a whole number takes."""
        return self.catalogue.ngettext(one, many, round(n)).format(n=self.number(round(n)), **values)

    def pick(self, en: str, ru: str) -> str:
        """Return the one of two texts that is in the language."""
        return ru if self.language == "ru" else en

    def number(self, value: float) -> str:
        """Say a number: whole ones whole, others to three digits."""
        if math.isinf(value):
            return "∞" if value > 0 else "-∞"
        value += 0.0  # no minus before a zero
        digits = 0 if value == int(value) else max(0, 2 - math.floor(math.log10(abs(value))))
        text = f"{value:,.{digits}f}" if digits < 8 else f"{value:g}"
        return text if self.language == "en" else text.replace(",", _NARROW).replace(".", ",")

    def percent(self, share: float, *, digits: int | None = None) -> str:
        """Say a share in percent: whole ones from 10 % on, one digit below, unless `digits` are given."""
        shown = 100 * share
        places = digits if digits is not None else (0 if abs(shown) >= 9.95 or shown == 0 else 1)
        text = f"{shown:.{places}f}"
        return f"{text if self.language == 'en' else text.replace('.', ',')}{_NARROW}%"

    def points(self, share: float) -> str:
        """Say a difference of probabilities in percentage points, with its sign."""
        text = f"{100 * share:+.1f}".replace("-", "\u2212")
        return text if self.language == "en" else text.replace(".", ",")

    def odds(self, probability: float) -> str:
        r"""Say a probability as one in so many.

        >>> speak("en").odds(0.21), speak("ru").odds(0.0004), speak("en").odds(0.62)
        ('about 1 in 5', 'примерно 1 из 2\xa0500', 'about 6 in 10')
        """
        if probability >= 0.95:
            return self.text("almost certain")
        if probability >= 0.4:
            return self.text("about {k} in 10", k=round(10 * probability))
        return self.text("about 1 in {k}", k=self.number(round(1 / max(probability, 1e-6))))

    def date(self, moment: date) -> str:
        """Say a day."""
        from babel.dates import format_date

        return format_date(moment, format="d MMMM y", locale=self.language)

    def day_of(self, moment: str) -> str:
        """Say the day of an ISO time; nothing where there is none."""
        return self.date(datetime.fromisoformat(moment.removesuffix("Z"))) if moment else ""

    def moment(self, moment: datetime, zone: str = "UTC") -> str:
        """Say a moment in UTC on the clock of a zone, which is named."""
        local = moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
        return f"{self.date(local)}, {local:%H:%M} {zone}"

    def weekday(self, number: int) -> str:
        """Name a day of the week, Monday is 0."""
        from babel.dates import get_day_names

        return str(get_day_names("wide", context="stand-alone", locale=self.language)[number])

    def month(self, number: int) -> str:
        """Name a month, January is 1."""
        from babel.dates import get_month_names

        return str(get_month_names("wide", context="stand-alone", locale=self.language)[number])

    def window(self, length: timedelta) -> str:
        """Say that something holds of the time just before.

        >>> [speak("ru").window(timedelta(days=days)) for days in (1, 3, 30)]
        ['за последний день', 'за последние 3 дня', 'за последние 30 дней']
        """
        text = format_duration(length)
        n, unit = int(text[:-1]), text[-1]
        if n == 1:
            return {
                "d": self.text("in the last day"),
                "h": self.text("in the last hour"),
                "m": self.text("in the last minute"),
                "s": self.text("in the last second"),
            }[unit]
        return {
            "d": self.plural("in the last {n} day", "in the last {n} days", n),
            "h": self.plural("in the last {n} hour", "in the last {n} hours", n),
            "m": self.plural("in the last {n} minute", "in the last {n} minutes", n),
            "s": self.plural("in the last {n} second", "in the last {n} seconds", n),
        }[unit]

    def days(self, length: timedelta) -> str:
        """Say a length of time: hours below two days, days from there on."""
        hours = length / timedelta(hours=1)
        if hours < 48 and hours != 24:
            return self.plural("{n} hour", "{n} hours", hours)
        return self.plural("{n} day", "{n} days", hours / 24)


@lru_cache
def speak(language: Language) -> Words:
    """Return the words of a language; its catalogue is read once."""
    from gettext import GNUTranslations, NullTranslations

    file = CATALOGUES / f"{language}.po"
    if not file.is_file():
        return Words(language, NullTranslations())
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    with file.open(encoding="utf-8") as lines:
        catalogue = read_po(lines, locale=language)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Words(language, GNUTranslations(compiled))
