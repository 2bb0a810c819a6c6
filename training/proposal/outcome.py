"""Guess what became of each lead: from a history of stages, from dates beside the lead, or from its last state."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from features.presets import OutcomeColumn, Preset
from training.proposal import text as words
from training.proposal.inspection import NEARLY, InspectedFile, find_link, need_column, pick, read_column, spell
from training.proposal.text import Keys, Part, Value

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ANY_TIME", "LEAD_ID", "History", "give", "guess_history", "need_lead", "timely"]

# Words of a header, as `spell` writes them; the patterns that tell most stand first.
LEAD_ID = r"\b(lead|prospect|mql|opportunity|request|application|лид\w*|заявк\w*|сделк\w*)\b.*\b(id|uuid|guid|key|ид)$"
ANY_TIME = (r"\b(timestamp|date|time|at|when|дата|время)\b", "")
_WON_AT = (r"^(?!.*\b(first|last|recent|form)\b).*\b(won|convert|conversion|purchase|paid|sold|оплат|продаж|покуп)",)
_LOST_AT = (r"\b(lost|declin|reject|disqual|отказ)",)
_STAGE = r"\b(stage|status|outcome|result|этап|стадия|статус|результат|исход)\b"
_REASON = (r"\breason\b|причин",)
_CHANGED_AT = (r"\b(chang|enter|outcome|won|clos|stage|status|измен|закры)", *ANY_TIME)
_NOT_CHANGED = r"\b(creat|updat|modif|создан|обнов)"
_FLAT_1 = r"^(is )?(converted|won|conversion|purchased|bought|subscribed)$"
_FLAT_2 = r"^(target|outcome|label|y|is customer|сделка|результат|исход|итог)$"
_FLAT = (_FLAT_1, _FLAT_2, r"\b(convert|won\b|purchased|bought)", _STAGE)
_NO_STAGE = ("?",)
# Words of a stage or of an outcome's value, and of a reason of rejection.
_YES = {"1", "1.0", "yes", "true", "y", "t", "да", "истина"}
_WON = (
    r"\b(won\b|wins?\b|convert|success|успеш|выигр|оплач|оплата|купил|продан)",
    r"\b(sold|purchas|paid|signed|activated|approved|accepted|customer|договор|подписан|сделка)",
)
_LOST = (
    r"\b(lost|loss|declin|cancel|reject|refus|junk|disqual|unqualif|unsuccess|fail|dead\b"
    r"|not (convert|interest|success|won)|не (реализ|успе|куп|оплач)|неуспе|нереализ|отказ|отмен|проигр|некачеств|спам)"
)
_UNKNOWN = (
    r"\b(unreach|unable to reach|no (answer|response|reply)|not reach|timing|not now|later|postpone|duplicate"
    r"|недозвон|не дозвон|не отвеча|не берет|позже|отлож|не сейчас|неактуальн|дубл)"
)
_JUNK = r"\b(spam|test|fake|bot|junk|wrong number|спам|тест|ошиб|фейк)"


@dataclass(frozen=True)
class History:
    """What became of each lead, in the order of the leads' rows; `won` and `lost` are NaT where there is no time.

    `known` tells where `converted` can be told at all; `keys` go into `[outcome]`, `stages` and
    `reasons` are parts of their own. `doubts` are levels that the preset of the CRM does not know.
    """

    won: pd.Series
    lost: pd.Series
    converted: NDArray[np.bool_]
    known: NDArray[np.bool_]
    keys: Keys
    stages: Part | None = None
    reasons: Part | None = None
    doubts: tuple[str, ...] = ()


def guess_history(files: Mapping[str, InspectedFile], roles: Keys, ids: pd.Series, *, preset: Preset) -> History:
    """Read the outcomes: from the stages if there are any, else from the leads themselves."""
    leads = files["leads"]
    if "stages" in files:
        return _read_stages(files["stages"], ids, preset=preset)
    sparse = [name for name in timely(leads) if leads.columns[name].filled < NEARLY * leads.rows]
    dated = "created_at" in roles
    won_at = preset.find("leads", "won_at", sparse) if dated else None
    if won_at is None:
        stated = _read_stated(leads, roles, preset=preset)
        if stated is not None:
            return stated
        won_at = pick(sparse, _WON_AT) if dated else None
    if won_at is None:
        return _read_flat(leads, roles)
    lost_at = pick((name for name in sparse if name != won_at), _LOST_AT)
    won = read_column(leads, won_at, "time")
    lost = read_column(leads, lost_at, "time") if lost_at else won.where(won.isna())
    reason, reasons = _describe_reasons(leads, preset.find("leads", "reason", leads.columns), preset=preset)
    keys = give(won_at=(won_at, "filled for won leads only"), lost_at=(lost_at, ""), reason=(reason, ""))
    return History(won, lost, won.notna().to_numpy(), np.ones(len(won), np.bool_), keys, reasons=reasons)


def _read_stated(file: InspectedFile, roles: Keys, *, preset: Preset) -> History | None:
    """Read the outcome from a status that the preset knows, dated by the closing date where there is one."""
    taken = {header for header, _ in roles.values()}
    usable = [name for name, column in file.columns.items() if name not in taken and not column.timely]
    for header, column in preset.find_outcome(usable):
        listed = file.columns[header].listed
        won, lost, doubts = _read_levels(listed, column)
        if won:
            closed_at = preset.find("leads", "closed_at", timely(file)) if "created_at" in roles else None
            return _state(file, header, (won, lost, doubts), closed_at=closed_at, preset=preset)
    return None


def _state(
    file: InspectedFile, header: str, levels: tuple[tuple[str, ...], ...], *, closed_at: str | None, preset: Preset
) -> History:
    won, lost, doubts = levels
    texts = read_column(file, header, "text")
    closed = read_column(file, closed_at, "time") if closed_at else texts.where(texts.isna()).astype("datetime64[us]")
    reason = preset.find("leads", "reason", (name for name in file.columns if name != header))
    reason, reasons = _describe_reasons(file, reason, preset=preset)
    why = f"levels: {words.list_some(file.columns[header].listed)}"
    dates = "the day a won or lost lead was closed; for open leads it is a plan and does not count"
    keys = give(column=(header, why), closed_at=(closed_at, dates), won=(won, ""), lost=(lost, ""), reason=(reason, ""))
    converted, known = texts.isin(won), texts.notna().to_numpy()
    return History(
        closed.where(converted),
        closed.where(texts.isin(lost)),
        converted.to_numpy(),
        known,
        keys,
        None,
        reasons,
        doubts,
    )


def _read_flat(leads: InspectedFile, roles: Keys) -> History:
    taken = {header for header, _ in roles.values()}
    binary = [c for c in leads.columns.values() if 1 < len(c.listed) <= 60 and not c.timely and c.header not in taken]
    telling = (column.header for column in binary if 0 < len(_find_won(column.listed)) < len(column.listed))
    column = need_column(leads, pick(telling, _FLAT), "tells who converted, and there is no file of stages (--stages)")
    listed = leads.columns[column].listed
    won, texts = _find_won(listed), read_column(leads, column, "text")
    why = f"only the last state is known, without a date; levels: {words.list_some(listed)}"
    keys = give(column=(column, why), won=(won, ""), lost=(_find_lost(listed), ""))
    never = texts.where(texts.isna()).astype("datetime64[us]")
    return History(never, never, texts.isin(won).to_numpy(), texts.notna().to_numpy(), keys)


def _read_stages(file: InspectedFile, ids: pd.Series, *, preset: Preset) -> History:
    lead = need_lead(file, ids, known=preset.find("stages", "lead", file.columns))
    named = preset.find("stages", "at", timely(file)) or pick(timely(file), _CHANGED_AT, never=_NOT_CHANGED)
    at = need_column(file, named, "says when a stage was entered")
    found = preset.find("stages", "stage", (c.header for c in file.columns.values() if c.header != lead and c.listed))
    stage = found or _guess_stage(file, taken=lead)
    listed = file.columns[stage].listed if stage else ()
    won, lost, doubts = _read_levels(listed, preset.stages)
    won = won or (_NO_STAGE if stage else ())
    texts, times = read_column(file, stage or lead, "text"), read_column(file, at, "time")
    by = read_column(file, lead, "text")
    first_won = times[texts.isin(won) if stage else texts.notna()].groupby(by).min()
    first_lost = times[texts.isin(lost)].groupby(by).min()
    reason = preset.find("stages", "reason", file.columns) or pick((n for n in file.columns if n != stage), _REASON)
    reason, reasons = _describe_reasons(file, reason if stage else None, preset=preset)
    source, keys = words.describe_source(file)
    levels = f"levels: {words.list_some(listed)}"
    keys |= give(lead=(lead, ""), at=(at, ""), stage=(stage, levels), reason=(reason, ""))
    why = source if stage else f"{source} No column of stages: every row is a win."
    asked = "no stage looks like a win: write here which one is" if won == _NO_STAGE else ""
    won_at, lost_at = (first.reindex(ids).reset_index(drop=True) for first in (first_won, first_lost))
    converted, known = ids.isin(first_won.index).to_numpy(), np.ones(len(ids), np.bool_)
    outcome = give(won=(won, asked), lost=(lost, ""))
    return History(won_at, lost_at, converted, known, outcome, Part("stages", why, keys), reasons, doubts)


def _guess_stage(file: InspectedFile, *, taken: str) -> str | None:
    usable = [c for c in file.columns.values() if c.header != taken and not c.timely and 1 < len(c.listed) <= 60]
    named = [column.header for column in usable if re.search(_STAGE, spell(column.header))]
    ending = [column.header for column in usable if _find_won(column.listed)]
    both = [name for name in ending if _find_lost(file.columns[name].listed)]
    return pick([*(name for name in named if name in ending), *named, *both], ("",), never=_REASON[0])


def _read_levels(
    listed: Sequence[str], column: OutcomeColumn
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Return levels that mean won and lost, as the preset or else their words tell, and those it does not know."""
    if not column.meanings:
        return _find_won(listed), _find_lost(listed), ()
    known = {level: column.mean(level) for level in listed}
    doubts = tuple(level for level in listed if known[level] is None)
    lost = tuple(level for level in listed if known[level] == "lost" or level in _find_lost(doubts))
    strong = [level for level in doubts if level not in lost and re.search(_WON[0], spell(level))]
    certain = tuple(level for level in listed if known[level] == "won" or level in strong)
    return certain or _find_won(doubts), lost, doubts


