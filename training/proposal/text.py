"""The commented `leads.toml`: which columns may be used, the figures behind each choice, and how it is all written."""

from __future__ import annotations

import json
import math
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from project.duration import parse_duration
from training.leaks.clues import measure_alone, measure_filled
from training.leaks.writing import AFTERWARDS
from training.proposal.inspection import NEARLY, ColumnProfile, InspectedFile, read_column, spell

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Choice",
    "Keys",
    "Part",
    "Value",
    "describe_ages",
    "describe_capacity",
    "describe_cells",
    "describe_columns",
]
__all__ += [
    "describe_horizon",
    "describe_sooner",
    "describe_source",
    "judge_column",
    "list_some",
    "write_text",
    "write_value",
]

Value = str | int | float | datetime | Sequence[str]
Keys = dict[str, tuple[Value, str]]

_WIDTH = 110
_HEAD = "Proposed by `leads init` from what the files hold: guesses. Read them, correct them, then run `leads check`."
_HORIZONS = (7, 14, 30, 45, 60, 90, 120, 180, 365)
_SOONER = (7, 14, 30)
_PERSONAL = (
    r"(?<!campaign )(?<!source )(?<!channel )(?<!product )(?<!form )\bname$|^name\b|\b(first|last|full|sur) ?name\b"
    r"|\b(e ?mail|phone|tel|telephone|mobile|ip|address|message|comments?|notes?|url)\b"
    r"|\b(имя|фамилия|отчество|фио|телефон|почта|адрес|сообщение|комментарий)\b"
)
_IDENTIFIER = r"\b(id|uuid|guid|ид)$|^(id|ид)\b"
_RULE = r"\b(spam|спам|duplicate|дубл\w*|test (lead|flag)|is test|тестов\w*)\b"
_FEWEST, _TELLS_ALONE, _TELLS_FILLED = 50, 0.85, 0.65


@dataclass(frozen=True)
class Part:
    """One table of `leads.toml`: what stands above it, its keys with their reasons, and lines shown commented out.

    Where `quoted`, the keys are headers of the user's own and always stand in quotes.
    """

    name: str
    why: str = ""
    keys: Keys = field(default_factory=dict)
    quoted: bool = False
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choice:
    """What to do with a column: its kind or, where that is empty, keep it away from the model; and why."""

    column: ColumnProfile
    kind: str
    why: str


def write_text(parts: Sequence[Part]) -> str:
    """Write the parts as one TOML text, each reason beside its key, or above it where the line would be long."""
    return "\n\n".join(["\n".join(_comment(_HEAD)), *map(_write_part, parts)]) + "\n"


def _write_part(part: Part) -> str:
    lines = _comment(part.why) + ([] if part.name.startswith("[[") else [f"[{part.name}]"])
    for key, (value, why) in part.keys.items():
        lines += _write_key(write_value(key) if part.quoted else key, write_value(value), _one_line(why))
    return "\n".join([*lines, *(f"# {_one_line(line)}" for line in part.examples)])


def _write_key(key: str, value: str, why: str) -> list[str]:
    line = f"{key} = {value}"
    beside = f"{line}  # {why}" if why else line
    return [beside] if len(beside) <= _WIDTH or not why else [*_comment(why), line]


def write_value(value: Value) -> str:
    r"""Write one value as TOML.

    >>> print(write_value('a "b" ü'), write_value(("1", "да")), write_value(5))
    "a \"b\" ü" ["1", "да"] 5
    """
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC).isoformat().replace("+00:00", "Z")
    return repr(value) if isinstance(value, int | float) else f"[{', '.join(map(write_value, value))}]"


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(_one_line(text), _WIDTH - 2, break_long_words=False)]


