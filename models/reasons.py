"""Reasons a person reads: the leading groups of contributions, each in a sentence with the lead's own value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.breakdown import Breakdown
from models.columns import ModelColumn
from models.evidence import EvidenceTable
from models.wording import say_condition
from models.wording import say_value as say_worded
from project.language import Language, Words, speak

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Reason", "find_reasons", "reason_columns", "say_cell", "say_value"]

_TRACK_RECORD = "track_record win_rate"
_SMALLEST = 0.02  # log-odds: half a percent point at most, below what anyone would act on


@dataclass(frozen=True)
class Reason:
    """What a group of columns does to one lead's probability.

    Attributes
    ----------
    column, value
        The column that speaks for the group, since it contributes most in the group's direction; and the lead's value.
    group, title
        The group, and what it is called.
    contribution
        Of the whole group, in log-odds.
    points
        Of the whole group, as a difference of calibrated probability; NaN where nobody asked for it.
    evidence
        What became of earlier leads with such a value; empty without support.
    """

    column: str
    value: str
    contribution: float
    sentence: str
    group: str = ""
    title: str = ""
    points: float = float("nan")
    evidence: str = ""

    @property
    def text(self) -> str:
        """The sentence with its evidence."""
        return f"{self.sentence} ({self.evidence})" if self.evidence else self.sentence


def find_reasons(
    breakdown: Breakdown,
    frame: pd.DataFrame,
    columns: Sequence[ModelColumn],
    *,
    language: Language,
    points: NDArray[np.float64] | None = None,
    evidence: EvidenceTable | None = None,
    most_for: int = 3,
    most_against: int = 2,
) -> list[tuple[list[Reason], list[Reason]]]:
    """Return for each row its leading reasons for and against, in the order of their contributions.

    A group whose sign the parts of an ensemble dispute is no reason, nor is one led by a hidden column.

    Parameters
    ----------
    frame
        The feature frame that was taken apart.
    points
        The groups' shares of the probability, shape (rows, groups), where they are to be told.
    """
    if not columns or not len(frame):
        return [([], []) for _ in range(len(frame))]
    teller = _Teller(breakdown, frame, columns, speak(language), points, evidence)
    shares = np.where(breakdown.agreed, breakdown.by_group, 0.0)
    order = np.argsort(-shares, axis=1, kind="stable")
    found = []
    for row, groups in enumerate(order):
        told: list[Reason] = []
        against: list[Reason] = []
        for group in groups[: len(groups) if most_for else 0]:
            if shares[row, group] < _SMALLEST or len(told) == most_for:
                break
            teller.tell(row, int(group), told)
        for group in groups[::-1][: len(groups) if most_against else 0]:
            if shares[row, group] > -_SMALLEST or len(against) == most_against:
                break
            teller.tell(row, int(group), against)
        found.append((told, against))
    return found


def _form(column: ModelColumn) -> str:
    return column.wording.form if column.wording is not None else ""


class _Teller:
    """Tells groups of rows; what was said of a value before is not worked out again."""

    def __init__(
        self,
        breakdown: Breakdown,
        frame: pd.DataFrame,
        columns: Sequence[ModelColumn],
        words: Words,
        points: NDArray[np.float64] | None,
        evidence: EvidenceTable | None,
    ) -> None:
        self.breakdown, self.columns, self.words = breakdown, columns, words
        self.points, self.evidence = points, evidence
        self.cells = {column.name: frame[column.name].to_list() for column in columns}
        self.said: dict[tuple[int, object], tuple[str, str, str]] = {}

    def tell(self, row: int, group: int, told: list[Reason]) -> None:
        shares = self.breakdown.contributions[row]
        whole = float(self.breakdown.by_group[row, group])
        members = self.breakdown.places[group]
        place = max(members, key=lambda place: shares[place] * np.sign(whole))
        if _form(self.columns[place]) == _TRACK_RECORD:  # told by the level whose record it is, if that is there
            place = next((one for one in members if _form(self.columns[one]) == "lead value"), place)
        column = self.columns[place]
        wording = column.wording
        if wording is not None and wording.hidden:
            return
        value, sentence, evidence = self._say(place, self.cells[column.name][row])
        told.append(
            Reason(
                column.name,
                value,
                whole,
                sentence,
                column.group,
                self.words.pick(*((column.en, column.ru) if wording is None else (wording.group_en, wording.group_ru))),
                float("nan") if self.points is None else float(self.points[row, group]),
                evidence,
            )
        )

    def _say(self, place: int, cell: object) -> tuple[str, str, str]:
        key = (place, None if cell != cell else cell)
        if key not in self.said:
            column, words = self.columns[place], self.words
            evidence = ""
            if self.evidence is not None and column.wording is not None:
                evidence = self.evidence.say(column.name, column.wording, cell, words)
            self.said[key] = (say_value(cell, column, words=words), say_cell(cell, column, words=words), evidence)
        return self.said[key]


def reason_columns(
    reasons: Sequence[tuple[Sequence[Reason], Sequence[Reason]]], *, most_for: int = 3, most_against: int = 2
) -> dict[str, list[str]]:
    """Lay sentences out as columns `reason_for_1` … `reason_against_2`, one entry a row, empty where there is none."""

    def column(side: int, place: int) -> list[str]:
        return [pair[side][place].text if place < len(pair[side]) else "" for pair in reasons]

    return {f"reason_for_{place + 1}": column(0, place) for place in range(most_for)} | {
        f"reason_against_{place + 1}": column(1, place) for place in range(most_against)
    }


def say_cell(cell: object, column: ModelColumn, *, words: Words) -> str:
    """Say what is so of a lead whose cell this is, in one sentence."""
    if column.wording is not None:
        return say_condition(column.wording, cell, words)
    return f"{words.pick(column.en, column.ru)}: {say_value(cell, column, words=words)}"


def say_value(cell: object, column: ModelColumn, *, words: Words) -> str:
    """Say a cell alone: whole numbers whole, others to three digits, missing in neutral words.

    >>> say_value(12345.0, ModelColumn("n", "number", "N", "N"), words=speak("en"))
    '12,345'
    >>> say_value(0.04167, ModelColumn("n", "number", "N", "N"), words=speak("ru"))
    '0,0417'
    """
    if column.wording is not None:
        return say_worded(column.wording, cell, words)
    if cell is None or cell != cell:
        return words.pick(column.unknown_en, column.unknown_ru)
    if column.kind == "category":
        return words.pick(str(cell), column.levels_ru.get(str(cell), str(cell)))
    return words.number(float(cell))  # type: ignore[arg-type]
