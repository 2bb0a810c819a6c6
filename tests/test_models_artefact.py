from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest

from models.artefact import PROTOCOL, answer_canary, load_model, read_manifest, save_model
from models.columns import encode_frame
from models.estimators import Blend
from models.sooner import Sooner
from project.errors import ArtefactError
from small_models import (
    GOLDEN,
    INTERVAL,
    KINDS,
    build_canary,
    make_canary,
    make_frame,
    mark,
    reseal,
    save_small,
    small_model,
    write_golden,
)

FILES = {
    "base_rate": ("manifest.json", "canary.json"),
    "logistic": ("manifest.json", "canary.json", "estimator.json"),
    "lightgbm": ("manifest.json", "canary.json", "estimator.txt"),
    "blend": ("manifest.json", "canary.json", "estimator-0.json", "estimator-1.txt", "estimator-2.txt"),
}
EVERY_FILE = [(kind, name) for kind, names in FILES.items() for name in names]


@pytest.fixture(scope="module", params=KINDS)
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A kind and the folder of a saved small model of it; only to be read."""
    return request.param, save_small(request.param, tmp_path_factory.mktemp("saved"))[1]


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One saved model of every kind; tests copy before they break."""
    return {kind: save_small(kind, tmp_path_factory.mktemp(kind))[1] for kind in KINDS}


