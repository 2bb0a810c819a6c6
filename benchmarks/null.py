"""How often "no skill" is said where there is none, and how often a faint signal is found.

Each seed simulates a history, asks its leads once, when they come in, and trains on it. Where fates were dealt to other
leads at random, "no skill" must be said in at least 95 of 100 seeds; a real signal with an AUC of about 0.65 must be
found. A seed that is finished is not computed again, unless the code has changed.

    python benchmarks/null.py --out null --seeds 100 --leads 1500
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

# features.py beside this file is called like the room, and must not stand in its way
sys.path[0] = str(Path(__file__).parents[1])

from benchmarks.contest import hash_rooms
from benchmarks.histories import SIMULATED, History, write_project

ENOUGH = 0.95
# At this strength a good model reaches an AUC of about 0.65 on leads that have just come in.
FAINT = 0.7


@dataclass(frozen=True)
class Said:
    """What one training said.

    Attributes
    ----------
    skill, alone
        Whether it claims skill, and whether the test period shows it without earlier forward leads.
    chosen, auc
        The model and its AUC in the test period; nan if there was too little data.
    """

    skill: bool
    chosen: str
    auc: float
    alone: bool = False


def main() -> None:
    """Train on every seed that is not done yet, and say how often skill was claimed."""
    options = _read_options()
    plans = {
        "shuffled": {"leads": options.leads, "shuffled": True},
        "faint": {"leads": options.faint_leads, "signal": FAINT},
    }
    for name in options.only:
        for rate in options.rates:
            histories = [
                History(SIMULATED, seed, rate=rate, once=True, **plans[name])
                for seed in range(1, options.seeds + 1)
            ]  # fmt: skip
            tell(name, histories[0].cell, _ask_all(histories, options.out, jobs=options.jobs))


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of what is finished")
    parser.add_argument("--only", nargs="+", choices=["shuffled", "faint"], default=["shuffled", "faint"])
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--leads", type=int, default=1_500, help="of a shuffled history")
    parser.add_argument("--faint-leads", type=int, default=2_000, help="of a history with a faint signal")
    parser.add_argument("--rates", nargs="+", type=float, default=[0.3], help="share that buys within 60 days")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at the same time, one thread each")
    return parser.parse_args()


def _ask_all(histories: list[History], out: Path, *, jobs: int) -> list[Said]:
    """Return what was said of each history; a child process per job, so that no training sees another's threads."""
    home = out / hash_rooms()
    home.mkdir(parents=True, exist_ok=True)
    missing = [history for history in histories if not (home / f"{history.key}.json").exists()]
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=_calm_threads) as pool:
        asked = {pool.submit(ask, history): history for history in missing}
        for number, done in enumerate(as_completed(asked), start=1):
            said, history = done.result(), asked[done]
            (home / f"{history.key}.json").write_text(json.dumps(vars(said)), encoding="utf-8")
            print(f"{number:4d} of {len(missing)}  seed {history.seed}: {said}", flush=True)
    return [Said(**json.loads((home / f"{history.key}.json").read_text("utf-8"))) for history in histories]


def _calm_threads() -> None:
    import os

    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def ask(history: History) -> Said:
    """Train on a history and return what it says of its skill; too little data is no claim of skill."""
    from project.errors import NotEnoughDataError
    from training.pipeline import train_model

    with tempfile.TemporaryDirectory(prefix="null-") as folder:
        project, _ = write_project(history, Path(folder) / "project")
        try:
            evidence = train_model(project, progress=lambda _: None).evidence
        except NotEnoughDataError:
            return Said(False, "not enough data", float("nan"))
    judged = evidence.judged[evidence.chosen]
    alone = bool(evidence.skill and judged.against_base.high < 0)
    return Said(bool(evidence.skill), evidence.chosen, judged.metrics.auc, alone)


def tell(name: str, cell: str, said: list[Said]) -> None:
    """Print how often the right thing was said, with its 95 % Clopper–Pearson interval."""
    import numpy as np
    from scipy import stats

    claims, seeds = sum(one.skill for one in said), len(said)
    wanted = seeds - claims if name == "shuffled" else claims
    interval = stats.binomtest(wanted, seeds).proportion_ci()
    aucs = [one.auc for one in said if one.chosen != "base_rate" and not np.isnan(one.auc)]
    words = 'said "no skill"' if name == "shuffled" else "found the signal"
    share = f"{wanted / seeds:.1%} [{interval.low:.1%}, {interval.high:.1%}]"
    print(f"\n{cell}: {words} in {wanted} of {seeds} seeds, {share}")
    print(f"  skill was claimed in {claims}, in {sum(one.alone for one in said)} of them by the test period alone")
    chosen = {model: sum(one.chosen == model for one in said) for model in sorted({one.chosen for one in said})}
    print(f"  chosen: {chosen}; mean AUC of the chosen models that are no base rate: {np.mean(aucs or [np.nan]):.3f}")
    if name == "shuffled":
        print(f"  {'enough' if wanted / seeds >= ENOUGH else 'TOO SELDOM'}: {ENOUGH:.0%} are asked for", flush=True)


if __name__ == "__main__":
    main()
