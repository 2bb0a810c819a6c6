"""A saved model is the same model: to the last bit, under the same id, for ever."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.artefact import load_model, save_model
from models.columns import encode_frame
from models.estimators import Blend
from models.sooner import Sooner
from small_models import (
    GOLDEN,
    INTERVAL,
    KINDS,
    MODEL_FILES,
    build_canary,
    make_canary,
    make_frame,
    mark,
    save_small,
    small_model,
    write_golden,
)


@pytest.fixture(scope="module", params=KINDS)
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A kind and the folder of a saved small model of it; only to be read."""
    return request.param, save_small(request.param, tmp_path_factory.mktemp("saved"))[1]


def test_a_model_is_bit_for_bit_the_same_after_save_and_load(saved: tuple[str, Path], tmp_path: Path) -> None:
    kind, folder = saved
    model, frame = small_model(kind), make_frame(300, seed=40)
    loaded = load_model(folder, build_canary=build_canary, verified=tmp_path / "verified")
    left = {path.name for path in tmp_path.glob("verified/*")}
    assert left == {path.name for path in mark(folder, tmp_path).iterdir()}
    assert np.array_equal(loaded.log_odds(frame), model.log_odds(frame))
    assert np.array_equal(loaded.probability(frame), model.probability(frame))
    assert np.array_equal(loaded.contributions(frame)[0], model.contributions(frame)[0])
    assert loaded.contributions(frame)[1] == model.contributions(frame)[1]
    assert (loaded.columns, loaded.calibrator, loaded.policy) == (model.columns, model.calibrator, model.policy)
    assert loaded.reasons(frame, language="ru") == model.reasons(frame, language="ru")
    assert loaded.flags(frame) == model.flags(frame)
    assert loaded.model_id == folder.name


def test_saving_returns_the_model_with_the_manifest_on_disk(tmp_path: Path) -> None:
    model, folder = save_small("logistic", tmp_path)
    on_disk = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert on_disk == model.manifest
    assert on_disk["model_id"] == model.model_id == folder.name
    assert on_disk["project"] == "Воронка"
    assert on_disk["share"] == 0.0123456789012345
    assert small_model("logistic").model_id == ""
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_no_file_is_a_pickle_and_a_person_can_read_them_all(saved: tuple[str, Path]) -> None:
    kind, folder = saved
    assert {path.name for path in folder.rglob("*")} == set(MODEL_FILES[kind])
    for path in folder.iterdir():
        assert path.suffix in {".json", ".txt"}
        content = path.read_bytes()
        assert not content.startswith(b"\x80")
        assert content.decode("utf-8").isprintable() or b"\n" in content
        if path.suffix == ".json":
            json.loads(content)


def test_the_manifest_keeps_letters_of_every_script_readable(saved: tuple[str, Path]) -> None:
    assert "Визиты" in (saved[1] / "manifest.json").read_text(encoding="utf-8")


def test_the_same_content_has_the_same_model_id_and_other_content_another(tmp_path: Path) -> None:
    model = small_model("logistic")
    canary = make_canary(model, make_frame(2, seed=1))

    def model_id(place: str, **facts: object) -> str:
        return save_model(model, tmp_path / place, canary=canary, facts=facts).model_id

    first = model_id("a", x=1, y=[2.5, None])
    assert model_id("b", y=[2.5, None], x=1) == first
    assert model_id("a", x=1, y=[2.5, None]) == first
    assert len(list((tmp_path / "a").iterdir())) == 1
    assert model_id("a", x=2, y=[2.5, None]) != first
    other = make_canary(model, make_frame(2, seed=2))
    assert save_model(model, tmp_path, canary=other, facts={"x": 1, "y": [2.5, None]}).model_id != first


@pytest.mark.parametrize("kind", ["logistic", "lightgbm"])
def test_a_model_saved_long_ago_loads_and_scores_as_it_did(kind: str, tmp_path: Path) -> None:
    if os.environ.get("REWRITE_GOLDEN") == "1":
        write_golden(kind)
    expected = json.loads((GOLDEN / kind / "expected.json").read_text(encoding="utf-8"))
    frame = build_canary(expected)
    folder = GOLDEN / kind / expected["model_id"]
    model = load_model(folder, build_canary=build_canary, verified=mark(folder, tmp_path))
    assert model.model_id == expected["model_id"]
    assert model.estimator.kind == kind
    assert len(set(expected["probabilities"])) > 6
    np.testing.assert_allclose(model.probability(frame), expected["probabilities"], rtol=1e-12, atol=0)


@pytest.mark.parametrize("kind", ["logistic", "lightgbm"])
def test_golden_artefacts_stay_small(kind: str) -> None:
    sizes = [path.stat().st_size for path in (GOLDEN / kind).rglob("*") if path.is_file()]
    assert 0 < sum(sizes) < 32_000


def test_the_interval_comes_back_as_it_was_and_older_models_have_none(originals: dict[str, Path]) -> None:
    loaded = load_model(originals["logistic"], build_canary=build_canary)
    assert loaded.interval == INTERVAL
    low, high = loaded.bounds(np.array([0.2, 0.9]))
    assert (low.tolist(), high.tolist()) == ([0.1, 0.5], [0.25, 0.75])
    name = json.loads((GOLDEN / "lightgbm" / "expected.json").read_text(encoding="utf-8"))["model_id"]
    older = load_model(GOLDEN / "lightgbm" / name)
    assert older.interval is None
    assert np.isnan(older.bounds(np.array([0.2]))).all()


def test_a_lead_about_which_the_parts_of_a_model_differ_is_flagged_and_the_limit_is_kept(tmp_path: Path) -> None:
    model = small_model("blend")
    frame = make_frame(400, seed=3)
    assert not any("unusual" in flag for flag in model.flags(frame))
    assert isinstance(model.estimator, Blend)
    spread = model.estimator.spread(encode_frame(frame, model.columns))
    wary = replace(model, unusual_from=float(np.quantile(spread, 0.9)))
    flagged = np.array(["unusual" in flag.split(";") for flag in wary.flags(frame)])
    np.testing.assert_array_equal(flagged, spread > np.quantile(spread, 0.9))
    saved = save_model(wary, tmp_path, canary=make_canary(wary, make_frame(6, seed=1)), facts={})
    assert load_model(tmp_path / saved.model_id).unusual_from == wary.unusual_from


def test_when_conversions_come_is_read_back_and_older_models_know_nothing_of_it(
    originals: dict[str, Path], tmp_path: Path
) -> None:
    at_age = (0.1, 0.2), (-1.0, -0.5)
    sooner = Sooner(("7d", "30d"), (0.2, 0.6), (-1.4, 0.4), 0.5, "visits", (0.0, 10.0), at_age, 200)
    model, frame = replace(small_model("logistic"), sooner=sooner), make_frame(5, seed=3)
    saved = save_model(model, tmp_path, canary=make_canary(model, frame.head(2)), facts={})
    loaded = load_model(tmp_path / saved.model_id)
    assert loaded.sooner == sooner
    before, after = (one.within(frame, one.log_odds(frame))["probability_7d"] for one in (model, loaded))
    np.testing.assert_array_equal(before, after)
    assert load_model(originals["logistic"]).sooner is None
