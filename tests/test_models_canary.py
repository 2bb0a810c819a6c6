"""The canary: leads whose answers a loaded model must repeat."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models.artefact import answer_canary, load_model
from project.errors import ArtefactError
from small_models import KINDS, build_canary, copy_of, make_frame, mark, must_not_load, reseal, small_model


@pytest.mark.parametrize("kind", KINDS)
def test_a_canary_that_sings_another_song_is_an_artefact_error(
    kind: str, originals: dict[str, Path], tmp_path: Path
) -> None:
    folder = copy_of(originals[kind], tmp_path)
    canary = json.loads((folder / "canary.json").read_bytes())
    canary["expected"][1]["probability"] *= 1 + 1e-6
    (folder / "canary.json").write_text(json.dumps(canary), encoding="utf-8")
    reseal(folder, lambda manifest: None)
    with pytest.raises(ArtefactError, match="train again"):
        load_model(folder, build_canary=build_canary, verified=mark(folder, tmp_path))
    load_model(folder, verified=mark(folder, tmp_path))  # without its leads the canary cannot be asked


def test_a_canary_with_another_first_reason_is_an_artefact_error(originals: dict[str, Path], tmp_path: Path) -> None:
    folder = copy_of(originals["logistic"], tmp_path)
    canary = json.loads((folder / "canary.json").read_bytes())
    canary["expected"][0]["first_reason"] = "weather"
    (folder / "canary.json").write_text(json.dumps(canary), encoding="utf-8")
    reseal(folder, lambda manifest: None)
    must_not_load(folder, "weather")


def test_features_that_changed_their_meaning_are_noticed_by_the_canary(originals: dict[str, Path]) -> None:
    def in_cents(canary: Any) -> pd.DataFrame:
        return build_canary(canary).assign(visits=lambda frame: frame["visits"] * 100 + 1)

    with pytest.raises(ArtefactError, match="train again"):
        load_model(originals["logistic"], build_canary=in_cents)


def test_a_canary_that_lost_a_lead_is_an_artefact_error(originals: dict[str, Path]) -> None:
    with pytest.raises(ArtefactError):
        load_model(originals["logistic"], build_canary=lambda canary: build_canary(canary).iloc[:-1])


def test_the_canary_says_the_probability_and_the_column_of_the_first_reason() -> None:
    model, frame = small_model("logistic"), make_frame(20, seed=3)
    contributions, _ = model.contributions(frame)
    for row, answer in enumerate(answer_canary(model, frame)):
        assert answer["probability"] == model.probability(frame.iloc[[row]])[0]
        largest = int(np.argmax(contributions[row]))
        told = model.columns[largest].name if contributions[row, largest] >= 0.02 else ""
        assert answer["first_reason"] == told
