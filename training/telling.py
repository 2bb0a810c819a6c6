"""What a model tells people: words for its columns, the fields that matter, and what became of leads like one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from features.catalogue import Catalogue, Feature
from models.breakdown import take_apart
from models.columns import ModelColumn, encode_frame
from models.evidence import Bucket, EvidenceTable
from models.wording import Wording
from project.duration import days_of
from project.errors import SettingsError, name_some
from training.thin import thin

if TYPE_CHECKING:
    import pandas as pd

    from models.estimators import Estimator
    from project.reasons_settings import ReasonsSettings
    from training.examples import Examples

__all__ = ["collect_evidence", "word_columns"]

_SUPPORT = 30
_RANGES = 5
_FEW_VALUES = 8
_KEY_ROWS = 5_000
_SELDOM_MISSING, _MATTERS = 0.2, 0.05


def word_columns(
    columns: Sequence[ModelColumn], examples: Examples, estimator: Estimator, settings: ReasonsSettings
) -> tuple[ModelColumn, ...]:
    """Return the columns with their wordings.

    A declared column that fewer than a fifth of the leads lack, and that moves log-odds by a twentieth on average, is a
    key field, unless `reasons.key_fields` says which are.
    """
    asked = settings.key_fields
    key = _find_key(columns, examples, estimator) if asked is None else _match_key(asked, examples.catalogue)
    features = {feature.name: feature for feature in examples.catalogue.features}

    def worded(column: ModelColumn) -> ModelColumn:
        feature = features[column.name]
        wording = _word(feature, examples.catalogue, column.levels_ru)
        hidden = any(fnmatchcase(column.name, pattern) for pattern in settings.hidden)
        return replace(column, wording=replace(wording, key=column.name in key, hidden=hidden))

    return tuple(map(worded, columns))


def _word(feature: Feature, catalogue: Catalogue, levels_ru: Mapping[str, str]) -> Wording:
    subjects = {subject.name: (subject.en, subject.ru) for subject in catalogue.subjects}
    groups = {group.name: group for group in catalogue.groups}
    labels = {one.subject: (one.en, one.ru) for one in catalogue.features if one.origin == "lead"}
    own = (feature.en, feature.ru)
    if feature.origin == "behaviour":
        own = subjects[feature.subject]
    elif feature.origin == "track_record":
        own = labels.get(feature.subject, own)
    group = groups.get(feature.group)
    title = (group.en, group.ru) if group is not None else own
    names = levels_ru if feature.kind == "category" else {}
    form = f"{feature.origin} {feature.statistic}"
    return Wording(form, *own, feature.group or feature.name, *title, feature.window, dict(names))


def _match_key(asked: Sequence[str], catalogue: Catalogue) -> set[str]:
    declared: dict[str, list[str]] = {}
    for one in catalogue.features:
        if one.origin in {"lead", "account"}:
            declared.setdefault(one.subject, []).append(one.name)
    strange = [name for name in asked if name not in declared]
    if strange:
        raise SettingsError(
            f"reasons.key_fields names {name_some(strange)}, which is no column that the model reads. There are "
            f"{name_some(sorted(declared))}."
        )
    return {name for header in asked for name in declared[header]}


def _find_key(columns: Sequence[ModelColumn], examples: Examples, estimator: Estimator) -> set[str]:
    declared = {one.name for one in examples.catalogue.features if one.origin in {"lead", "account"}}
    rows = examples.split.rows("fit")
    kept = rows[thin(len(rows), _KEY_ROWS)]
    frame = examples.frame.iloc[kept]
    if not len(frame) or not columns:
        return set()
    moved = np.abs(take_apart(estimator, encode_frame(frame, columns), columns).contributions).mean(axis=0)
    return {
        column.name
        for column, by in zip(columns, moved, strict=True)
        if column.name in declared and by >= _MATTERS and frame[column.name].isna().mean() < _SELDOM_MISSING
    }


def collect_evidence(examples: Examples, columns: Sequence[ModelColumn], horizon: timedelta) -> EvidenceTable:
    """Count for each column what became of the leads by their value; every example here is matured.

    Numbers with at most 8 values have a bucket for each, others one for zero (where a fiftieth of the rows have it) and
    up to 5 ranges that hold about as many leads each.
    """
    snapshots, converted = examples.snapshots, examples.converted
    order = np.lexsort((_moments(snapshots), examples.leads))
    leads = np.unique(examples.leads, return_inverse=True)[1][order]
    won, frame = converted[order], examples.frame.iloc[order]
    usual = _rate_at_age(snapshots.iloc[order], won)
    _, first = np.unique(leads, return_index=True)
    ages = next(
        (one.name for one in examples.catalogue.features if one.origin == "clock" and one.statistic == "age"), ""
    )
    counts = _Counts(leads, won, usual)
    buckets = {column.name: _bucket(frame[column.name], column, counts, ages=ages) for column in columns}
    return EvidenceTable(len(first), int(won[first].sum()), days_of(horizon), _SUPPORT, buckets)


def _rate_at_age(snapshots: pd.DataFrame, won: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return for each row what share of all leads converted that were looked at when they were as old."""
    if snapshots["as_of"].isna().all():
        return np.full(len(won), won.mean() if len(won) else 0.0)
    ages = np.unique((snapshots["as_of"] - snapshots["created_at"]).to_numpy(), return_inverse=True)[1]
    return np.asarray((np.bincount(ages, weights=won) / np.bincount(ages))[ages])


