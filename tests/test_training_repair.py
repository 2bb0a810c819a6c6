from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from models.columns import ModelColumn
from models.linear import Logistic
from small_models import make_data, small_model
from training.calibration.repair import Repair, add_repair, find_repair, repair_margin
from training.fitting.fit import fit_logistic

COLUMNS = (
    ModelColumn("x", "number", "X", "Икс"),
    ModelColumn("source", "category", "Source", "Источник", frequent=("web", "ads", "fair")),
    ModelColumn("region", "category", "Region", "Регион", frequent=tuple(f"r{n}" for n in range(8))),
)


def draw(rows: int, *, off: tuple[float, ...], seed: int, only: int | None = None) -> dict[str, np.ndarray]:
    """Log-odds that are off by source, at all three origins or at one only."""
    random = np.random.default_rng(seed)
    codes = np.column_stack([random.normal(size=rows), random.integers(0, 3, rows), random.integers(0, 8, rows)])
    said, origin = random.normal(-2.0, 0.7, rows), np.arange(rows) * 3 // rows
    wrong = np.array(off)[codes[:, 1].astype(int)] * (True if only is None else origin == only)
    return {
        "codes": codes, "log_odds": said, "converted": random.random(rows) < expit(said + wrong), "origin": origin,
    }  # fmt: skip


def find(drawn: dict[str, np.ndarray]) -> Repair | None:
    groups = np.arange(len(drawn["origin"]))
    return find_repair(
        COLUMNS,
        drawn["codes"],
        drawn["log_odds"],
        drawn["converted"],
        origin=drawn["origin"],
        groups=groups,
        weight=1.0,
    )


def test_levels_that_are_wrong_at_all_origins_are_repaired_by_as_much() -> None:
    found = find(draw(24_000, off=(0.6, -0.5, 0.0), seed=1))
    assert found is not None
    assert found.place == 1
    assert found.gain > 3 * found.error
    assert found.offsets == pytest.approx((0.57, -0.53, -0.03), abs=0.12)


def test_a_model_that_is_right_is_left_alone() -> None:
    assert sum(find(draw(6_000, off=(0.0, 0.0, 0.0), seed=seed)) is not None for seed in range(60)) <= 1


def test_what_was_wrong_once_is_not_repaired() -> None:
    assert find(draw(24_000, off=(0.6, -0.5, 0.0), seed=2, only=0)) is None


def test_a_level_of_all_that_is_wrong_is_not_taken_for_a_segment() -> None:
    assert find(draw(24_000, off=(0.5, 0.5, 0.5), seed=3)) is None


def test_one_origin_tells_nothing() -> None:
    drawn = draw(6_000, off=(0.8, -0.8, 0.0), seed=4)
    assert find({**drawn, "origin": np.zeros(6_000, dtype=int)}) is None


@pytest.mark.parametrize("kind", ["logistic", "blend"])
def test_the_offsets_are_a_part_of_the_model_and_its_contributions_still_add_up(kind: str) -> None:
    data = make_data(800, seed=1)
    model = fit_logistic(data, strength=0.1) if kind == "logistic" else small_model("blend").estimator
    place = next(place for place, column in enumerate(data.columns) if column.kind == "category")
    repair = Repair(place, tuple(0.1 * (1 + n) for n in range(len(data.columns[place].frequent))), 0.01, 0.001)
    repaired = add_repair(model, repair, data.matrix)
    np.testing.assert_allclose(
        repaired.log_odds(data.matrix) - model.log_odds(data.matrix), repair_margin(repair, data.matrix), atol=1e-12
    )
    shares, base = repaired.contributions(data.matrix)
    np.testing.assert_allclose(shares.sum(axis=1) + base, repaired.log_odds(data.matrix), atol=1e-9)
    moved = shares - model.contributions(data.matrix)[0]
    assert (np.abs(moved[:, np.arange(moved.shape[1]) != place]) < 1e-12).all()
    assert isinstance(repaired.parts[-1], Logistic)
