"""What a model is told of each example: columns learnt from what was known at an origin, and the rows as a matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.columns import ModelColumn, encode_frame
from training.columns import learn_columns
from training.fitting.delays import DelayCurve, Known, known_at, learn_delays
from training.fitting.pair_encoder import PastPairEncoder
from training.fitting.target_encoder import PastTargetEncoder
from training.thin import thin

if TYPE_CHECKING:
    import pandas as pd

    from training.examples import Examples
    from training.split import Origin

__all__ = ["Learnt", "Pairs", "learn_at", "learn_delays_at", "look_back", "read_levels"]

Pairs = tuple[tuple[str, str], ...]

_MISSING = "\0missing"  # no level can be called so: text from files holds no NUL


@dataclass(frozen=True)
class Learnt:
    """An origin's view: what was known then, the columns learnt from it, and its rows as they are learnt from.

    Attributes
    ----------
    rows
        Positions of the examples to learn from: the origin's `fit` rows, or those of them whose horizon was over.
    known
        What was known of them then.
    target
        Probability that each converts: 0 or 1, and between for the young once `label_young` has made up its mind.
    matrix
        The rows, shape (rows, inputs); rates of levels are those that were known when each row was asked about.
    delays
        How long conversions take; null where labels are taken as they turned out.
    leads
        How many leads the rows belong to: snapshots of one lead say little more than one.
    recency
        What a row counts by its age, shape (rows,) with mean 1; null if old leads count as much as new ones.
    """

    origin: Origin
    rows: NDArray[np.intp]
    known: Known
    target: NDArray[np.float64]
    columns: tuple[ModelColumn, ...]
    matrix: NDArray[np.float64]
    delays: DelayCurve | None
    leads: int
    recency: NDArray[np.float64] | None = None

    @property
    def weight(self) -> float:
        """What one row counts, in leads."""
        return self.leads / max(1, len(self.matrix))


def learn_at(
    examples: Examples,
    origin: Origin,
    *,
    horizon: timedelta,
    young: bool,
    most: int | None = None,
    pairs: Pairs = (),
) -> Learnt:
    """Learn columns, rates of levels and the delay curve from what was known at an origin.

    Parameters
    ----------
    young
        Whether to learn from leads whose horizon was not over yet, too.
    most
        How many rows the model itself may learn from; more are thinned by chance that is always the same.
    pairs
        Names of categories to tell together, too.
    """
    rows = origin.fit
    delays = learn_delays_at(examples.snapshots.iloc[rows], origin, horizon)
    known = look_back(examples.snapshots.iloc[rows], origin, horizon=horizon, delays=delays)
    over = _is_over(examples.snapshots.iloc[rows], origin, horizon)
    if not young or delays is None:
        rows, known = rows[over], Known(known.converted[over], np.ones(int(over.sum())))
        over = np.ones(len(rows), dtype=np.bool_)
    target = known.converted.astype(np.float64)
    snapshots = examples.snapshots.iloc[rows]
    columns = learn_columns(examples.catalogue, examples.frame, rows=rows)
    leads = int(snapshots["lead_id"].nunique())
    kept = thin(len(rows), most)
    categories = [column for column in columns if column.kind == "category"]
    if examples.split.kind != "time" or not categories:
        matrix = encode_frame(examples.frame, columns, rows=rows[kept])
        return Learnt(origin, rows[kept], known.part(kept), target[kept], columns, matrix, delays, leads)
    asked = snapshots["as_of"].to_numpy().astype("datetime64[us]").astype(np.int64).astype(np.float64)
    told = asked + horizon / timedelta(microseconds=1)
    encoder = PastTargetEncoder()
    codes, levels = read_levels(examples.frame, [column.name for column in categories], rows=rows)
    counts = over * examples.weigh_all(rows) * leads / len(rows)
    encoder.fit(codes, known.converted, asked=asked, known=told, sample_weight=counts)
    columns = _add_rates(columns, encoder, categories, levels)
    told_then = [encoder.transform(codes[kept], asked=asked[kept])]
    if pairs:
        places = {column.name: place for place, column in enumerate(categories)}
        held = sorted((places[one], places[other]) for one, other in pairs if {one, other} <= set(places))
        crossed = PastPairEncoder(pairs=held)
        crossed.fit(codes, known.converted, asked=asked, known=told, sample_weight=counts)
        columns = _add_pairs(columns, crossed, categories, levels)
        told_then.append(crossed.transform(codes[kept], asked=asked[kept]))
    matrix = encode_frame(examples.frame, columns, rows=rows[kept])
    # rates as they were known then, in the place of those known at the origin
    matrix[:, len(columns) :] = np.column_stack(told_then)
    return Learnt(origin, rows[kept], known.part(kept), target[kept], columns, matrix, delays, leads)


def look_back(snapshots: pd.DataFrame, origin: Origin, *, horizon: timedelta, delays: DelayCurve | None) -> Known:
    """Say what was known of snapshots at an origin; all of it, where labels are taken as they turned out."""
    if origin.at is None:
        return Known(snapshots["converted"].to_numpy(dtype=np.bool_), np.ones(len(snapshots)))
    delay = snapshots["delay"].to_numpy(dtype=np.float64)
    return known_at(_ages(snapshots), delay, _watched(snapshots, origin, horizon), delays)


def learn_delays_at(snapshots: pd.DataFrame, origin: Origin, horizon: timedelta) -> DelayCurve | None:
    """Learn how long conversions take from snapshots whose horizon was over at an origin."""
    if origin.at is None:
        return None
    rows = snapshots["converted"].to_numpy(dtype=np.bool_) & (_watched(snapshots, origin, horizon) >= 1.0)
    delay = snapshots["delay"].to_numpy(dtype=np.float64)[rows]
    return learn_delays(_ages(snapshots)[rows], delay, snapshots["lead_id"].to_numpy(dtype=object)[rows].astype(str))


def _watched(snapshots: pd.DataFrame, origin: Origin, horizon: timedelta) -> NDArray[np.float64]:
    since = np.datetime64(origin.at, "us") - snapshots["as_of"].to_numpy().astype("datetime64[us]")
    return since.astype(np.int64) / (horizon / timedelta(microseconds=1))


def _is_over(snapshots: pd.DataFrame, origin: Origin, horizon: timedelta) -> NDArray[np.bool_]:
    if origin.at is None:
        return np.ones(len(snapshots), dtype=np.bool_)
    end = snapshots["as_of"] + horizon
    return np.asarray((end <= np.datetime64(origin.at, "us")).to_numpy(), dtype=np.bool_)


def _ages(snapshots: pd.DataFrame) -> NDArray[np.int64]:
    age = (snapshots["as_of"] - snapshots["created_at"]).to_numpy()
    return (age / np.timedelta64(1, "s")).round().astype(np.int64)


def read_levels(
    frame: pd.DataFrame, names: Sequence[str], *, rows: NDArray[np.intp]
) -> tuple[NDArray[np.int64], list[list[str]]]:
    """Return what some rows hold of categories, as codes of shape (rows, names), and the levels behind the codes.

    A missing value is a level of its own. Texts of a long history are large, and slow to sort.
    """
    import pandas as pd

    found = [pd.factorize(frame[name].iloc[rows].fillna(_MISSING), sort=True) for name in names]
    return np.column_stack([codes for codes, _ in found]).astype(np.int64), [list(map(str, own)) for _, own in found]


def _add_pairs(
    columns: tuple[ModelColumn, ...],
    encoder: PastPairEncoder,
    categories: Sequence[ModelColumn],
    levels: Sequence[Sequence[str]],
) -> tuple[ModelColumn, ...]:
    crossed: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for (one, other), rates in zip(encoder.pairs_, encoder.rates_, strict=True):
        table = crossed.setdefault(categories[one].name, {}).setdefault(categories[other].name, {})
        for (left, right), rate in rates.items():
            first, second = levels[one][int(left)], levels[other][int(right)]
            table.setdefault(_plain(first), {})[_plain(second)] = rate
    return tuple(replace(column, crossed=crossed.get(column.name, {})) for column in columns)


def _plain(level: str) -> str:
    return "" if level == _MISSING else level


def _add_rates(
    columns: tuple[ModelColumn, ...],
    encoder: PastTargetEncoder,
    categories: Sequence[ModelColumn],
    levels: Sequence[Sequence[str]],
) -> tuple[ModelColumn, ...]:
    found: dict[str, Mapping[str, float]] = {
        column.name: dict(zip(own, map(float, rates), strict=True))
        for column, own, rates in zip(categories, levels, encoder.rates_, strict=True)
    }

    def told(column: ModelColumn) -> ModelColumn:
        if column.name not in found:
            return column
        rates = {level: rate for level, rate in found[column.name].items() if level != _MISSING}
        return replace(column, rates=rates or {"": 0.0}, missing_rate=found[column.name].get(_MISSING, 0.0))

    return tuple(told(column) for column in columns)
