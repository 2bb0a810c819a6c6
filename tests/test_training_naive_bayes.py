"""Naive Bayes on categories: exact sums, held back where categories say the same twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit

from models.columns import ModelColumn
from small_models import make_data
from training.fitting.fit import FitData
from training.fitting.naive_bayes import fit_naive_bayes


def slope(margin: np.ndarray, target: np.ndarray) -> float:
    """Return the slope of a logistic regression of outcomes on log-odds."""
    line = np.array([0.0, 1.0])
    told = np.column_stack([np.ones_like(margin), margin])
    for _ in range(30):
        share = expit(told @ line)
        line += np.linalg.solve(told.T @ (told * (share * (1 - share))[:, None]), told.T @ (target - share))
    return float(line[1])


def copies(count: int, *, rows: int, seed: int, effect: float = 1.2) -> FitData:
    """Draw leads with a category of four levels, told `count` times over by columns that mean the same."""
    random = np.random.default_rng(seed)
    level = random.integers(0, 4, rows)
    target = (random.random(rows) < expit(-1.5 + effect * (level - 1.5) / 1.5)).astype(np.float64)
    columns = [ModelColumn(f"c{place}", "category", "c", "c", frequent=tuple("abcd")) for place in range(count)]
    return FitData(columns, np.tile(level[:, None].astype(float), (1, count)), target, np.arange(rows))


def test_it_adds_up_the_log_odds_of_levels() -> None:
    data = make_data(2_000, seed=1)
    model = fit_naive_bayes(data)
    shares, base = model.contributions(data.matrix)
    assert np.array_equal(shares[:, :3], np.zeros((2_000, 3)))
    np.testing.assert_allclose(shares.sum(axis=1) + base, model.log_odds(data.matrix), atol=1e-12)


def test_a_level_counts_with_twenty_leads_like_all() -> None:
    data = copies(1, rows=300, seed=4)
    weights = np.array(fit_naive_bayes(data).terms[0].weights)
    rate = data.target.mean()
    told = np.array([
        logit((data.target[data.matrix[:, 0] == level].sum() + 20 * rate) / ((data.matrix[:, 0] == level).sum() + 20))
        for level in range(4)
    ]) - logit(rate)  # fmt: skip
    share = weights[:4] @ told / (told @ told)
    np.testing.assert_allclose(weights[:4], share * told, atol=1e-12)
    assert 0.8 < share <= 1.0


def test_a_single_category_is_told_as_its_levels_did() -> None:
    data = copies(1, rows=40_000, seed=1)
    said = fit_naive_bayes(data).log_odds(data.matrix)
    for level in range(4):
        rows = data.matrix[:, 0] == level
        assert said[rows][0] == pytest.approx(logit(data.target[rows].mean()), abs=0.02)


@pytest.mark.parametrize("count", [2, 5])
def test_categories_that_say_the_same_are_not_believed_twice(count: int) -> None:
    data, later = copies(count, rows=5_000, seed=1), copies(count, rows=20_000, seed=2)
    assert slope(fit_naive_bayes(data).log_odds(later.matrix), later.target) == pytest.approx(1.0, abs=0.12)


def test_levels_that_tell_nothing_are_hardly_believed() -> None:
    columns = [ModelColumn(f"c{place}", "category", "c", "c", frequent=tuple("abcdefgh")) for place in range(10)]
    spreads = []
    for seed in range(10):
        random = np.random.default_rng(seed)
        matrix = random.integers(0, 8, (400, 10)).astype(np.float64)
        data = FitData(columns, matrix, (random.random(400) < 0.3).astype(np.float64), np.arange(400))
        spreads.append(fit_naive_bayes(data).log_odds(matrix).std())
    assert np.median(spreads) < 0.1


def test_rows_of_one_lead_do_not_tell_of_each_other() -> None:
    """Each lead is asked about nine times and has a level of its own: nothing can be learnt of the next lead."""
    lead = np.repeat(np.arange(60), 9)
    target = np.repeat(np.random.default_rng(0).random(60) < 0.4, 9).astype(np.float64)
    column = ModelColumn("c", "category", "c", "c", frequent=tuple(str(place) for place in range(60)))
    alone = fit_naive_bayes(FitData([column], lead[:, None].astype(float), target, lead))
    apart = fit_naive_bayes(FitData([column], lead[:, None].astype(float), target, np.arange(len(lead))))
    assert alone.log_odds(lead[:, None].astype(float)).std() < 1e-9
    assert apart.log_odds(lead[:, None].astype(float)).std() > 0.1


def test_leads_that_count_more_say_more() -> None:
    data = copies(1, rows=4_000, seed=3)
    weighed = replace(data, importance=np.where(data.target > 0, 2.0, 0.5))
    assert fit_naive_bayes(weighed).log_odds(data.matrix).mean() > fit_naive_bayes(data).log_odds(data.matrix).mean()
