"""Shorter horizons told by one model: whether the level is right, and whether one share for all leads is as good.

For every history and shorter horizon, on the test period: conversions over expected ones, log loss beside that of the
base rate and of the simple rival (the same probability times one share for all leads), and for simulated histories the
mean said over the true mean, and the mean squared distance from the truth (x 10⁴) of the model and of the rival.

    python benchmarks/sooner.py --worlds bpic2012 olist_funnel simulated --seeds 1 --leads 4000
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

# features.py beside this file is called like the room, and must not stand in its way
sys.path[0] = str(Path(__file__).parents[1])

if TYPE_CHECKING:
    from models.lead_model import LeadModel
    from training.examples import Examples
    from training.simulator.crm import LeadTruth

ASKED = (7, 14, 30)


def main() -> None:
    """Print a row for every history and horizon."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", nargs="+", default=["bpic2012", "olist_funnel", "simulated"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--leads", type=int, default=4_000)
    options = parser.parse_args()
    print(
        f"{'history':28s} {'within':>6s} {'O/E':>17s} {'log loss':>8s} {'base':>7s} {'1 share':>9s} {'gap x 10⁴':>14s}"
    )
    for world in options.worlds:
        for seed in options.seeds:
            with tempfile.TemporaryDirectory() as home:
                measure(world, seed, options.leads, Path(home) / "crm")


def measure(world: str, seed: int, leads: int, folder: Path) -> None:
    """Train on one history and print what came of it."""
    from benchmarks.histories import SIMULATED, History, write_project
    from features.ingest import read_tables
    from models.bands import BandPolicy
    from models.lead_model import LeadModel
    from training.bands import make_rules
    from training.calibration.sooner import learn_sooner
    from training.evaluation.sooner import judge_sooner
    from training.examples import build_examples
    from training.fitting.contenders import hold_contest

    history = History(world, seed, leads if world == SIMULATED else 0, 0.1)
    project, crm = write_project(history, folder)
    settings, horizon = project.settings, project.settings.outcome.horizon
    examples = build_examples(read_tables(project), settings, rules=make_rules(settings.rules))
    contest = hold_contest(examples, horizon=horizon, seed=seed, progress=lambda _: None)
    asked = [timedelta(days=days) for days in ASKED if timedelta(days=days) < horizon]
    sooner = learn_sooner(contest, examples, horizon=horizon, sooner=asked)
    chosen = contest.chosen
    model = LeadModel(
        contest.columns, chosen.estimator, chosen.calibrator, BandPolicy(0.3, 0.1), {}, sooner=sooner
    )  # the bands have no part in it
    test = examples.split.rows("test")
    base = np.full(len(test), contest.contenders[0].forward_probability.mean())
    raw = model.log_odds(examples.frame.iloc[test])
    for table in judge_sooner(model, examples, test, raw, base=base, horizon=horizon, seed=seed):
        whole = table.whole
        print(
            f"{history.key:28s} {table.horizon:>6s} {whole.ratio.value:5.2f} [{whole.ratio.low:.2f}, "
            f"{whole.ratio.high:.2f}] {whole.log_loss:8.4f} {whole.log_loss_base:7.4f} {whole.log_loss_pooled:9.4f} "
            f"{1e4 * whole.against_pooled.value:+7.1f} [{1e4 * whole.against_pooled.low:+.1f}, "
            f"{1e4 * whole.against_pooled.high:+.1f}]{compare(model, examples, crm, table.horizon)}",
            flush=True,
        )


def compare(model: LeadModel, examples: Examples, crm: object, horizon: str) -> str:
    """Say how far from the truth the model and its rival are, if the truth is known."""
    from models.sooner import column_of
    from project.duration import parse_duration
    from training.simulator.crm import SimulatedCrm

    if not isinstance(crm, SimulatedCrm) or model.sooner is None:
        return ""
    return _compare(model, examples, crm.truth, column_of(horizon), parse_duration(horizon))


def _compare(model: LeadModel, examples: Examples, truth: LeadTruth, column: str, length: timedelta) -> str:
    assert model.sooner is not None
    test = examples.split.rows("test")
    frame, snapshots = examples.frame.iloc[test], examples.snapshots.iloc[test]
    true = truth.probability(snapshots["lead_id"], snapshots["as_of"], length)
    said = model.within(frame, model.log_odds(frame))[column]
    rival = model.probability(frame) * model.sooner.pooled[model.sooner_columns.index(column)]
    errors = [1e4 * float(np.mean((one - true) ** 2)) for one in (said, rival)]
    return f"  said/true {said.mean() / true.mean():.3f}, squared error {errors[0]:.2f}, one share {errors[1]:.2f}"


if __name__ == "__main__":
    main()
