"""Whether a lead's probability is to be trusted as it is, and what to look at first if not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from models.columns import ModelColumn
from project.language import Words

__all__ = ["Trust", "say_flags", "trust_of"]

Trust = Literal["ok", "verify"]


def trust_of(flags: str) -> Trust:
    """Return `verify` where anything was flagged."""
    return "verify" if flags else "ok"


def say_flags(flags: str, columns: Sequence[ModelColumn], words: Words) -> list[str]:
    """Say in words what is flagged and what to do about it, one sentence each."""
    labels = {
        column.name: words.pick(column.en, column.ru)
        if column.wording is None
        else words.pick(column.wording.en, column.wording.ru)
        for column in columns
    }
    hidden = {column.name for column in columns if column.wording is not None and column.wording.hidden}
    parts = [flag.partition(":")[::2] for flag in flags.split(";") if flag]
    return [_say(flag, column, labels, words) for flag, column in parts if column not in hidden]


def _say(flag: str, column: str, labels: dict[str, str], words: Words) -> str:
    label = labels.get(column, column)
    match flag:
        case "missing":
            return words.text("{label} is not known: fill it in.", label=label)
        case "unseen":
            return words.text("{label} has a value that no earlier lead had: check its spelling.", label=label)
        case "infinite":
            return words.text("{label} is no possible number: correct it.", label=label)
        case "older_than_history":
            return words.text("The lead is older than any that was learnt from: ask whether it is still alive.")
        case "unusual":
            return words.text("The lead is unlike most: the parts of the model differ about it. Look at it yourself.")
        case "stale_data":
            return words.text("The data are old: newer events are missing. Update them first.")
    return flag
