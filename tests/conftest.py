"""Shared fixtures: one small trained project for all tests that only look at it."""

from __future__ import annotations

import json
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from private_postgres import Server, find_binaries, serve_postgres

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import SparkSession

# as the front door does: idle OpenMP threads must not spin on shared cores
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Where no bytecode is kept, each of the processes that tests start would compile pandas, scikit-learn and MLflow anew,
# which is most of its work. What is kept lies apart from the sources, for all of them.
if sys.dont_write_bytecode:
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(Path(__file__).parents[1] / ".pytest_cache" / "bytecode")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix

REAL_DATA = Path(os.environ.get("LEADS_REAL_DATA", Path(__file__).parents[2] / "shared" / "data"))

# A worker takes one module after the other. The longest come first, or one worker would be left alone with them.
LONGEST = (
    "test_training_pipeline", "test_training_promotion", "test_real_histories", "test_leads_train",
    "test_training_backtest_run", "test_notebooks", "test_training_tracking", "test_training_leakage",
    "test_benchmarks_quality", "test_training_certificate", "test_selection_whole",
)  # fmt: skip

# moments from which `scored_twice` was looked at, and a time stamp for equal bytes
FIRST, SECOND = "2025-12-10T00:00:00Z", "2025-12-20T06:30:00Z"
FIXED = ("--scored-at", "2026-01-02T00:00:00Z")


@dataclass(frozen=True)
class Ran:
    """What a command printed and how it ended."""

    exit_code: int
    output: str
    answer: dict[str, Any]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


def run_leads(*words: str | Path) -> Ran:
    """Run `leads …` in this process; `answer` is the last line of stdout if `--json` was asked for."""
    from typer.testing import CliRunner

    import leads

    result = CliRunner().invoke(leads.app, [str(word) for word in words], catch_exceptions=False)
    last = result.stdout.strip().splitlines()[-1] if result.stdout.strip() else ""
    answer = json.loads(last) if "--json" in words and last.startswith("{") else {}
    return Ran(result.exit_code, result.output, answer)


def read_scored(path: Path) -> pd.DataFrame:
    """Read a scored file; empty cells are missing, and an id is a text."""
    import pandas as pd

    return pd.read_csv(path, dtype={"lead_id": "str"}, keep_default_na=False, na_values=[""])


def make_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Let the first worker that needs a folder make it, and return a copy that only this worker uses."""
    from filelock import FileLock

    own = factory.getbasetemp()
    common = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "made_once" / name
    common.parent.mkdir(exist_ok=True)
    made = common.with_name(f"{name}.made")
    with FileLock(f"{common}.lock"):
        if not made.exists():
            shutil.rmtree(common, ignore_errors=True)
            make(common)
            made.touch()
    return Path(shutil.copytree(common, factory.mktemp(name) / name))


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated project of 3,000 leads, trained once by the demo command. Do not change it: copy it."""

    def make(folder: Path) -> None:
        ran = run_leads("demo", folder, "--leads", "3000", "--seed", "3", "--json")
        assert ran.exit_code == 0, ran.output
        (folder / "answer.json").write_text(json.dumps(ran.answer), encoding="utf-8")

    return make_once(tmp_path_factory, "demo", make)


@pytest.fixture
def own_demo(demo: Path, tmp_path: Path) -> Path:
    """A copy of the trained demo that a test may change."""
    return Path(shutil.copytree(demo, tmp_path / "demo"))


@pytest.fixture(scope="session")
def scored_twice(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the demo that was scored at two moments, `a.csv` and `b.csv`. Do not change it: copy it."""

    def make(folder: Path) -> None:
        from serving.ledger.ledger import ledger_file

        shutil.copytree(demo, folder)
        ledger_file(folder / "state").unlink(missing_ok=True)
        for moment, name in ((FIRST, "a.csv"), (SECOND, "b.csv")):
            ran = run_leads("score", "-p", folder, "--as-of", moment, "--out", folder / name)
            assert ran.exit_code == 0, ran.output

    return make_once(tmp_path_factory, "scored_twice", make)


@pytest.fixture(scope="session")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One saved model of every kind; tests copy before they break."""
    from small_models import KINDS, save_small

    return {kind: save_small(kind, tmp_path_factory.mktemp(kind))[1] for kind in KINDS}


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of the real histories; without it the test is skipped, visibly."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"no real histories in {REAL_DATA}; set LEADS_REAL_DATA")
    return REAL_DATA


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """One Spark for all tests. Without Java they are skipped, visibly, unless LEADS_NEED_SPARK says they must run."""
    if shutil.which("java") is None and not os.environ.get("JAVA_HOME"):
        if os.environ.get("LEADS_NEED_SPARK"):
            pytest.fail("Spark needs Java 17, and there is none here")
        pytest.skip("Spark needs Java 17, and there is none here")
    from features.spark import start_session

    session = start_session("local[2]", name="tests", settings={"spark.sql.shuffle.partitions": "2"})
    yield session
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Spark leaves its own sockets to the collector
        session.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A private PostgreSQL server. Without its programs the test is skipped, or fails if LEADS_NEED_POSTGRES is set."""
    binaries = find_binaries()
    if binaries is None:
        missing = "no PostgreSQL server here (initdb and postgres); on Debian install postgresql"
        pytest.fail(missing) if os.environ.get("LEADS_NEED_POSTGRES") else pytest.skip(missing)
    with serve_postgres(binaries) as server:
        yield server
