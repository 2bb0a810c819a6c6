"""`leads.toml`: what the user declared, checked when it is read, frozen afterwards."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, model_validator

from project.band_settings import BandSettings, CapacitySettings, RuleSettings, SlaSettings
from project.duration import format_duration
from project.files import canonical_json, hash_bytes
from project.reasons_settings import ReasonsSettings
from project.source_settings import (
    AccountsSettings,
    Duration,
    EventsSettings,
    LeadsSettings,
    Section,
    StagesSettings,
    TouchesSettings,
)

__all__ = [
    "BandSettings",
    "CapacitySettings",
    "DefinitionSettings",
    "FeatureSettings",
    "HygieneSettings",
    "OutcomeSettings",
    "ProjectSettings",
    "Range",
    "ReasonMeaning",
    "RuleSettings",
    "SelectionSettings",
    "Settings",
    "SlaSettings",
    "SnapshotSettings",
    "TrainingSettings",
]

ReasonMeaning = Literal["lost", "unknown", "junk"]


class ProjectSettings(Section):
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


class OutcomeSettings(Section):
    """`[outcome]`: what counts as converted, within which horizon, and since when outcomes were recorded at all.

    Where a CRM keeps one closing date beside a status that tells won from lost, `column` is the status and `closed_at`
    the date; it counts for leads whose status is one of `won` or `lost` only, for open leads it is a plan.

    `sooner` are shorter horizons that the same model tells beside the whole one, each in a column of its own.

    `reasons` tells what a reason of rejection says of the lead: `lost` (it did not buy), `unknown` (it could still
    have: unreachable, bad timing, a duplicate) or `junk` (spam, a test: nothing is learnt from it). `reason` is the
    column of the leads table that holds it, where the stages have none.
    """

    horizon: Duration = timedelta(days=60)
    sooner: tuple[Duration, ...] = ()
    column: str | None = None
    won: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    won_at: str | None = None
    lost_at: str | None = None
    closed_at: str | None = None
    reason: str | None = None
    reasons: dict[str, ReasonMeaning] = Field(default_factory=dict)
    observed_from: datetime | None = None
    observed_until: datetime | None = None

    @model_validator(mode="after")
    def _horizon_has_length(self) -> OutcomeSettings:
        if self.horizon <= timedelta(0):
            raise ValueError("horizon must be longer than nothing")
        if self.closed_at is not None and self.column is None:
            raise ValueError("closed_at needs column: the status that tells whether the lead was won or lost then")
        return self

    @model_validator(mode="after")
    def _sooner_is_sooner(self) -> OutcomeSettings:
        whole = format_duration(self.horizon)
        for one in self.sooner:
            if one < timedelta(hours=1):
                raise ValueError(f"sooner holds {format_duration(one)}: every one must be an hour or longer")
            if one >= self.horizon:
                raise ValueError(
                    f"sooner holds {format_duration(one)}, which is not shorter than the horizon of {whole}: leave it "
                    "out or lengthen horizon"
                )
        twice = next((one for one in self.sooner if self.sooner.count(one) > 1), None)
        if twice is not None:
            raise ValueError(f"sooner holds {format_duration(twice)} twice: keep one")
        return self


class SnapshotSettings(Section):
    """`[snapshots]`: the ages at which each open lead is looked at."""

    ages: tuple[Duration, ...] = Field(default=tuple(timedelta(days=day) for day in (0, 1, 3, 7, 14, 30)), min_length=1)


class SelectionSettings(Section):
    """`[selection]`: which leads sales worked, and with which chance that had been decided.

    Both are columns of the leads, declared `rule`. `worked` holds one of `yes` for a lead that was worked; `propensity`
    the chance, above 0 and at most 1, with which the policy then in force would have it worked.
    """

    worked: str
    propensity: str | None = None
    yes: tuple[str, ...] = ("yes", "true", "1", "да")
    most_weight: float = Field(20.0, ge=1.0)


class DefinitionSettings(Section):
    """One `[[definitions]]` entry: which leads a rule of thumb calls sales-ready, and whether the team uses it today.

    `when` is an expression over names of features, read by features/expressions.py.
    """

    name: str = Field(min_length=1)
    when: str = Field(min_length=1)
    present: bool = False


class HygieneSettings(Section):
    """`[hygiene]`: what is found and set apart before anything is learnt.

    A lead is a duplicate of an earlier one with the same e-mail, phone, or company and name, that came in less than
    `duplicates_within` before. `competitors` are mail domains or company names.
    """

    duplicates: bool = True
    duplicates_within: Duration = timedelta(days=90)
    test_records: bool = True
    competitors: tuple[str, ...] = ()
    free_mail_domains: tuple[str, ...] = ()


class Range(Section):
    """Numbers from `min` to `max`, both included; either may be left open."""

    min: float | None = None
    max: float | None = None


class FeatureSettings(Section):
    """`[features]`: features beside the columns and events as they stand.

    `track_record` names category columns of the leads table: how earlier leads of the same level did, as known then.
    `ideal_customer` is the agreed portrait of a good customer, column → levels or a range; the feature is the share
    met. `colleagues` asks what other leads of the same account did. `forbidden` leaves features out, each with why.
    """

    track_record: tuple[str, ...] = ()
    ideal_customer: dict[str, tuple[str, ...] | Range] = Field(default_factory=dict)
    colleagues: bool = True
    forbidden: dict[str, str] = Field(default_factory=dict)


class TrainingSettings(Section):
    """`[training]`: chance, periods, the split where there are no dates, and leaks used all the same, each with why."""

    seed: int = 0
    test_share: float = Field(0.2, gt=0, lt=0.6)
    forward_share: float = Field(0.45, gt=0, lt=0.8)
    origins: int = Field(3, ge=1, le=12)
    split: Literal["row_order", "random"] = "row_order"
    tracking_uri: str | None = None
    leaks_allowed: dict[str, str] = Field(default_factory=dict)


class Settings(Section):
    """The whole of `leads.toml`."""

    project: ProjectSettings = ProjectSettings()
    leads: LeadsSettings
    events: EventsSettings | None = None
    stages: StagesSettings | None = None
    accounts: AccountsSettings | None = None
    touches: TouchesSettings | None = None
    outcome: OutcomeSettings
    snapshots: SnapshotSettings = SnapshotSettings()
    capacity: CapacitySettings = CapacitySettings()
    bands: BandSettings = BandSettings()
    sla: SlaSettings = SlaSettings()
    selection: SelectionSettings | None = None
    rules: tuple[RuleSettings, ...] = ()
    definitions: tuple[DefinitionSettings, ...] = ()
    hygiene: HygieneSettings = HygieneSettings()
    features: FeatureSettings = FeatureSettings()
    reasons: ReasonsSettings = ReasonsSettings()
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
        for header in (self.selection.worked, self.selection.propensity) if self.selection is not None else ():
            if header is not None and self.leads.columns.get(header) != "rule":
                raise ValueError(
                    f'selection names {header!r}, which leads.columns does not declare "rule". Declare it so: what '
                    "sales did is no feature"
                )
        if self.outcome.sooner and not self.dated:
            raise ValueError(
                "outcome.sooner needs dates of leads and wins: without them nothing tells how long a conversion took"
            )
        self._check_rules()
        value = self.capacity.value_column
        if value is not None and self.leads.columns.get(value) not in {"number", "rule"}:
            raise ValueError(
                f"capacity.value_column names {value!r}: declare it in leads.columns, as number, or as rule if it is "
                "no feature"
            )
        self._check_definitions()
        self._check_features()
        clash = sorted(set(self.leads.columns) & set(self.leads.forbidden))
        if clash:
            raise ValueError(f"leads.columns and leads.forbidden both name {', '.join(clash)}: keep one")
        return self

    def _check_rules(self) -> None:
        for rule in self.rules:
            if rule.column is None:
                if self.events is None or not self.dated:
                    raise ValueError(
                        f"rule {rule.name!r} asks for the event {rule.event!r}: that needs [events], and dates of "
                        "leads and outcomes to know when"
                    )
                continue
            kind = self.leads.columns.get(rule.column)
            if kind is None or kind == "number":
                found = "not in leads.columns" if kind is None else "a number there"
                raise ValueError(
                    f"rule {rule.name!r} reads column {rule.column!r}, which is {found}: declare it as rule or category"
                )

    def _check_definitions(self) -> None:
        names = [one.name for one in self.definitions]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two definitions are called {twice!r}: name them apart")
        present = [one.name for one in self.definitions if one.present]
        if len(present) > 1:
            raise ValueError(f"definitions {', '.join(map(repr, present))} all say present = true: the team uses one")

    def _check_features(self) -> None:
        categories = {name for name, kind in self.leads.columns.items() if kind == "category"}
        lost = [name for name in self.features.track_record if name not in categories]
        if lost:
            raise ValueError(f"features.track_record names {', '.join(lost)}: declare it a category in leads.columns")
        known = {*self.leads.columns, *(self.accounts.columns if self.accounts else {})}
        strange = [name for name in self.features.ideal_customer if name not in known]
        if strange:
            raise ValueError(f"features.ideal_customer names {', '.join(strange)}: declare it in leads or accounts")
        if self.features.track_record and not self.dated:
            raise ValueError("features.track_record needs dates: without them nothing was known earlier than the rest")

    @property
    def dated(self) -> bool:
        """Whether leads and outcomes have dates, so that time can be respected."""
        origins = (self.stages, self.outcome.won_at, self.outcome.closed_at)
        return self.leads.created_at is not None and any(origin is not None for origin in origins)

    @property
    def hash(self) -> str:
        """SHA-256 of the settings in their one canonical text."""
        return hash_bytes(canonical_json(self.model_dump(mode="json")).encode())
