from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from training.evaluation.slices import (
    Likeness,
    Partition,
    SliceTable,
    adjust_p_values,
    distinct_slices,
    measure_likeness,
    tabulate_slices,
)

APART = Likeness(0.0, 0.0)


def tabulate(place: np.ndarray, probability: np.ndarray, converted: np.ndarray) -> SliceTable:
    """One row a lead, ten slices at most."""
    rows = np.arange(len(place))
    names = tuple(f"s{number}" for number in range(10))
    return tabulate_slices(
        Partition("kind", names, place), probability, converted, leads=rows, groups=rows, likeness=APART
    )


def test_a_slice_by_hand() -> None:
    place = np.array([3] * 50 + [1] * 10)
    converted = np.concatenate([np.arange(50) < 7, np.arange(10) < 0])
    small, large = tabulate(place, np.full(60, 0.1), converted).slices
    assert (large.name, large.rows, large.leads, large.observed) == ("s3", 50, 50, 7.0)
    assert large.expected == pytest.approx(5.0)
    assert large.ratio.value == pytest.approx(1.4)
    # Poisson in units of variance / expected = 1 − p
    unit = 0.9
    assert large.ratio.low == pytest.approx(stats.chi2.ppf(0.025, 2 * 7 / unit) / 2 * unit / 5)
    assert large.ratio.high == pytest.approx(stats.chi2.ppf(0.975, 2 * (7 / unit + 1)) / 2 * unit / 5)
    assert (small.name, small.ratio.value, small.ratio.low) == ("s1", 0.0, 0.0)
    assert small.ratio.high == pytest.approx(-math.log(0.025) * unit)
    assert small.p_value == pytest.approx(min(1.0, 2 * math.exp(-1 / unit)))


def test_slices_of_two_kinds_that_hold_the_same_rows_are_told_once() -> None:
    place, converted = np.array([0] * 30 + [1] * 30), np.arange(60) % 9 == 0
    first = tabulate(place, np.full(60, 0.1), converted)
    other = tabulate(np.where(np.arange(60) == 59, 2, place), np.full(60, 0.1), converted)
    assert [one.name for _, one in distinct_slices([first, other])] == ["s0", "s1", "s1", "s2"]
    assert [one.name for _, one in distinct_slices([first, first])] == ["s0", "s1"]


