"""Young leads: what they are given for a label, and what earlier moments say of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from features.ingest import read_tables
from project.folder import find_project
from training.bands import make_rules
from training.demo import write_demo_project
from training.examples import Examples, build_examples
from training.fitting.encode import Learnt, learn_at
from training.fitting.young import YoungTrial, label_young, level_miss, they_help

HORIZON = timedelta(days=60)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Examples:
    folder: Path = tmp_path_factory.mktemp("young") / "crm"
    write_demo_project(folder, n_leads=5_000, seed=4)
    project = find_project(folder)
    return build_examples(read_tables(project), project.settings, rules=make_rules(project.settings.rules))


@pytest.fixture(scope="module")
def told(examples: Examples) -> Learnt:
    return learn_at(examples, examples.split.final, horizon=HORIZON, young=True)


def test_what_is_known_stays_and_the_young_get_less_the_longer_nothing_came(examples: Examples, told: Learnt) -> None:
    labelled, _ = label_young(told, examples)
    known = told.known
    young = ~known.converted & (known.seen < 1.0)
    assert 0.05 < young.mean() < 0.5
    np.testing.assert_array_equal(labelled.target[~young], known.converted[~young])
    assert ((labelled.target[young] > 0.0) & (labelled.target[young] < 1.0)).all()
    fresh, watched = (labelled.target[young & part].mean() for part in (known.seen < 0.3, known.seen > 0.8))
    assert fresh > 2 * watched


def test_young_labels_add_up_to_about_what_came_later(examples: Examples, told: Learnt) -> None:
    labelled, _ = label_young(told, examples)
    young = ~told.known.converted & (told.known.seen < 1.0)
    later = examples.converted[told.rows][young]
    assert labelled.target[young].sum() == pytest.approx(later.sum(), rel=0.3)


def test_nothing_that_came_later_enters_a_label(examples: Examples, told: Learnt) -> None:
    """Other fates after the moment, same labels."""
    first, _ = label_young(told, examples)
    other = examples.snapshots.copy()
    unseen = ~told.known.converted & (told.known.seen < 1.0)
    other.loc[told.rows[unseen], "converted"] = ~other.loc[told.rows[unseen], "converted"]
    changed = replace(examples, snapshots=other)
    again, _ = label_young(told, changed)
    np.testing.assert_array_equal(first.target, again.target)


def test_without_young_leads_there_is_nothing_to_make_up(examples: Examples) -> None:
    known = learn_at(examples, examples.split.final, horizon=HORIZON, young=False)
    labelled, trial = label_young(known, examples)
    assert trial is None
    assert labelled is known


def test_the_last_origin_that_could_tell_decides_whether_they_help() -> None:
    assert not they_help([None, None])
    assert they_help([YoungTrial(-0.1, 0.0, 0.0), YoungTrial(0.2, 0.0, 0.0), None])
    assert not they_help([YoungTrial(0.3, 0.0, 0.0), YoungTrial(-0.1, 0.0, 0.0)])


def test_the_miss_of_levels_is_that_of_the_origins_beside_a_usual_one() -> None:
    assert level_miss([None]) == pytest.approx(0.25)
    calm = level_miss([YoungTrial(0.0, 0.1, 0.1)] * 30)
    wild = level_miss([YoungTrial(0.0, 0.5, -0.3)] * 30)
    assert calm < 0.1
    assert wild == pytest.approx(0.78, abs=0.03)