@dataclass(frozen=True)
class _Counts:
    """Rows in order of time within a lead: whose they are, whether they converted, and what is usual at their age."""

    leads: NDArray[np.int64]
    won: NDArray[np.bool_]
    usual: NDArray[np.float64]

    def of(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Bucket:
        """Count leads, each at its first of the rows."""
        own = self.leads[rows]
        first = np.flatnonzero(np.diff(own, prepend=-1))  # rows of a lead follow one another
        usual = float(self.usual[rows][first].mean()) if len(first) else 0.0
        return Bucket(len(first), int(self.won[rows][first].sum()), usual)


def _moments(snapshots: pd.DataFrame) -> NDArray[np.int64]:
    by = "position" if snapshots["as_of"].isna().all() else "as_of"
    return np.asarray(snapshots[by].to_numpy()).astype(np.int64)


def _bucket(values: pd.Series, column: ModelColumn, counts: _Counts, *, ages: str) -> tuple[Bucket, ...]:
    missing = values.isna().to_numpy(dtype=np.bool_)
    found = [counts.of(missing)]
    if column.kind == "category":
        cells = values.to_numpy(dtype=object)
        places: dict[str, list[int]] = {level: [] for level in column.frequent}
        for place in np.flatnonzero(~missing):
            if cells[place] in places:
                places[cells[place]].append(int(place))
        for level, rows in places.items():
            found.append(replace(counts.of(np.array(rows, dtype=np.intp)), level=level))
    else:
        numbers = values.to_numpy(dtype=np.float64)
        aging = column.name == ages
        for low, high in _ranges(numbers[np.isfinite(numbers)]):
            found.append(
                replace(counts.of((numbers >= low) & (numbers <= high)), low=low, high=None if aging else high)
            )
    # a range below the support stays: what falls into it is not to be told of its neighbour
    return tuple(bucket for bucket in found if bucket.leads >= _SUPPORT or bucket.low is not None)


def _ranges(numbers: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Return the ends of ranges, both seen, rising and apart."""
    values, counts = np.unique(numbers, return_counts=True)
    if len(values) <= _FEW_VALUES:
        return [(float(value), float(value)) for value in values]
    apart = []
    zero = np.flatnonzero(values == 0.0)
    if len(zero) and values[0] == 0.0 and counts[0] >= len(numbers) / 50:
        apart = [(0.0, 0.0)]
        values, counts = np.delete(values, zero), np.delete(counts, zero)
    before = np.cumsum(counts) - counts
    part = np.minimum((before * _RANGES) // counts.sum(), _RANGES - 1)
    ends = [(float(own.min()), float(own.max())) for number in range(_RANGES) if len(own := values[part == number])]
    return sorted(apart + ends)
