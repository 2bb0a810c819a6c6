"""The house keeps its walls: who may import whom, light doors, one clock, public names."""

from __future__ import annotations

import ast
import importlib
import json
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("features", "models", "project", "serving", "training")
MAY_IMPORT = {
    "project": set(),
    "features": {"project"},
    "models": {"project"},
    "training": {"features", "models", "project"},
    "serving": {"features", "models", "project"},
}
MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
ONLY_IN = {
    "pyspark": {"features/spark.py", "serving/spark.py"},
    "mlflow": {"training/tracking.py", "serving/mlflow_model.py"},
    "optuna": {"training/fitting/tune.py"},
    "shap": {"training/report/figures.py"},
    "matplotlib": {
        "training/backtest/page.py",
        "training/banding/page.py",
        "training/report/check_figures.py",
        "training/promotion/comparison_page.py",
        "training/report/figures.py",
        "training/report/svg.py",
    },
}


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_rooms_import_only_what_they_may(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    entered = {name.partition(".")[0] for name in _imports(path)} & {*ROOMS, "leads"}
    assert entered <= MAY_IMPORT[room] | {room}


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_heavy_libraries_stay_in_their_one_module(path: Path) -> None:
    for name in _imports(path):
        allowed = ONLY_IN.get(name.partition(".")[0])
        assert allowed is None or _name(path) in allowed, f"{_name(path)} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_the_clock_is_read_in_the_commands_only(path: Path) -> None:
    if path.name != "cli.py":
        assert not re.search(r"\b(now|today|utcnow)\(\)|\bnow\(UTC\)|time\.time\(", path.read_text("utf-8"))


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_public_names_are_listed_and_exist(path: Path) -> None:
    if path.name == "__init__.py":
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one module imports mlflow, which warns about itself
        module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    names = module.__all__
    assert sorted(names, key=str.casefold) == sorted(set(names), key=str.casefold)
    assert all(hasattr(module, name) for name in names)


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_no_room_is_crowded(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 300


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=_name)
def test_notebooks_define_nothing(path: Path) -> None:
    cells = json.loads(path.read_text("utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    assert not [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.FunctionDef | ast.ClassDef)]


def test_the_lock_names_no_address() -> None:
    assert "://" not in (ROOT / "requirements.lock").read_text("utf-8")


def test_every_locked_requirement_is_hashed() -> None:
    entries = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text("utf-8"))
    pinned = [entry for entry in entries if "==" in entry.splitlines()[0]]
    assert len(pinned) > 50
    assert all("--hash=sha256:" in entry for entry in pinned)
