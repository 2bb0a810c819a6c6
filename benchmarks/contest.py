"""One history, all contenders: ours is trained as a user would, the rivals get its rows and its feature frame.

What was done is kept in a folder and not done again. Ours is trained anew when the code of the rooms has changed, a
rival when the rows, the features or its own arguments have.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.histories import ROOT, History, tell_truth, write_project

if TYPE_CHECKING:
    import pandas as pd

    from training.examples import Examples
    from training.pipeline import Trained

OURS = "ours"
ROOMS = ("features", "models", "project", "training")
# In an environment of their own, since the project's lock does not hold them.
APART = {"catboost": ("catboost",), "autogluon": ("autogluon.tabular[lightgbm,catboost,xgboost]",)}
EXAMPLES, ROWS = "examples.parquet", "rows.parquet"


@dataclass(frozen=True)
class Contest:
    """How contenders are run: in which folder, each with how many threads, and what AutoGluon may take (seconds)."""

    out: Path
    cache: Path
    threads: int
    time_limit: float
    again: tuple[str, ...] = ()

    def folder(self, history: History) -> Path:
        """Return the folder that holds what is known of a history."""
        return self.out / "histories" / history.key


def hold(history: History, rivals: Sequence[str], contest: Contest, *, progress: Callable[[str], None]) -> None:
    """Do what is still missing for a history: train ours, then every rival, each in a process of its own."""
    folder = contest.folder(history)
    folder.mkdir(parents=True, exist_ok=True)
    if OURS in contest.again or not is_done(folder, OURS, _ours_arguments(history, contest)):
        command = [
            sys.executable,
            str(ROOT / "benchmarks" / "quality.py"),
            "--train-ours",
            json.dumps(history.to_json()),
        ]
        try:
            _call([*command, "--out", str(contest.out), "--threads", str(contest.threads)], contest.threads)
        except subprocess.CalledProcessError as error:  # a crash of ours is a result too, and the others go on
            _write(folder, OURS, {"error": f"crashed: {_last_line(error)}"})
    _report(folder, OURS, progress)
    if "error" in _read(folder, OURS):
        return
    for name in rivals:
        arguments = {
            "rows": _digest(folder), "threads": contest.threads, "seed": history.chance,
            "code": _hash_files([ROOT / "benchmarks" / "rivals.py"]),
            **({"time_limit": contest.time_limit} if name == "autogluon" else {}),
        }  # fmt: skip
        if name in contest.again or not is_done(folder, name, arguments):
            _write(folder, name, {"arguments": arguments, **_run_rival(name, folder, history, contest)})
        _report(folder, name, progress)


def is_done(folder: Path, name: str, arguments: Mapping[str, object]) -> bool:
    """Return whether an answer to just these arguments is there; a crash, or what is not installed, is tried again."""
    found = _read(folder, name)
    done = not found.get("error", "").startswith(("not installed", "crashed"))
    return done and found.get("arguments") == dict(arguments)


def answer_of(folder: Path, name: str) -> dict[str, Any]:
    """Return what a contender took, or why it has no answer (`error`); and, with an answer, its `probability`."""
    found = _read(folder, name) or {"error": "not done"}
    return found if "error" in found else {**found, "probability": np.load(folder / f"{name}.npy")}


def train_ours(history: History, contest: Contest) -> None:
    """Train our own model; keep the rows, the features, the probabilities, the time, and the truth where there is one.

    The fit takes from the progress line that begins with "Fit" to the one that begins with "Judg"; the whole training
    with reading, features and the leak court is kept beside it.
    """
    from project.errors import LeadError
    from training.pipeline import train_model

    folder, moments = contest.folder(history), {}
    answer: dict[str, Any] = {"arguments": _ours_arguments(history, contest)}

    def note(text: str) -> None:
        moments.setdefault(text[:3], (time.perf_counter(), time.process_time()))

    with tempfile.TemporaryDirectory(prefix="quality-") as home:
        project, crm = write_project(history, Path(home) / "project")
        started = time.perf_counter()
        try:
            trained = train_model(project, progress=note)
        except LeadError as error:
            _write(folder, OURS, {**answer, "error": str(error)})
            return
    whole, nowhere = time.perf_counter() - started, (np.nan, np.nan)
    wall, cpu = (
        end - start for start, end in zip(moments.get("Fit", nowhere), moments.get("Jud", nowhere), strict=True)
    )
    _keep_rows(folder, trained, crm)
    np.save(folder / f"{OURS}.npy", trained.evidence.probability)
    said = {"skill": bool(trained.evidence.skill), "chosen": trained.evidence.chosen}
    _write(folder, OURS, {**answer, "fit_seconds": wall, "cpu_seconds": cpu, "whole_seconds": whole, **said})


def _keep_rows(folder: Path, trained: Trained, crm: object) -> None:
    import pandas as pd

    examples = trained.examples
    side = np.where(examples.split.side == "test", "test", np.where(examples.split.side == "", "", "before"))
    frame = examples.frame.set_axis([f"f{place}" for place in range(examples.frame.shape[1])], axis=1)
    frame.to_parquet(folder / EXAMPLES, index=False)
    rows = pd.DataFrame({"side": side, "converted": examples.converted, "group": examples.groups})
    rows["lead"] = np.unique(examples.snapshots["lead_id"].to_numpy(dtype=object).astype(str), return_inverse=True)[1]
    rows["arrived"] = examples.arrived
    rows["recent"] = _latest_quarter(examples, side == "before")
    rows.to_parquet(folder / ROWS, index=False)
    if crm is not None:
        truth, knowable = tell_truth(crm, examples.snapshots.loc[side == "test"])
        np.save(folder / "truth.npy", truth)
        np.save(folder / "knowable.npy", knowable)


def _latest_quarter(examples: Examples, before: np.ndarray) -> np.ndarray:
    """Return the rows of the last 91 days before the test; without dates, of the last quarter of the leads."""
    as_of: pd.Series = examples.snapshots["as_of"]
    if as_of.notna().all():
        last = as_of[before].max()
        return before & (as_of > last - np.timedelta64(91, "D")).to_numpy()
    return before & (examples.arrived >= np.quantile(examples.arrived[before], 0.75))


def _run_rival(name: str, folder: Path, history: History, contest: Contest) -> dict[str, Any]:
    python = _python_apart(contest.cache, name) if name in APART else sys.executable
    if python is None:
        return {"error": "not installed"}
    command = [python, str(ROOT / "benchmarks" / "rivals.py"), name, str(folder), "--seed", str(history.chance)]
    command += ["--threads", str(contest.threads), "--time-limit", str(contest.time_limit)]
    try:
        answer: dict[str, Any] = json.loads(_call(command, contest.threads).splitlines()[-1])
    except subprocess.CalledProcessError as error:
        return {"error": f"crashed: {_last_line(error)}"}
    return answer


def _last_line(error: subprocess.CalledProcessError) -> str:
    return (error.stderr.strip().splitlines() or [f"exit code {error.returncode}"])[-1]


def _python_apart(cache: Path, name: str) -> str | None:
    """Return the Python of the rival's own environment, made if it is not there yet; None if it cannot be made."""
    from filelock import FileLock

    home = cache / name
    python, ready = home / "bin" / "python", home / "ready"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f"{name}.lock"):
        if ready.exists():
            return str(python)
        uv = Path(sys.executable).with_name("uv")
        try:
            _call([str(uv), "venv", "--quiet", "--clear", "--python", sys.executable, str(home)], 1)
            _call([str(uv), "pip", "install", "--quiet", "--python", str(python), "pyarrow", *APART[name]], 1)
        except (subprocess.CalledProcessError, FileNotFoundError):
            return None
        ready.touch()
    return str(python)


