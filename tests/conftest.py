"""Shared fixtures: one small trained project for all tests that only look at it."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from private_postgres import Server, find_binaries, serve_postgres

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# as the front door does: idle OpenMP threads must not spin on shared cores
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

REAL_DATA = Path(os.environ.get("LEADS_REAL_DATA", Path(__file__).parents[2] / "shared" / "data"))


@dataclass(frozen=True)
class Ran:
    """What a command printed and how it ended."""

    exit_code: int
    output: str
    answer: dict[str, Any]


def run_leads(*words: str | Path) -> Ran:
    """Run `leads …` in this process; `answer` is the last line of stdout if `--json` was asked for."""
    from typer.testing import CliRunner

    import leads

    result = CliRunner().invoke(leads.app, [str(word) for word in words], catch_exceptions=False)
    last = result.stdout.strip().splitlines()[-1] if result.stdout.strip() else ""
    answer = json.loads(last) if "--json" in words and last.startswith("{") else {}
    return Ran(result.exit_code, result.output, answer)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated project of 3,000 leads, trained once by the demo command. Do not change it: copy it."""
    folder = tmp_path_factory.mktemp("demo")
    ran = run_leads("demo", folder, "--leads", "3000", "--seed", "3", "--json")
    assert ran.exit_code == 0, ran.output
    (folder / "answer.json").write_text(json.dumps(ran.answer), encoding="utf-8")
    return folder


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
