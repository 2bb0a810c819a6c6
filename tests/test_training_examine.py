from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from training.evaluation.evaluate import cumulative_gains
from training.evaluation.examine import Examined, examine
from training.evaluation.ranking import best_per_lead
from training.evaluation.slices import Partition


@pytest.fixture(scope="module")
def rows() -> dict[str, np.ndarray]:
    """Four looks at each of 500 leads; two leads an account."""
    random = np.random.default_rng(0)
    lead = np.repeat(np.arange(500), 4)
    probability = expit(random.normal(-2, 1, 500)[lead] + random.normal(0, 0.3, 2_000))
    return {"probability": probability, "converted": random.random(500)[lead] < probability, "leads": lead}


def look(rows: dict[str, np.ndarray], *, capacity: float | None) -> Examined:
    return examine(
        rows["probability"],
        rows["converted"],
        leads=rows["leads"],
        groups=rows["leads"] // 2,
        partitions=[Partition("look", ("first", "second", "third", "fourth"), np.arange(2_000) % 4)],
        capacity=capacity,
        seed=1,
    )


def test_the_top_of_the_list_is_what_the_team_can_call(rows: dict[str, np.ndarray]) -> None:
    reached = look(rows, capacity=0.25).reached
    said, won, _ = best_per_lead(rows["leads"], rows["probability"], rows["converted"], rows["leads"])
    best = np.argsort(-said)[:125]
    assert (reached.share, reached.of_team) == (0.25, True)
    assert reached.conversions.value == pytest.approx(won[best].sum() / won.sum(), abs=1e-9)
    assert reached.lift.value == pytest.approx(4 * reached.conversions.value)
    assert reached.lift.low == pytest.approx(4 * reached.conversions.low)


def test_without_a_capacity_it_is_a_tenth(rows: dict[str, np.ndarray]) -> None:
    reached = look(rows, capacity=None).reached
    assert (reached.share, reached.of_team) == (0.1, False)


def test_the_gains_count_a_lead_once(rows: dict[str, np.ndarray]) -> None:
    found = look(rows, capacity=None)
    said, won, _ = best_per_lead(rows["leads"], rows["probability"], rows["converted"], rows["leads"])
    assert found.gains.shape == (41, 4)
    np.testing.assert_allclose(
        found.gains[:, 1], np.interp(found.gains[:, 0], *cumulative_gains(said, won).T), atol=1e-12
    )


def test_slices_know_that_rows_of_a_lead_hang_together(rows: dict[str, np.ndarray]) -> None:
    found = look(rows, capacity=None)
    assert found.calibration.clustered
    (table,) = found.slices
    assert [one.leads for one in table.slices] == [500] * 4
    assert sum(one.observed for one in table.slices) == rows["converted"].sum()
    assert found.log_loss.loss > found.brier.loss > 0


def test_a_second_look_finds_the_same(rows: dict[str, np.ndarray]) -> None:
    one, two = look(rows, capacity=0.2), look(rows, capacity=0.2)
    assert (one.slices, one.reached, one.calibration.smooth_error) == (
        two.slices,
        two.reached,
        two.calibration.smooth_error,
    )
