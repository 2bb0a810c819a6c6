"""The sections of `leads.toml` about what the team can do and what happens to a lead in each band."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Literal, TypeAlias, get_args

from pydantic import Field, field_validator, model_validator

from project.duration import parse_duration
from project.source_settings import Duration, Section

__all__ = ["DAYS", "BandSettings", "CapacitySettings", "RuleSettings", "SlaSettings", "Weekday"]

Weekday: TypeAlias = Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
DAYS: tuple[Weekday, ...] = get_args(Weekday)
_DAY_MINUTES = 24 * 60
_WORKDAYS = 5


class CapacitySettings(Section):
    """`[capacity]`: what the team can call, what a call costs and a win brings, and the precision it wants.

    `leads_per_week` follows from `reps` · `calls_per_rep` (calls a week of one rep) where it is left out. `precision`
    is the share of the SQL band that shall convert at least. `value_column` is the column of the leads that holds what
    a win of that lead would bring; where it is empty, `value_per_win` counts.
    """

    leads_per_week: float | None = Field(None, gt=0)
    reps: float | None = Field(None, gt=0)
    calls_per_rep: float | None = Field(None, gt=0)
    cost_per_call: float | None = Field(None, ge=0)
    value_per_win: float | None = Field(None, gt=0)
    value_column: str | None = None
    currency: str = ""
    exploration: float = Field(0.0, ge=0.0, le=0.5)
    precision: float | None = Field(None, gt=0.0, lt=1.0)

    @model_validator(mode="before")
    @classmethod
    def _count_the_team(cls, given: object) -> object:
        if not isinstance(given, Mapping) or given.get("leads_per_week") is not None:
            return given
        reps, calls = given.get("reps"), given.get("calls_per_rep")
        if isinstance(reps, int | float) and isinstance(calls, int | float) and reps > 0 and calls > 0:
            return {**given, "leads_per_week": reps * calls}
        return given

    @model_validator(mode="after")
    def _the_team_adds_up(self) -> CapacitySettings:
        if self.leads_per_week is None or self.reps is None or self.calls_per_rep is None:
            return self
        together = self.reps * self.calls_per_rep
        if not math.isclose(together, self.leads_per_week, rel_tol=1e-6):
            raise ValueError(
                f"leads_per_week is {self.leads_per_week:g}, but reps times calls_per_rep is {together:g}: leave one "
                "of the three out"
            )
        return self

    @property
    def calls_of_one_rep(self) -> float | None:
        """Calls a week of one rep, given or from the other two; null if nothing tells."""
        if self.calls_per_rep is not None or self.leads_per_week is None or self.reps is None:
            return self.calls_per_rep
        return self.leads_per_week / self.reps

    @property
    def break_even(self) -> float | None:
        """The probability from which a call brings what it costs; null without both sides of it."""
        if self.cost_per_call is None or self.value_per_win is None:
            return None
        return self.cost_per_call / self.value_per_win


class BandSettings(Section):
    """`[bands]`: how firmly a lead stays in its band, how many are called in a day, and when nurture comes back.

    A lead enters a band at its threshold t and leaves it below t · (1 − `hysteresis`) only. A nurtured lead comes back
    after `nurture_return`, or earlier if it has done `nurture_events` new things; 0: only after that time.
    """

    hysteresis: float = Field(0.15, ge=0.0, lt=1.0)
    daily_cap: int | None = Field(None, ge=1)
    nurture_return: Duration = timedelta(days=30)
    nurture_events: int = Field(3, ge=0)

    @field_validator("nurture_return")
    @classmethod
    def _has_length(cls, length: timedelta) -> timedelta:
        if length <= timedelta(0):
            raise ValueError("must be longer than nothing")
        return length

    def cap_of_a_day(self, capacity: CapacitySettings) -> int | None:
        """Return how many leads are called in one day: as set, else a fifth of what is called in a week."""
        if self.daily_cap is not None or capacity.leads_per_week is None:
            return self.daily_cap
        # 40 a week as 0.4 · 100 is not 40 exactly, and must not become nine a day
        return math.ceil(round(capacity.leads_per_week / _WORKDAYS, 6))


class SlaSettings(Section):
    """`[sla]`: within how much business time a lead of each band has to be called, and when the business is open.

    `5m` and `2h` are minutes and hours while it is open; `1d` is one business day: as long as it is open on one of
    `days`. `hours` are half-open, on the clock of `project.timezone`.
    """

    SQL: str = "5m"
    MQL: str = "1d"
    hours: str = "09:00-18:00"
    days: tuple[Weekday, ...] = Field(default=DAYS[:_WORKDAYS], min_length=1)

    @field_validator("SQL", "MQL")
    @classmethod
    def _is_business_time(cls, text: str) -> str:
        if re.fullmatch(r"\s*0*[1-9]\d{0,3}\s*[mhd]\s*", text) is None:
            raise ValueError(f"{text!r} is no length of business time; write 5m, 2h or 1d (one business day)")
        return text.strip()

    @field_validator("hours")
    @classmethod
    def _opens_before_it_closes(cls, text: str) -> str:
        opens, closes = _read_hours(text)
        if not 0 <= opens < closes <= _DAY_MINUTES:
            raise ValueError(f"{text!r}: the business has to open before it closes, within one day from 00:00 to 24:00")
        return text

    @property
    def opens(self) -> timedelta:
        """When it opens, from midnight on."""
        return timedelta(minutes=_read_hours(self.hours)[0])

    @property
    def closes(self) -> timedelta:
        """When it closes, from midnight on."""
        return timedelta(minutes=_read_hours(self.hours)[1])

    def allowance(self, band: str) -> timedelta | None:
        """Return the business time within which a lead of a band has to be called; null: nobody waits for it.

        >>> SlaSettings().allowance("SQL"), SlaSettings().allowance("MQL"), SlaSettings().allowance("nurture")
        (datetime.timedelta(seconds=300), datetime.timedelta(seconds=32400), None)
        """
        if band not in {"SQL", "MQL"}:
            return None
        text = self.SQL if band == "SQL" else self.MQL
        return int(text[:-1]) * (self.closes - self.opens) if text.endswith("d") else parse_duration(text)


def _read_hours(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"\s*(\d\d?):([0-5]\d)\s*[-–]\s*(\d\d?):([0-5]\d)\s*", text)
    if found is None:
        raise ValueError(f"{text!r} are no hours; write 09:00-18:00")
    one, two, three, four = map(int, found.groups())
    return 60 * one + two, 60 * three + four


class RuleSettings(Section):
    """One `[[rules]]` entry: a lead whose `column` fits, or that did `event`, goes to `band` whatever its probability.

    A column fits if the cell equals one of `equals`, contains one of `contains`, or if the regular expression `matches`
    is found in it; letter case does not matter. An event is a kind of event, on any page or on one group of pages
    (`visit @ pricing`); it counts for the time `within` after it happened, or for ever.
    """

    name: str
    column: str | None = None
    equals: tuple[str, ...] = ()
    contains: tuple[str, ...] = ()
    matches: str | None = None
    event: str | None = Field(None, min_length=1)
    within: Duration | None = None
    band: Literal["disqualified", "SQL"] = "disqualified"

    @model_validator(mode="after")
    def _says_when(self) -> RuleSettings:
        if (self.column is None) == (self.event is None):
            raise ValueError(f"rule {self.name!r}: give either column or event")
        asks_cell = bool(self.equals or self.contains or self.matches is not None)
        if self.column is not None and not asks_cell:
            raise ValueError(f"rule {self.name!r} says nothing: give equals, contains or matches")
        if self.column is not None and self.within is not None:
            raise ValueError(f"rule {self.name!r}: within is for an event; a column is read as it stands")
        if self.event is not None and asks_cell:
            raise ValueError(f"rule {self.name!r}: equals, contains and matches are for a column, not for an event")
        if self.within is not None and self.within <= timedelta(0):
            raise ValueError(f"rule {self.name!r}: within must be longer than nothing")
        try:
            re.compile(self.matches or "")
        except re.error as error:
            raise ValueError(f"rule {self.name!r}: matches is no regular expression ({error})") from error
        return self
