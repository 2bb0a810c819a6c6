"""Small fitted models, made in memory from invented leads; shared by the tests of the model side."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest

from models.artefact import answer_canary, load_model, save_model
from models.bands import BandPolicy, Rule
from models.calibration import AffineCalibrator
from models.columns import ModelColumn, encode_frame
from models.estimators import BaseRate, Blend, BoostedTrees
from models.interval import IntervalTable
from models.lead_model import LeadModel
from project.errors import ArtefactError
from training.fitting.boost import boosting_parameters, fit_bag, fit_trees
from training.fitting.fit import FitData, fit_logistic

KINDS = ("base_rate", "logistic", "lightgbm", "blend")
MODEL_FILES = {
    "base_rate": ("manifest.json", "canary.json"),
    "logistic": ("manifest.json", "canary.json", "estimator.json"),
    "lightgbm": ("manifest.json", "canary.json", "estimator.txt"),
    "blend": ("manifest.json", "canary.json", "estimator-0.json", "estimator-1.txt", "estimator-2.txt"),
}
GOLDEN = Path(__file__).parent / "golden"

COLUMNS = (
    ModelColumn("visits", "number", "Visits", "Визиты"),
    ModelColumn("idle_days", "number", "Days since the last visit", "Дней с визита", "never", "ни разу"),
    ModelColumn("budget", "number", "Budget", "Бюджет"),
    ModelColumn("source", "category", "Source", "Источник", frequent=("web", "ads", "Выставка"), rare=("fax", "tv")),
    ModelColumn(
        "weekday",
        "category",
        "Weekday it came in",
        "День недели обращения",
        frequent=("Mon", "Tue", "Sat"),
        levels_ru={"Mon": "пн", "Tue": "вт", "Sat": "сб"},
    ),
)
POLICY = BandPolicy(
    0.3,
    0.1,
    rules=(Rule("present customer", "status", ("customer",), "disqualified"),),
    cost_per_call=20.0,
    value_per_win=900.0,
    currency="EUR",
)


def make_frame(rows: int, *, seed: int) -> pd.DataFrame:
    """Invent feature rows: skewed and missing numbers, rare, unseen and missing levels."""
    random = np.random.default_rng(seed)
    idle = random.exponential(9.0, rows)
    sources = np.array(["web", "ads", "Выставка", "fax", "tv", "never seen", None], dtype=object)
    return pd.DataFrame(
        {
            "visits": random.poisson(2.0, rows).astype(np.float64),
            "idle_days": np.where(random.random(rows) < 0.3, np.nan, idle),
            "budget": np.exp(random.normal(8.0, 1.5, rows)),
            "source": pd.Series(random.choice(sources, rows, p=[0.3, 0.3, 0.2, 0.04, 0.04, 0.02, 0.1]), dtype="str"),
            "weekday": pd.Series(random.choice(np.array(["Mon", "Tue", "Sat"], dtype=object), rows), dtype="str"),
        }
    )


def make_converted(frame: pd.DataFrame, *, seed: int) -> np.ndarray:
    """Draw outcomes that depend on every column but the weekday."""
    margin = (
        -2.2
        + 0.5 * frame["visits"].to_numpy()
        - 0.06 * frame["idle_days"].fillna(15.0).to_numpy()
        + 0.15 * (np.log(frame["budget"].to_numpy()) - 8.0)
        + np.where(frame["source"].to_numpy(dtype=object) == "ads", -0.8, 0.0)
    )
    return np.random.default_rng(seed).random(len(frame)) < 1 / (1 + np.exp(-margin))


def make_data(rows: int, *, seed: int) -> FitData:
    """Invent a fit period; every lead has one row."""
    frame = make_frame(rows, seed=seed)
    converted = make_converted(frame, seed=seed + 1)
    return FitData(COLUMNS, encode_frame(frame, COLUMNS), converted.astype(np.float64), np.arange(rows))


def blend(data: FitData) -> Blend:
    """A logistic regression and two trees that are told numbers only."""
    numbers = tuple(place for place, column in enumerate(COLUMNS) if column.kind == "number")
    bag = fit_bag(replace(data, inputs=numbers), data.arrived, rounds=30, members=2, seed=3)
    return Blend((fit_logistic(data, strength=0.1), *bag.parts), (0.4, 0.3, 0.3))


INTERVAL = IntervalTable((0.05, 0.2, 0.6), (0.02, 0.1, 0.5), (0.1, 0.25, 0.75), level=0.9, leads=1_200, window=143)


@cache
def small_model(kind: str) -> LeadModel:
    """Fit a model of a kind on 1,500 invented leads; its calibrator is not the identity."""
    data = make_data(1_500, seed=11)
    fitted = {
        "base_rate": lambda: BaseRate(-1.75),
        "logistic": lambda: fit_logistic(data, strength=0.1),
        "lightgbm": lambda: fit_trees(data, rounds=60, seed=3),
        "blend": lambda: blend(data),
    }
    return LeadModel(COLUMNS, fitted[kind](), AffineCalibrator(-0.125, 0.9), POLICY, {}, INTERVAL)


def make_canary(model: LeadModel, frame: pd.DataFrame) -> dict[str, Any]:
    """Write rows down with what a model says of them, as `save_model` wants it."""
    rows = json.loads(frame.to_json(orient="records", double_precision=15))
    return {"rows": rows, "expected": answer_canary(model, build_canary({"rows": rows}))}


def build_canary(canary: Mapping[str, Any]) -> pd.DataFrame:
    """Make the feature frame of a canary's rows."""
    frame = pd.DataFrame(canary["rows"])
    texts = [name for name in frame.columns if any(isinstance(row[name], str) for row in canary["rows"])]
    return frame.astype({name: "str" if name in texts else "float64" for name in frame.columns})


