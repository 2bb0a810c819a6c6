from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, logit

from features.ingest import read_tables
from models.columns import encode_frame
from models.sooner import Sooner
from project.folder import find_project
from training.bands import make_rules
from training.calibration.sooner import fit_sooner, learn_sooner, note_sooner
from training.demo import write_demo_project
from training.evaluation.sooner import tabulate_sooner
from training.examples import Examples, build_examples
from training.fitting.contenders import Contest, hold_contest
from training.simulator.crm import LeadTruth, simulate_crm, write_crm

WHOLE = timedelta(days=60)
ASKED = [timedelta(days=7), timedelta(days=30)]
LEVELS = (-1.5, 0.5)


def invent(
    conversions: int,
    *,
    seed: int,
    slope: float = 0.0,
    at_age: Sequence[float | tuple[float, float]] = (0.0,),
    each: int = 1,
) -> dict[str, Any]:
    """Conversions whose delays follow (partial) proportional odds; cells are spread evenly within themselves."""
    random = np.random.default_rng(seed)
    margin = random.normal(-2.0, 1.0, conversions)
    place = random.integers(len(at_age), size=conversions)
    moved = slope * margin[:, None] + np.array([np.broadcast_to(one, 2) for one in at_age])[place]
    cell = (random.random(conversions)[:, None] > expit(np.array(LEVELS) + moved)).sum(axis=1)
    edges = np.array([0.0, 7 / 60, 0.5, 1.0])
    delay = edges[cell] + random.random(conversions) * np.diff(edges)[cell]
    ages = np.array([0.0, 3.0, 14.0])[place]
    leads = (np.arange(conversions) // each).astype(str)
    return {"margin": margin, "delay": delay, "leads": leads, "age": ages, "age_column": "age_days"}


def fit(told: dict[str, Any], asked: list[timedelta] = ASKED) -> Sooner:
    return fit_sooner(told["margin"], told["delay"], horizons=asked, horizon=WHOLE,
                      **{name: told[name] for name in ("leads", "age", "age_column")})  # fmt: skip


def test_it_finds_the_numbers_behind_many_conversions() -> None:
    found = fit(invent(20_000, seed=1, slope=0.6, at_age=(0.5, -0.8, 0.3)))
    assert found.slope == pytest.approx(0.6, abs=0.05)
    assert found.horizons == ("7d", "30d")
    assert found.ages == (0.0, 3.0, 14.0)
    levels = np.array(found.levels) + np.array(found.at_age)
    assert levels == pytest.approx(np.array(LEVELS) + np.array([[0.5], [-0.8], [0.3]]), abs=0.12)


def test_it_finds_that_new_leads_lack_the_early_conversions_only() -> None:
    apart = ((-3.0, 0.0), (0.0, 0.2), (0.8, -0.3))
    found = fit(invent(4_000, seed=2, at_age=apart))
    levels = np.array(found.levels) + np.array(found.at_age)
    assert levels == pytest.approx(np.array(LEVELS) + np.array(apart), abs=0.25)


def test_horizons_are_not_taken_apart_where_one_shift_for_all_is_true() -> None:
    found = fit(invent(2_000, seed=6, at_age=(0.5, -0.8, 0.3)))
    assert np.abs(np.diff(found.at_age)).max() < 0.2


@pytest.mark.parametrize("seed", range(5))
def test_differences_that_chance_may_have_made_are_not_followed(seed: int) -> None:
    found = fit(invent(200, seed=seed, at_age=(0.0, 0.0, 0.0)))
    shares = found.share(np.array([-4.0, -2.0, 0.0]), np.array([0.0, 3.0, 14.0]))
    assert np.ptp(logit(shares), axis=0).max() < 0.8
    assert found.share(np.array([-2.0]), None)[0] == pytest.approx(found.pooled, abs=0.06)


def test_one_curve_for_all_is_told_of_all_alike() -> None:
    found = fit(invent(4_000, seed=3))
    assert found.slope == pytest.approx(0.0, abs=0.08)
    assert found.pooled == pytest.approx(expit(np.array(LEVELS)), abs=0.02)


def test_the_sum_of_the_shares_is_the_number_of_early_conversions() -> None:
    told = invent(600, seed=5, slope=0.8)
    found = fit(told, ASKED[1:])
    shares = found.share(told["margin"], told["age"])
    assert shares.sum() == pytest.approx((told["delay"] < 0.5).sum(), abs=0.5)


def test_a_conversion_exactly_at_the_horizon_is_not_within_it() -> None:
    told = invent(400, seed=5)
    told["delay"] = np.repeat([0.5, np.nextafter(0.5, 0.0)], [300, 100])
    assert fit(told, ASKED[1:]).pooled[0] == pytest.approx(0.25, abs=0.002)


def test_horizons_that_no_conversion_lies_between_stay_apart() -> None:
    told = invent(300, seed=2, slope=0.5, at_age=(0.2, -0.2, 0.0))
    told["delay"] = np.where(told["delay"] < 0.5, 0.01, told["delay"])
    found = fit(told, [timedelta(days=1), timedelta(days=5), timedelta(days=20), timedelta(days=59)])
    assert len(found.levels) == 4
    assert np.diff(found.levels).min() > 0


def test_the_order_of_the_horizons_and_of_the_rows_does_not_matter() -> None:
    told = invent(500, seed=7, slope=0.7, at_age=(0.5, -0.8, 0.3))
    turned = {name: value[::-1] if isinstance(value, np.ndarray) else value for name, value in told.items()}
    one, other = fit(told), fit(turned, ASKED[::-1])
    assert one.horizons == other.horizons
    assert one.levels == pytest.approx(other.levels, abs=1e-9)
    assert fit(told) == one


@pytest.mark.parametrize(("conversions", "known"), [(0, False), (19, False), (20, True), (49, True)])
def test_few_conversions_give_the_pooled_shares_or_nothing(conversions: int, known: bool) -> None:
    found = fit(invent(conversions, seed=1, slope=3.0))
    assert (found.known, found.slope, found.ages) == (known, 0.0, ())
    assert found.conversions == conversions
    if known:
        assert expit(np.array(found.levels)) == pytest.approx(found.pooled)


def test_rows_of_one_lead_are_no_more_conversions() -> None:
    assert not fit(invent(100, seed=1, each=6)).known


@pytest.mark.parametrize(
    ("conversions", "says"),
    [(12, "only 12 leads of the forward period converted, and it takes 20"), (30, "the same share"), (80, None)],
)
def test_it_says_where_conversions_are_too_few(conversions: int, says: str | None) -> None:
    notes = note_sooner(fit(invent(conversions, seed=1)))
    assert len(notes) == (says is not None)
    assert says is None or says in notes[0]
    assert note_sooner(None) == []


def test_weights_count() -> None:
    told = invent(1_000, seed=4)
    early = told["delay"] < 0.5
    found = fit_sooner(told["margin"], told["delay"], horizons=ASKED[1:], horizon=WHOLE, leads=told["leads"],
                       weight=np.where(early, 3.0, 1.0))  # fmt: skip
    assert found.pooled[0] == pytest.approx(3 * early.sum() / (3 * early.sum() + (~early).sum()), abs=0.002)


def test_the_table_counts_by_hand() -> None:
    probability = np.array([0.5, 0.25, 0.5, 0.25])
    converted = np.array([True, False, True, False])
    table = tabulate_sooner(
        "30d", probability, np.full(4, 0.5), np.full(4, 0.25), converted,
        age=np.array([0.0, 0.0, 7.0, 7.0]), leads=np.array(["a", "b", "a", "b"]), groups=np.array([0, 1, 0, 1]), seed=0,
    )  # fmt: skip
    whole = table.whole
    assert (whole.age_days, whole.leads, whole.snapshots, whole.observed, whole.expected) == (None, 2, 4, 2, 1.5)
    assert whole.ratio.value == pytest.approx(2 / 1.5)
    assert whole.pooled_ratio.value == 1.0
    assert whole.log_loss == pytest.approx(-(np.log(0.5) + np.log(0.75)) / 2)
    assert whole.log_loss_pooled == pytest.approx(-np.log(0.5))
    assert whole.log_loss_base == pytest.approx(-(np.log(0.25) + np.log(0.75)) / 2)
    assert whole.against_pooled.value == pytest.approx(whole.log_loss - whole.log_loss_pooled)
    assert [(row.age_days, row.leads, row.observed) for row in table.by_age] == [(0.0, 2, 1), (7.0, 2, 1)]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Examples, Contest, LeadTruth]:
    """A world whose base rate does not move, of 6,000 leads, with the truth behind them."""
    folder = tmp_path_factory.mktemp("sooner") / "crm"
    write_demo_project(folder, n_leads=100, seed=5)
    shutil.rmtree(folder / "data")
    crm = simulate_crm(6_000, seed=5, base_rate=0.15, drift=0.0, season=0.0, new_campaigns=False)
    write_crm(crm, folder / "data")
    settings = folder / "leads.toml"
    # every loss is one: the truth speaks of all leads
    settings.write_text(settings.read_text("utf-8").replace('= "unknown"', '= "lost"'), encoding="utf-8")
    project = find_project(folder)
    tables = read_tables(project)
    examples = build_examples(tables, project.settings, rules=make_rules(project.settings.rules))
    return examples, hold_contest(examples, horizon=WHOLE, seed=0, progress=lambda _: None), crm.truth