def test_whole_conversions_have_poissons_p_value() -> None:
    # probabilities so small that the unit is one conversion
    table = tabulate(
        np.repeat([0, 1], 40_000), np.full(80_000, 1e-4), np.isin(np.arange(80_000), [1, 2, 3, 4, 5, 6, 7, 8, 9])
    )
    first, second = table.slices
    assert first.p_value == pytest.approx(2 * stats.poisson.sf(8, 4), rel=1e-3)
    assert second.p_value == pytest.approx(2 * stats.poisson.cdf(0, 4), rel=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_adjusted_p_values_mark_what_benjamini_and_hochberg_mark(seed: int) -> None:
    random = np.random.default_rng(seed)
    p_values = np.concatenate([random.random(30), random.random(10) * 0.005])
    adjusted = adjust_p_values(p_values)
    np.testing.assert_allclose(adjusted, stats.false_discovery_control(p_values), rtol=1e-12)
    ranked = np.sort(p_values)
    passing = np.flatnonzero(ranked <= 0.05 * np.arange(1, 41) / 40)
    assert (adjusted < 0.05).sum() == (passing.max() + 1 if len(passing) else 0)


def world(
    seed: int, *, spread: float, leads: int = 1_200
) -> tuple[Partition, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Ten slices from large to tiny, one to five rows a lead that stand or fall together; slices differ by `spread`."""
    random = np.random.default_rng(500 + seed)
    lead = np.repeat(np.arange(leads), random.integers(1, 6, leads))
    size = np.array([0.3, 0.2, 0.15, 0.1, 0.1, 0.05, 0.04, 0.03, 0.02, 0.01])
    place = random.choice(10, leads, p=size)[lead]
    probability = expit(random.normal(-2.3, 1.0, leads)[lead])
    truth = np.clip(probability * np.exp(random.normal(0, spread, 10))[place], 0, 1)
    converted = random.random(leads)[lead] < truth
    return Partition("kind", tuple("abcdefghij"), place), probability, converted, lead, truth


@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_intervals_cover_the_truth(spread: float) -> None:
    own, pooled, marked = [], [], []
    for seed in range(120):
        partition, probability, converted, lead, truth = world(seed, spread=spread)
        likeness = measure_likeness(probability, converted, leads=lead, groups=lead)
        table = tabulate_slices(partition, probability, converted, leads=lead, groups=lead, likeness=likeness)
        for one in table.slices:
            inside = partition.place == partition.names.index(one.name)
            ratio = truth[inside].sum() / probability[inside].sum()
            own.append(one.ratio.low <= ratio <= one.ratio.high)
            pooled.append(one.pooled.low <= ratio <= one.pooled.high)
        marked.append(any(one.off for one in table.slices))
    assert 0.94 <= np.mean(own) <= 0.99
    assert np.mean(pooled) >= 0.92
    if spread == 0:
        assert np.mean(marked) <= 0.1


def test_borrowing_brings_slices_closer_to_the_truth() -> None:
    gaps = []
    for seed in range(30):
        partition, probability, converted, lead, truth = world(seed, spread=0.3)
        table = tabulate_slices(partition, probability, converted, leads=lead, groups=lead, likeness=Likeness(1.0, 0.0))
        for one in table.slices:
            inside = partition.place == partition.names.index(one.name)
            ratio = truth[inside].sum() / probability[inside].sum()
            gaps.append([(one.ratio.value - ratio) ** 2, (one.pooled.value - ratio) ** 2])
    alone, borrowed = np.sqrt(np.mean(gaps, axis=0))
    assert borrowed < 0.7 * alone


@pytest.mark.parametrize("seed", range(20))
def test_the_borrowed_ratio_lies_between_that_of_the_slice_and_the_overall_one(seed: int) -> None:
    partition, probability, converted, lead, _ = world(seed, spread=0.5, leads=300)
    table = tabulate_slices(partition, probability, converted, leads=lead, groups=lead, likeness=Likeness(0.9, 0.0))
    for one in table.slices:
        low, high = sorted((one.ratio.value, table.overall))
        assert low - 1e-12 <= one.pooled.value <= high + 1e-12
        assert one.pooled.low <= one.pooled.value <= one.pooled.high


def test_a_larger_slice_borrows_less() -> None:
    place = np.concatenate([np.repeat(np.arange(8), 1_000), np.full(20, 8)])
    rates = np.append(np.array([0.05, 0.15, 0.08, 0.12, 0.06, 0.14, 0.1, 0.1]), 0.15)
    order = np.concatenate([np.arange(1_000)] * 8 + [np.arange(20)])
    converted = order < np.round(rates[place] * np.append(np.full(8, 1_000), 20)[place])
    table = tabulate(place, np.full(len(place), 0.1), converted)
    large, small = table.slices[1], table.slices[8]
    assert (large.ratio.value, small.ratio.value) == pytest.approx((1.5, 1.5))
    assert table.spread == pytest.approx(np.std(np.log(rates[:8] / 0.1)), rel=0.3)
    assert abs(large.pooled.value - 1.5) < 0.05
    assert small.pooled.value - table.overall < 0.3 * (1.5 - table.overall)


def test_slices_that_differ_by_chance_only_borrow_everything() -> None:
    place = np.repeat(np.arange(5), 100)
    table = tabulate(place, np.full(500, 0.1), np.tile(np.arange(100) < 11, 5))
    assert table.spread == 0.0
    assert [one.pooled.value for one in table.slices] == pytest.approx([1.1] * 5)


def test_likeness_is_that_of_the_leads() -> None:
    random = np.random.default_rng(0)
    lead = np.repeat(np.arange(4_000), 4)
    probability = expit(random.normal(-1, 1, 4_000))[lead]
    together = random.random(4_000)[lead] < probability
    apart = random.random(16_000) < probability
    found = [measure_likeness(probability, won, leads=lead, groups=lead // 2) for won in (together, apart)]
    assert (found[0].lead, found[1].lead) == pytest.approx((1.0, 0.0), abs=0.05)
    assert (found[0].group, found[1].group) == pytest.approx((0.0, 0.0), abs=0.05)
    account = np.repeat(random.random(2_000), 8) < probability
    assert measure_likeness(probability, account, leads=lead, groups=lead // 2).group > 0.5
    assert measure_likeness(probability, apart, leads=np.arange(16_000), groups=np.arange(16_000)) == APART


def test_rows_of_one_lead_widen_the_interval_as_if_there_were_one() -> None:
    probability, converted = np.full(600, 0.1), np.repeat(np.arange(100) < 15, 6)
    lead = np.repeat(np.arange(100), 6)
    partition = Partition("kind", ("all",), np.zeros(600, dtype=np.intp))
    (six,) = tabulate_slices(
        partition, probability, converted, leads=lead, groups=lead, likeness=Likeness(1.0, 1.0)
    ).slices
    (once,) = tabulate(np.zeros(100, dtype=np.intp), probability[::6], converted[::6]).slices
    assert (six.rows, six.leads) == (600, 100)
    assert (six.ratio.low, six.ratio.high) == pytest.approx((once.ratio.low, once.ratio.high), rel=1e-9)
    assert six.p_value == pytest.approx(once.p_value, rel=1e-9)


def test_without_a_conversion_there_still_is_a_table() -> None:
    table = tabulate(np.repeat([0, 1], 30), np.full(60, 0.05), np.zeros(60, dtype=bool))
    assert table.overall == 0.0
    for one in table.slices:
        assert one.ratio.value == 0.0
        assert 0 < one.pooled.low <= one.pooled.value <= one.pooled.high < math.inf
