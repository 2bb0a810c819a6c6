"""How good the probabilities are, forward in time, beside what one could use instead; side by side in one run.

Worlds: three real histories, and the simulator at several sizes, shares of positives, with and without drift. Every
contender learns from the same rows before the test period, sees the same features, has the same number of threads, and
is judged on the same rows of the test period. On simulated histories the true probabilities are known: `excess` is the
expected log loss beyond theirs. Part of it nobody can save, since intent is hidden; `beyond records` is what is left
over a perfect reader of the same records. A cell that is finished is not computed again.

    python benchmarks/quality.py --out quality --worlds simulated --sizes 2000 20000 --seeds 1 2 3

CatBoost and AutoGluon are not in the project's lock: each gets an environment of its own under `--cache`.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# features.py beside this file is called like the room, and must not stand in its way
sys.path[0] = str(Path(__file__).parents[1])

from benchmarks.contest import OURS, Contest, hold, train_ours
from benchmarks.histories import REAL, REAL_DATA, SIMULATED, History
from benchmarks.rivals import RIVALS

BASE = "base_rate"
SIZES, RATES = (2_000, 20_000, 100_000), (0.03, 0.10, 0.30)
DRIFTS = {"still": False, "drift": True}


def main() -> None:
    """Hold every contest that is not held yet, then judge all of them."""
    options = _read_options()
    contest = Contest(
        options.out.resolve(), options.cache.expanduser().resolve(), options.threads, options.time_limit,
        tuple(options.again),
    )  # fmt: skip
    if options.train_ours:
        train_ours(History(**json.loads(options.train_ours)), contest)
        return
    histories = _plan(options)
    wanted = {BASE, *options.contenders} - set(options.without)
    rivals = [name for name in RIVALS if name in wanted]
    _hold_all(histories, rivals, contest, jobs=options.jobs)
    _tell(histories, [OURS, *rivals], contest)


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [OURS, *RIVALS]
    parser.add_argument("--out", type=Path, required=True, help="folder of the tables, and of what is finished")
    parser.add_argument("--worlds", nargs="+", choices=[*REAL, SIMULATED], default=[*REAL, SIMULATED])
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), help="leads of a simulated history")
    parser.add_argument("--rates", nargs="+", type=float, default=list(RATES), help="share that buys within 60 days")
    parser.add_argument("--drifts", nargs="+", choices=list(DRIFTS), default=list(DRIFTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--contenders", nargs="+", choices=names, default=names, help="ours and base_rate always")
    parser.add_argument("--without", nargs="+", choices=names, default=[])
    parser.add_argument("--again", nargs="+", choices=names, default=[], help="compute these once more")
    parser.add_argument("--jobs", type=int, default=1, help="histories at the same time")
    parser.add_argument("--threads", type=int, default=2, help="of each contender, the same for all")
    parser.add_argument("--time-limit", type=float, default=300.0, help="seconds that AutoGluon may fit")
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/leads-benchmarks"), help="of the environments")
    parser.add_argument("--train-ours", help=argparse.SUPPRESS)
    return parser.parse_args()


def _plan(options: argparse.Namespace) -> list[History]:
    """Return all histories asked for, the small ones first; a real history that is not here is said and left out."""
    worlds = []
    for world in options.worlds:
        if world != SIMULATED and not (REAL_DATA / world).is_dir():
            print(f"{world}: no such history in {REAL_DATA}; set LEADS_REAL_DATA", flush=True)
        elif world != SIMULATED:
            worlds += [History(world, seed) for seed in options.seeds]
    if SIMULATED in options.worlds:
        worlds += [
            History(SIMULATED, seed, size, rate, DRIFTS[drift])
            for size in sorted(options.sizes)
            for rate in options.rates
            for drift in options.drifts
            for seed in options.seeds
        ]
    return worlds


def _hold_all(histories: list[History], rivals: list[str], contest: Contest, *, jobs: int) -> None:
    started, finished, lock = time.perf_counter(), [], threading.Lock()

    def hold_one(history: History) -> None:
        def say(text: str) -> None:
            with lock:
                minutes = (time.perf_counter() - started) / 60
                print(f"{minutes:6.1f} min  {history.cell}, seed {history.seed}: {text}", flush=True)

        hold(history, rivals, contest, progress=say)
        finished.append(history)
        say(f"{len(finished)} of {len(histories)} histories finished")

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(hold_one, histories))


def _tell(histories: list[History], contenders: list[str], contest: Contest) -> None:
    from benchmarks.verdicts import collect_figures, compare, write_cells, write_summary

    figures = collect_figures(histories, contenders, contest)
    summary = write_summary(compare(figures, histories, contest))
    text = f"{write_cells(figures, contenders)}\n\n## All cells\n\n{summary}\n"
    figures.to_csv(contest.out / "quality.csv", index=False)
    (contest.out / "quality.md").write_text(f"# Quality beside rivals\n{text}", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
