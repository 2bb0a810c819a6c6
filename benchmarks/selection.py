"""Leads that an older score had neglected: what a model says of them, beside what would become of them if worked.

Sales works the four tenths that an older score ranks highest, and of the others a share by chance. Neglect costs
1.6 in log-odds. Three models are trained: on outcomes as they are, on worked leads alone, and on those weighed by
the chance they had. Observed over expected counts the true probability of each lead of the test period if it is worked.

    python benchmarks/selection.py --seeds 1 2 3 --leads 12000
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import numpy as np

# features.py beside this file is called like the room, and must not stand in its way
sys.path[0] = str(Path(__file__).parents[1])

HORIZON = timedelta(days=60)
SECTIONS = {
    "as they are": "",
    "worked only": '\n[selection]\nworked = "worked"\n',
    "weighed": '\n[selection]\nworked = "worked"\npropensity = "propensity"\n',
}


def main() -> None:
    """Print a row for every seed and way of training."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--leads", type=int, default=12_000)
    parser.add_argument("--exploration", type=float, default=0.05)
    options = parser.parse_args()
    print(f"{'trained on':14s} {'seed':>4s} {'neglected O/E':>14s} {'others O/E':>11s} {'all O/E':>8s}")
    for seed in options.seeds:
        for name, section in SECTIONS.items():
            with tempfile.TemporaryDirectory() as home:
                found = measure(Path(home) / "crm", section, options.leads, seed, options.exploration)
            print(f"{name:14s} {seed:4d} {found[0]:14.2f} {found[1]:11.2f} {found[2]:8.2f}", flush=True)


def measure(folder: Path, section: str, leads: int, seed: int, exploration: float) -> tuple[float, float, float]:
    """Return the true conversions over those expected of leads that would be neglected, of the others, and of all."""
    from features.engine import build_features
    from features.ingest import read_tables
    from features.snapshots import build_training_snapshots
    from models.columns import encode_frame
    from project.folder import find_project
    from training.bands import make_rules
    from training.demo import write_demo_project
    from training.examples import build_examples
    from training.fitting.contenders import hold_contest
    from training.simulator.crm import simulate_crm, write_crm

    write_demo_project(folder, n_leads=100, seed=seed)
    crm = simulate_crm(leads, seed=seed, worked_share=0.4, exploration=exploration)
    write_crm(crm, folder / "data")
    settings = folder / "leads.toml"
    # the truth speaks of all leads, so here a loss counts whatever its reason
    text = settings.read_text("utf-8").replace('= "unknown"', '= "lost"')
    text = text.replace("[leads.columns]", '[leads.columns]\nworked = "rule"\npropensity = "rule"')
    settings.write_text(text + section, encoding="utf-8")
    project = find_project(folder)
    tables = read_tables(project)
    examples = build_examples(tables, project.settings, rules=make_rules(project.settings.rules))
    contest = hold_contest(examples, horizon=HORIZON, seed=seed, progress=lambda _: None)
    asked = build_training_snapshots(tables, [timedelta(0)])
    asked = asked.loc[asked["as_of"] >= np.datetime64(examples.split.final.at, "us")].reset_index(drop=True)
    frame = build_features(asked, tables, examples.catalogue)
    said = contest.chosen.probability(encode_frame(frame, contest.columns))
    truth = crm.truth.probability(asked["lead_id"], asked["as_of"], HORIZON)
    neglected = crm.leads.set_index("lead_id")["propensity"].loc[asked["lead_id"]].to_numpy() < 1.0
    return tuple(  # type: ignore[return-value]
        float(truth[rows].sum() / said[rows].sum()) for rows in (neglected, ~neglected, np.ones(len(said), dtype=bool))
    )


if __name__ == "__main__":
    main()