def said_and_true(
    simulated: tuple[Examples, Contest, LeadTruth], sooner: Sooner, place: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the model says of the test rows within a horizon, what the pooled rival says, and the truth."""
    examples, contest, truth = simulated
    test = examples.split.rows("test")
    chosen = contest.chosen
    log_odds = chosen.estimator.log_odds(encode_frame(examples.frame.iloc[test], contest.columns))
    whole = chosen.calibrator.probability(log_odds)
    age = examples.frame["age_days"].to_numpy()[test]
    snapshots = examples.snapshots.iloc[test]
    return (
        whole * sooner.share(chosen.calibrator.calibrated(log_odds), age)[:, place],
        whole * sooner.pooled[place],
        truth.probability(snapshots["lead_id"], snapshots["as_of"], ASKED[place]),
    )


def test_on_a_known_world_the_level_within_a_month_is_right_and_no_worse_than_the_pooled_rival(
    simulated: tuple[Examples, Contest, LeadTruth],
) -> None:
    sooner = learn_sooner(simulated[1], simulated[0], horizon=WHOLE, sooner=ASKED)
    assert sooner is not None
    said, pooled, true = said_and_true(simulated, sooner, 1)
    assert said.mean() == pytest.approx(true.mean(), rel=0.1)
    assert np.mean((said - true) ** 2) <= 1.01 * np.mean((pooled - true) ** 2)
    assert np.mean((said - true) ** 2) < np.mean((true.mean() - true) ** 2)


def test_it_is_learnt_before_the_test_period_only(simulated: tuple[Examples, Contest, LeadTruth]) -> None:
    examples, contest, _ = simulated
    test = examples.split.rows("test")
    snapshots = examples.snapshots.copy()
    snapshots.loc[snapshots.index[test], "delay"] = 0.99
    asked = {"horizon": WHOLE, "sooner": ASKED}
    other = learn_sooner(contest, replace(examples, snapshots=snapshots), **asked)  # type: ignore[arg-type]
    assert other == learn_sooner(contest, examples, **asked)  # type: ignore[arg-type]
    assert not set(contest.rows) & set(test)


def test_nobody_asked_means_nothing_is_learnt(simulated: tuple[Examples, Contest, LeadTruth]) -> None:
    assert learn_sooner(simulated[1], simulated[0], horizon=WHOLE, sooner=()) is None
