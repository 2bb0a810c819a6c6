"""An invented history of which a model may know one column or all, and challengers of its champion."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from features.catalogue import Catalogue
from models.artefact import answer_canary, load_model, save_model
from models.calibration import AffineCalibrator
from models.registry import find_model, models_folder, move_alias, read_aliases
from training.canary import build_canary_frame
from worlds import csv_text, iso

START = datetime(2024, 1, 1)
LEADS, DAYS = 2_400, 480
TOML = """
[project]
name = "pair"
[leads]
file = "leads.csv"
id = "id"
created_at = "created"
columns = {{ {columns} }}
[stages]
file = "stages.csv"
lead = "id"
at = "at"
stage = "stage"
[outcome]
horizon = "20d"
won = ["won"]
lost = ["lost"]
observed_until = {until}Z
[snapshots]
ages = ["0d", "3d"]
[capacity]
leads_per_week = 7
[training]
seed = {seed}
"""
BOTH = 'size = "number", visits = "number", source = "category"'
ONE = 'size = "number"'
UNTIL = iso(START + timedelta(days=DAYS + 20))[:-1]


def write_settings(folder: Path, *, columns: str = BOTH, seed: int = 0, until: str = UNTIL) -> None:
    (folder / "leads.toml").write_text(TOML.format(columns=columns, seed=seed, until=until), encoding="utf-8")


def write_history(folder: Path) -> None:
    """Write leads whose size and visits tell together what neither tells alone."""
    random = np.random.default_rng(5)
    created = [START + timedelta(seconds=float(s)) for s in np.sort(random.uniform(0, DAYS * 86_400, LEADS)).round()]
    size, visits = random.normal(size=(2, LEADS)).round(3)
    source = random.choice(["web", "ads", "fair"], LEADS)
    margin = -1.9 + 1.7 * np.sign(size) * np.sign(visits) + 0.5 * size
    won = random.random(LEADS) < 1 / (1 + np.exp(-margin))
    closed = [
        moment + timedelta(days=float(days)) for moment, days in zip(created, random.uniform(4, 19, LEADS), strict=True)
    ]
    rows = zip((f"lead-{n:04}" for n in range(LEADS)), map(iso, created), size, visits, source, strict=True)
    (folder / "leads.csv").write_text(csv_text([["id", "created", "size", "visits", "source"], *rows]), "utf-8")
    ends = zip((f"lead-{n:04}" for n in range(LEADS)), map(iso, closed), np.where(won, "won", "lost"), strict=True)
    (folder / "stages.csv").write_text(csv_text([["id", "at", "stage"], *ends]), "utf-8")


def challenge_with(folder: Path, *, shift: float) -> str:
    """Register the champion with every log-odds shifted as the challenger."""
    state = folder / "state"
    model = load_model(find_model(state), verified=state / "verified")
    catalogue = Catalogue.from_json(model.manifest["catalogue"])  # type: ignore[arg-type]
    old = model.calibrator
    assert isinstance(old, AffineCalibrator)
    shifted = replace(model, calibrator=AffineCalibrator(old.intercept + shift, old.slope))
    canary = json.loads((find_model(state) / "canary.json").read_bytes())
    canary["expected"] = answer_canary(shifted, build_canary_frame(canary, catalogue))
    facts = {key: value for key, value in model.manifest.items() if key != "model_id"}
    saved = save_model(shifted, models_folder(state), canary=canary, facts=facts)
    aliases = read_aliases(state)
    move_alias(
        state, "challenger", saved.model_id, expected=aliases.get("challenger"), why="test", now=datetime.now(UTC)
    )
    return saved.model_id