@pytest.fixture
def no_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail as soon as LightGBM would be given a text."""

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("LightGBM was given the bytes of a damaged model")

    monkeypatch.setattr("models.estimator_files._parse_in_child", refuse)
    monkeypatch.setattr(lightgbm, "Booster", refuse)


def copy_of(original: Path, folder: Path) -> Path:
    return Path(shutil.copytree(original, folder / original.name))


def must_not_load(folder: Path, message: str = ".") -> None:
    with pytest.raises(ArtefactError, match=message):
        load_model(folder, build_canary=build_canary)


def other_bytes(text: bytes, *, flips: int) -> Iterator[tuple[int, int]]:
    """Choose places and other values for their bytes: the ends, blanks of the layout, and places by chance."""
    random = np.random.default_rng(0)
    blanks = [place for place, byte in enumerate(text) if byte in b" \n"]
    places = [0, len(text) - 1, *blanks[:8], *random.integers(0, len(text), flips).tolist()]
    for place in places:
        yield place, text[place] ^ (1, 0x20, 0x80, 0xFF)[place % 4]
    for place in blanks[:8]:
        yield place, ord("\t")  # still the same JSON


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
    assert {path.name for path in folder.rglob("*")} == set(FILES[kind])
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


def test_when_conversions_come_is_read_back_and_older_models_know_nothing_of_it(
    originals: dict[str, Path], tmp_path: Path
) -> None:
    sooner = Sooner(("7d", "30d"), (0.2, 0.6), (-1.4, 0.4), 0.5, "visits", (0.0, 10.0), (0.1, -1.0), 200)
    model, frame = replace(small_model("logistic"), sooner=sooner), make_frame(5, seed=3)
    saved = save_model(model, tmp_path, canary=make_canary(model, frame.head(2)), facts={})
    loaded = load_model(tmp_path / saved.model_id)
    assert loaded.sooner == sooner
    before, after = (one.within(frame, one.log_odds(frame))["probability_7d"] for one in (model, loaded))
    np.testing.assert_array_equal(before, after)
    assert load_model(originals["logistic"]).sooner is None


def test_a_sealed_manifest_with_impossible_sooner_shares_is_an_artefact_error(tmp_path: Path) -> None:
    model = replace(small_model("logistic"), sooner=Sooner(("30d",), (0.6,), (0.4,), conversions=200))
    saved = save_model(model, tmp_path, canary=make_canary(model, make_frame(2, seed=1)), facts={})
    reseal(tmp_path / saved.model_id, lambda manifest: manifest["sooner"].update(pooled=[1.6]))
    must_not_load(tmp_path / saved.model_id)


@pytest.mark.parametrize(("kind", "name"), EVERY_FILE)
def test_any_changed_byte_is_noticed_before_lightgbm_sees_one(
    kind: str, name: str, originals: dict[str, Path], tmp_path: Path, no_trees: None
) -> None:
    folder = copy_of(originals[kind], tmp_path)
    whole = (folder / name).read_bytes()
    for place, byte in other_bytes(whole, flips=60):
        (folder / name).write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
        must_not_load(folder)
    (folder / name).write_bytes(whole)
    assert read_manifest(folder)["model_id"] == folder.name


def test_a_digit_of_the_manifest_that_became_an_exponent_is_noticed(
    originals: dict[str, Path], tmp_path: Path, no_trees: None
) -> None:
    folder = copy_of(originals["lightgbm"], tmp_path)
    text = (folder / "manifest.json").read_bytes()
    assert text.count(b"0.0123456789012345") == 1
    # One byte: the number now reads as 0.0123e56789012345, which is infinite.
    (folder / "manifest.json").write_bytes(text.replace(b"0.0123456789012345", b"0.0123e56789012345"))
    must_not_load(folder)


@pytest.mark.parametrize(("kind", "name"), EVERY_FILE)
def test_a_file_cut_short_or_grown_is_noticed(
    kind: str, name: str, originals: dict[str, Path], tmp_path: Path, no_trees: None
) -> None:
    folder = copy_of(originals[kind], tmp_path)
    whole = (folder / name).read_bytes()
    for length in (0, 1, 2, len(whole) // 3, len(whole) // 2, len(whole) - 1):
        (folder / name).write_bytes(whole[:length])
        must_not_load(folder)
    for more in (b"\n", b" ", b"\x00", whole):
        (folder / name).write_bytes(whole + more)
        must_not_load(folder)


@pytest.mark.parametrize(("kind", "name"), EVERY_FILE)
def test_a_deleted_file_is_noticed_and_named(
    kind: str, name: str, originals: dict[str, Path], tmp_path: Path, no_trees: None
) -> None:
    folder = copy_of(originals[kind], tmp_path)
    (folder / name).unlink()
    must_not_load(folder, name)


def test_a_folder_that_is_no_model_is_an_artefact_error(tmp_path: Path, no_trees: None) -> None:
    must_not_load(tmp_path, "not a saved model")
    must_not_load(tmp_path / "nowhere", "not a saved model")


@pytest.mark.parametrize(
    "text", [b"", b"null", b"[]", b"7", b"{}", b'"protocol"', b"\xff\xfe", b'{"protocol": 1}', b"[" * 100_000]
)
def test_a_manifest_that_is_something_else_is_an_artefact_error(
    text: bytes, originals: dict[str, Path], tmp_path: Path, no_trees: None
) -> None:
    folder = copy_of(originals["lightgbm"], tmp_path)
    (folder / "manifest.json").write_bytes(text)
    must_not_load(folder)


def test_files_of_two_models_do_not_mix(originals: dict[str, Path], tmp_path: Path, no_trees: None) -> None:
    folder = copy_of(originals["logistic"], tmp_path)
    shutil.copy(originals["base_rate"] / "canary.json", folder)
    must_not_load(folder, "canary.json")


@pytest.mark.parametrize("protocol", [0, PROTOCOL + 1, "1", None])
def test_an_unknown_protocol_is_named_before_anything_else_is_read(
    protocol: object, originals: dict[str, Path], tmp_path: Path, no_trees: None
) -> None:
    folder = copy_of(originals["lightgbm"], tmp_path)
    reseal(folder, lambda manifest: manifest.update(protocol=protocol))
    (folder / "estimator.txt").write_bytes(b"trees of another age")
    must_not_load(folder, f"protocol {protocol}, this version reads up to {PROTOCOL}")


@pytest.mark.parametrize("key", ["columns", "estimator", "calibrator", "policy", "files"])
def test_a_sealed_manifest_without_what_a_model_needs_is_an_artefact_error(
    key: str, originals: dict[str, Path], tmp_path: Path
) -> None:
    folder = copy_of(originals["logistic"], tmp_path)
    reseal(folder, lambda manifest: manifest.pop(key))
    must_not_load(folder)


def test_a_sealed_manifest_with_an_unknown_estimator_is_an_artefact_error(
    originals: dict[str, Path], tmp_path: Path
) -> None:
    folder = copy_of(originals["logistic"], tmp_path)
    reseal(folder, lambda manifest: manifest["estimator"].update(kind="oracle"))
    must_not_load(folder, "oracle")


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest["calibrator"].update(slope=-1.0),
        lambda manifest: manifest["policy"].update(mql=0.9),
        lambda manifest: manifest["calibrator"].update(slope="steep"),
    ],
    ids=["falling calibrator", "thresholds out of order", "a word for a number"],
)
def test_a_sealed_manifest_with_impossible_numbers_is_an_artefact_error(
    change: Any, originals: dict[str, Path], tmp_path: Path
) -> None:
    folder = copy_of(originals["logistic"], tmp_path)
    reseal(folder, change)
    must_not_load(folder)


def damage_trees(text: str, how: str) -> str:
    return {
        "garbage": "tree\n" + "garbage=1 2 3\n" * 50,
        "cut in the middle of a tree": text[: len(text) // 3],
    }[how]


@pytest.mark.parametrize("how", ["garbage", "cut in the middle of a tree"])
def test_trees_that_pass_their_hash_but_do_not_parse_are_an_artefact_error(
    how: str, originals: dict[str, Path], tmp_path: Path
) -> None:
    folder = copy_of(originals["lightgbm"], tmp_path)
    path = folder / "estimator.txt"
    path.write_text(damage_trees(path.read_text(encoding="utf-8"), how), encoding="utf-8")
    reseal(folder, lambda manifest: None)
    assert read_manifest(folder)["estimator"]["kind"] == "lightgbm"
    marks = tmp_path / "verified"
    with pytest.raises(ArtefactError, match="cannot parse"):
        load_model(folder, verified=marks)
    assert not marks.exists() or not any(marks.iterdir())


def test_trees_that_parse_but_kill_whoever_asks_them_are_an_artefact_error(tmp_path: Path) -> None:
    """The children of the first tree lie far outside it: LightGBM parses that, and ends with a fault when scoring."""
    name = json.loads((GOLDEN / "lightgbm" / "expected.json").read_text(encoding="utf-8"))["model_id"]
    folder = copy_of(GOLDEN / "lightgbm" / name, tmp_path)
    path = folder / "estimator.txt"
    text = re.sub(r"(?m)^tree_sizes=.*\n", "", path.read_text(encoding="utf-8"))
    for side in ("left_child", "right_child"):
        text = re.sub(rf"(?m)^{side}=.*$", f"{side}=" + " ".join(["99999999"] * 4), text)
    path.write_text(text, encoding="utf-8")
    reseal(folder, lambda manifest: None)
    with pytest.raises(ArtefactError):
        load_model(folder)


def test_trees_once_parsed_on_this_machine_are_not_parsed_in_a_child_again(
    originals: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, frame = originals["lightgbm"], make_frame(5, seed=3)

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a child process was started again")

    monkeypatch.setattr("models.estimator_files.subprocess.run", refuse)
    loaded = load_model(folder, verified=mark(folder, tmp_path))
    assert np.array_equal(loaded.probability(frame), small_model("lightgbm").probability(frame))


def test_trees_that_take_for_ever_to_parse_are_an_artefact_error(
    originals: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.estimator_files._PARSE_SECONDS", 0.01)
    with pytest.raises(ArtefactError, match="cannot parse"):
        load_model(originals["lightgbm"])


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
