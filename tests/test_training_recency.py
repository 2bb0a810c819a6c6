"""Old leads count less where a relation reverses over time, and as much as new ones where none does."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit, logit

from features.ingest import read_tables
from project.folder import find_project
from training.examples import Examples, build_examples
from training.fitting.encode import Learnt, learn_at
from training.fitting.ladder import Plan, fit_rung, make_data
from training.fitting.recency import RecencyTrial, fade, try_recency
from training.fitting.views import settle_views
from worlds import csv_text, iso

HORIZON = timedelta(days=20)
TOML = """
[leads]
file = "leads.csv"
id = "id"
created_at = "created"
columns = { source = "category", budget = "number" }
[stages]
file = "stages.csv"
lead = "id"
at = "at"
stage = "stage"
[outcome]
horizon = "20d"
won = ["won"]
lost = ["lost"]
observed_until = 2025-07-01T00:00:00Z
[snapshots]
ages = ["0d"]
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Examples:
    """Three years of leads with a source and a budget; what became of them is drawn by `live`."""
    folder: Path = tmp_path_factory.mktemp("recency")
    random = np.random.default_rng(3)
    count = 6_000
    created = [
        datetime.fromisoformat("2022-06-01") + timedelta(seconds=int(seconds))
        for seconds in np.sort(random.integers(0, 1_080 * 86_400, count))
    ]
    leads = [
        [f"l{n}", iso(moment), f"s{random.integers(0, 4)}", f"{random.normal():.3f}"]
        for n, moment in enumerate(created)
    ]
    ends = [
        [f"l{n}", iso(moment + timedelta(days=int(random.integers(2, 18)))), random.choice(["won", "lost"])]
        for n, moment in enumerate(created)
    ]
    (folder / "leads.csv").write_text(csv_text([["id", "created", "source", "budget"], *leads]), "utf-8")
    (folder / "stages.csv").write_text(csv_text([["id", "at", "stage"], *ends]), "utf-8")
    (folder / "leads.toml").write_text(TOML, encoding="utf-8")
    project = find_project(folder)
    return build_examples(read_tables(project), project.settings, rules=())


def live(world: Examples, *, seed: int, reversing: bool) -> Examples:
    """Draw other fates: a large budget is good throughout, or good at first and bad in the end."""
    random = np.random.default_rng(seed)
    years = (world.snapshots["as_of"] - world.snapshots["as_of"].min()).to_numpy() / np.timedelta64(365, "D")
    slope = 1.2 * (1.0 - 2.0 * years / years.max()) if reversing else 0.8
    source = world.frame["source"].str[1:].astype(float)
    won = random.random(len(years)) < expit(-1.2 + slope * world.frame["budget"].to_numpy() + 0.3 * source.to_numpy())
    delay = np.where(won, random.uniform(0.1, 0.9, len(won)), np.nan)
    return replace(world, snapshots=world.snapshots.assign(converted=won, delay=delay))


def views_of(examples: Examples) -> list[Learnt]:
    return [learn_at(examples, origin, horizon=HORIZON, young=False) for origin in examples.split.origins]


def test_where_a_relation_reverses_old_leads_count_less(world: Examples) -> None:
    for seed in range(3):
        drawn = live(world, seed=seed, reversing=True)
        trial = try_recency(drawn, views_of(drawn))
        assert trial is not None
        assert trial.taken
        assert trial.gain > 0.005


def test_where_nothing_moves_old_leads_count_as_much(world: Examples) -> None:
    taken = 0
    for seed in range(12):
        drawn = live(world, seed=seed, reversing=False)
        trial = try_recency(drawn, views_of(drawn))
        assert trial is not None
        taken += trial.taken
    assert taken <= 1


def test_a_gain_below_two_errors_is_no_gain() -> None:
    assert [RecencyTrial(gain, 0.01).taken for gain in (-0.05, 0.0, 0.019, 0.02)] == [False, False, False, True]


def test_without_dates_there_is_no_trial(world: Examples) -> None:
    undated = replace(world, split=replace(world.split, kind="row_order"))
    assert try_recency(undated, views_of(world)) is None


def test_a_year_halves_what_a_row_counts_and_the_rows_count_as_many_as_before(world: Examples) -> None:
    view = fade(views_of(world)[-1], world)
    data = make_data(view, world, telling="codes")
    asked = world.snapshots["as_of"].iloc[view.rows].to_numpy()
    assert data.importance is not None
    assert data.weights.sum() == pytest.approx(len(data.target) * data.weight)
    old, new = data.importance[0], data.importance[-1]
    assert old / new == pytest.approx(0.5 ** ((asked[-1] - asked[0]) / np.timedelta64(365, "D")))


def test_what_a_row_counts_enters_every_rung(world: Examples) -> None:
    drawn = live(world, seed=1, reversing=True)
    view = views_of(drawn)[-1]
    faded = fade(view, drawn)
    assert faded.recency is not None
    rate = float(np.average(view.target, weights=faded.recency))
    assert fit_rung(faded, drawn, Plan("base_rate"), seed=0).log_odds(view.matrix[:1])[0] == pytest.approx(logit(rate))
    for plan in (Plan("naive_bayes"), Plan("logistic", strength=0.1), Plan("lightgbm", rounds=20)):
        even, new = (fit_rung(one, drawn, plan, seed=0).log_odds(view.matrix) for one in (view, faded))
        assert np.abs(even - new).max() > 0.01, plan.rung


@pytest.mark.parametrize("reversing", [True, False])
def test_views_are_faded_only_where_that_was_taken(world: Examples, reversing: bool) -> None:
    drawn = live(world, seed=0, reversing=reversing)
    views, telling = settle_views(drawn, horizon=HORIZON)
    assert telling.recency is not None
    assert telling.recency.taken == reversing
    for view in views:
        assert (make_data(view, drawn, telling="codes").importance is not None) == reversing
