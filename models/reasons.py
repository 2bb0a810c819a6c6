"""Reasons: the leading contributions of one lead, as sentences with its own values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from models.columns import ModelColumn

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Language", "Reason", "find_reasons", "reason_columns", "say_value"]

Language = Literal["en", "ru"]
_SMALLEST = 0.02  # log-odds: half a percent point at most, below what anyone would act on


@dataclass(frozen=True)
class Reason:
    """One contribution: the column, the lead's own value, its share of the log-odds, and the sentence."""

    column: str
    value: str
    contribution: float
    sentence: str


def find_reasons(
    contributions: NDArray[np.float64],
    frame: pd.DataFrame,
    columns: Sequence[ModelColumn],
    *,
    language: Language,
    most_for: int = 3,
    most_against: int = 2,
) -> list[tuple[list[Reason], list[Reason]]]:
    """Return for each row its leading reasons for and against, in the order of their contributions.

    Parameters
    ----------
    contributions
        Shape (rows, columns), in log-odds.
    frame
        The feature frame that the contributions belong to.
    """
    if not columns or not len(frame):
        return [([], []) for _ in range(len(frame))]
    order = np.argsort(-contributions, axis=1, kind="stable")
    cells = {column.name: frame[column.name].to_list() for column in columns}

    def reason(row: int, place: int) -> Reason:
        column = columns[place]
        value = say_value(cells[column.name][row], column, language=language)
        words = column.en if language == "en" else column.ru
        return Reason(column.name, value, float(contributions[row, place]), f"{words}: {value}")

    found = []
    for row, places in enumerate(order):
        strongest = [int(place) for place in places[:most_for] if contributions[row, place] >= _SMALLEST]
        weakest = [int(place) for place in places[::-1][:most_against] if contributions[row, place] <= -_SMALLEST]
        found.append(([reason(row, place) for place in strongest], [reason(row, place) for place in weakest]))
    return found


def reason_columns(
    reasons: Sequence[tuple[Sequence[Reason], Sequence[Reason]]], *, most_for: int = 3, most_against: int = 2
) -> dict[str, list[str]]:
    """Lay sentences out as columns `reason_for_1` … `reason_against_2`, one entry a row, empty where there is none."""

    def column(side: int, place: int) -> list[str]:
        return [pair[side][place].sentence if place < len(pair[side]) else "" for pair in reasons]

    return {f"reason_for_{place + 1}": column(0, place) for place in range(most_for)} | {
        f"reason_against_{place + 1}": column(1, place) for place in range(most_against)
    }


def say_value(value: object, column: ModelColumn, *, language: Language) -> str:
    """Say a cell for people: whole numbers whole, others to three digits, missing in neutral words.

    >>> say_value(12345.0, ModelColumn("n", "number", "N", "N"), language="en")
    '12,345'
    >>> say_value(0.04167, ModelColumn("n", "number", "N", "N"), language="ru")
    '0,0417'
    """
    if value is None or value != value:
        return column.unknown_en if language == "en" else column.unknown_ru
    if column.kind == "category":
        return column.levels_ru.get(str(value), str(value)) if language == "ru" else str(value)
    number = float(value)  # type: ignore[arg-type]
    if np.isinf(number):
        return "∞" if number > 0 else "-∞"
    digits = 0 if number == int(number) else max(0, 2 - int(np.floor(np.log10(abs(number)))))
    text = f"{number:,.{digits}f}" if np.isfinite(number) and digits < 8 else f"{number:g}"
    return text if language == "en" else text.replace(",", "\u00a0").replace(".", ",")