def save_small(kind: str, folder: Path) -> tuple[LeadModel, Path]:
    """Save a small model and return it with its folder."""
    model = small_model(kind)
    facts = {"project": "Воронка", "headline": "invented leads", "share": 0.0123456789012345}
    saved = save_model(model, folder, canary=make_canary(model, make_frame(4, seed=5)), facts=facts)
    return saved, folder / saved.model_id


def mark(folder: Path, place: Path) -> Path:
    """Make a folder of marks that says of a model's trees: parsed on this machine. No child process is started then."""
    marks = place / "marks"
    marks.mkdir(exist_ok=True)
    for path in folder.glob("estimator*.txt"):
        (marks / hashlib.sha256(path.read_bytes()).hexdigest()).touch()
    return marks


def reseal(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a manifest and make its hashes and its seal fit again, as an able forger or a faulty writer would."""
    import models.artefact as artefact

    path = folder / "manifest.json"
    manifest = json.loads(path.read_bytes())
    if isinstance(manifest.get("files"), dict):
        manifest["files"] = {name: artefact.hash_file(folder / name) for name in manifest["files"]}
    change(manifest)
    content = {key: value for key, value in manifest.items() if key != "model_id"}
    manifest = {**content, "model_id": artefact._seal(content)}
    path.write_text(artefact.canonical_json(manifest), encoding="utf-8")


def golden_model(kind: str) -> LeadModel:
    """Make the model behind a golden artefact: a few numbers, so that it can live in the repository."""
    data = make_data(600, seed=2)
    if kind == "logistic":
        return replace(small_model("base_rate"), estimator=fit_logistic(data, strength=0.1))
    categories = [place for place, column in enumerate(COLUMNS) if column.kind == "category"]
    names = [f"f{place}" for place in range(len(COLUMNS))]
    booster = lightgbm.train(
        {**boosting_parameters(600, inputs=5, seed=1), "num_leaves": 5, "learning_rate": 0.3},
        lightgbm.Dataset(data.matrix, data.target, feature_name=names, categorical_feature=categories),
        num_boost_round=6,
    )
    return replace(small_model("base_rate"), estimator=BoostedTrees(booster.model_to_string()))


def write_golden(kind: str) -> None:
    """Write `tests/golden/<kind>` anew: one artefact, and the probabilities that it must give for ever."""
    folder = GOLDEN / kind
    shutil.rmtree(folder, ignore_errors=True)
    model = golden_model(kind)
    canary = make_canary(model, make_frame(3, seed=8))
    saved = save_model(model, folder, canary=canary, facts={"project": "golden"})
    rows = make_canary(model, make_frame(12, seed=9))["rows"]
    probabilities = [float(p) for p in model.probability(build_canary({"rows": rows}))]
    expected = {"model_id": saved.model_id, "rows": rows, "probabilities": probabilities}
    (folder / "expected.json").write_text(json.dumps(expected, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def copy_of(original: Path, folder: Path) -> Path:
    """Copy a saved model into a folder, for a test that breaks it."""
    return Path(shutil.copytree(original, folder / original.name))


def must_not_load(folder: Path, message: str = ".") -> None:
    """Fail unless loading ends with an artefact error that says so."""
    with pytest.raises(ArtefactError, match=message):
        load_model(folder, build_canary=build_canary)
