"""What to do with scored leads and by when: the clock of each band, today's list, and when nurture comes back.

Functions of their arguments alone: no clock is read and no file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import ArrayLike, NDArray

from project.band_settings import DAYS

if TYPE_CHECKING:
    from project.language import Words
    from project.settings import BandSettings, SlaSettings

__all__ = ["OVERFLOW", "Plan", "come_back_at", "due_at", "is_back", "plan_today"]

Moments: TypeAlias = NDArray[np.datetime64]
Vector: TypeAlias = NDArray[np.float64]
OVERFLOW = "overflow"
_UTC = ZoneInfo("UTC")
_TICK = timedelta(microseconds=1)
_EPOCH = datetime.fromisoformat("1970-01-01")


def due_at(moments: ArrayLike, bands: Sequence[str], sla: SlaSettings, zone: str | None) -> Moments:
    """Return by when each lead has to be called: when its band's business time since `moments` is over.

    The clock runs while the business is open, in real time: an hour that a change to summer time takes away is not
    counted. What is over just at closing is due at closing.

    Parameters
    ----------
    moments
        Since when, UTC without a zone, shape (leads,); for example the `as_of` of the decision that put it in its band.
    zone
        Of the business hours: `project.timezone`; null is UTC.

    Returns
    -------
    ndarray of datetime64[us]
        UTC; NaT for bands without a clock, and where the moment is missing.

    >>> from project.settings import SlaSettings
    >>> friday = np.datetime64("2025-03-28T16:58")  # 17:58 in Berlin, which changes to summer time on Sunday
    >>> due_at([friday] * 3, ["SQL", "MQL", "nurture"], SlaSettings(), "Europe/Berlin").astype("datetime64[m]").tolist()
    [datetime.datetime(2025, 3, 31, 7, 3), datetime.datetime(2025, 3, 31, 15, 58), None]
    """
    since = np.asarray(moments, dtype="datetime64[us]")
    allowed = np.array([_ticks(sla.allowance(band)) for band in bands], dtype=np.int64)
    due = np.full(len(since), np.datetime64("NaT"), dtype="datetime64[us]")
    asked = np.flatnonzero((allowed > 0) & ~np.isnat(since))
    if not len(asked):
        return due
    start = since[asked].astype(np.int64)
    opens, closes = _open_hours(start.min(), start.max(), int(allowed[asked].max()), sla, ZoneInfo(zone or "UTC"))
    until = (closes - opens).cumsum()  # business time from the first opening to each closing
    begun = until - (closes - opens)
    day = np.searchsorted(closes, start, side="right")  # the first day that closes later
    target = begun[day] + np.maximum(start - opens[day], 0) + allowed[asked]
    last = np.searchsorted(until, target, side="left")
    due[asked] = (opens[last] + target - begun[last]).astype("datetime64[us]")
    return due


def _ticks(length: timedelta | None) -> int:
    return 0 if length is None else length // _TICK


def _open_hours(
    first: np.int64, last: np.int64, allowance: int, sla: SlaSettings, zone: ZoneInfo
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return when the business opens and closes, in microseconds UTC: from before `first` to when all time is over."""
    day = (_EPOCH + int(first) * _TICK).date() - timedelta(days=2)
    end = (_EPOCH + int(last) * _TICK).date() + timedelta(days=2)
    opens, closes, left = [], [], allowance
    while day <= end or left > 0:
        if DAYS[day.weekday()] in sla.days:
            one, two = (_in_utc(day, since_midnight, zone) for since_midnight in (sla.opens, sla.closes))
            if two > one:  # a change of the clock can swallow the whole of very short hours
                opens.append((one - _EPOCH) // _TICK)
                closes.append((two - _EPOCH) // _TICK)
                left -= closes[-1] - opens[-1] if day > end else 0
        day += timedelta(days=1)
    return np.array(opens, dtype=np.int64), np.array(closes, dtype=np.int64)


def _in_utc(day: date, since_midnight: timedelta, zone: ZoneInfo) -> datetime:
    local = datetime.combine(day, time()) + since_midnight  # 24:00 is the next day's midnight
    return local.replace(tzinfo=zone).astimezone(_UTC).replace(tzinfo=None)


@dataclass(frozen=True)
class Plan:
    """Who is called today, and in which order.

    Attributes
    ----------
    place
        1 for the lead to call first, and so on; 0 for leads that are not on today's list, shape (leads,).
    overflow
        SQL leads beyond the cap, shape (leads,).
    """

    place: NDArray[np.int64]
    overflow: NDArray[np.bool_]

    @property
    def words(self) -> list[str]:
        """The place as text, `overflow`, or nothing, one a lead."""
        pairs = zip(self.place.tolist(), self.overflow.tolist(), strict=True)
        return [str(place) if place else OVERFLOW if over else "" for place, over in pairs]


def plan_today(
    bands: Sequence[str],
    probability: Vector,
    log_odds: Vector,
    expected_value: Vector,
    lead_ids: Sequence[str],
    cap: int | None,
    *,
    first: Sequence[bool] | None = None,
) -> Plan:
    """Put the SQL leads in today's order: by expected value where it is known, then probability, log-odds and id.

    Parameters
    ----------
    expected_value
        NaN where it is not known; such leads come after those where it is.
    cap
        The most that are called in a day; null: no limit.
    first
        Leads that come before all others, such as those that asked to be called; null: none does.

    >>> said = np.array([0.5, 0.9, 0.7, 0.1])
    >>> plan_today(["SQL", "SQL", "SQL", "MQL"], said, said, said * np.nan, ["a", "b", "c", "d"], 2).words
    ['overflow', '1', '2', '']
    """
    if cap is not None and cap < 0:
        raise ValueError(f"cap must not be negative, found {cap}")
    sql = np.array([band == "SQL" for band in bands], dtype=np.bool_)
    value = np.where(np.isnan(expected_value), -np.inf, expected_value)
    later = np.zeros(len(sql)) if first is None else ~np.array(first, dtype=np.bool_)
    order = np.lexsort((np.array(lead_ids, dtype=np.str_), -log_odds, -probability, -value, later))
    order = order[sql[order]]
    place = np.zeros(len(sql), dtype=np.int64)
    taken = order[:cap]
    place[taken] = np.arange(1, len(taken) + 1)
    return Plan(place, sql & (place == 0))


def come_back_at(as_of: ArrayLike, bands: Sequence[str], settings: BandSettings) -> Moments:
    """Return when each nurtured lead comes back, UTC; NaT for all others."""
    moments = np.asarray(as_of, dtype="datetime64[us]")
    nurtured = np.array([band == "nurture" for band in bands], dtype=np.bool_)
    return np.where(nurtured, moments + np.timedelta64(settings.nurture_return), np.datetime64("NaT", "us"))


def is_back(decided_at: datetime, as_of: datetime, new_events: int, settings: BandSettings, words: Words) -> str:
    """Say why a lead that was sent to nurture is back; nothing if it is not.

    Parameters
    ----------
    decided_at, as_of
        When it was sent there, and the moment that is asked about, in one zone.
    new_events
        How many events became known since.

    >>> from project.language import speak
    >>> from project.settings import BandSettings
    >>> is_back(datetime(2025, 3, 1), datetime(2025, 3, 5), 4, BandSettings(), speak("ru"))
    '4 новых события с 1 марта 2025'
    >>> is_back(datetime(2025, 3, 1), datetime(2025, 3, 31), 0, BandSettings(), speak("en"))
    'waiting since 1 March 2025'
    >>> is_back(datetime(2025, 3, 1), datetime(2025, 3, 5), 1, BandSettings(), speak("en"))
    ''
    """
    day = words.date(decided_at)
    if settings.nurture_events and new_events >= settings.nurture_events:
        return words.plural("{n} new event since {day}", "{n} new events since {day}", new_events, day=day)
    if as_of >= decided_at + settings.nurture_return:
        return words.text("waiting since {day}", day=day)
    return ""
