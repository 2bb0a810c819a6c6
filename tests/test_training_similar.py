from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from models.interval import IntervalTable
from training.calibration.similar import build_interval_table

Truth = Callable[[np.ndarray], np.ndarray]


def right(log_odds: np.ndarray) -> np.ndarray:
    return log_odds


def too_bold(log_odds: np.ndarray) -> np.ndarray:
    """Return the true log-odds where the model says too much at both ends."""
    return 0.25 + 0.8 * log_odds


def build_rows(probability: np.ndarray, converted: np.ndarray) -> IntervalTable:
    """Build a table where every row is a lead of its own."""
    return build_interval_table(probability, converted, leads=np.arange(len(probability)).astype(str))


def covered(leads: int, *, base: float, truth: Truth, draws: int, top: float = 1.0) -> float:
    """Return how often the table holds the true conversion of leads (of the best share `top` of them) to come."""
    hits = []
    for seed in range(draws):
        random = np.random.default_rng(seed)
        log_odds = random.normal(base, 1.1, leads)
        table = build_rows(expit(log_odds), random.random(leads) < expit(truth(log_odds)))
        new = np.sort(random.normal(base, 1.1, 4_000))[-int(4_000 * top) :]
        low, high = table.bounds(expit(new))
        hits.append(((low <= expit(truth(new))) & (expit(truth(new)) <= high)).mean())
    return float(np.mean(hits))


# means over draws: one table's coverage scatters by about 0.06. With some ten conversions in a window, exact binomial
# intervals hold more than they promise, hence the 0.95
@pytest.mark.parametrize("truth", [right, too_bold])
@pytest.mark.parametrize(
    ("base", "leads", "draws", "most"),
    [(-2.9, 2_000, 40, 0.95), (-2.9, 5_000, 30, 0.93), (-2.9, 20_000, 20, 0.93), (-0.9, 2_000, 40, 0.93)],
    ids=["8 % of 2,000", "8 % of 5,000", "8 % of 20,000", "a third of 2,000"],
)
def test_nine_of_ten_intervals_hold_the_conversion_of_leads_scored_alike(
    base: float, leads: int, draws: int, most: float, truth: Truth
) -> None:
    assert 0.87 <= covered(leads, base=base, truth=truth, draws=draws) <= most


def test_the_leads_with_the_highest_probability_are_not_told_the_rate_of_lower_ones() -> None:
    assert covered(5_000, base=-2.9, truth=right, draws=30, top=0.01) > 0.8


def test_the_interval_gets_narrower_with_the_number_of_leads() -> None:
    widths = []
    for leads in (500, 5_000, 50_000):
        random = np.random.default_rng(1)
        said = expit(random.normal(-2.0, 1.0, leads))
        low, high = build_rows(said, random.random(leads) < said).bounds(np.array([0.1]))
        widths.append(float(high[0] - low[0]))
    assert widths[0] > 1.5 * widths[1] > 2.25 * widths[2]


@pytest.mark.parametrize("wins", [0, 1, 60, 199, 200])
def test_with_one_probability_for_all_it_is_the_clopper_pearson_interval(wins: int) -> None:
    table = build_rows(np.full(200, 0.3), np.arange(200) < wins)
    expected = stats.binomtest(wins, 200).proportion_ci(0.9, method="exact")
    assert table.probability == pytest.approx([0.3])
    assert (table.low[0], table.high[0]) == pytest.approx((expected.low, expected.high), abs=1e-7)


def test_a_model_that_says_too_much_is_contradicted() -> None:
    random = np.random.default_rng(2)
    log_odds = random.normal(-1.0, 1.0, 10_000)
    table = build_rows(expit(log_odds), random.random(10_000) < expit(log_odds - 1.0))
    _, high = table.bounds(np.array([0.2, 0.5]))
    assert (high < [0.2, 0.5]).all()


def test_looking_at_every_lead_six_times_says_no_more_than_looking_once() -> None:
    random = np.random.default_rng(3)
    said = expit(random.normal(-2.0, 1.0, 3_000))
    won, leads = random.random(3_000) < said, np.arange(3_000).astype(str)
    once = build_interval_table(said, won, leads=leads)
    often = build_interval_table(np.tile(said, 6), np.tile(won, 6), leads=np.tile(leads, 6))
    assert (often.leads, often.window) == (once.leads, once.window)
    places = np.array([0.05, 0.1, 0.2, 0.4])
    np.testing.assert_allclose(often.bounds(places), once.bounds(places), atol=0.004)


def test_many_rows_of_few_leads_make_wide_intervals() -> None:
    random = np.random.default_rng(4)
    said = np.clip(np.repeat(expit(random.normal(-2.0, 0.3, 60)), 50) + random.normal(0, 0.002, 3_000), 0.01, 0.9)
    won = np.repeat(random.random(60) < 0.12, 50)
    low, high = build_interval_table(said, won, leads=np.repeat(np.arange(60), 50).astype(str)).bounds(np.array([0.12]))
    alone_low, alone_high = build_rows(said, won).bounds(np.array([0.12]))
    assert high - low > 2 * (alone_high - alone_low)


def test_the_order_of_the_rows_says_nothing() -> None:
    random = np.random.default_rng(5)
    said = np.round(expit(random.normal(-2.0, 1.0, 2_000)), 2)
    won, leads = random.random(2_000) < said, (np.arange(2_000) // 2).astype(str)
    shuffled = random.permutation(2_000)
    assert build_interval_table(said, won, leads=leads) == build_interval_table(
        said[shuffled], won[shuffled], leads=leads[shuffled]
    )


@pytest.mark.parametrize("rows", [1, 2, 7])
@pytest.mark.parametrize("said", [0.0, 0.3, 1.0])
def test_a_handful_of_leads_is_told_next_to_nothing(rows: int, said: float) -> None:
    low, high = build_rows(np.full(rows, said), np.ones(rows, dtype=bool)).bounds(np.array([said]))
    assert 0.0 < low[0] < 0.7
    assert high[0] == 1.0


def test_no_leads_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        build_rows(np.empty(0), np.empty(0, dtype=bool))