def _find_won(levels: Sequence[str]) -> tuple[str, ...]:
    lost = _find_lost(levels)
    tiers = [tuple(level for level in levels if level.casefold() in _YES and len(levels) <= 3)]
    tiers += [
        tuple(level for level in levels if level not in lost and re.search(pattern, spell(level))) for pattern in _WON
    ]
    return next((found for found in tiers if found), ())


def _find_lost(levels: Sequence[str]) -> tuple[str, ...]:
    return tuple(level for level in levels if re.search(_LOST, spell(level)))


def _describe_reasons(file: InspectedFile, header: str | None, *, preset: Preset) -> tuple[str | None, Part | None]:
    """Say what each reason of rejection means; without levels to list there is nothing to say."""
    listed = file.columns[header].listed if header else ()
    listed = tuple(level for level in listed if preset.stages.mean(level) not in {"won", "open"})
    if not header or not listed or len(listed) > 60:
        return header, None
    why = (
        "What a reason says of a lead: lost (it did not buy), unknown (it could still have), junk (nothing is learnt)."
    )
    keys: Keys = {level: (preset.mean_reason(level) or _guess_reason(level), "") for level in listed}
    return header, Part("outcome.reasons", why, keys, quoted=True)


def _guess_reason(reason: str) -> str:
    if re.search(_JUNK, spell(reason)):
        return "junk"
    return "unknown" if re.search(_UNKNOWN, spell(reason)) else "lost"


def need_lead(file: InspectedFile, ids: pd.Series, *, known: str | None = None) -> str:
    """Return the column that holds the ids of the leads: the `known` one if it does, else the likeliest."""
    if known is not None and set(read_column(file, known, "text").dropna()) & set(ids.dropna()):
        return known
    own = "" if ids.name in ("id", "ид") else rf"|^{re.escape(str(ids.name))}$"
    return need_column(file, find_link(file, set(ids.dropna()), named=LEAD_ID + own), "holds the ids of the leads")


def give(**entries: tuple[Value | None, str]) -> Keys:
    """Return the entries that have a value."""
    return {name: (value, why) for name, (value, why) in entries.items() if value is not None and value != ()}


def timely(file: InspectedFile) -> list[str]:
    """Return the headers of the columns that hold times."""
    return [column.header for column in file.columns.values() if column.timely]
