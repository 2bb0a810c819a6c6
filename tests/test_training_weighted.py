"""Figures of all leads from those that an older score had worked, on invented populations whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.special import expit, logit

from training.evaluation.evaluate import Interval, evaluate_probabilities, lift_at
from training.evaluation.ranking import auc_with_interval, gains_with_intervals
from training.evaluation.weighted import Weighted, weigh_figures
from training.report.selection_words import say_weighted


@dataclass(frozen=True)
class Population:
    """Leads of two kinds: what the model says of the first is right, of the second next to nothing that holds."""

    said: np.ndarray
    converted: np.ndarray
    chance: np.ndarray
    worked: np.ndarray


def draw(seed: int, *, leads: int, least: float = 0.1) -> Population:
    """The older score has nearly all of the first kind worked, and of the others most where the model says much."""
    random = np.random.default_rng(seed)
    margin = random.normal(-1.5, 1.2, leads)
    second = random.random(leads) < 0.6
    truth = np.where(second, expit(-2.6 - 0.1 * margin), expit(margin))
    chance = np.where(second, least + 0.3 * (margin > -1.0), 0.9)
    return Population(expit(margin), random.random(leads) < truth, chance, random.random(leads) < chance)


def weigh(people: Population, *, seed: int = 0) -> Weighted:
    rows = np.flatnonzero(people.worked)
    return weigh_figures(
        people.said[rows],
        people.converted[rows],
        base=np.full(len(rows), 0.2),
        weight=1.0 / people.chance[rows],
        leads=rows.astype(np.str_),
        groups=rows.astype(np.int64),
        seed=seed,
    )


def true_figures() -> dict[str, float]:
    """The figures of a population so large that chance is small, all of whose outcomes are known."""
    people = draw(1_000, leads=400_000)
    found = evaluate_probabilities(people.said, people.converted)
    return {
        "base_rate": found.base_rate,
        "log_loss": found.log_loss,
        "brier": found.brier,
        "auc": found.auc,
        "slope": found.calibration_slope,
        "observed_over_expected": float(people.converted.sum() / people.said.sum()),
        "lift_at_10_of_leads": lift_at(people.said, people.converted, share=0.1),
    }


TRUTH = true_figures()


def test_figures_of_worked_leads_are_wrong_and_weighted_ones_right_within_their_error() -> None:
    found = weigh(draw(1, leads=30_000))
    assert set(found.figures) == {*TRUTH, "against_base"}
    for name, truth in TRUTH.items():
        one = found.figures[name]
        error = (one.weighted.high - one.weighted.low) / 3.92
        assert abs(one.weighted.value - truth) < 3 * error, name
        # the top tenth converts about as many times as often among worked leads, by chance of this population
        assert name == "lift_at_10_of_leads" or abs(one.worked - truth) > 2.5 * error, name


def test_weighted_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    held = dict.fromkeys(TRUTH, 0)
    for seed in range(40):
        for name, one in weigh(draw(10 + seed, leads=4_000)).figures.items():
            if name in held:
                held[name] += one.weighted.low <= TRUTH[name] <= one.weighted.high
    assert all(count >= 34 for count in held.values()), held
    assert sum(held.values()) <= 40 * len(held) - 4  # they are not as wide as to hold everything


def test_reliability_and_gains_are_those_of_all_leads() -> None:
    people = draw(2, leads=30_000)
    found = weigh(people)
    assert sum(one.share for one in found.reliability) == pytest.approx(1.0)
    assert all(0.05 < one.share < 0.15 for one in found.reliability)
    edges = np.quantile(people.said, np.linspace(0, 1, 11)[1:-1])
    place = np.searchsorted(edges, people.said)
    seen = [people.converted[place == number].mean() for number in range(10)]
    assert [one.seen.value for one in found.reliability] == pytest.approx(seen, abs=0.05)
    assert sum(one.seen.low <= truth <= one.seen.high for one, truth in zip(found.reliability, seen, strict=True)) >= 8
    everybody = gains_with_intervals(
        people.said, people.converted, groups=np.arange(30_000), shares=found.gains[:, 0].copy()
    )
    assert found.gains[:, 1] == pytest.approx(everybody[:, 1], abs=0.04)


def test_a_weight_counts_as_that_many_leads() -> None:
    random = np.random.default_rng(3)
    said = np.round(expit(random.normal(-1, 1, 400)), 2)
    converted, times = random.random(400) < said, random.integers(1, 5, 400)
    again = np.repeat(np.arange(400), times)
    weighted, repeated = (
        auc_with_interval(said, converted, groups=np.arange(400), weight=times.astype(float)),
        auc_with_interval(said[again], converted[again], groups=again),
    )
    assert [*vars(weighted).values()] == pytest.approx([*vars(repeated).values()], abs=1e-9)
    shares = np.array([0.07, 0.3])
    assert gains_with_intervals(
        said, converted, groups=np.arange(400), shares=shares, weight=times.astype(float)
    ) == pytest.approx(gains_with_intervals(said[again], converted[again], groups=again, shares=shares), abs=1e-9)


def test_a_slope_counts_weights_as_leads_and_a_lead_with_many_snapshots_as_one_group() -> None:
    random = np.random.default_rng(4)
    said = expit(random.normal(-1, 1, 600))
    converted = random.random(600) < expit(0.7 * logit(said))
    names = np.arange(600).astype(np.str_)
    six = np.repeat(np.arange(600), 6)

    def slope(rows: np.ndarray) -> Interval:
        found = weigh_figures(
            said[rows], converted[rows], base=np.full(len(rows), 0.3), weight=np.ones(len(rows)), leads=names[rows],
            groups=rows, seed=0,
        )  # fmt: skip
        return found.figures["slope"].weighted

    once, often = slope(np.arange(600)), slope(six)
    assert once.value == pytest.approx(evaluate_probabilities(said, converted).calibration_slope, abs=1e-4)
    assert [*vars(once).values()] == pytest.approx([*vars(often).values()], abs=1e-6)


@pytest.mark.parametrize("steps", [2, 400])
def test_no_slope_is_told_where_those_that_converted_stand_all_above_the_others(steps: int) -> None:
    said = np.linspace(0.1, 0.6, steps)[np.arange(400) * steps // 400]
    found = weigh_figures(
        said, said > 0.5, base=np.full(400, 0.3), weight=np.ones(400), leads=np.arange(400).astype(np.str_),
        groups=np.arange(400), seed=0,
    )  # fmt: skip
    assert np.isnan(found.figures["slope"].weighted.value)
    assert np.isnan(found.figures["slope"].worked)


def test_fewer_than_a_hundred_effective_leads_have_no_figures_and_the_report_says_so() -> None:
    people = draw(5, leads=300, least=0.004)
    found = weigh(people)
    weight = 1.0 / people.chance[people.worked]
    assert found.effective == pytest.approx(weight.sum() ** 2 / (weight**2).sum())
    assert found.effective < 100 < people.worked.sum()
    assert not found.figures
    assert "fewer than 100, so no figure is given for all leads" in say_weighted(found)
    assert found.to_json()["figures"] == {}
