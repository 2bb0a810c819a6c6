"""The columns of a model, by name, and the one encoder of rows that training, batch and service share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from project.errors import SchemaError, name_some

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ModelColumn", "encode_frame", "find_flags"]


@dataclass(frozen=True)
class ModelColumn:
    """One input of a model, with everything learnt about it and the words for people.

    Attributes
    ----------
    frequent
        Levels of a category with a code of their own, in the order of their codes.
    rare
        Levels seen too seldom to learn from; they share the code after the last frequent one.
    unknown_en, unknown_ru
        What is said when the value is missing.
    levels_ru
        Russian words for levels that are words of ours, such as weekdays.
    """

    name: str
    kind: Literal["number", "category"]
    en: str
    ru: str
    unknown_en: str = "not known"
    unknown_ru: str = "нет данных"
    frequent: tuple[str, ...] = ()
    rare: tuple[str, ...] = ()
    levels_ru: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Return the readable form that the manifest stores."""
        return {**asdict(self), "frequent": list(self.frequent), "rare": list(self.rare)}

    @staticmethod
    def from_json(content: Mapping[str, object]) -> ModelColumn:
        """Read what `to_json` wrote."""
        lists: dict[str, object] = {name: tuple(content[name]) for name in ("frequent", "rare")}  # type: ignore[arg-type]
        return ModelColumn(**{**content, **lists})  # type: ignore[arg-type]


def encode_frame(frame: pd.DataFrame, columns: Sequence[ModelColumn]) -> NDArray[np.float64]:
    """Turn a feature frame into the matrix of shape (rows, columns) that estimators take, by name.

    Numbers stay as they are, an infinite one counts as missing. A category becomes its code; missing and unseen levels
    become NaN.

    Raises
    ------
    SchemaError
        A column of the model is not in the frame.
    """
    absent = [column.name for column in columns if column.name not in frame.columns]
    if absent:
        raise SchemaError(f"The feature frame lacks {name_some(absent)}. Build it with the catalogue of this model.")
    matrix = np.empty((len(frame), len(columns)), dtype=np.float64)
    for place, column in enumerate(columns):
        matrix[:, place] = _encode(frame[column.name], column)
    return matrix


def _encode(values: pd.Series, column: ModelColumn) -> NDArray[np.float64]:
    if column.kind == "number":
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        return np.where(np.isfinite(numbers), numbers, np.nan)
    codes = {level: float(code) for code, level in enumerate(column.frequent)}
    codes |= dict.fromkeys(column.rare, float(len(column.frequent)))
    return np.array([codes.get(value, np.nan) for value in values.to_list()], dtype=np.float64)


def find_flags(frame: pd.DataFrame, columns: Sequence[ModelColumn]) -> list[str]:
    """Say for each row what the model could not take as it was, `;` between; empty where all is well.

    `unseen:<column>` is a level never seen in training, `infinite:<column>` a number without end. Both are scored as
    missing.
    """
    notes: list[list[str]] = [[] for _ in range(len(frame))]
    for column in columns:
        values = frame[column.name]
        if column.kind == "category":
            odd, word = values.notna() & ~values.isin([*column.frequent, *column.rare]), "unseen"
        else:
            odd, word = values.isin([np.inf, -np.inf]), "infinite"
        for row in np.flatnonzero(odd.to_numpy()):
            notes[row].append(f"{word}:{column.name}")
    return [";".join(note) for note in notes]
