"""Guess what the user's files mean: who the leads are, what became of them, and which columns may be used."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from project.errors import SchemaError, name_some
from training import proposal_text as words
from training.inspection import NEARLY, InspectedFile, find_link, inspect_file, need_column, pick, read_column, spell
from training.proposal_text import Choice, Keys, Part, Value

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Proposal", "propose_project"]

# Words of a header, as `spell` writes them; the patterns that tell most stand first.
_LEAD_ID = r"\b(lead|prospect|mql|opportunity|request|application|лид\w*|заявк\w*|сделк\w*)\b.*\b(id|uuid|guid|key|ид)$"
_ID = (_LEAD_ID, r"^(id|uuid|guid|ид)\b", r"\b(id|uuid|guid|ид)$", r"\b(key|code|number|no|num|номер|код)\b|№")
_ORDER = (r"\b(number|order|seq\w*|no|num|номер|порядк\w*)\b|№",)
_CREATED = (r"\bcreat|создан", r"\b(regist|receiv|submit|added|поступ|регистрац)", r"\bfirst\b|перв")
_ANY_TIME = (r"\b(timestamp|date|time|at|when|дата|время)\b", "")
_NOT_CREATED = r"\b(modif|updat|clos|last|won|lost|conver|birth|valid|due|next|измен|обнов|закры|рожден|послед)"
_ACCOUNT = (r"^(account|company|organi[sz]ation|компания|организация|контрагент)( (id|ид|key|name|код|название))?$",)
_WON_AT = (r"^(?!.*\b(first|last|recent|form)\b).*\b(won|convert|conversion|purchase|paid|sold|оплат|продаж|покуп)",)
_LOST_AT = (r"\b(lost|declin|reject|disqual|отказ)",)
_STAGE = r"\b(stage|status|outcome|result|этап|стадия|статус|результат|исход)\b"
_REASON = (r"\breason\b|причин",)
_CHANGED_AT = (r"\b(chang|enter|outcome|won|clos|stage|status|измен|закры)", *_ANY_TIME)
_NOT_CHANGED = r"\b(creat|updat|modif|создан|обнов)"
_FLAT_1 = r"^(is )?(converted|won|conversion|purchased|bought|subscribed)$"
_FLAT_2 = r"^(target|outcome|label|y|is customer|сделка|результат|исход|итог)$"
_FLAT = (_FLAT_1, _FLAT_2, r"\b(convert|won\b|purchased|bought)", _STAGE)
_RECORDED = (r"\b(record|ingest|load|sync)ed\b",)
_OCCURRED = (r"\b(occurr|happen|event|событ)", *_ANY_TIME)
_KIND = (r"\b(kind|type|тип|вид)\b", r"\b(event|activity|action|событие|действие)\b", "")
_AMOUNT = (r"\b(value|amount|duration|seconds|сумма|длительность)\b",)
_VALID_FROM = (r"\b(valid|effective|since|from)\b|^с даты|действ",)
# Words of a stage or of an outcome's value.
_YES = {"1", "1.0", "yes", "true", "y", "t", "да", "истина"}
_WON = (
    r"\b(won\b|wins?\b|convert|success|успеш|выигр|оплач|оплата|купил|продан)",
    r"\b(sold|purchas|paid|signed|activated|approved|accepted|customer|договор|подписан|сделка)",
)
_LOST = (
    r"\b(lost|loss|declin|cancel|reject|refus|junk|disqual|unqualif|unsuccess|fail|dead\b"
    r"|not (convert|interest|success|won)|не (реализ|успе|куп|оплач)|неуспе|нереализ|отказ|отмен|проигр|некачеств|спам)"
)
_NO_STAGE = ("?",)
_TIMES = ("created_at", "at", "recorded_at", "won_at", "lost_at", "valid_from")


@dataclass(frozen=True)
class Proposal:
    """A commented `leads.toml`, and short sentences about what was guessed and what to check."""

    text: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class History:
    """What became of each lead, in the order of the leads' rows; `won` and `lost` are NaT where there is no time.

    `known` tells where `converted` can be told at all; `keys` go into `[outcome]`, `stages` is its own part.
    """

    won: pd.Series
    lost: pd.Series
    converted: NDArray[np.bool_]
    known: NDArray[np.bool_]
    keys: Keys
    stages: Part | None = None


def propose_project(
    folder: Path, *, leads: Path, events: Path | None = None, stages: Path | None = None, accounts: Path | None = None
) -> Proposal:
    """Propose a `leads.toml` for `folder` from what the files hold; nothing is written.

    Raises
    ------
    SchemaError
        No column names each lead once, nothing tells who converted, or a file cannot be joined with the leads.
    StorageError
        A file is not there or cannot be read.
    """
    paths = {"leads": leads, "accounts": accounts, "events": events, "stages": stages}
    files = {name: inspect_file(path, folder=folder) for name, path in paths.items() if path is not None}
    roles = _guess_roles(files)
    key = str(roles["id"][0])
    ids = read_column(files["leads"], key, "text").rename(spell(key))
    history = _guess_history(files, roles, ids)
    choices = _judge_leads(files["leads"], roles, history)
    source, keys = words.describe_source(files["leads"])
    parts = [Part("leads", source, keys | roles), *words.describe_columns("leads", choices)]
    parts += _describe_accounts(files["accounts"], files["leads"], roles) if "accounts" in files else []
    parts += [_describe_events(files["events"], ids)] if "events" in files else []
    parts += [*([history.stages] if history.stages else []), *_describe_outcome(files, roles, history)]
    naive = _is_naive(files, parts)
    parts = [words.describe_project(folder.resolve().name, parts, naive=naive), *parts, words.describe_rule(choices)]
    return Proposal(words.write_text(parts), words.note(files, parts, naive=naive))


def _is_naive(files: Mapping[str, InspectedFile], parts: Sequence[Part]) -> bool:
    used = [(part.name, part.keys[key][0]) for part in parts for key in _TIMES if key in part.keys and not part.quoted]
    return any(files.get(name, files["leads"]).columns[str(header)].unzoned for name, header in used)


def _guess_roles(files: Mapping[str, InspectedFile]) -> Keys:
    leads = files["leads"]
    key = _guess_id(leads, [files[name] for name in ("stages", "events") if name in files])
    filled = [name for name in _timely(leads) if leads.columns[name].filled >= NEARLY * leads.rows]
    created = pick(filled, (*_CREATED, *_ANY_TIME), never=_NOT_CREATED)
    names = [c.header for c in leads.columns.values() if c.header != key and c.levels > 2 and not c.timely]
    linked = [name for name in names if "accounts" in files and _link_of(files["accounts"], leads, name)]
    account = pick(linked, (*_ACCOUNT, "")) or pick(names, _ACCOUNT)
    order = pick((column.header for column in leads.columns.values() if column.names_rows and column.numeric), _ORDER)
    spare = leads.rows - leads.columns[key].levels
    return _given(
        id=(key, f"{spare:,} rows lack or repeat it and will be set aside" if spare else "every row has its own"),
        created_at=(created, "when the lead came in"),
        account=(account, "the company behind it"),
        order=(
            None if created else order,
            "no date of creation was found; this number stands for the order of arrival",
        ),
    )


def _given(**entries: tuple[Value | None, str]) -> Keys:
    return {name: (value, why) for name, (value, why) in entries.items() if value is not None and value != ()}


def _timely(file: InspectedFile) -> list[str]:
    return [column.header for column in file.columns.values() if column.timely]


def _link_of(file: InspectedFile, leads: InspectedFile, header: str) -> str | None:
    named = rf"^({re.escape(spell(header))}|id|ид)$"
    return find_link(file, set(read_column(leads, header, "text").dropna()), named=named)


def _need_lead(file: InspectedFile, ids: pd.Series) -> str:
    own = "" if ids.name in ("id", "ид") else rf"|^{re.escape(str(ids.name))}$"
    return need_column(file, find_link(file, set(ids.dropna()), named=_LEAD_ID + own), "holds the ids of the leads")


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


def _guess_history(files: Mapping[str, InspectedFile], roles: Keys, ids: pd.Series) -> History:
    leads = files["leads"]
    if "stages" in files:
        return _read_stages(files["stages"], ids)
    sparse = [name for name in _timely(leads) if leads.columns[name].filled < NEARLY * leads.rows]
    won_at = pick(sparse, _WON_AT) if "created_at" in roles else None
    if won_at is None:
        return _read_flat(leads, roles)
    lost_at = pick((name for name in sparse if name != won_at), _LOST_AT)
    won = read_column(leads, won_at, "time")
    lost = read_column(leads, lost_at, "time") if lost_at else won.where(won.isna())
    keys = _given(won_at=(won_at, "filled for won leads only"), lost_at=(lost_at, ""))
    return History(won, lost, won.notna().to_numpy(), np.ones(len(won), np.bool_), keys)


def _read_flat(leads: InspectedFile, roles: Keys) -> History:
    taken = {header for header, _ in roles.values()}
    binary = [c for c in leads.columns.values() if 1 < len(c.listed) <= 60 and not c.timely and c.header not in taken]
    telling = (column.header for column in binary if 0 < len(_find_won(column.listed)) < len(column.listed))
    column = need_column(leads, pick(telling, _FLAT), "tells who converted, and there is no file of stages (--stages)")
    listed = leads.columns[column].listed
    won, texts = _find_won(listed), read_column(leads, column, "text")
    why = f"only the last state is known, without a date; levels: {words.list_some(listed)}"
    keys = _given(column=(column, why), won=(won, ""), lost=(_find_lost(listed), ""))
    never = texts.where(texts.isna()).astype("datetime64[us]")
    return History(never, never, texts.isin(won).to_numpy(), texts.notna().to_numpy(), keys)


def _read_stages(file: InspectedFile, ids: pd.Series) -> History:
    lead = _need_lead(file, ids)
    at = need_column(file, pick(_timely(file), _CHANGED_AT, never=_NOT_CHANGED), "says when a stage was entered")
    stage = _guess_stage(file, taken=lead)
    listed = file.columns[stage].listed if stage else ()
    won, lost = _find_won(listed) or (_NO_STAGE if stage else ()), _find_lost(listed)
    texts, times = read_column(file, stage or lead, "text"), read_column(file, at, "time")
    by = read_column(file, lead, "text")
    first_won = times[texts.isin(won) if stage else texts.notna()].groupby(by).min()
    first_lost = times[texts.isin(lost)].groupby(by).min()
    reason = pick((name for name in file.columns if name != stage), _REASON) if stage else None
    source, keys = words.describe_source(file)
    levels = f"levels: {words.list_some(listed)}"
    keys |= _given(lead=(lead, ""), at=(at, ""), stage=(stage, levels), reason=(reason, ""))
    why = source if stage else f"{source} No column of stages: every row is a win."
    asked = "no stage looks like a win: write here which one is" if won == _NO_STAGE else ""
    won_at, lost_at = (first.reindex(ids).reset_index(drop=True) for first in (first_won, first_lost))
    converted, known = ids.isin(first_won.index).to_numpy(), np.ones(len(ids), np.bool_)
    outcome = _given(won=(won, asked), lost=(lost, ""))
    return History(won_at, lost_at, converted, known, outcome, Part("stages", why, keys))


def _guess_stage(file: InspectedFile, *, taken: str) -> str | None:
    usable = [c for c in file.columns.values() if c.header != taken and not c.timely and 1 < len(c.listed) <= 60]
    named = [column.header for column in usable if re.search(_STAGE, spell(column.header))]
    ending = [column.header for column in usable if _find_won(column.listed)]
    both = [name for name in ending if _find_lost(file.columns[name].listed)]
    return pick([*(name for name in named if name in ending), *named, *both], ("",), never=_REASON[0])


def _find_won(levels: Sequence[str]) -> tuple[str, ...]:
    lost = _find_lost(levels)
    tiers = [tuple(level for level in levels if level.casefold() in _YES and len(levels) <= 3)]
    tiers += [
        tuple(level for level in levels if level not in lost and re.search(pattern, spell(level))) for pattern in _WON
    ]
    return next((found for found in tiers if found), ())


def _find_lost(levels: Sequence[str]) -> tuple[str, ...]:
    return tuple(level for level in levels if re.search(_LOST, spell(level)))


def _judge_leads(file: InspectedFile, roles: Keys, history: History) -> list[Choice]:
    used = {value for value, _ in [*roles.values(), *history.keys.values()] if isinstance(value, str)}
    rest = (column for header, column in file.columns.items() if header not in used)
    return [words.judge_column(file, column, converted=history.converted, known=history.known) for column in rest]


def _describe_accounts(file: InspectedFile, leads: InspectedFile, roles: Keys) -> list[Part]:
    link = _link_of(file, leads, str(roles["account"][0])) if "account" in roles else None
    key = need_column(file, link, "holds the accounts of the leads")
    valid = pick((name for name in _timely(file) if file.columns[name].filled >= NEARLY * file.rows), _VALID_FROM)
    nothing = np.zeros(file.rows, np.bool_)
    rest = [column for name, column in file.columns.items() if name not in (key, valid)]
    source, keys = words.describe_source(file)
    keys |= _given(id=(key, ""), valid_from=(valid, "since when a row holds"))
    choices = [words.judge_column(file, column, converted=nothing, known=nothing) for column in rest]
    return [Part("accounts", source, keys), *words.describe_columns("accounts", choices)]


def _describe_events(file: InspectedFile, ids: pd.Series) -> Part:
    lead = _need_lead(file, ids)
    at = need_column(file, pick(_timely(file), _OCCURRED, never=_RECORDED[0]), "says when an event happened")
    few = [c for c in file.columns.values() if c.header != lead and len(c.listed) > 1 and not c.timely]
    named = pick((c.header for c in few if not c.numeric), _KIND) or pick((c.header for c in few), _KIND[:2])
    kind = need_column(file, named, "with 2 to 200 levels says what happened")
    amount = pick((c.header for c in file.columns.values() if c.numeric and c.header not in (lead, kind)), _AMOUNT)
    recorded = pick((name for name in _timely(file) if name != at), _RECORDED)
    source, keys = words.describe_source(file)
    keys |= _given(lead=(lead, ""), at=(at, ""), kind=(kind, f"levels: {file.columns[kind].levels}"))
    keys |= _given(value=(amount, ""), recorded_at=(recorded, "when the source knew of it"))
    return Part("events", source, keys)


def _describe_outcome(files: Mapping[str, InspectedFile], roles: Keys, history: History) -> list[Part]:
    """Describe the outcome and what follows from its dates: horizon, ages, and the team's capacity."""
    if "created_at" not in roles:
        why = "Leads without dates: the order of the rows, or chance, stands for time."
        return [Part("outcome", why, history.keys), words.describe_capacity(None)]
    created = read_column(files["leads"], str(roles["created_at"][0]), "time")
    capacity = words.describe_capacity(created)
    if "column" in history.keys:
        return [Part("outcome", "Wins without dates: time cannot be respected.", history.keys), capacity]
    recorded = [*history.won.dropna(), *history.lost.dropna()]
    delays = (history.won - created).dropna().dt.total_seconds().to_numpy() / 86_400
    first, last, start = created.min(), max([created.max(), *recorded]), min(recorded, default=created.min())
    quick = float(np.quantile(delays, 0.25)) if len(delays) else 0.0
    late = start - first > max(0.1 * (last - first), timedelta(days=quick))
    horizon, why = words.describe_horizon(delays.tolist(), span=(last - (start if late else first)) / timedelta(days=1))
    keys: Keys = {"horizon": (horizon, why), **history.keys}
    if late:
        gap = (
            f"the first outcome stands {(start - first).days} days after the first lead: earlier leads look unwinnable"
        )
        keys["observed_from"] = (start.floor("D").to_pydatetime(), gap)
    soon = "events" in files and ((history.lost - created) <= timedelta(hours=1)).mean() > 0.2
    above = "What counts as converted, and within which time."
    return [Part("outcome", above, keys), words.describe_ages(horizon, from_first_hour=soon), capacity]
