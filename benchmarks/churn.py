"""How many leads change band when nothing changed but the seed of the training, beside a rival that is not bagged.

Trains twice on the same history, with two seeds, and puts the snapshots of the test period into bands: SQL from the
probability that the first model gives its top tenth, MQL from that of its top three tenths. The rival is LightGBM with
tuned defaults, which samples rows and columns as ours does, on the same rows and features.

    python benchmarks/churn.py --worlds bpic2012 simulated --leads 20000
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np

# features.py beside this file is called like the room, and must not stand in its way
sys.path[0] = str(Path(__file__).parents[1])

SHARES = (0.7, 0.9)
RIVAL = "lightgbm_tuned"


def main() -> None:
    """Print a row for every history and pair of seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", nargs="+", default=["bpic2012", "xeducation", "simulated"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3], help="each is compared with the next")
    parser.add_argument("--leads", type=int, default=20_000)
    options = parser.parse_args()
    print(f"{'history':30s} {'seeds':>7s} {'chosen':>12s} {'snapshots':>9s} {'ours':>8s} {RIVAL:>15s} {'ratio':>6s}")
    for world in options.worlds:
        with tempfile.TemporaryDirectory() as home:
            measure(world, options.leads, options.seeds, Path(home))


def measure(world: str, leads: int, seeds: list[int], home: Path) -> None:
    """Train ours and the rival with every seed and print how many snapshots change band from one to the next."""
    from benchmarks.contest import OURS, Contest, answer_of, hold
    from benchmarks.histories import SIMULATED, History

    simulated = {"leads": leads, "rate": 0.1} if world == SIMULATED else {}
    said: dict[str, list[np.ndarray]] = {OURS: [], RIVAL: []}
    chosen = []
    for seed in seeds:
        contest = Contest(home / str(seed), Path("~/.cache/leads-benchmarks").expanduser(), 2, 60.0)
        history = History(world, seeds[0], training_seed=seed, **simulated)  # type: ignore[arg-type]
        hold(history, [RIVAL], contest, progress=lambda _: None)
        for name, answers in said.items():
            answers.append(answer_of(contest.folder(history), name)["probability"])
        chosen.append(answer_of(contest.folder(history), OURS)["chosen"])
    for place, pair in enumerate(pairwise(seeds)):
        ours, rival = (count_changed(*said[name][place : place + 2]) for name in (OURS, RIVAL))
        print(
            f"{history.cell:30s} {pair[0]:3d},{pair[1]:3d} {chosen[place]:>12s} {len(said[OURS][0]):9,d} {ours:8.2%} "
            f"{rival:15.2%} {ours / rival:6.2f}",
            flush=True,
        )


def count_changed(first: np.ndarray, second: np.ndarray) -> float:
    """Return the share of snapshots that two models put into different bands, the thresholds being the first's.

    >>> count_changed(np.arange(10) / 10, np.array([0, 1, 2, 3, 4, 5, 7, 6, 8, 9]) / 10)
    0.2
    """
    edges = np.quantile(first, SHARES)
    return float(np.mean(np.searchsorted(edges, first, "right") != np.searchsorted(edges, second, "right")))


if __name__ == "__main__":
    main()
