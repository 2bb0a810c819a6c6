"""Learn the columns of a model from the fit period: which features vary, and which levels are frequent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from features.identity import FACT_LEVELS_RU
from models.columns import ModelColumn
from project.errors import QualityGateError
from project.files import hash_bytes

if TYPE_CHECKING:
    import pandas as pd

    from features.catalogue import Catalogue, Feature

__all__ = ["learn_columns", "prune_catalogue", "refuse_identity"]

_FEWEST_ROWS = 20
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.\w+")
_ENOUGH_TO_JUDGE, _MOST_LEVELS_SHARE = 100, 0.5
_WEEKDAYS_RU = dict(
    zip(
        ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
        ("пн", "вт", "ср", "чт", "пт", "сб", "вс"),
        strict=True,
    )
)
_MONTHS_RU = dict(
    zip(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
        ("янв.", "февр.", "март", "апр.", "май", "июнь", "июль", "авг.", "сент.", "окт.", "нояб.", "дек."),
        strict=True,
    )
)
_LEVELS_RU = {"weekday": _WEEKDAYS_RU, "month": _MONTHS_RU}
_UNKNOWN = {
    "since_last": ("never", "ни разу"),
    "since_first": ("never", "ни разу"),
    "share": ("no activity", "нет активности"),
    "trend": ("no activity", "нет активности"),
    "span": ("no activity", "нет активности"),
}


def prune_catalogue(catalogue: Catalogue, frame: pd.DataFrame, *, rows: NDArray[np.intp]) -> Catalogue:
    """Drop features that never vary in the rows to fit on, and all but the first of those that are equal throughout.

    Young leads make many of them: where no lead is older than 14 days, its 30-day and 90-day windows hold the same.
    """
    seen: set[str] = set()
    kept = []
    for feature in catalogue.features:
        values = frame[feature.name].iloc[rows]
        if values.nunique(dropna=False) < 2:
            continue
        said = repr(values.to_list()).encode() if feature.kind == "category" else values.to_numpy().tobytes()
        key = hash_bytes(said)  # all columns at once would be a second frame
        if key not in seen:
            seen.add(key)
            kept.append(feature.name)
    return catalogue.keep(kept)


def refuse_identity(catalogue: Catalogue, frame: pd.DataFrame) -> None:
    """Refuse categories and kinds of events that hold e-mail addresses, or a value of its own for most leads.

    Levels and kinds are written into the model; people must not be.

    Raises
    ------
    QualityGateError
        The column or kind is named, never its content.
    """
    if any(_ADDRESS.search(kind) for subject in catalogue.subjects for kind in subject.kinds):
        raise QualityGateError(
            "Some kinds of events hold e-mail addresses. Point events.kind at what happened, not who."
        )
    for feature in catalogue.features:
        if feature.kind != "category":
            continue
        values = frame[feature.name].dropna()
        levels = values.unique()
        if any(_ADDRESS.search(level) for level in levels):
            raise QualityGateError(f"Column {feature.subject!r} holds e-mail addresses. Move it to leads.forbidden.")
        if len(values) >= _ENOUGH_TO_JUDGE and len(levels) > _MOST_LEVELS_SHARE * len(values):
            raise QualityGateError(
                f"Column {feature.subject!r} has a value of its own for most leads ({len(levels):,} of "
                f"{len(values):,}): it names them and cannot be learnt from. Move it to leads.forbidden."
            )


def learn_columns(catalogue: Catalogue, frame: pd.DataFrame, *, rows: NDArray[np.intp]) -> tuple[ModelColumn, ...]:
    """Describe every feature of the catalogue as a column of the model, learnt from some rows of the frame.

    A level of a category needs 20 of these rows for a code of its own; the others are remembered as rare, so
    that a level never seen can be told from one seen seldom.
    """
    return tuple(_learn_column(feature, frame[feature.name], rows) for feature in catalogue.features)


def _learn_column(feature: Feature, values: pd.Series, rows: NDArray[np.intp]) -> ModelColumn:
    unknown_en, unknown_ru = _UNKNOWN.get(feature.statistic, ("not known", "нет данных"))
    frequent: tuple[str, ...] = ()
    rare: tuple[str, ...] = ()
    if feature.kind == "category":
        counts = values.iloc[rows].value_counts()
        ordered = sorted(((str(level), int(n)) for level, n in counts.items()), key=lambda entry: (-entry[1], entry[0]))
        frequent = tuple(level for level, n in ordered if n >= _FEWEST_ROWS)
        rare = tuple(level for level, n in ordered if n < _FEWEST_ROWS)
    return ModelColumn(
        feature.name,
        feature.kind,
        feature.en,
        feature.ru,
        unknown_en,
        unknown_ru,
        frequent,
        rare,
        _LEVELS_RU.get(feature.statistic) or FACT_LEVELS_RU.get(feature.subject, {}),
    )
