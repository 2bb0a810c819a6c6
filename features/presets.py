"""What is known of the exports of six CRMs, as data: `features/crm/*.toml`.

Headers are compared without letter case, blanks and punctuation: `Lead Source` is `LeadSource` is `lead_source`. A `*`
in a header or a level of a preset stands for anything.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Literal, TypeVar

from project.errors import SettingsError, name_some
from project.settings import ReasonMeaning

__all__ = ["NO_PRESET", "PRESETS", "Meaning", "OutcomeColumn", "Preset", "read_preset", "recognise_preset"]

PRESETS = ("amocrm", "bitrix24", "dynamics", "hubspot", "odoo", "salesforce")
Meaning = Literal["won", "lost", "open"]
_FEWEST, _MARGIN = 3, 2
_Key = TypeVar("_Key", bound=str)


@dataclass(frozen=True)
class OutcomeColumn:
    """A column that tells what became of a lead, and what its levels mean."""

    headers: tuple[str, ...]
    meanings: Mapping[Meaning, tuple[str, ...]]

    def mean(self, level: str) -> Meaning | None:
        """Return what a level means, whether written as the internal code or as the label, or None if not known."""
        return next((meaning for meaning, levels in self.meanings.items() if _fits(level, levels, exact=True)), None)


@dataclass(frozen=True)
class Preset:
    """The export of one CRM.

    Attributes
    ----------
    advice, unconfirmed
        What to know of its times and outcomes; what could not be confirmed from its documentation.
    signature
        Headers that other sources seldom have: enough of them name the CRM.
    roles
        Table and role (`leads`, `created_at`) → headers, the most telling first.
    outcomes
        Columns of the leads table that tell won from lost, the most telling first.
    stages
        What the levels of a stage mean.
    forbidden
        Headers of columns that must not be learnt from → why.
    rules
        Headers of columns that only rules read.
    """

    name: str
    title: str = ""
    advice: str = ""
    unconfirmed: str = ""
    source: tuple[str, ...] = ()
    signature: tuple[str, ...] = ()
    roles: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    outcomes: tuple[OutcomeColumn, ...] = ()
    stages: OutcomeColumn = OutcomeColumn((), {})
    reasons: Mapping[ReasonMeaning, tuple[str, ...]] = field(default_factory=dict)
    forbidden: tuple[tuple[tuple[str, ...], str], ...] = ()
    rules: tuple[str, ...] = ()

    def find(self, table: str, role: str, headers: Iterable[str]) -> str | None:
        """Return the one of `headers` that plays a role in a table.

        >>> read_preset("salesforce").find("leads", "created_at", ["lead_source", "created_date"])
        'created_date'
        """
        return _first(self.roles.get(table, {}).get(role, ()), headers)

    def find_outcome(self, headers: Iterable[str]) -> list[tuple[str, OutcomeColumn]]:
        """Return the columns that may tell won from lost, the most telling first."""
        given = tuple(headers)
        found = ((_first(outcome.headers, given), outcome) for outcome in self.outcomes)
        return [(header, outcome) for header, outcome in found if header is not None]

    def forbid(self, header: str) -> str | None:
        """Return why a column must not be learnt from, or None.

        >>> read_preset("hubspot").forbid("hs_lifecyclestage_customer_date")[:22]
        'the state of the lead '
        """
        return next((why for headers, why in self.forbidden if _fits(header, headers)), None)

    def serves_rules(self, header: str) -> bool:
        """Tell whether only rules may read a column."""
        return _fits(header, self.rules)

    def mean_reason(self, reason: str) -> ReasonMeaning | None:
        """Return what a reason of rejection says of the lead, or None if the preset does not know it."""
        return next((meaning for meaning, known in self.reasons.items() if _fits(reason, known, exact=True)), None)


NO_PRESET = Preset("none")


@cache
def read_preset(name: str) -> Preset:
    """Read a preset by its name, such as `bitrix24`; `none` knows nothing.

    Raises
    ------
    SettingsError
        There is no such preset; the message lists them.
    """
    if name == NO_PRESET.name:
        return NO_PRESET
    if name not in PRESETS:
        raise SettingsError(f"--crm {name}: unknown. Write one of {name_some(PRESETS, most=6)}, or none.")
    data = tomllib.loads((files("features") / "crm" / f"{name}.toml").read_text(encoding="utf-8"))
    stages = OutcomeColumn((), _tuples(data["meanings"]))
    return Preset(
        name,
        data["title"],
        data["advice"],
        data["unconfirmed"],
        tuple(data["source"]),
        tuple(data["signature"]),
        {table: _tuples(data[table]) for table in ("leads", "stages", "events")},
        tuple(_read_outcome(entry, stages) for entry in data["outcome"]),
        stages,
        _tuples(data["reasons"]),
        tuple((tuple(entry["headers"]), str(entry["why"])) for entry in data["forbidden"]),
        tuple(header for entry in data.get("rules", ()) for header in entry["headers"]),
    )


def recognise_preset(headers: Iterable[str]) -> Preset | None:
    """Return the CRM whose signature the headers hold: at least three of it, and two more than of any other's.

    >>> recognise_preset(["Id", "IsConverted", "ConvertedDate", "OwnerId", "Email"]).title
    'Salesforce'
    >>> recognise_preset(["lead_id", "created_at", "status", "email"])
    """
    given = {_fold(header) for header in headers}
    counts = {name: len(given & {_fold(known) for known in read_preset(name).signature}) for name in PRESETS}
    second, best = sorted(counts, key=lambda name: counts[name])[-2:]
    return read_preset(best) if counts[best] >= max(_FEWEST, counts[second] + _MARGIN) else None


def _read_outcome(entry: Mapping[str, Sequence[str]], stages: OutcomeColumn) -> OutcomeColumn:
    meanings: tuple[Meaning, ...] = ("won", "lost", "open")
    own = {meaning: tuple(entry[meaning]) for meaning in meanings if meaning in entry}
    return OutcomeColumn(tuple(entry["headers"]), own if own else stages.meanings)


def _tuples(table: Mapping[_Key, Sequence[str]]) -> dict[_Key, tuple[str, ...]]:
    return {key: tuple(values) for key, values in table.items()}


def _first(known: Sequence[str], headers: Iterable[str]) -> str | None:
    folded: dict[str, str] = {}
    for header in headers:
        folded.setdefault(_fold(header), header)
    return next((folded[_fold(alias)] for alias in known if _fold(alias) in folded), None)


def _fits(text: str, patterns: Iterable[str], *, exact: bool = False) -> bool:
    """Tell whether a text is one of the patterns; `exact` keeps the punctuation of levels, such as `C1:WON`."""
    fold = _fold_level if exact else _fold
    return any(fnmatchcase(fold(text), fold(pattern)) for pattern in patterns)


def _fold(header: str) -> str:
    return re.sub(r"[^\w*]|_", "", header).casefold().replace("ё", "е")


def _fold_level(level: str) -> str:
    return " ".join(level.split()).casefold().replace("ё", "е")
