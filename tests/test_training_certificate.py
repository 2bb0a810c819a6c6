from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from training.evaluation.certificate import THRESHOLDS, Certificate, certify_precision

TARGET = 0.3
BASE, SPREAD = -3.31, 1.46  # the mean probability is 7.5 %; the best band at a target of a half holds 2.9 %


def certify_rows(probability: np.ndarray, converted: np.ndarray, **how: float) -> Certificate:
    """Certify where every row is a lead of its own."""
    leads = np.arange(len(probability)).astype(str)
    return certify_precision(probability, converted, leads=leads, **{"target": TARGET, **how})


def two_groups(*, above: int, wins: int, below: int = 400) -> Certificate:
    """Certify leads at 0.6, so many of them won, over leads at 0.1 that never convert."""
    probability = np.repeat([0.6, 0.1], [above, below])
    return certify_rows(probability, np.arange(above + below) < wins)


@pytest.fixture(scope="module")
def population() -> tuple[np.ndarray, np.ndarray]:
    """Return each threshold's true share and precision, of half a million leads that convert as said."""
    said = expit(np.random.default_rng(0).normal(BASE, SPREAD, 500_000))
    above = said[:, None] >= np.array(THRESHOLDS)
    return above.mean(axis=0), (said[:, None] * above).sum(axis=0) / np.maximum(above.sum(axis=0), 1)


@pytest.fixture(scope="module", params=[(5_000, 0.70), (20_000, 0.85)], ids=["5,000 leads", "20,000 leads"])
def repeated(request: pytest.FixtureRequest) -> tuple[list[float | None], float]:
    """Return the thresholds of 500 certificates, and what share of the best band they ought to keep."""
    leads, kept = request.param
    thresholds = []
    for seed in range(500):
        random = np.random.default_rng(seed)
        said = expit(random.normal(BASE, SPREAD, leads))
        won = random.random(leads) < said
        thresholds.append(certify_precision(said, won, leads=np.arange(leads), target=TARGET).threshold)
    return thresholds, kept


def test_a_certificate_is_broken_in_five_percent_of_periods_at_most(
    repeated: tuple[list[float | None], float], population: tuple[np.ndarray, np.ndarray]
) -> None:
    # 500 periods with a true rate of exactly 5 % show more than 33 broken ones with a chance of 4 %
    _, precision = population
    broken = sum(precision[THRESHOLDS.index(found)] < TARGET for found in repeated[0] if found is not None)
    assert broken <= stats.binom.isf(0.05, 500, 0.05)


def test_a_certificate_keeps_most_of_the_best_possible_band(
    repeated: tuple[list[float | None], float], population: tuple[np.ndarray, np.ndarray]
) -> None:
    share, precision = population
    best = share[precision >= TARGET].max()
    kept = [share[THRESHOLDS.index(found)] / best if found is not None else 0.0 for found in repeated[0]]
    assert np.mean(kept) >= repeated[1]


def test_the_lowest_threshold_that_seems_good_enough_breaks_its_word_far_more_often(
    population: tuple[np.ndarray, np.ndarray],
) -> None:
    _, precision = population
    broken = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        said = expit(random.normal(BASE, SPREAD, 5_000))
        won = random.random(5_000) < said
        seems = [won[said >= threshold].mean() >= TARGET for threshold in THRESHOLDS if (said >= threshold).sum() >= 50]
        tried = [place for place, threshold in enumerate(THRESHOLDS) if (said >= threshold).sum() >= 50]
        broken += precision[tried[np.flatnonzero(seems)[-1]]] < TARGET
    assert broken > 40


@pytest.mark.parametrize("rate", [0.05, 0.29])
def test_leads_that_never_reach_the_target_are_hardly_ever_certified(rate: float) -> None:
    random = np.random.default_rng(4)
    certified = 0
    for _ in range(300):
        won = random.random(2_000) < rate
        certified += certify_rows(random.random(2_000), won).threshold is not None
    assert certified <= stats.binom.isf(0.01, 300, 0.05)


