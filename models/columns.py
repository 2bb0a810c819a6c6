"""The columns of a model, by name, and the one encoder of rows that training, batch and service share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from models.wording import Wording
from project.errors import SchemaError, name_some

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ModelColumn", "encode_frame", "find_flags", "input_owners", "own_contributions"]


@dataclass(frozen=True)
class ModelColumn:
    """One input of a model, with everything learnt about it and the words for people.

    Attributes
    ----------
    frequent
        Levels of a category with a code of their own, in the order of their codes.
    rare
        Levels seen too seldom to learn from; they share the code after the last frequent one.
    rates
        For a category told by how its levels did too: level → log-odds of conversion less that of all leads, shrunk.
        Empty for a category told by codes alone.
    missing_rate
        The same for leads without a value.
    crossed
        Name of another category → level → its level → what the two tell together beyond what each tells alone, in
        log-odds. A missing value is the level ``""``.
    unknown_en, unknown_ru
        What is said when the value is missing.
    levels_ru
        Russian words for levels that are words of ours, such as weekdays.
    wording
        How it is spoken of; null in models older than wordings, which say `en` or `ru` and the value.
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
    rates: Mapping[str, float] = field(default_factory=dict)
    missing_rate: float = 0.0
    crossed: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    wording: Wording | None = None

    @property
    def levels(self) -> tuple[str, ...]:
        """Every level seen in training."""
        return (*self.frequent, *self.rare)

    @property
    def group(self) -> str:
        """The group whose reason it is part of."""
        return self.wording.group if self.wording is not None else self.name

    def to_json(self) -> dict[str, object]:
        """Return the readable form that the manifest stores."""
        content = {**asdict(self), "frequent": list(self.frequent), "rare": list(self.rare)}
        later = {"crossed": self.crossed, "wording": self.wording}
        return {key: value for key, value in content.items() if later.get(key, True)}

    @staticmethod
    def from_json(content: Mapping[str, object]) -> ModelColumn:
        """Read what `to_json` wrote."""
        made: dict[str, object] = {name: tuple(content[name]) for name in ("frequent", "rare")}  # type: ignore[arg-type]
        if "wording" in content:
            made["wording"] = Wording(**content["wording"])  # type: ignore[arg-type]
        return ModelColumn(**{**content, **made})  # type: ignore[arg-type]


def encode_frame(
    frame: pd.DataFrame, columns: Sequence[ModelColumn], *, rows: NDArray[np.intp] | None = None
) -> NDArray[np.float64]:
    """Turn a feature frame into the matrix of shape (rows, inputs) that estimators take, by name.

    The first inputs are the columns in their order. Numbers stay as they are, an infinite one counts as missing; a
    category becomes its code, NaN if it is missing or was never seen. After them comes one input for each category with
    `rates`: the rate of the level, `missing_rate`, or 0 for a level never seen, which is what is said of all leads;
    and one for each pair of `crossed` categories, 0 for a pair never seen. `input_owners` tells whose an input is.

    Parameters
    ----------
    rows
        Positions of the rows to encode, in their order; null: all. They are taken a column at a time, so that a long
        frame is not copied first.

    Raises
    ------
    SchemaError
        A column of the model is not in the frame.
    """
    absent = [column.name for column in columns if column.name not in frame.columns]
    if absent:
        raise SchemaError(f"The feature frame lacks {name_some(absent)}. Build it with the catalogue of this model.")
    told = [column for column in columns if column.rates]
    pairs = [(column, other) for column in columns for other in column.crossed]
    matrix = np.empty(
        (len(frame) if rows is None else len(rows), len(columns) + len(told) + len(pairs)), dtype=np.float64
    )

    def take(name: str) -> pd.Series:
        return frame[name] if rows is None else frame[name].iloc[rows]

    for place, column in enumerate(columns):
        matrix[:, place] = _encode(take(column.name), column)
    for place, column in enumerate(told, start=len(columns)):
        matrix[:, place] = _tell_rates(take(column.name), column)
    for place, (column, other) in enumerate(pairs, start=len(columns) + len(told)):
        if other not in frame.columns:
            raise SchemaError(f"The feature frame lacks {other}. Build it with the catalogue of this model.")
        matrix[:, place] = _tell_pairs(take(column.name), take(other), column.crossed[other])
    return matrix


def input_owners(columns: Sequence[ModelColumn]) -> list[tuple[int, ...]]:
    """Return the places of the columns that each input of `encode_frame` belongs to: one, or two for a pair.

    >>> numbers = [ModelColumn(name, "number", name, name) for name in "ab"]
    >>> input_owners([*numbers, ModelColumn("c", "category", "c", "c", rates={"x": 0.5})])
    [(0,), (1,), (2,), (2,)]
    """
    names = {column.name: place for place, column in enumerate(columns)}
    told = [(place,) for place, column in enumerate(columns) if column.rates]
    pairs = [(place, names[other]) for place, column in enumerate(columns) for other in column.crossed]
    return [*((place,) for place in range(len(columns))), *told, *pairs]


def own_contributions(shares: NDArray[np.float64], columns: Sequence[ModelColumn]) -> NDArray[np.float64]:
    """Add up contributions of inputs by column, half and half for a pair: (rows, inputs) → (rows, columns)."""
    total = shares[:, : len(columns)].copy()
    for place, owners in enumerate(input_owners(columns)[len(columns) :], start=len(columns)):
        for owner in owners:
            total[:, owner] += shares[:, place] / len(owners)
    return total


def _tell_pairs(values: pd.Series, others: pd.Series, rates: Mapping[str, Mapping[str, float]]) -> NDArray[np.float64]:
    one, other = (cells.astype(object).where(cells.notna(), "").to_list() for cells in (values, others))
    return np.array(
        [rates.get(left, {}).get(right, 0.0) for left, right in zip(one, other, strict=True)], dtype=np.float64
    )


def _tell_rates(values: pd.Series, column: ModelColumn) -> NDArray[np.float64]:
    missing = values.isna().to_numpy(dtype=np.bool_)
    rates = np.array([column.rates.get(value, 0.0) for value in values.to_list()], dtype=np.float64)
    return np.where(missing, column.missing_rate, rates)


def _encode(values: pd.Series, column: ModelColumn) -> NDArray[np.float64]:
    if column.kind == "number":
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        return np.where(np.isfinite(numbers), numbers, np.nan)
    codes = {level: float(code) for code, level in enumerate(column.frequent)}
    codes |= dict.fromkeys(column.rare, float(len(column.frequent)))
    return np.array([codes.get(value, np.nan) for value in values.to_list()], dtype=np.float64)


def find_flags(frame: pd.DataFrame, columns: Sequence[ModelColumn]) -> list[str]:
    """Say for each row what the model could not take as it was, `;` between; empty where all is well.

    `unseen:<column>` is a level never seen in training, `infinite:<column>` a number without end; both are scored as
    missing. `missing:<column>` is no value where nearly every lead has one that matters.
    """
    notes: list[list[str]] = [[] for _ in range(len(frame))]
    for column in columns:
        values = frame[column.name]
        if column.kind == "category":
            odd, word = values.notna() & ~values.isin(column.levels), "unseen"
        else:
            odd, word = values.isin([np.inf, -np.inf]), "infinite"
        for row in np.flatnonzero(odd.to_numpy()):
            notes[row].append(f"{word}:{column.name}")
        if column.wording is not None and column.wording.key:
            for row in np.flatnonzero(values.isna().to_numpy()):
                notes[row].append(f"missing:{column.name}")
    return [";".join(note) for note in notes]
