"""Leads too young to know: what is lost by leaving them out, by calling them lost, and by what this project does.

A third of the leads before the test period are too young. Four models learn from the same rows: with every label as it
turned out, which nobody has; from mature leads alone; with the young counted as lost unless they have bought; and as
`leads train` does, with half-known labels and the level followed. Excess is the expected log loss on the test period
beyond the true probabilities' (x 10⁴): in a calm world, and where the base rate moves as the first young leads come in.

    python benchmarks/young.py --seeds 1 2 3 --leads 20000
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

# features.py beside this file is called like the room, and must not stand in its way
sys.path[0] = str(Path(__file__).parents[1])

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.examples import Examples
    from training.fitting.young import YoungTrial

HORIZON = timedelta(days=60)
MONTHS = 9
WORLDS = {"calm": 0.0, "base rate falls": -0.7, "base rate rises": 0.7}


def main() -> None:
    """Print a row for every world, seed and way of learning, and the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--leads", type=int, default=20_000)
    options = parser.parse_args()
    means: dict[tuple[str, str], list[float]] = defaultdict(list)
    print(f"{'world':16s} {'seed':>4s} {'labels':16s} {'excess':>7s} {'O/E':>5s}")
    for world, shock in WORLDS.items():
        for seed in options.seeds:
            with tempfile.TemporaryDirectory() as home:
                for name, excess, ratio in measure(Path(home) / "crm", options.leads, seed, shock):
                    means[world, name].append(excess)
                    print(f"{world:16s} {seed:4d} {name:16s} {excess:7.1f} {ratio:5.2f}", flush=True)
    for (world, name), values in means.items():
        share = np.mean(values) / np.mean(means[world, "all labels"])
        print(f"{world:16s} mean {name:16s} {np.mean(values):7.1f} {share:5.3f} of all labels'")


def measure(folder: Path, leads: int, seed: int, shock: float) -> list[tuple[str, float, float]]:
    """Return name, excess log loss x 10⁴ and true conversions over expected ones of every way of learning."""
    from features.ingest import read_tables
    from models.calibration import AffineCalibrator
    from models.columns import encode_frame
    from project.folder import find_project
    from training.bands import make_rules
    from training.calibration.level import shift_level
    from training.demo import write_demo_project
    from training.examples import build_examples
    from training.fitting.encode import learn_at, look_back
    from training.fitting.ladder import Plan, fit_rung
    from training.fitting.young import label_young, level_miss
    from training.simulator.crm import simulate_crm, write_crm
    from training.split import Origin

    write_demo_project(folder, n_leads=100, seed=seed)
    # the test period begins at about 0.65 of the span, the first young leads 60 days before
    crm = simulate_crm(leads, seed=seed, months=MONTHS, drift=0.0, season=0.0, shock=shock, shock_from=0.43)
    write_crm(crm, folder / "data")
    settings = folder / "leads.toml"
    settings.write_text(settings.read_text("utf-8").replace('= "unknown"', '= "lost"'), encoding="utf-8")
    project = find_project(folder)
    examples = build_examples(read_tables(project), project.settings, rules=make_rules(project.settings.rules))
    final = examples.split.final
    known, told = (
        learn_at(examples, final, horizon=HORIZON, young=False),
        learn_at(examples, final, horizon=HORIZON, young=True),
    )
    ours, _ = label_young(told, examples)
    ways = {
        "all labels": learn_at(examples, Origin(None, final.fit, final.ahead), horizon=HORIZON, young=False),
        "mature only": known,
        "young are lost": replace(told, target=told.known.converted.astype(float)),
        "ours": ours,
    }
    truth = crm.truth.probability(
        examples.snapshots["lead_id"].iloc[final.ahead], examples.snapshots["as_of"].iloc[final.ahead], HORIZON
    )
    plan = Plan("logistic", "codes", strength=0.03)
    found = []
    for name, learnt in ways.items():
        model = fit_rung(learnt, examples, plan, seed=seed)
        margin = model.log_odds(encode_frame(examples.frame.iloc[final.ahead], learnt.columns))
        if name == "ours":
            trials = _trials(examples)
            seen = look_back(examples.snapshots.iloc[final.fit], final, horizon=HORIZON, delays=told.delays)
            rows = (seen.seen > 0.0) & (seen.seen < 1.0)
            young = final.fit[rows]
            shift = shift_level(
                AffineCalibrator(0.0, 1.0),
                model.log_odds(encode_frame(examples.frame.iloc[young], learnt.columns)),
                observed=seen.converted[rows],
                seen_share=seen.seen[rows],
                leads=examples.leads[young],
                miss=level_miss(trials),
                follow=any(trial is not None for trial in trials),
            )
            margin = shift.calibrator.calibrated(margin)
        found.append((name, excess_loss(truth, 1 / (1 + np.exp(-margin))), float(truth.sum() / expit_sum(margin))))
    return found


def _trials(examples: Examples) -> list[YoungTrial | None]:
    from training.fitting.encode import learn_at
    from training.fitting.young import label_young

    origins = examples.split.origins
    return [label_young(learn_at(examples, one, horizon=HORIZON, young=True), examples)[1] for one in origins]


def expit_sum(margin: NDArray[np.float64]) -> float:
    """Return the sum of the probabilities."""
    return float(np.sum(1 / (1 + np.exp(-margin))))


def excess_loss(truth: NDArray[np.float64], said: NDArray[np.float64]) -> float:
    """Return the expected log loss beyond the truth's, x 10⁴."""
    inside = np.clip(truth, 1e-12, 1 - 1e-12)
    loss = truth * np.log(inside / said) + (1 - truth) * np.log((1 - inside) / (1 - said))
    return 1e4 * float(np.mean(loss))


if __name__ == "__main__":
    main()
