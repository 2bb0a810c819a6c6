from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import average_precision_score, roc_auc_score

from training.evaluation.evaluate import cumulative_gains
from training.evaluation.ranking import (
    auc_with_interval,
    average_precision_with_interval,
    best_per_lead,
    gains_with_intervals,
)


def draw(seed: int, leads: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One to five rows a lead whose outcomes hang together, with ties among the probabilities."""
    random = np.random.default_rng(seed)
    many = random.integers(1, 6, leads)
    lead = np.repeat(np.arange(leads), many)
    probability = np.round(expit(random.normal(-1.5, 1.0, leads)[lead] + random.normal(0, 0.4, len(lead))), 2)
    return probability, random.random(leads)[lead] < probability, lead


@pytest.mark.parametrize("seed", range(4))
def test_areas_are_scikit_learns(seed: int) -> None:
    probability, converted, lead = draw(seed)
    area = auc_with_interval(probability, converted, groups=lead)
    assert area.value == pytest.approx(roc_auc_score(converted, probability), abs=1e-12)
    precision = average_precision_with_interval(probability, converted, groups=lead)
    assert precision.value == pytest.approx(average_precision_score(converted, probability), abs=1e-12)


@pytest.mark.parametrize("seed", range(2))
def test_intervals_are_those_of_resampling_whole_leads(seed: int) -> None:
    probability, converted, lead = draw(seed)
    rows = [np.flatnonzero(lead == one) for one in range(300)]
    random = np.random.default_rng(9)
    shares = np.array([0.1, 0.3, 0.6])
    drawn = []
    for _ in range(400):
        again = np.concatenate([rows[one] for one in random.integers(0, 300, 300)])
        said, came = probability[again], converted[again]
        gains = np.interp(shares, *cumulative_gains(said, came).T)
        drawn.append([roc_auc_score(came, said), average_precision_score(came, said), *gains])
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    found = [f(probability, converted, groups=lead) for f in (auc_with_interval, average_precision_with_interval)]
    ends = [(one.low, one.high) for one in found]
    ends += [tuple(line[2:]) for line in gains_with_intervals(probability, converted, groups=lead, shares=shares)]
    width = high - low
    np.testing.assert_allclose([end[0] for end in ends], low, atol=0.25 * width.max())
    np.testing.assert_allclose([b - a for a, b in ends], width, rtol=0.25)


def test_intervals_cover_the_truth() -> None:
    random = np.random.default_rng(7)
    large = expit(random.normal(-1.5, 1.0, 400_000))
    came = random.random(400_000) < large
    truth = roc_auc_score(came, large), average_precision_score(came, large)
    place = np.interp(0.2, *cumulative_gains(large, came).T)
    hits = []
    for _ in range(250):
        said = expit(random.normal(-1.5, 1.0, 600))
        won = random.random(600) < said
        groups = np.arange(600)
        area, precision = (f(said, won, groups=groups) for f in (auc_with_interval, average_precision_with_interval))
        (gain,) = gains_with_intervals(said, won, groups=groups, shares=np.array([0.2]))
        hits.append(
            [
                area.low <= truth[0] <= area.high,
                precision.low <= truth[1] <= precision.high,
                gain[2] <= place <= gain[3],
            ]
        )
    assert (np.mean(hits, axis=0) > 0.91).all(), np.mean(hits, axis=0)
    assert (np.mean(hits, axis=0) < 0.99).all(), np.mean(hits, axis=0)


def test_copies_of_a_lead_do_not_make_the_interval_narrower() -> None:
    probability, converted, _ = draw(3)
    rows = np.arange(len(probability))
    copied = [np.repeat(part, 6) for part in (probability, converted, rows)]
    for measure in (auc_with_interval, average_precision_with_interval):
        once = measure(probability, converted, groups=rows)
        again = measure(copied[0], copied[1], groups=copied[2])
        assert (again.value, again.low, again.high) == pytest.approx((once.value, once.low, once.high), rel=1e-9)


def test_the_gains_are_those_of_the_curve_and_end_at_one() -> None:
    probability, converted, lead = draw(4)
    shares = np.array([0.0, 0.05, 0.5, 1.0])
    table = gains_with_intervals(probability, converted, groups=lead, shares=shares)
    np.testing.assert_allclose(table[:, 1], np.interp(shares, *cumulative_gains(probability, converted).T), atol=1e-12)
    assert table[0, 1] == 0.0
    assert table[-1, 1] == pytest.approx(1.0)
    inner = table[1:-1]
    assert ((inner[:, 2] < inner[:, 1]) & (inner[:, 1] < inner[:, 3])).all()


@pytest.mark.parametrize("everybody", [True, False])
def test_outcomes_of_one_kind_have_no_order(everybody: bool) -> None:
    said, came = np.linspace(0.1, 0.9, 20), np.full(20, everybody)
    for measure in (auc_with_interval, average_precision_with_interval):
        assert np.isnan(measure(said, came, groups=np.arange(20)).value)
    table = gains_with_intervals(said, came, groups=np.arange(20), shares=np.array([0.5]))
    assert np.isnan(table[0, 1]) != everybody


def test_a_perfect_order_claims_no_interval() -> None:
    found = auc_with_interval(np.array([0.1, 0.2, 0.8, 0.9]), np.array([0, 0, 1, 1]) > 0, groups=np.arange(4))
    assert found.value == 1.0
    assert np.isnan([found.low, found.high]).all()


def test_a_lead_counts_once_with_the_highest_it_reached() -> None:
    leads = np.array([4, 2, 4, 9, 2])
    said, won, groups = best_per_lead(
        leads, np.array([0.1, 0.5, 0.3, 0.2, 0.4]), np.array([False, False, True, False, False]), leads * 10
    )
    assert (said.tolist(), won.tolist(), groups.tolist()) == ([0.5, 0.3, 0.2], [False, True, False], [20, 40, 90])
