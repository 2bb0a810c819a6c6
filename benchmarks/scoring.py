"""Time and peak memory of scoring many leads with reasons.

Trains on 20,000 simulated leads, then scores another 100,000 of the same CRM in a process of its own, as the night's
batch would, and takes the work apart beside what one could do instead.

    .venv/bin/python benchmarks/scoring.py --leads 100000
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

# features.py beside this file is called like the room, and must not stand in its way
sys.path[0] = str(Path(__file__).parents[1])

import numpy as np

from features.engine import build_features
from features.ingest import read_tables
from features.snapshots import build_open_snapshots, default_as_of
from models.columns import encode_frame
from models.estimators import BoostedTrees
from project.folder import Project, find_project
from serving.load import load_named_model
from training.demo import write_demo_project
from training.pipeline import train_model
from training.simulator.crm import simulate_crm, write_crm

Result = TypeVar("Result")
_SHAP_ROWS = 2_000


def main() -> None:
    """Run the benchmark and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leads", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=None, help="keep everything here instead of a temporary folder")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp())
    project, model_id = _prepare(folder, arguments.leads)
    started = time.perf_counter()
    command = [
        sys.executable,
        "-m",
        "leads",
        "score",
        "-p",
        str(project.folder),
        "--all",
        "--model",
        model_id,
        "--top",
        "0",
    ]
    subprocess.run([*command, "-o", str(folder / "scored.csv")], check=True, stdout=subprocess.DEVNULL)
    whole = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    print(f"{arguments.leads:,} leads with reasons, whole process: {whole:.1f} s, peak {peak:.2f} GB")
    for name, seconds in _take_apart(project, model_id).items():
        print(f"  {name:58s} {seconds:8.1f} s   {seconds / whole:6.2f} of the whole")


def _prepare(folder: Path, leads: int) -> tuple[Project, str]:
    write_demo_project(folder, n_leads=20_000, seed=5)
    model_id = train_model(find_project(folder), progress=lambda text: print(f"  {text}")).model.model_id
    shutil.rmtree(folder / "data")
    write_crm(simulate_crm(leads, seed=6), folder / "data")
    return find_project(folder), model_id


def _take_apart(project: Project, model_id: str) -> dict[str, float]:
    model, catalogue = load_named_model(project, model_id)
    tables, reading = _timed(lambda: read_tables(project))
    snapshots = build_open_snapshots(tables, default_as_of(tables), closed_too=True)
    frame, building = _timed(lambda: build_features(snapshots, tables, catalogue))
    matrix = encode_frame(frame, model.columns)
    _, predicting = _timed(lambda: model.estimator.log_odds(matrix))
    _, contributing = _timed(lambda: model.estimator.contributions(matrix))
    _, saying = _timed(lambda: model.reasons(frame, language="en"))
    parts = {
        "reading the tables": reading,
        "features": building,
        "probabilities alone, no reasons": predicting,
        "contributions": contributing,
        "contributions, ranked and said as sentences": saying,
    }
    if isinstance(model.estimator, BoostedTrees):
        parts["the rival: shap.TreeExplainer, scaled from a sample"] = _time_shap(model.estimator, matrix)
    return parts


def _timed(work: Callable[[], Result]) -> tuple[Result, float]:
    started = time.perf_counter()
    result = work()
    return result, time.perf_counter() - started


def _time_shap(estimator: BoostedTrees, matrix: np.ndarray) -> float:
    import shap

    explainer = shap.TreeExplainer(estimator.booster)
    rows = matrix[: min(_SHAP_ROWS, len(matrix))]
    _, seconds = _timed(lambda: explainer.shap_values(rows))
    return seconds * len(matrix) / len(rows)


if __name__ == "__main__":
    main()
