"""The sections of `leads.toml` that declare tables: where each comes from and what its columns are."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from project.duration import format_duration, parse_duration

__all__ = [
    "AccountsSettings",
    "CellSettings",
    "ColumnKind",
    "Duration",
    "EventsSettings",
    "IdentitySettings",
    "Label",
    "LeadsSettings",
    "Section",
    "SourceSettings",
    "StagesSettings",
    "TouchesSettings",
]


def _read_duration(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        return parse_duration(value)
    raise ValueError(f"{value!r} is not a length of time; write 30m, 1h, 45d or 2w")


Duration = Annotated[timedelta, BeforeValidator(_read_duration), PlainSerializer(format_duration)]
ColumnKind = Literal["number", "category", "rule"]


class Section(BaseModel):
    """One section of `leads.toml`: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CellSettings(Section):
    """How the cells of one column are written, where that differs from the rest of its source."""

    missing: tuple[str, ...] | None = None
    decimal: Literal[".", ","] | None = None
    date_format: str | None = None


class SourceSettings(Section):
    """Where a table comes from, a file or a database and a query, and how its cells are written.

    What is not declared is decided from the cells, with proof, or an error asks: `encoding`, `delimiter`, `decimal` and
    `date_format`. A `date_format` is `dmy` or `mdy` (which number is the day), or a pattern such as `%d.%m.%Y %H:%M`.
    """

    file: str | None = None
    sheet: str | None = None
    url: str | None = None
    query: str | None = None
    encoding: str | None = None
    delimiter: str | None = Field(None, min_length=1, max_length=1)
    decimal: Literal[".", ","] | None = None
    date_format: str | None = None
    missing: tuple[str, ...] = ()
    cells: dict[str, CellSettings] = {}

    @model_validator(mode="after")
    def _one_origin(self) -> SourceSettings:
        if (self.file is None) == (self.url is None) or (self.url is None) != (self.query is None):
            raise ValueError("give either file, or url and query")
        return self


class Label(Section):
    """How a kind of event is called in front of people."""

    en: str
    ru: str


class IdentitySettings(Section):
    """`[leads.identity]`: columns that say who somebody is; read to find duplicates and junk, never learnt from."""

    email: str | None = None
    phone: str | None = None
    name: str | None = None
    company: str | None = None
    phone_region: str | None = Field(None, pattern="^[A-Z]{2}$")


class LeadsSettings(SourceSettings):
    """`[leads]`: the table of leads and which of its columns may be used, and how."""

    id: str
    created_at: str | None = None
    account: str | None = None
    order: str | None = None
    columns: dict[str, ColumnKind] = {}
    labels: dict[str, Label] = {}
    forbidden: dict[str, str] = {}
    identity: IdentitySettings = IdentitySettings()


class EventsSettings(SourceSettings):
    """`[events]`: dated behaviour.

    Rows that share an `id` are versions of one event: as of a moment the latest one recorded by then counts. An event
    on a `page` that fits a pattern of `page_groups` counts for that group as well as for its kind. A visit ends after
    `session_gap` without an event.
    """

    lead: str
    at: str
    kind: str
    value: str | None = None
    recorded_at: str | None = None
    id: str | None = None
    page: str | None = None
    page_groups: dict[str, tuple[str, ...]] = {}
    groups: dict[str, tuple[str, ...]] = {}
    labels: dict[str, Label] = {}
    ignore: tuple[str, ...] = ()
    windows: tuple[Duration, ...] = Field(default=tuple(timedelta(days=n) for n in (1, 7, 30, 90)), min_length=1)
    session_gap: Duration = timedelta(minutes=30)
    max_kinds: int = Field(40, ge=0)

    @model_validator(mode="after")
    def _windows_have_length(self) -> EventsSettings:
        if any(window <= timedelta(0) for window in self.windows):
            raise ValueError("windows must be longer than nothing")
        if self.session_gap <= timedelta(0):
            raise ValueError("session_gap must be longer than nothing")
        if self.page_groups and self.page is None:
            raise ValueError("page_groups need page: the column that holds the address of the page")
        return self


class TouchesSettings(SourceSettings):
    """`[touches]`: what sales did. It is a treatment, not behaviour: no feature unless `as_features` is set."""

    lead: str
    at: str
    kind: str
    outcome: str | None = None
    as_features: bool = False
    labels: dict[str, Label] = {}


class StagesSettings(SourceSettings):
    """`[stages]`: dated stage changes, from which the outcome is read."""

    lead: str
    at: str
    stage: str | None = None
    reason: str | None = None


class AccountsSettings(SourceSettings):
    """`[accounts]`: the companies behind the leads; a version older than `time_to_live` no longer counts as known."""

    id: str
    valid_from: str | None = None
    time_to_live: Duration | None = None
    columns: dict[str, Literal["number", "category"]] = {}
    labels: dict[str, Label] = {}
