"""A user's project: the folder with `leads.toml`, read and checked."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ValidationError

from project.environment import named_variables
from project.errors import SettingsError, StorageError
from project.reasons_settings import GroupSettings, ReasonsSettings
from project.settings import (
    BandSettings,
    CapacitySettings,
    DefinitionSettings,
    FeatureSettings,
    HygieneSettings,
    OutcomeSettings,
    ProjectSettings,
    Range,
    RuleSettings,
    SelectionSettings,
    Settings,
    SlaSettings,
    SnapshotSettings,
    TrainingSettings,
)
from project.source_settings import (
    AccountsSettings,
    CellSettings,
    EventsSettings,
    IdentitySettings,
    Label,
    LeadsSettings,
    StagesSettings,
    TouchesSettings,
)

__all__ = ["FILE_NAME", "Project", "find_project", "read_settings"]

FILE_NAME = "leads.toml"


@dataclass(frozen=True)
class Project:
    """A folder with `leads.toml`; everything written goes under `state`.

    `environment` holds the variables that the sources' `url` name, as far as they are set. The settings keep the names,
    so that no value gets into their hash, a message or a saved model. `more_leads` is a file of leads beside those of
    the settings, which it adds to or replaces.
    """

    folder: Path
    settings: Settings
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    more_leads: Path | None = None

    @property
    def state(self) -> Path:
        """The folder of models, tracking store, rejects and reports."""
        return self.folder / "state"


def find_project(folder: Path) -> Project:
    """Read the nearest `leads.toml` in `folder` or above it.

    Raises
    ------
    SettingsError
        There is none, or it cannot be used as it stands.
    """
    start = folder.resolve()
    for candidate in (start, *start.parents):
        if (candidate / FILE_NAME).is_file():
            settings = read_settings(candidate / FILE_NAME)
            return Project(candidate, settings, _look_up(settings))
    raise SettingsError(f"{folder}: no {FILE_NAME} here or above. Make one: leads init {folder} --leads FILE")


def _look_up(settings: Settings) -> dict[str, str]:
    sources = (settings.leads, settings.events, settings.stages, settings.accounts, settings.touches)
    named = {name for source in sources if source is not None for name in named_variables(source.url or "")}
    return {name: os.environ[name] for name in sorted(named) if name in os.environ}


def read_settings(path: Path) -> Settings:
    """Read and check one `leads.toml`.

    Raises
    ------
    SettingsError
        Not TOML, an unknown key (the nearest known one is named), or a value that cannot be used.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror}).") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not valid TOML: {error}.") from error
    try:
        return Settings.model_validate(content)
    except ValidationError as error:
        lines = [_explain(dict(problem)) for problem in error.errors()]
        raise SettingsError(f"{path}: " + "; ".join(lines) + ".") from error


def _explain(problem: dict[str, object]) -> str:
    location = problem["loc"]
    where = ".".join(str(part) for part in location) if isinstance(location, tuple) else ""
    if problem["type"] == "extra_forbidden" and isinstance(location, tuple):
        known = {key.casefold(): key for key in _known_keys(tuple(str(part) for part in location[:-1]))}
        near = difflib.get_close_matches(str(location[-1]).casefold(), known, n=1, cutoff=0)
        return f"unknown key {where!r}" + (f"; did you mean {known[near[0]]!r}?" if near else "")
    if problem["type"] == "missing":
        return f"{where!r} is missing"
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"{where}: {message}" if where else message


def _known_keys(section: tuple[str, ...]) -> list[str]:
    names = [name for name in section if not name.isdigit()]
    if not names:
        return list(Settings.model_fields)
    models: dict[str, type[BaseModel]] = {
        "project": ProjectSettings,
        "leads": LeadsSettings,
        "events": EventsSettings,
        "stages": StagesSettings,
        "accounts": AccountsSettings,
        "touches": TouchesSettings,
        "outcome": OutcomeSettings,
        "snapshots": SnapshotSettings,
        "capacity": CapacitySettings,
        "bands": BandSettings,
        "sla": SlaSettings,
        "selection": SelectionSettings,
        "rules": RuleSettings,
        "definitions": DefinitionSettings,
        "hygiene": HygieneSettings,
        "features": FeatureSettings,
        "reasons": ReasonsSettings,
        "training": TrainingSettings,
    }
    inner: dict[str, type[BaseModel]] = {
        "labels": Label,
        "cells": CellSettings,
        "identity": IdentitySettings,
        "ideal_customer": Range,
        "groups": GroupSettings,
    }
    deeper = next((inner[name] for name in names[1:] if name in inner), None)
    model = deeper or models.get(names[0])
    return list(model.model_fields) if model else []
