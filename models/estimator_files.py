"""An estimator as files: readable numbers of a linear model, LightGBM's own text of trees; a blend is its parts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.estimators import BaseRate, Blend, BoostedTrees, Estimator
from models.linear import Logistic
from project.errors import ArtefactError
from project.files import canonical_json, write_atomically

__all__ = ["read_estimator", "write_estimator"]

_PARSE_SECONDS = 120
Entry = dict[str, Any]


def write_estimator(estimator: Estimator) -> tuple[Entry, dict[str, bytes]]:
    """Return what the manifest says of an estimator, and its files by name."""
    if not isinstance(estimator, Blend):
        return _write_part(estimator, "estimator")
    parts: list[Entry] = []
    files: dict[str, bytes] = {}
    for number, (part, weight) in enumerate(zip(estimator.parts, estimator.weights, strict=True)):
        entry, own = _write_part(part, f"estimator-{number}")
        parts.append({**entry, "weight": weight})
        files |= own
    return {"kind": estimator.kind, "parts": parts}, files


def _write_part(estimator: Estimator, name: str) -> tuple[Entry, dict[str, bytes]]:
    if isinstance(estimator, BoostedTrees):
        entry = {"kind": estimator.kind, "file": f"{name}.txt", "inputs": list(estimator.inputs)}
        return entry, {f"{name}.txt": estimator.text.encode()}
    if isinstance(estimator, Logistic):
        content = canonical_json(estimator.to_json()).encode()
        return {"kind": estimator.kind, "file": f"{name}.json"}, {f"{name}.json": content}
    if isinstance(estimator, BaseRate):
        return {"kind": estimator.kind, "log_odds": estimator.value}, {}
    raise TypeError(f"no form in files is known for {type(estimator).__name__}")


def read_estimator(folder: Path, manifest: Mapping[str, Any], *, verified: Path | None) -> Estimator:
    """Read what `write_estimator` wrote; trees are parsed in a child process first.

    Parameters
    ----------
    manifest
        With the hashes of the files, which were checked.
    verified
        Folder of marks "these trees were parsed on this machine"; with a mark no child process is started.

    Raises
    ------
    ArtefactError
        The trees do not parse, or the kind of estimator is unknown.
    """
    entry: Entry = manifest["estimator"]
    if entry["kind"] == "blend":
        parts = tuple(_read_part(folder, part, manifest["files"], verified) for part in entry["parts"])
        return Blend(parts, tuple(float(part["weight"]) for part in entry["parts"]))
    return _read_part(folder, entry, manifest["files"], verified)


def _read_part(
    folder: Path, entry: Entry, hashes: Mapping[str, str], verified: Path | None
) -> BaseRate | BoostedTrees | Logistic:
    match entry["kind"]:
        case "base_rate":
            return BaseRate(float(entry["log_odds"]))
        case "logistic":
            return Logistic.from_json(json.loads((folder / entry.get("file", "estimator.json")).read_bytes()))
        case "lightgbm":
            path = folder / entry.get("file", "estimator.txt")
            _parse_in_child(path, hashes[path.name], verified=verified)
            return BoostedTrees(path.read_text(encoding="utf-8"), tuple(map(int, entry.get("inputs", ()))))
        case other:
            raise ArtefactError(f"{folder}: unknown estimator {other!r}. Use the version that wrote it.")


def _parse_in_child(path: Path, digest: str, *, verified: Path | None) -> None:
    mark = verified / digest if verified is not None else None
    if mark is not None and mark.is_file():
        return
    # a prediction too: trees that point nowhere parse, and crash when they are walked
    code = (
        "import sys, lightgbm, numpy; booster = lightgbm.Booster(model_file=sys.argv[1]); "
        "booster.predict(numpy.full((1, booster.num_feature()), numpy.nan), num_threads=1)"
    )
    try:
        child = subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, timeout=_PARSE_SECONDS, check=False
        )
        failed = child.returncode != 0
    except subprocess.TimeoutExpired:
        failed = True
    if failed:
        raise ArtefactError(f"{path}: LightGBM cannot parse these trees. Roll back (leads rollback) or train again.")
    if mark is not None:
        with write_atomically(mark) as temporary:
            temporary.write_text("parsed\n", encoding="utf-8")
