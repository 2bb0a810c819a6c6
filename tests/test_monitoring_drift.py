from __future__ import annotations

import numpy as np
import pandas as pd

from models.columns import ModelColumn
from training.monitoring.drift import ColumnDrift, measure_drift, stability_index

COLUMNS = (
    ModelColumn("size", "number", "Size", "Размер"),
    ModelColumn("source", "category", "Source", "Источник", frequent=("web", "ads", "fair")),
)


def frame(rows: int, *, seed: int, size: float = 0.0, missing: float = 0.1, new: float = 0.0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    values = random.normal(size, 1.0, rows)
    values[random.random(rows) < missing] = np.nan
    source = random.choice(["web", "ads", "fair"], rows).astype(object)
    source[random.random(rows) < new] = "brand new"
    return pd.DataFrame({"size": values, "source": source})


def compare(before: pd.DataFrame, now: pd.DataFrame) -> dict[str, ColumnDrift]:
    half = np.arange(len(before)) >= len(before) // 2
    found = measure_drift(
        before, now, COLUMNS, leads_before=len(before), leads_now=len(now), latest=half, well_before=~half
    )
    return {one.column: one for one in found}


def test_leads_of_one_kind_do_not_drift() -> None:
    for seed in range(20):
        found = compare(frame(3_000, seed=seed), frame(400, seed=100 + seed))
        assert not any(one.moved or one.lost or one.renamed for one in found.values())


def test_a_number_that_moves_is_found_and_the_other_column_is_not() -> None:
    found = compare(frame(3_000, seed=1), frame(800, seed=2, size=0.7))
    assert found["size"].moved
    assert not found["source"].moved


def test_small_samples_need_a_larger_index() -> None:
    limits = [compare(frame(3_000, seed=1), frame(rows, seed=2))["size"].limit for rows in (50, 200, 3_000)]
    assert limits[0] > limits[1] > limits[2] == 0.1


def test_values_that_went_missing_are_told_from_those_that_came_back() -> None:
    assert compare(frame(3_000, seed=1), frame(800, seed=2, missing=0.6))["size"].lost
    assert not compare(frame(3_000, seed=1, missing=0.6), frame(800, seed=2))["size"].lost


def test_new_levels_are_an_alarm_only_where_more_are_born_than_usual() -> None:
    found = compare(frame(3_000, seed=1), frame(800, seed=2, new=0.5))["source"]
    assert found.renamed
    assert abs(found.unseen - 0.5) < 0.06
    # a column whose second half is new to its first anyway
    before = frame(3_000, seed=1)
    before.loc[1_500:, "source"] = np.where(np.arange(1_500) % 2 == 0, "summer", "web")
    assert not compare(before, frame(800, seed=2, new=0.5))["source"].renamed


def test_the_index_is_that_of_the_textbook() -> None:
    before, now = np.repeat([0, 1], [5_000, 5_000]), np.repeat([0, 1], [2_000, 8_000])
    index, bins = stability_index(before, now)
    assert bins == 2
    assert abs(index - ((0.2 - 0.5) * np.log(0.2 / 0.5) + (0.8 - 0.5) * np.log(0.8 / 0.5))) < 1e-3
