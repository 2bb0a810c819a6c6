"""What would raise a probability: feasible steps on fields that somebody can change, asked of the model itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from features.engine import build_features
from features.what_if import with_event, with_value
from models.evidence import Bucket
from models.wording import say_value
from project.errors import SettingsError, name_some
from project.language import Words

if TYPE_CHECKING:
    from features.catalogue import Catalogue, Feature
    from features.tables import Tables
    from models.lead_model import LeadModel

__all__ = ["Step", "find_steps", "next_threshold"]

_NEAR = 0.5  # of the next threshold: further below, one step would be wishful
_SMALLEST_GAIN = 0.01
_SEEN = 0.01  # of all leads: what hardly anyone has is not feasible
_MOST_STEPS, _MOST_TRIED = 3, 24


@dataclass(frozen=True)
class Step:
    """One change, and what the model says of the lead with it; not a promise that the change causes it.

    Attributes
    ----------
    interval
        What share of leads scored like that converted; null in models without a table.
    band
        By the thresholds alone.
    """

    words: str
    probability: float
    interval: tuple[float, float] | None
    band: str


def next_threshold(probability: float, model: LeadModel) -> float | None:
    """Return the threshold above a probability that is near enough to be reached; null if none is."""
    above = [one for one in (model.policy.mql, model.policy.sql) if one > probability]
    return above[0] if above and probability >= _NEAR * above[0] else None


def find_steps(
    actionable: tuple[str, ...],
    snapshot: pd.DataFrame,
    frame: pd.DataFrame,
    tables: Tables,
    model: LeadModel,
    catalogue: Catalogue,
    *,
    probability: float,
    words: Words,
) -> tuple[Step, ...]:
    """Try one step at a time on the tables themselves, so that every feature follows, and return the best three.

    A column of the leads takes each level (or for a number the middle of each range) that a hundredth of all leads
    have; a kind or group of events happens once more, now.

    Parameters
    ----------
    snapshot, frame
        One row each: the lead and its features.

    Raises
    ------
    SettingsError
        `reasons.actionable` names neither a column of the leads nor events that the model reads.
    """
    lead_id, as_of = str(snapshot["lead_id"].iloc[0]), snapshot["as_of"].iloc[0]
    moment = None if pd.isna(as_of) else as_of.to_pydatetime()
    tried = list(_list_steps(actionable, lead_id, moment, frame, tables, model, catalogue, words))[:_MOST_TRIED]
    found = []
    for said, pretended in tried:
        with pretended:
            rows = build_features(snapshot, tables, catalogue)
        reached = model.probability(rows)
        if reached[0] < probability + _SMALLEST_GAIN:
            continue
        low, high = model.bounds(reached)
        interval = None if np.isnan(low[0]) else (float(low[0]), float(high[0]))
        found.append(Step(said, float(reached[0]), interval, str(model.policy.assign(reached)[0])))
    return tuple(sorted(found, key=lambda step: -step.probability)[:_MOST_STEPS])


def _list_steps(
    actionable: tuple[str, ...],
    lead_id: str,
    moment: datetime | None,
    frame: pd.DataFrame,
    tables: Tables,
    model: LeadModel,
    catalogue: Catalogue,
    words: Words,
) -> Iterator[tuple[str, AbstractContextManager[None]]]:
    columns = {one.subject: one for one in catalogue.features if one.origin == "lead"}
    declared = {attribute.header for attribute in tables.lead_attributes}
    subjects = {subject.name: subject for subject in catalogue.subjects}
    for name in actionable:
        if name in subjects and moment is not None:
            subject = subjects[name]
            said = words.text("once more: {what}", what=words.pick(subject.en, subject.ru))
            yield said, with_event(tables, lead_id, subject.kinds[0], moment)
        elif name in columns:
            yield from _list_values(columns[name], lead_id, frame, tables, model, words)
        elif name not in declared:
            raise SettingsError(
                f"reasons.actionable names {name!r}, which is neither a column of the leads nor an event that "
                f"the model reads. There are {name_some(sorted({*columns, *subjects}))}."
            )


def _list_values(
    feature: Feature, lead_id: str, frame: pd.DataFrame, tables: Tables, model: LeadModel, words: Words
) -> Iterator[tuple[str, AbstractContextManager[None]]]:
    column = next((one for one in model.columns if one.name == feature.name), None)
    if column is None or column.wording is None or column.wording.hidden or model.evidence is None:
        return
    own = frame[feature.name].iloc[0]
    for bucket in model.evidence.columns.get(feature.name, ()):
        value = _value_of(bucket)
        if value is None or value == own or bucket.leads < _SEEN * model.evidence.leads:
            continue
        name = words.pick(column.wording.en, column.wording.ru)
        said = words.text("{what} becomes {value}", what=name, value=say_value(column.wording, value, words))
        yield said, with_value(tables, lead_id, feature.subject, value)


def _value_of(bucket: Bucket) -> float | str | None:
    if bucket.level is not None:
        return bucket.level
    if bucket.low is None or bucket.high is None:
        return None
    middle = (bucket.low + bucket.high) / 2
    return round(middle) if float(bucket.low).is_integer() and float(bucket.high).is_integer() else middle