def _one_line(text: str) -> str:
    """Keep a comment on its line and legal: TOML allows no control characters in one."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text).strip()


def list_some(values: Sequence[str], most: int = 12) -> str:
    """List levels for a comment, the most frequent first."""
    return ", ".join(map(repr, values[:most])) + (f" and {len(values) - most} more" if len(values) > most else "")


def describe_source(file: InspectedFile) -> tuple[str, Keys]:
    """Say what was read, and give the keys by which it is read again."""
    rows = f"{file.rows:,} rows" if file.whole else f"the first {file.rows:,} rows"
    whys = {
        "encoding": "the file is not UTF-8; check that the letters look right",
        "decimal": "numbers are written with a comma",
        "date_format": "check which number is the day and which the month",
        "missing": "these cells mean that nothing is known",
    }
    kept = file.source.model_dump(exclude_defaults=True, exclude={"cells"})
    keys = {key: (value, whys.get(key, "")) for key, value in kept.items()}
    return f"{file.path.name}: {rows}, {len(file.columns)} columns were looked at.", keys


def describe_cells(section: str, file: InspectedFile) -> list[Part]:
    """Say where a column is written otherwise than the rest of its file."""
    return [
        Part(
            f"{section}.cells.{write_value(header)}",
            "This column is written otherwise than the others.",
            {key: (value, "") for key, value in own.model_dump(exclude_defaults=True).items()},
        )
        for header, own in file.source.cells.items()
    ]


def judge_column(
    file: InspectedFile, column: ColumnProfile, *, converted: NDArray[np.bool_], known: NDArray[np.bool_]
) -> Choice:
    """Decide whether and how a column may be used.

    Parameters
    ----------
    converted, known
        For each row whether its lead ever converted, and whether that can be told; nothing known asks no evidence.
    """
    reason = _name_fault(column) or _find_evidence(file, column, converted=converted, known=known)
    if reason or re.search(AFTERWARDS, spell(column.header)):
        return Choice(column, "", reason or "its name suggests that it is written after the outcome")
    share = f"{column.filled / column.rows:.0%} filled"
    if re.search(_RULE, spell(column.header)) and column.levels <= 5:
        return Choice(column, "rule", f"no feature, only for [[rules]]; levels: {list_some(column.listed)}")
    if column.numeric and not re.search(_IDENTIFIER, spell(column.header)):
        return Choice(column, "number", share)
    return Choice(column, "category", f"levels: {column.levels:,}, {share}")


def _name_fault(column: ColumnProfile) -> str | None:
    words, varied = spell(column.header), column.levels > 20
    diverse = varied and column.levels > column.filled / 2
    if column.levels == 0:
        return "always empty"
    if column.levels == 1 and column.filled == column.rows:
        return "always the same value"
    if column.timely:
        return "a time: only created_at and the times of events are used"
    if diverse and (re.search(_IDENTIFIER, words) or (column.numeric and column.names_rows and "number" in words)):
        return "an identifier"
    if (varied and re.search(_PERSONAL, words)) or (diverse and not column.numeric):
        return f"identity or free text: {column.levels:,} different values"
    return None


def _find_evidence(
    file: InspectedFile, column: ColumnProfile, *, converted: NDArray[np.bool_], known: NDArray[np.bool_]
) -> str | None:
    won = converted[known]
    if min(won.sum(), (~won).sum()) < _FEWEST:
        return None
    values = read_column(file, column.header, "number" if column.numeric else "text")[known]
    alone = measure_alone(values, won)
    if alone >= _TELLS_ALONE:
        return f"alone it tells the outcome (AUC {alone:.2f}): probably written afterwards"
    either = measure_filled(values.notna().to_numpy(), won).value
    if either >= _TELLS_FILLED:
        return f"whether it is filled tells the outcome (AUC {either:.2f}): probably filled in afterwards"
    return None


def describe_columns(section: str, choices: Sequence[Choice]) -> list[Part]:
    """List the columns that may be used, and those kept away from the model with the reason."""
    kinds = {"rule": "rule" if section == "leads" else "category"}
    used: Keys = {one.column.header: (kinds.get(one.kind, one.kind), one.why) for one in choices if one.kind}
    kept: Keys = {choice.column.header: (choice.why, "") for choice in choices if not choice.kind}
    above = "What the model may read: known when the lead came in. Delete what is not. Kinds: number, category, rule."
    if section == "leads":
        why = "Kept away from the model, and why. To use one after all, move it to [leads.columns] with a kind."
        both = [Part("leads.columns", above, used, quoted=True), Part("leads.forbidden", why, kept, quoted=True)]
        return [part for part in both if part.keys]
    left = f" Left out: {list_some(list(kept))}." if kept else ""
    return [Part(f"{section}.columns", above + left, used, quoted=True)]


def describe_horizon(delays: Sequence[float], *, span: float) -> tuple[str, str]:
    """Choose the horizon from the days between coming in and winning, and say why.

    It is the shortest usual length that covers 95 % of the wins, but at most a third of the `span` of the data in days:
    the three periods of training need whole horizons.
    """
    fitting = [days for days in _HORIZONS if days <= span / 3] or [_HORIZONS[0]]
    if not len(delays):
        return f"{min(60, fitting[-1])}d", "no win has a date, so this is only a usual length: set your own"
    covers = {days: float(np.mean(np.asarray(delays) < days)) for days in fitting}
    chosen = next((days for days in fitting if covers[days] >= NEARLY), fitting[-1])
    median, p90, p95 = np.quantile(delays, [0.5, 0.9, 0.95])
    cut = "" if covers[chosen] >= NEARLY else f"; longer would be more than a third of the {span:.0f} days of data"
    return f"{chosen}d", (
        f"from creation to a win, over {len(delays):,} wins: median {median:.1f} d, p90 {p90:.1f} d, p95 {p95:.1f} d; "
        f"{chosen} days cover {covers[chosen]:.0%} of them{cut}"
    )


def describe_sooner(horizon: str) -> Keys:
    """Ask for the longest usual horizon that is at most two thirds of the whole; nothing where there is none.

    >>> describe_sooner("60d")["sooner"][0], describe_sooner("7d")
    (('30d',), {})
    """
    fitting = [days for days in _SOONER if 3 * days <= 2 * parse_duration(horizon).days]
    if not fitting:
        return {}
    return {"sooner": ((f"{fitting[-1]}d",), "told beside the whole horizon, by the same model")}


def describe_ages(horizon: str, *, from_first_hour: bool) -> Part:
    """List the ages at which leads are looked at, up to half the horizon."""
    most = parse_duration(horizon).days / 2
    ages = ["1h" if from_first_hour else "0d", *(f"{days}d" for days in (1, 3, 7, 14, 30) if days <= most)]
    why = "The ages at which each open lead is looked at, up to half the horizon."
    if from_first_hour:
        why += " More than a fifth of the leads are lost within an hour, before anybody calls: they start at 1h."
    return Part("snapshots", why, {"ages": (ages, "")})


def describe_capacity(created: pd.Series | None) -> Part:
    """Propose to call a fifth of the leads that come in each week of the last third of the time, as a round number."""
    examples = ("cost_per_call = 5", "value_per_win = 400", 'currency = "EUR"')
    why = "What the team can call in a week, what a call costs and what a win brings: the bands follow from these."
    if created is None or created.max() == created.min():
        return Part("capacity", why, examples=("leads_per_week = 50", *examples))
    third = (created.max() - created.min()) / 3
    weekly = float((created > created.max() - third).sum() * timedelta(weeks=1) / third)
    reason = f"a fifth of the {weekly:,.0f} leads a week of the last third of the data; write what your team can do"
    return Part("capacity", why, {"leads_per_week": (_round_off(weekly / 5), reason)}, examples=examples)


def _round_off(number: float) -> int:
    step = max(5, int(10 ** (math.floor(math.log10(number)) - 1))) if number >= 10 else 1
    return max(1, round(number / step) * step)
