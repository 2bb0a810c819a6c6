"""Guess what the user's files mean: who the leads are, what became of them, and which columns may be used."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from features.presets import NO_PRESET, Preset, read_preset, recognise_preset
from project.errors import SchemaError, name_some
from training.proposal import notes as remarks
from training.proposal import text as words
from training.proposal.inspection import (
    NEARLY,
    ColumnProfile,
    InspectedFile,
    find_link,
    inspect_file,
    need_column,
    pick,
    read_column,
    spell,
)
from training.proposal.outcome import ANY_TIME, LEAD_ID, History, give, guess_history, need_lead, timely
from training.proposal.text import Choice, Keys, Part, Value

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Proposal", "propose_project"]

# Words of a header, as `spell` writes them; the patterns that tell most stand first.
_ID = (LEAD_ID, r"^(id|uuid|guid|ид)\b", r"\b(id|uuid|guid|ид)$", r"\b(key|code|number|no|num|номер|код)\b|№")
_ORDER = (r"\b(number|order|seq\w*|no|num|номер|порядк\w*)\b|№",)
_CREATED = (r"\bcreat|создан", r"\b(regist|receiv|submit|added|поступ|регистрац)", r"\bfirst\b|перв")
_NOT_CREATED = r"\b(modif|updat|clos|last|won|lost|conver|birth|valid|due|next|измен|обнов|закры|рожден|послед)"
_ACCOUNT = (r"^(account|company|organi[sz]ation|компания|организация|контрагент)( (id|ид|key|name|код|название))?$",)
_RECORDED = (r"\b(record|ingest|load|sync)ed\b",)
_OCCURRED = (r"\b(occurr|happen|event|событ)", *ANY_TIME)
_KIND = (r"\b(kind|type|тип|вид)\b", r"\b(event|activity|action|событие|действие)\b", "")
_AMOUNT = (r"\b(value|amount|duration|seconds|сумма|длительность)\b",)
_VALID_FROM = (r"\b(valid|effective|since|from)\b|^с даты|действ",)
_IDENTITY = "Who somebody is: read to find duplicates and junk, never learnt from."
_TIMES = ("created_at", "at", "recorded_at", "won_at", "lost_at", "closed_at", "valid_from")


@dataclass(frozen=True)
class Proposal:
    """A commented `leads.toml`, and short sentences about what was guessed and what to check."""

    text: str
    notes: tuple[str, ...]


def propose_project(
    folder: Path,
    *,
    leads: Path,
    events: Path | None = None,
    stages: Path | None = None,
    accounts: Path | None = None,
    crm: str | None = None,
) -> Proposal:
    """Propose a `leads.toml` for `folder` from what the files hold; nothing is written.

    What the preset of the `crm` knows goes before any guess; without a name it is recognised from the headers, and
    `none` switches it off.

    Raises
    ------
    SettingsError
        There is no preset of that name.
    SchemaError
        No column names each lead once, nothing tells who converted, or a file cannot be joined with the leads.
    StorageError
        A file is not there or cannot be read.
    """
    paths = {"leads": leads, "accounts": accounts, "events": events, "stages": stages}
    chosen = None if crm is None else read_preset(crm)
    files = {name: inspect_file(path, folder=folder) for name, path in paths.items() if path is not None}
    preset = chosen or _recognise(files)
    roles = _guess_roles(files, preset=preset)
    key = str(roles["id"][0])
    ids = read_column(files["leads"], key, "text").rename(spell(key))
    history = guess_history(files, roles, ids, preset=preset)
    identity = _find_identity(files["leads"], preset=preset)
    taken = [*roles.values(), *history.keys.values(), *identity.values()]
    choices = _judge_leads(files["leads"], taken, history, preset)
    source, keys = words.describe_source(files["leads"])
    parts = [Part("leads", source, keys | roles), *words.describe_columns("leads", choices)]
    parts += [Part("leads.identity", _IDENTITY, identity)] if identity else []
    parts += _describe_accounts(files["accounts"], files["leads"], roles) if "accounts" in files else []
    parts += [_describe_events(files["events"], ids, preset=preset)] if "events" in files else []
    parts += [*([history.stages] if history.stages else []), *_describe_outcome(files, roles, history)]
    parts += [history.reasons] if history.reasons else []
    parts += [part for name, file in files.items() for part in words.describe_cells(name, file)]
    naive = _is_naive(files, parts)
    parts = [
        remarks.describe_project(folder.resolve().name, parts, naive=naive),
        *parts,
        remarks.describe_rule(choices),
    ]
    notes = remarks.note(files, parts, naive=naive)
    return Proposal(
        words.write_text(parts), (*remarks.note_preset(preset, history.doubts, chosen=chosen is not None), *notes)
    )


def _recognise(files: Mapping[str, InspectedFile]) -> Preset:
    found = (recognise_preset(files[name].columns) for name in ("leads", "stages", "events") if name in files)
    return next((preset for preset in found if preset is not None), NO_PRESET)


def _is_naive(files: Mapping[str, InspectedFile], parts: Sequence[Part]) -> bool:
    used = [(part.name, part.keys[key][0]) for part in parts for key in _TIMES if key in part.keys and not part.quoted]
    return any(files.get(name, files["leads"]).columns[str(header)].unzoned for name, header in used)


def _guess_roles(files: Mapping[str, InspectedFile], *, preset: Preset) -> Keys:
    leads = files["leads"]
    single = [name for name, column in leads.columns.items() if column.levels >= 0.99 * column.rows]
    key = preset.find("leads", "id", single) or _guess_id(
        leads, [files[name] for name in ("stages", "events") if name in files]
    )
    filled = [name for name in timely(leads) if leads.columns[name].filled >= NEARLY * leads.rows]
    created = preset.find("leads", "created_at", filled) or pick(filled, (*_CREATED, *ANY_TIME), never=_NOT_CREATED)
    names = [c.header for c in leads.columns.values() if c.header != key and c.levels > 2 and not c.timely]
    linked = [name for name in names if "accounts" in files and _link_of(files["accounts"], leads, name)]
    account = preset.find("leads", "account", names) if not linked else pick(linked, (*_ACCOUNT, ""))
    account = account or pick(names, _ACCOUNT)
    order = pick((column.header for column in leads.columns.values() if column.names_rows and column.numeric), _ORDER)
    spare = leads.rows - leads.columns[key].levels
    return give(
        id=(key, f"{spare:,} rows lack or repeat it and will be set aside" if spare else "every row has its own"),
        created_at=(created, "when the lead came in"),
        account=(account, "the company behind it"),
        order=(
            None if created else order,
            "no date of creation was found; this number stands for the order of arrival",
        ),
    )


def _link_of(file: InspectedFile, leads: InspectedFile, header: str) -> str | None:
    named = rf"^({re.escape(spell(header))}|id|ид)$"
    return find_link(file, set(read_column(leads, header, "text").dropna()), named=named)


def _guess_id(leads: InspectedFile, others: Sequence[InspectedFile]) -> str:
    columns = [column for column in leads.columns.values() if not column.timely]
    strict = [column.header for column in columns if column.names_rows]
    linked = [name for name in strict if len(strict) > 1 and any(_link_of(other, leads, name) for other in others)]
    texts = [name for name in strict if not leads.columns[name].numeric]
    nearly = [column.header for column in columns if column.levels >= 0.99 * column.rows]
    found = pick(linked or strict, _ID) or pick(linked or texts, ("",)) or pick(nearly, _ID[:3])
    if found is None:
        closest = sorted(columns, key=lambda column: -column.levels)[:3]
        seen = name_some(f"{column.header!r} ({column.levels:,} different values)" for column in closest)
        raise SchemaError(
            f"{leads.path.name}: no id column: none names each of {leads.rows:,} leads exactly once. Closest: {seen}. "
            "Give each lead an id of its own in one column, such as lead_id."
        )
    return found


def _find_identity(file: InspectedFile, *, preset: Preset) -> Keys:
    roles = ("email", "phone", "name", "company")
    return give(**{role: (preset.find("leads", role, file.columns), "") for role in roles})


def _judge_leads(
    file: InspectedFile, taken: Sequence[tuple[Value, str]], history: History, preset: Preset
) -> list[Choice]:
    used = {value for value, _ in taken if isinstance(value, str)}
    rest = (column for header, column in file.columns.items() if header not in used)
    return [_judge_lead(file, column, history, preset) for column in rest]


def _judge_lead(file: InspectedFile, column: ColumnProfile, history: History, preset: Preset) -> Choice:
    if preset.serves_rules(column.header) and 0 < column.levels <= 5:
        return Choice(column, "rule", f"no feature, only for [[rules]]; levels: {words.list_some(column.listed)}")
    why = preset.forbid(column.header)
    if why is not None:
        return Choice(column, "", f"{preset.title}: {why}")
    return words.judge_column(file, column, converted=history.converted, known=history.known)


def _describe_accounts(file: InspectedFile, leads: InspectedFile, roles: Keys) -> list[Part]:
    link = _link_of(file, leads, str(roles["account"][0])) if "account" in roles else None
    key = need_column(file, link, "holds the accounts of the leads")
    valid = pick((name for name in timely(file) if file.columns[name].filled >= NEARLY * file.rows), _VALID_FROM)
    nothing = np.zeros(file.rows, np.bool_)
    rest = [column for name, column in file.columns.items() if name not in (key, valid)]
    source, keys = words.describe_source(file)
    keys |= give(id=(key, ""), valid_from=(valid, "since when a row holds"))
    choices = [words.judge_column(file, column, converted=nothing, known=nothing) for column in rest]
    return [Part("accounts", source, keys), *words.describe_columns("accounts", choices)]


def _describe_events(file: InspectedFile, ids: pd.Series, *, preset: Preset) -> Part:
    lead = need_lead(file, ids, known=preset.find("events", "lead", file.columns))
    known = preset.find("events", "at", timely(file))
    at = need_column(file, known or pick(timely(file), _OCCURRED, never=_RECORDED[0]), "says when an event happened")
    few = [c for c in file.columns.values() if c.header != lead and len(c.listed) > 1 and not c.timely]
    named = pick((c.header for c in few if not c.numeric), _KIND) or pick((c.header for c in few), _KIND[:2])
    named = preset.find("events", "kind", (c.header for c in few)) or named
    kind = need_column(file, named, "with 2 to 200 levels says what happened")
    amount = pick((c.header for c in file.columns.values() if c.numeric and c.header not in (lead, kind)), _AMOUNT)
    recorded = preset.find("events", "recorded_at", (name for name in timely(file) if name != at)) or pick(
        (name for name in timely(file) if name != at), _RECORDED
    )
    source, keys = words.describe_source(file)
    keys |= give(lead=(lead, ""), at=(at, ""), kind=(kind, f"levels: {file.columns[kind].levels}"))
    keys |= give(value=(amount, ""), recorded_at=(recorded, "when the source knew of it"))
    return Part("events", source, keys)


def _describe_outcome(files: Mapping[str, InspectedFile], roles: Keys, history: History) -> list[Part]:
    """Describe the outcome and what follows from its dates: horizon, ages, and the team's capacity."""
    if "created_at" not in roles:
        why = "Leads without dates: the order of the rows, or chance, stands for time."
        return [Part("outcome", why, history.keys), words.describe_capacity(None)]
    created = read_column(files["leads"], str(roles["created_at"][0]), "time")
    capacity = words.describe_capacity(created)
    if "column" in history.keys and "closed_at" not in history.keys:
        return [Part("outcome", "Wins without dates: time cannot be respected.", history.keys), capacity]
    recorded = [*history.won.dropna(), *history.lost.dropna()]
    delays = (history.won - created).dropna().dt.total_seconds().to_numpy() / 86_400
    first, last, start = created.min(), max([created.max(), *recorded]), min(recorded, default=created.min())
    quick = float(np.quantile(delays, 0.25)) if len(delays) else 0.0
    late = start - first > max(0.1 * (last - first), timedelta(days=quick))
    horizon, why = words.describe_horizon(delays.tolist(), span=(last - (start if late else first)) / timedelta(days=1))
    keys: Keys = {"horizon": (horizon, why), **words.describe_sooner(horizon), **history.keys}
    if late:
        gap = (
            f"the first outcome stands {(start - first).days} days after the first lead: earlier leads look unwinnable"
        )
        keys["observed_from"] = (start.floor("D").to_pydatetime(), gap)
    soon = "events" in files and ((history.lost - created) <= timedelta(hours=1)).mean() > 0.2
    above = "What counts as converted, and within which time."
    return [Part("outcome", above, keys), words.describe_ages(horizon, from_first_hour=soon), capacity]