@pytest.mark.parametrize("wins", [20, 21, 22, 23, 24, 25])
def test_the_proof_is_the_one_sided_binomial_test(wins: int) -> None:
    expected = stats.binomtest(wins, 50, TARGET, alternative="greater").pvalue <= 0.05
    assert (two_groups(above=50, wins=wins).threshold is not None) == expected


def test_forty_nine_leads_prove_nothing_however_many_converted() -> None:
    assert two_groups(above=49, wins=49).threshold is None
    assert two_groups(above=50, wins=50).threshold == 0.6


def test_of_thresholds_with_the_same_leads_above_the_strictest_is_given() -> None:
    found = two_groups(above=100, wins=60, below=900)
    assert (found.threshold, found.leads, found.share, found.precision) == (0.6, 100, 0.1, 0.6)


def test_a_lead_on_the_threshold_belongs_to_the_band() -> None:
    for percent in range(2, 96):
        probability = np.repeat([percent / 100, 0.0], 200)
        assert certify_rows(probability, np.arange(400) < 150).threshold == percent / 100


def test_a_failure_ends_the_sequence_even_if_looser_thresholds_would_pass() -> None:
    probability = np.repeat([0.9, 0.5], [100, 1_000])
    converted = np.concatenate([np.arange(100) < 10, np.arange(1_000) < 900])
    assert certify_rows(probability, converted).threshold is None


def test_a_lead_counts_once_with_the_highest_probability_it_reached() -> None:
    said, won = np.repeat([0.6, 0.1], [60, 240]), np.arange(300) < 40
    once = certify_rows(said, won)
    often = certify_precision(
        np.concatenate([said / 2, said, said / 3]),
        np.concatenate([np.zeros(300, dtype=bool), np.zeros(300, dtype=bool), won]),
        leads=np.tile(np.arange(300).astype(str), 3),
        target=TARGET,
    )
    assert often == once
    assert once.leads == 60


def test_bands_share_the_chance_of_error() -> None:
    # 50 leads and 21 wins: p = 0.048
    said, won = np.repeat([0.6, 0.1], [50, 400]), np.arange(450) < 21
    assert certify_rows(said, won).threshold == 0.6
    shared = certify_rows(said, won, bands=2)
    assert shared.threshold is None
    assert shared.alpha == 0.025


def test_the_order_of_the_rows_says_nothing() -> None:
    random = np.random.default_rng(5)
    said = expit(random.normal(BASE, SPREAD, 3_000))
    won, leads = random.random(3_000) < said, np.arange(3_000).astype(str)
    shuffled = random.permutation(3_000)
    assert certify_precision(said, won, leads=leads, target=TARGET) == certify_precision(
        said[shuffled], won[shuffled], leads=leads[shuffled], target=TARGET
    )


def test_so_many_more_leads_as_it_asks_for_suffice_in_about_four_of_five_cases() -> None:
    found = two_groups(above=50, wins=20)
    assert found.threshold is None
    assert found.precision == 0.4
    assert found.needed is not None
    above = round((450 + found.needed) * 50 / 450)
    wins = np.random.default_rng(6).binomial(above, 0.4, 400)
    proved = np.mean([two_groups(above=above, wins=int(number)).threshold is not None for number in wins])
    assert 0.7 < proved < 0.9


def test_where_no_threshold_shows_the_target_more_leads_are_not_promised_to_help() -> None:
    found = two_groups(above=200, wins=30)
    assert found.threshold is None
    assert found.needed is None


@pytest.mark.parametrize("rows", [0, 1, 30])
def test_a_handful_of_leads_gives_an_answer_without_a_threshold(rows: int) -> None:
    found = certify_rows(np.full(rows, 0.5), np.ones(rows, dtype=bool))
    assert found.threshold is None
    assert (found.needed is not None) == (rows >= 20)


@pytest.mark.parametrize("wrong", [{"target": 0.0}, {"target": 1.0}, {"alpha": 0.0}])
def test_targets_and_chances_of_error_must_be_shares(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        certify_rows(np.full(60, 0.5), np.ones(60, dtype=bool), **wrong)
