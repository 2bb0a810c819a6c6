"""How often the leak court catches planted leaks, and how often it condemns a clean column.

Each seed simulates a CRM, adds six leaks and five honest columns that look odd to its leads, and has all of them
tried: all together, and with `--alone` each leak by itself as well.

    .venv/bin/python benchmarks/leaks.py --seeds 20 --leads 4000
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

# features.py beside this file is called like the room, and must not stand in its way
sys.path[0] = str(Path(__file__).parents[1])

import numpy as np
import pandas as pd

from features.ingest import read_tables
from project.folder import find_project
from training.bands import make_rules
from training.demo import write_demo_project
from training.examples import build_examples
from training.leaks.court import judge_project

LEAKS = ("closed on", "why not", "state", "flag", "mails later", "contract")
HONEST = ("strong fact", "mostly empty", "random group", "random campaign", "form budget")


def main() -> None:
    """Run the benchmark and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--leads", type=int, default=4_000)
    parser.add_argument("--alone", action="store_true", help="also plant each leak by itself")
    arguments = parser.parse_args()
    plans = {"all six": LEAKS, **({leak: (leak,) for leak in LEAKS} if arguments.alone else {})}
    for name, leaks in plans.items():
        started = time.perf_counter()
        caught: Counter[str] = Counter()
        condemned: Counter[str] = Counter()
        suspected: Counter[str] = Counter()
        clean = 0
        for seed in range(1, arguments.seeds + 1):
            verdicts = try_planted(arguments.leads, seed=seed, leaks=leaks)
            caught.update(leak for leak in leaks if verdicts[leak] == "leak")
            others = {column: verdict for column, verdict in verdicts.items() if column not in LEAKS}
            clean += len(others)
            condemned.update(column for column, verdict in others.items() if verdict == "leak")
            suspected.update(column for column, verdict in others.items() if verdict == "suspicious")
        seconds = (time.perf_counter() - started) / arguments.seeds
        print(f"{name}: {arguments.seeds} seeds, {arguments.leads:,} leads, {seconds:.1f} s a seed")
        for leak in leaks:
            print(f"  {leak:14s} caught {caught[leak]:3d} of {arguments.seeds}")
        print(f"  clean columns and features condemned: {sum(condemned.values())} of {clean:,} {dict(condemned)}")
        print(f"  clean columns and features suspected: {sum(suspected.values())} of {clean:,} {dict(suspected)}")


def try_planted(leads: int, *, seed: int, leaks: tuple[str, ...]) -> dict[str, str]:
    """Return the verdict on every column of leads and accounts and on every feature of one simulated CRM."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "crm"
        write_demo_project(path, n_leads=leads, seed=seed)
        plant(path, leaks=leaks, seed=seed)
        project = find_project(path)
        tables = read_tables(project)
        examples = build_examples(tables, project.settings, rules=make_rules(project.settings.rules))
        trial = judge_project(project, tables, examples, progress=lambda _: None)
        return {one.column: one.verdict for one in trial.verdicts if one.source != "stages"}


def plant(folder: Path, *, leaks: tuple[str, ...], seed: int) -> None:
    """Add the leaks and the honest columns to `data/leads.csv`."""
    leads = pd.read_csv(folder / "data" / "leads.csv", dtype="str")
    stages = pd.read_csv(folder / "data" / "stages.csv", dtype="str")
    ends = stages[stages["stage"].isin(["won", "lost"])].drop_duplicates("lead_id").set_index("lead_id")
    end = ends.reindex(leads["lead_id"]).reset_index(drop=True)
    won, lost = (end["stage"] == "won").to_numpy(), (end["stage"] == "lost").to_numpy()
    chance, n = np.random.default_rng(1_000 + seed), len(leads)
    wrong = chance.random(n) < 0.01
    later = chance.integers(0, 3 * 86_400, n).astype("timedelta64[s]")
    closed = pd.to_datetime(end["changed_at"], format="ISO8601") + later
    planted = {
        "closed on": closed.dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "why not": pd.Series(chance.choice(["price", "timing", "rival", "no budget"], n)).where(lost),
        "state": pd.Series(np.select([won, lost], ["customer", "archive"], "in work")),
        "flag": pd.Series(np.where(won ^ wrong, "yes", "no")),
        "mails later": pd.Series(chance.poisson(np.where(won, 3.0, 0.2)).astype("str")),
        "contract": pd.Series(chance.choice(["A", "B", "C"], n)).where(chance.random(n) < np.where(won, 0.85, 0.02)),
    }
    honest = {
        # normal scores 0.95 apart have an AUC of 0.75
        "strong fact": pd.Series(np.round(chance.normal(np.where(won, 0.954, 0.0), 1.0), 3).astype("str")),
        "mostly empty": pd.Series(chance.choice(["x", "y"], n)).where(chance.random(n) < 0.2),
        "random group": pd.Series(chance.integers(0, 30, n)).map("g{}".format),
        "random campaign": pd.Series(chance.integers(0, 600, n)).map("c{}".format),
        "form budget": pd.Series(chance.choice(["1", "2"], n)).where(chance.random(n) < np.where(won, 0.45, 0.35)),
    }
    leads = leads.assign(**{name: planted[name] for name in leaks}, **honest)
    leads.to_csv(folder / "data" / "leads.csv", index=False)


if __name__ == "__main__":
    main()
