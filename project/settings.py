"""`leads.toml`: what the user declared, checked when it is read, frozen afterwards."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from project.duration import format_duration, parse_duration
from project.files import canonical_json, hash_bytes

__all__ = [
    "AccountsSettings",
    "CapacitySettings",
    "ColumnKind",
    "EventsSettings",
    "Label",
    "LeadsSettings",
    "OutcomeSettings",
    "ProjectSettings",
    "RuleSettings",
    "Settings",
    "SourceSettings",
    "StagesSettings",
    "TrainingSettings",
]


def _read_duration(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        return parse_duration(value)
    raise ValueError(f"{value!r} is not a length of time; write 30m, 1h, 45d or 2w")


Duration = Annotated[timedelta, BeforeValidator(_read_duration), PlainSerializer(format_duration)]
ColumnKind = Literal["number", "category", "rule"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ProjectSettings(_Section):
    """`[project]`: its name, and the zone of times that are written without one."""

    name: str = "leads"
    timezone: str | None = None
    language: Literal["en", "ru"] = "en"
    max_reject_share: float = Field(0.05, ge=0, le=1)

    @model_validator(mode="after")
    def _zone_exists(self) -> ProjectSettings:
        if self.timezone is not None:
            try:
                ZoneInfo(self.timezone)
            except (ZoneInfoNotFoundError, ValueError, OSError) as error:
                raise ValueError(
                    f"timezone {self.timezone!r} is unknown; write UTC, Europe/Moscow or the like"
                ) from error
        return self


class SourceSettings(_Section):
    """Where a table comes from: a file, or a database and a query."""

    file: str | None = None
    url: str | None = None
    query: str | None = None
    encoding: str = "utf-8"
    delimiter: str | None = Field(None, min_length=1, max_length=1)
    decimal: Literal[".", ","] = "."
    date_format: str | None = None
    missing: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_origin(self) -> SourceSettings:
        if (self.file is None) == (self.url is None) or (self.url is None) != (self.query is None):
            raise ValueError("give either file, or url and query")
        return self


class Label(_Section):
    """How a kind of event is called in front of people."""

    en: str
    ru: str


class LeadsSettings(SourceSettings):
    """`[leads]`: the table of leads and which of its columns may be used, and how."""

    id: str
    created_at: str | None = None
    account: str | None = None
    order: str | None = None
    columns: dict[str, ColumnKind] = {}
    labels: dict[str, Label] = {}
    forbidden: dict[str, str] = {}


class EventsSettings(SourceSettings):
    """`[events]`: dated behaviour."""

    lead: str
    at: str
    kind: str
    value: str | None = None
    recorded_at: str | None = None
    groups: dict[str, tuple[str, ...]] = {}
    labels: dict[str, Label] = {}
    ignore: tuple[str, ...] = ()
    windows: tuple[Duration, ...] = Field(default=tuple(timedelta(days=n) for n in (1, 7, 30, 90)), min_length=1)
    max_kinds: int = Field(40, ge=0)

    @model_validator(mode="after")
    def _windows_have_length(self) -> EventsSettings:
        if any(window <= timedelta(0) for window in self.windows):
            raise ValueError("windows must be longer than nothing")
        return self


class StagesSettings(SourceSettings):
    """`[stages]`: dated stage changes, from which the outcome is read."""

    lead: str
    at: str
    stage: str | None = None
    reason: str | None = None


class AccountsSettings(SourceSettings):
    """`[accounts]`: the companies behind the leads."""

    id: str
    valid_from: str | None = None
    columns: dict[str, Literal["number", "category"]] = {}
    labels: dict[str, Label] = {}


class OutcomeSettings(_Section):
    """`[outcome]`: what counts as converted, within which horizon, and since when outcomes were recorded at all."""

    horizon: Duration = timedelta(days=60)
    column: str | None = None
    won: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    won_at: str | None = None
    lost_at: str | None = None
    observed_from: datetime | None = None
    observed_until: datetime | None = None

    @model_validator(mode="after")
    def _horizon_has_length(self) -> OutcomeSettings:
        if self.horizon <= timedelta(0):
            raise ValueError("horizon must be longer than nothing")
        return self


class SnapshotSettings(_Section):
    """`[snapshots]`: the ages at which each open lead is looked at."""

    ages: tuple[Duration, ...] = Field(default=tuple(timedelta(days=day) for day in (0, 1, 3, 7, 14, 30)), min_length=1)


class CapacitySettings(_Section):
    """`[capacity]`: what the team can call, and what a call costs and a win brings."""

    leads_per_week: float | None = Field(None, gt=0)
    cost_per_call: float | None = Field(None, ge=0)
    value_per_win: float | None = Field(None, gt=0)
    currency: str = ""


class RuleSettings(_Section):
    """One `[[rules]]` entry: a lead whose `column` holds one of `equals` goes to `band`, whatever its probability."""

    name: str
    column: str
    equals: tuple[str, ...] = Field(min_length=1)
    band: Literal["disqualified", "SQL"] = "disqualified"


class TrainingSettings(_Section):
    """`[training]`: chance, periods, and how the split is made where there are no dates."""

    seed: int = 0
    test_share: float = Field(0.2, gt=0, lt=0.6)
    calibrate_share: float = Field(0.25, gt=0, lt=0.6)
    split: Literal["row_order", "random"] = "row_order"
    tracking_uri: str | None = None


class Settings(_Section):
    """The whole of `leads.toml`."""

    project: ProjectSettings = ProjectSettings()
    leads: LeadsSettings
    events: EventsSettings | None = None
    stages: StagesSettings | None = None
    accounts: AccountsSettings | None = None
    outcome: OutcomeSettings
    snapshots: SnapshotSettings = SnapshotSettings()
    capacity: CapacitySettings = CapacitySettings()
    rules: tuple[RuleSettings, ...] = ()
    training: TrainingSettings = TrainingSettings()

    @model_validator(mode="after")
    def _outcome_can_be_read(self) -> Settings:
        origins = [self.outcome.column, self.outcome.won_at, self.stages]
        if not any(origin is not None for origin in origins):
            raise ValueError("nothing tells who converted: give [stages], or outcome.won_at, or outcome.column")
        if self.stages is not None and self.stages.stage is not None and not self.outcome.won:
            raise ValueError("outcome.won is empty: name the stages that mean a won lead")
        if self.outcome.column is not None and not self.outcome.won:
            raise ValueError("outcome.won is empty: name the values of outcome.column that mean a won lead")
        for rule in self.rules:
            kind = self.leads.columns.get(rule.column)
            if kind is None or kind == "number":
                found = "not in leads.columns" if kind is None else "a number there"
                raise ValueError(
                    f"rule {rule.name!r} reads column {rule.column!r}, which is {found}: declare it as rule or category"
                )
        clash = sorted(set(self.leads.columns) & set(self.leads.forbidden))
        if clash:
            raise ValueError(f"leads.columns and leads.forbidden both name {', '.join(clash)}: keep one")
        return self

    @property
    def dated(self) -> bool:
        """Whether leads and outcomes have dates, so that time can be respected."""
        return self.leads.created_at is not None and (self.stages is not None or self.outcome.won_at is not None)

    @property
    def hash(self) -> str:
        """SHA-256 of the settings in their one canonical text."""
        return hash_bytes(canonical_json(self.model_dump(mode="json")).encode())
