"""Whether recent leads are told apart from those learnt from, all columns together: a classifier two-sample test.

A classifier learns to tell snapshots of the last horizon from those that the model learnt from; its area under the ROC
curve on accounts it did not see is 0.5 if nothing changed (Lopez-Paz & Oquab 2017; "adversarial validation"). It sees
what column by column stays hidden: a mix of leads that moved while every column kept its shares. In any history that
grows some columns move slowly and tell the date, so the same test is made one gap earlier, within what was learnt from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from features.engine import build_features
from training.evaluation.evaluate import Interval
from training.evaluation.ranking import auc_with_interval
from training.fitting.beside import run_beside
from training.thin import thin

if TYPE_CHECKING:
    import pandas as pd

    from features.catalogue import Catalogue
    from features.tables import Tables
    from models.columns import ModelColumn

__all__ = ["Moments", "TwoSamples", "choose_moments", "compare_moments", "tell_apart", "timeless_columns"]

_MOST = 5_000
_FEWEST = 100
_FOLDS = 5
_ROUNDS = 50
_MOST_LEVELS = 100
_NAMED, _LEAST_SHARE = 3, 0.1
_MUCH = 0.70


@dataclass(frozen=True)
class Moments:
    """Places of snapshots in four samples, `now` to `before` in time as `latest` to `well_before`, one gap earlier.

    `now` and `latest` are of one size, and so are `before` and `well_before`: more rows would teach more.
    """

    now: NDArray[np.intp]
    before: NDArray[np.intp]
    latest: NDArray[np.intp]
    well_before: NDArray[np.intp]


@dataclass(frozen=True)
class TwoSamples:
    """How well recent leads are told from those learnt from.

    Attributes
    ----------
    now
        The area under the ROC curve, of accounts that the classifier did not see, with a 95 % interval.
    usual
        The same one gap earlier: how far leads of two periods are told apart anyway.
    told_by
        Words of the columns that tell them apart more than they usually do, the strongest first; at most three.
    """

    now: Interval
    usual: Interval
    told_by: tuple[str, ...]

    @property
    def apart(self) -> bool:
        """Whether the area is beyond 0.70 and clearly beyond the usual one.

        The intervals do not meet, and half of what was missing to 1 is gone: chance in the rows is not all, for one
        earlier stretch is one draw of how much the leads of two periods differ.
        """
        low, high = (_known(end, one.value) for end, one in ((self.now.low, self.now), (self.usual.high, self.usual)))
        return low > _MUCH and low > high and 1.0 - self.now.value < 0.5 * (1.0 - self.usual.value)


def _known(end: float, value: float) -> float:
    """Return the end of an interval, or the value where not a single pair was mistaken, which leaves no interval."""
    return value if np.isnan(end) else end


def choose_moments(as_of: NDArray[np.datetime64], *, since: datetime, until: datetime, horizon: timedelta) -> Moments:
    """Choose the snapshots of the four samples, at most 5,000 each, by chance that is always the same.

    Parameters
    ----------
    as_of
        When each snapshot was taken, shape (rows,).
    since, until
        The last label that the model learnt from, and the end of the data. The usual is asked as far back from `since`,
        but no further than half of the history that was learnt from.
    """
    learnt = as_of[as_of < np.datetime64(since, "us")]
    history = (
        (np.datetime64(since, "us") - learnt.min().astype("datetime64[us]")).item() if len(learnt) else timedelta(0)
    )
    gap = min(until - since, history / 2)
    stretch = min(horizon, gap)

    def between(start: datetime | None, end: datetime, *, closed: bool = False) -> NDArray[np.intp]:
        last = np.datetime64(end, "us")
        inside = (as_of <= last) if closed else (as_of < last)
        return np.flatnonzero(inside if start is None else inside & (as_of >= np.datetime64(start, "us")))

    now, latest = between(until - stretch, until, closed=True), between(since - stretch, since)
    before, well_before = between(None, since), between(None, since - gap)
    new, old = min(len(now), len(latest), _MOST), min(len(before), len(well_before), _MOST)
    return Moments(
        now[thin(len(now), new)], before[thin(len(before), old)],
        latest[thin(len(latest), new)], well_before[thin(len(well_before), old)],
    )  # fmt: skip


def timeless_columns(columns: Sequence[ModelColumn], catalogue: Catalogue) -> list[ModelColumn]:
    """Drop the columns that are a calendar: the month, and track records, running counts that tell the date itself."""
    dated = {one.name for one in catalogue.features if one.origin == "track_record" or one.statistic == "month"}
    return [column for column in columns if column.name not in dated]


def compare_moments(
    asked: pd.DataFrame, tables: Tables, catalogue: Catalogue, columns: Sequence[ModelColumn], moments: Moments
) -> TwoSamples | None:
    """Test whether leads of now are told from those before; null with fewer than 100 leads in a sample.

    Parameters
    ----------
    asked
        Snapshots of all leads that came in, whatever became of them: leads set apart by how they ended would make the
        young, of whom that is not known, another kind.
    columns
        What the classifier sees.
    """
    samples = (moments.now, moments.before, moments.latest, moments.well_before)
    if min(asked["lead_id"].iloc[rows].nunique() for rows in samples) < _FEWEST or not columns:
        return None
    rows, place = np.unique(np.concatenate(samples), return_inverse=True)
    snapshots = asked.iloc[rows].reset_index(drop=True)
    frame = build_features(snapshots, tables, catalogue)
    groups = np.unique(snapshots["group_id"].to_numpy(dtype=object).astype(str), return_inverse=True)[1]
    now, before, latest, well_before = np.split(place, np.cumsum([len(one) for one in samples])[:-1])
    found, gains = tell_apart(frame, columns, new=now, old=before, groups=groups)
    usual, usual_gains = tell_apart(frame, columns, new=latest, old=well_before, groups=groups)
    more = gains - usual_gains
    order = [int(one) for one in np.argsort(-more, kind="stable")[:_NAMED] if more[one] > _LEAST_SHARE * gains.sum()]
    return TwoSamples(found, usual, tuple(columns[one].en for one in order))


def tell_apart(
    frame: pd.DataFrame,
    columns: Sequence[ModelColumn],
    *,
    new: NDArray[np.intp],
    old: NDArray[np.intp],
    groups: NDArray[np.int64],
) -> tuple[Interval, NDArray[np.float64]]:
    """Return how well LightGBM tells rows `new` from rows `old`, cross-validated by group, and what columns gain.

    Parameters
    ----------
    new, old
        Places in the frame, none in both.
    groups
        The group of each row of the frame, shape (rows,); none is learnt from and judged at once.

    Returns
    -------
    Interval, array of shape (columns,)
        The area under the ROC curve with a 95 % interval; and the loss that splits on each column save, over all folds.
    """
    rows = np.concatenate([new, old])
    matrix = np.column_stack([_as_numbers(frame[column.name].iloc[rows], column) for column in columns])
    label = np.repeat([1.0, 0.0], [len(new), len(old)])
    categories = [place for place, column in enumerate(columns) if column.kind == "category"]
    kinds, group = np.unique(groups[rows], return_inverse=True)
    fold = np.random.default_rng(0).permutation(len(kinds))[group] % _FOLDS
    jobs = [partial(_learn, matrix, label, fold != number, categories) for number in range(_FOLDS)]
    said, gains = np.empty(len(rows)), np.zeros(len(columns))
    for number, (answer, gain) in enumerate(run_beside(jobs)):
        said[fold == number] = answer
        gains += gain
    return auc_with_interval(said, label > 0, groups=group.astype(np.int64)), gains


def _learn(
    matrix: NDArray[np.float64], label: NDArray[np.float64], known: NDArray[np.bool_], categories: list[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit on the known rows; return what is said of the others, and the gain of each column."""
    import lightgbm

    parameters = {
        "objective": "binary", "learning_rate": 0.1, "num_leaves": 15, "min_data_in_leaf": 50, "feature_fraction": 0.5,
        "lambda_l2": 5.0, "deterministic": True, "force_row_wise": True, "num_threads": 1, "seed": 0, "verbosity": -1,
    }  # fmt: skip
    data = lightgbm.Dataset(matrix[known], label=label[known], categorical_feature=categories)
    trees = lightgbm.train(parameters, data, num_boost_round=_ROUNDS)
    said = np.asarray(trees.predict(matrix[~known], num_threads=1), dtype=np.float64)
    return said, np.asarray(trees.feature_importance("gain"), dtype=np.float64)


def _as_numbers(values: pd.Series, column: ModelColumn) -> NDArray[np.float64]:
    """Return numbers as they are; levels as codes of these rows' own, for a level new to the model tells the most."""
    if column.kind == "number":
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        return np.where(np.isfinite(numbers), numbers, np.nan)
    codes = {level: float(code) for code, level in enumerate(values.dropna().value_counts().index[:_MOST_LEVELS])}
    return np.array([codes.get(value, np.nan) for value in values.to_list()], dtype=np.float64)
