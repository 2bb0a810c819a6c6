"""Pairs of categories on simulated histories: taken where they tell much, refused where they tell nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from features.ingest import read_tables
from models.columns import encode_frame
from project.folder import find_project
from training.examples import Examples, build_examples
from training.fitting.encode import Learnt, learn_at
from training.fitting.pairs import try_pairs
from worlds import csv_text, iso

HORIZON = timedelta(days=20)
TOML = """
[leads]
file = "leads.csv"
id = "id"
created_at = "created"
columns = { source = "category", trade = "category", region = "category" }
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


def build(folder: Path, *, together: float) -> Examples:
    """Two years of leads whose source suits one trade each, by so much in log-odds; regions tell nothing."""
    random = np.random.default_rng(11)
    count = 6_000
    created = [
        datetime.fromisoformat("2023-06-01") + timedelta(seconds=int(seconds))
        for seconds in np.sort(random.integers(0, 720 * 86_400, count))
    ]
    source, trade, region = (random.integers(0, 4, count) for _ in range(3))
    won = random.random(count) < expit(-1.5 + together * (2 * (source == trade) - 0.5))
    rows = zip((f"l{n}" for n in range(count)), map(iso, created), source, trade, region, strict=True)
    named = [[a, b, f"s{c}", f"t{d}", f"r{e}"] for a, b, c, d, e in rows]
    (folder / "leads.csv").write_text(csv_text([["id", "created", "source", "trade", "region"], *named]), "utf-8")
    ends = [
        [f"l{n}", iso(moment + timedelta(days=int(random.integers(2, 18)))), "won" if one else "lost"]
        for n, (moment, one) in enumerate(zip(created, won, strict=True))
    ]
    (folder / "stages.csv").write_text(csv_text([["id", "at", "stage"], *ends]), "utf-8")
    (folder / "leads.toml").write_text(TOML, encoding="utf-8")
    project = find_project(folder)
    return build_examples(read_tables(project), project.settings, rules=())


def last_view(examples: Examples) -> Learnt:
    return learn_at(examples, examples.split.origins[-1], horizon=HORIZON, young=False)


@pytest.fixture(scope="module")
def suited(tmp_path_factory: pytest.TempPathFactory) -> Examples:
    return build(tmp_path_factory.mktemp("suited"), together=1.0)


def test_a_pair_that_tells_much_is_taken_and_the_next_leads_are_told_better(suited: Examples) -> None:
    trial = try_pairs(suited, last_view(suited), horizon=HORIZON, young=False)
    assert trial is not None
    assert trial.screened[0][:2] == ("source", "trade")
    assert ("source", "trade") in trial.taken
    assert trial.gain > 0.03


def test_pairs_that_tell_nothing_are_refused(tmp_path: Path) -> None:
    examples = build(tmp_path, together=0.0)
    trial = try_pairs(examples, last_view(examples), horizon=HORIZON, young=False)
    assert trial is not None
    assert trial.taken == ()


def test_scoring_tells_a_pair_what_training_learnt_last_and_nothing_of_one_never_seen(suited: Examples) -> None:
    learnt = learn_at(suited, suited.split.final, horizon=HORIZON, young=False, pairs=(("source", "trade"),))
    (column,) = [column for column in learnt.columns if column.crossed]
    frame = suited.frame.iloc[:50].copy()
    matrix = encode_frame(frame, learnt.columns)
    assert matrix.shape[1] == learnt.matrix.shape[1]
    assert len(np.unique(matrix[:, -1])) > 4
    names = [column.name for column in learnt.columns]
    other = next(iter(column.crossed))
    expected = [column.crossed[other][a][b] for a, b in zip(frame[column.name], frame[other], strict=True)]
    np.testing.assert_array_equal(matrix[:, -1], expected)
    frame[names[names.index(other)]] = "never seen"
    assert (encode_frame(frame, learnt.columns)[:, -1] == 0.0).all()
