"""The whole training on simulated leads, whose true probabilities are known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from features.engine import build_features
from features.ingest import read_tables
from features.snapshots import build_open_snapshots
from models.columns import encode_frame
from project.errors import NotEnoughDataError
from project.folder import Project, find_project
from serving.load import load_named_model
from training.bands import make_rules
from training.demo import write_demo_project
from training.examples import build_examples
from training.fitting.contenders import hold_contest
from training.pipeline import train_model
from training.simulator.crm import simulate_crm

HORIZON = timedelta(days=60)


@dataclass(frozen=True)
class Known:
    """A test period's probabilities beside the truth, and what the calibration's numbers may cost by chance."""

    truth: NDArray[np.float64]
    raw: NDArray[np.float64]
    calibrated: NDArray[np.float64]
    cost: float


def _hold_contest(folder: Path, *, leads: int, seed: int) -> Known:
    write_demo_project(folder, n_leads=leads, seed=seed)
    settings = folder / "leads.toml"
    # the truth speaks of all leads, so here a loss counts whatever its reason
    settings.write_text(settings.read_text("utf-8").replace('= "unknown"', '= "lost"'), encoding="utf-8")
    project = find_project(folder)
    examples = build_examples(read_tables(project), project.settings, rules=make_rules(project.settings.rules))
    contest = hold_contest(examples, horizon=HORIZON, seed=seed, progress=lambda _: None)
    test = examples.split.rows("test")
    snapshots = examples.snapshots.iloc[test]
    log_odds = contest.chosen.estimator.log_odds(encode_frame(examples.frame.iloc[test], contest.columns))
    return Known(
        simulate_crm(leads, seed=seed).truth.probability(snapshots["lead_id"], snapshots["as_of"], HORIZON),
        1 / (1 + np.exp(-log_odds)),
        contest.chosen.calibrator.probability(log_odds),
        contest.chosen.calibration.cost,
    )


def _slope_against_truth(known: Known) -> float:
    """Slope of logit(truth) = a + b·logit(said), fitted by log loss: what Cox's slope is without the noise of draws."""
    from scipy import optimize, special

    margin = special.logit(known.calibrated)

    def loss(numbers: NDArray[np.float64]) -> float:
        line = numbers[0] + numbers[1] * margin
        return float(np.mean(np.logaddexp(0.0, line) - known.truth * line))

    return float(optimize.minimize(loss, np.array([0.0, 1.0])).x[1])


def _excess_log_loss(truth: NDArray[np.float64], said: NDArray[np.float64]) -> float:
    inside = np.clip(truth, 1e-12, 1 - 1e-12)
    return float(np.mean(truth * np.log(inside / said) + (1 - truth) * np.log((1 - inside) / (1 - said))))


@pytest.fixture(scope="module")
def histories(tmp_path_factory: pytest.TempPathFactory) -> list[Known]:
    """Six simulated histories: a calibration window's own luck is as large as what it mends."""
    return [_hold_contest(tmp_path_factory.mktemp(f"seed{seed}"), leads=12_000, seed=seed) for seed in range(1, 7)]


def test_calibration_harms_by_no_more_than_its_numbers_cost(histories: list[Known]) -> None:
    harm = [
        _excess_log_loss(known.truth, known.calibrated) - _excess_log_loss(known.truth, known.raw)
        for known in histories
    ]
    assert np.mean(harm) <= np.mean([known.cost for known in histories]), harm


def test_the_calibration_slope_is_close_to_one(histories: list[Known]) -> None:
    slopes = [_slope_against_truth(known) for known in histories]
    assert 0.9 < np.mean(slopes) < 1.1, slopes


def test_probabilities_know_more_than_the_base_rate(histories: list[Known]) -> None:
    for known in histories:
        base = np.full(len(known.truth), known.truth.mean())
        assert _excess_log_loss(known.truth, known.calibrated) < _excess_log_loss(known.truth, base)


def test_features_of_a_training_example_equal_those_built_at_scoring(demo: Path) -> None:
    project = find_project(demo)
    _, catalogue = load_named_model(project)
    tables = read_tables(project)
    moment = tables.observed_until
    assert moment is not None
    as_of = moment - timedelta(days=100)
    scoring = build_open_snapshots(tables, as_of)
    frame = build_features(scoring, tables, catalogue)
    # as training asks: a few of them, other order, other company
    few = scoring.iloc[::-7].reset_index(drop=True)
    again = build_features(few, tables, catalogue)
    expected = frame.set_axis(scoring["lead_id"]).loc[few["lead_id"]].reset_index(drop=True)
    assert again.equals(expected.rename_axis(None))


def _write_small_project(folder: Path, *, wins: int, leads: int) -> Project:
    rows = ["lead_id,created_at,colour", *(
        f"l{place},2024-{1 + place * 11 // leads:02d}-{1 + place % 28:02d}T00:00:00Z,{'red' if place % 3 else 'blue'}"
        for place in range(leads)
    )]  # fmt: skip
    step = leads // max(1, wins)
    won = ["lead_id,at", *(f"l{place},2024-12-31T00:00:00Z" for place in range(0, wins * step, step))]
    (folder / "leads.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "won.csv").write_text("\n".join(won) + "\n", encoding="utf-8")
    (folder / "leads.toml").write_text(
        '[leads]\nfile = "leads.csv"\nid = "lead_id"\ncreated_at = "created_at"\ncolumns = { colour = "category" }\n'
        '[stages]\nfile = "won.csv"\nlead = "lead_id"\nat = "at"\n'
        '[snapshots]\nages = ["0d"]\n[outcome]\nhorizon = "30d"\nobserved_until = 2025-06-01T00:00:00Z\n',
        encoding="utf-8",
    )
    return find_project(folder)


def test_too_little_data_is_said_and_not_trained(tmp_path: Path) -> None:
    with pytest.raises(NotEnoughDataError, match="conversions among"):
        train_model(_write_small_project(tmp_path, wins=2, leads=400), progress=lambda _: None)
