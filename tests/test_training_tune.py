"""The search for better trees: it ends in time, goes on where it stopped, and needs other leads to agree."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import count
from pathlib import Path

import optuna
import pytest

from features.ingest import read_tables
from project.folder import find_project
from training.bands import make_rules
from training.demo import write_demo_project
from training.examples import Examples, build_examples
from training.fitting.boost import boosting_parameters
from training.fitting.encode import Learnt, learn_at
from training.fitting.tune import Tuning, tune_trees


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Examples, list[Learnt]]:
    folder = tmp_path_factory.mktemp("tuned") / "crm"
    write_demo_project(folder, n_leads=2_500, seed=5)
    project = find_project(folder)
    examples = build_examples(read_tables(project), project.settings, rules=make_rules(project.settings.rules))
    learnt = [
        learn_at(examples, origin, horizon=timedelta(days=60), young=False, most=4_000)
        for origin in examples.split.origins
    ]
    return examples, learnt


def ticking() -> Callable[[], float]:
    """A clock on which a second passes with every look."""
    moments = count()
    return lambda: float(next(moments))


def tries(file: Path) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name="one", storage=f"sqlite:///{file}").trials


def test_it_ends_in_time_begins_with_the_usual_and_goes_on_where_it_stopped(
    world: tuple[Examples, list[Learnt]], tmp_path: Path
) -> None:
    examples, learnt = world
    file, said = tmp_path / "state" / "tuning.db", []
    tune_trees(examples, learnt, Tuning(9.0, file, "one", ticking()), seed=0, progress=said.append)
    first = tries(file)
    assert 2 <= len(first) <= 9
    assert first[0].params == pytest.approx(
        {"num_leaves": 15, "feature_fraction": 0.5, "lambda_l2": 5.0, "leaf": 1.0, "bagging_fraction": 0.75}
    )
    assert any("tries, best log loss" in line for line in said)
    assert "on other leads" in said[-1]
    tune_trees(examples, learnt, Tuning(9.0, file, "one", ticking()), seed=0, progress=said.append)
    again = tries(file)
    assert len(again) > len(first)
    assert [trial.params for trial in again[: len(first)]] == [trial.params for trial in first]
    assert again[len(first)].params != first[1].params


def test_one_earlier_moment_is_not_enough_to_tell_luck_from_gain(
    world: tuple[Examples, list[Learnt]], tmp_path: Path
) -> None:
    examples, learnt = world
    said: list[str] = []
    tuning = Tuning(9.0, tmp_path / "tuning.db", "one", ticking())
    assert tune_trees(examples, learnt[-1:], tuning, seed=0, progress=said.append) == ()
    assert "left out" in said[0]
    assert not tuning.file.exists()


def test_tuned_parameters_replace_the_usual_ones_and_a_leaf_needs_so_many_times_as_many_rows() -> None:
    usual = boosting_parameters(30_000, inputs=10, seed=1)
    tuned = boosting_parameters(30_000, inputs=10, seed=1, tuned=(("leaf", 2.0), ("num_leaves", 31.0)))
    assert tuned["num_leaves"] == 31
    assert isinstance(tuned["num_leaves"], int)
    assert tuned["min_data_in_leaf"] == 2 * int(usual["min_data_in_leaf"])  # type: ignore[call-overload]
    assert {key for key in usual if usual[key] != tuned[key]} == {"num_leaves", "min_data_in_leaf"}
    assert "leaf" not in tuned
