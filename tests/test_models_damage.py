"""Damaged and forged artefacts are noticed before LightGBM is given a byte."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest

from models.artefact import PROTOCOL, load_model, read_manifest, save_model
from models.sooner import Sooner
from project.errors import ArtefactError
from small_models import GOLDEN, MODEL_FILES, copy_of, make_canary, make_frame, mark, must_not_load, reseal, small_model

EVERY_FILE = [(kind, name) for kind, names in MODEL_FILES.items() for name in names]


@pytest.fixture
def no_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail as soon as LightGBM would be given a text."""

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("LightGBM was given the bytes of a damaged model")

    monkeypatch.setattr("models.estimator_files._parse_in_child", refuse)
    monkeypatch.setattr(lightgbm, "Booster", refuse)


def other_bytes(text: bytes, *, flips: int) -> Iterator[tuple[int, int]]:
    """Choose places and other values for their bytes: the ends, blanks of the layout, and places by chance."""
    random = np.random.default_rng(0)
    blanks = [place for place, byte in enumerate(text) if byte in b" \n"]
    places = [0, len(text) - 1, *blanks[:8], *random.integers(0, len(text), flips).tolist()]
    for place in places:
        yield place, text[place] ^ (1, 0x20, 0x80, 0xFF)[place % 4]
    for place in blanks[:8]:
        yield place, ord("\t")  # still the same JSON


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


def test_a_sealed_manifest_with_impossible_sooner_shares_is_an_artefact_error(tmp_path: Path) -> None:
    model = replace(small_model("logistic"), sooner=Sooner(("30d",), (0.6,), (0.4,), conversions=200))
    saved = save_model(model, tmp_path, canary=make_canary(model, make_frame(2, seed=1)), facts={})
    reseal(tmp_path / saved.model_id, lambda manifest: manifest["sooner"].update(pooled=[1.6]))
    must_not_load(tmp_path / saved.model_id)


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