def _call(command: Sequence[str], threads: int) -> str:
    """Run a child with this many threads and no more; return what it printed."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT")
    environment = {**os.environ, **dict.fromkeys(names, str(threads)), "OMP_WAIT_POLICY": "PASSIVE"}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def _ours_arguments(history: History, contest: Contest) -> dict[str, object]:
    return {**history.to_json(), "threads": contest.threads, "code": hash_rooms()}


def hash_rooms() -> str:
    """Return a fingerprint of all code and settings that decide what a training on a history says."""
    files = [path for room in ROOMS for path in (ROOT / room).rglob("*") if path.suffix in {".py", ".toml"}]
    return _hash_files([*files, ROOT / "benchmarks" / "histories.py", *(ROOT / "tests" / "real").glob("*.toml")])


def _hash_files(files: Sequence[Path]) -> str:
    content = hashlib.sha256()
    for path in sorted(files):
        content.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return content.hexdigest()[:16]


def _digest(folder: Path) -> str:
    """Return a fingerprint of the rows and features that rivals are given."""
    content = hashlib.sha256()
    for name in (EXAMPLES, ROWS):
        content.update((folder / name).read_bytes())
    return content.hexdigest()[:16]


def _read(folder: Path, name: str) -> dict[str, Any]:
    path = folder / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return found


def _write(folder: Path, name: str, content: Mapping[str, object]) -> None:
    temporary = folder / f"{name}.json.new"
    temporary.write_text(json.dumps(content), encoding="utf-8")
    temporary.replace(folder / f"{name}.json")


def _report(folder: Path, name: str, progress: Callable[[str], None]) -> None:
    found = _read(folder, name)
    progress(f"{name}: {found['error']}" if "error" in found else f"{name}: fitted in {found['fit_seconds']:.1f} s")
