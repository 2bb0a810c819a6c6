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
    entries: list[Entry] = entry["parts"] if entry["kind"] == "blend" else [entry]
    trees = [folder / _trees_file(part) for part in entries if part["kind"] == "lightgbm"]
    _parse_in_child({path: manifest["files"][path.name] for path in trees}, verified=verified)
    parts = [_read_part(folder, part) for part in entries]
    if entry["kind"] == "blend":
        return Blend(tuple(parts), tuple(float(part["weight"]) for part in entries))
    return parts[0]


def _trees_file(entry: Entry) -> str:
    return str(entry.get("file", "estimator.txt"))


def _read_part(folder: Path, entry: Entry) -> BaseRate | BoostedTrees | Logistic:
    match entry["kind"]:
        case "base_rate":
            return BaseRate(float(entry["log_odds"]))
        case "logistic":
            return Logistic.from_json(json.loads((folder / entry.get("file", "estimator.json")).read_bytes()))
        case "lightgbm":
            text = (folder / _trees_file(entry)).read_text(encoding="utf-8")
            return BoostedTrees(text, tuple(map(int, entry.get("inputs", ()))))
        case other:
            raise ArtefactError(f"{folder}: unknown estimator {other!r}. Use the version that wrote it.")


def _parse_in_child(hashes: Mapping[Path, str], *, verified: Path | None) -> None:
    """Let a child process parse files of trees that bear no mark yet, all at once; then mark them."""
    marks = {path: verified / digest for path, digest in hashes.items()} if verified is not None else {}
    paths = [path for path in hashes if path not in marks or not marks[path].is_file()]
    if not paths:
        return
    # a prediction too: trees that point nowhere parse, and crash when they are walked; LightGBM does both without the
    # two libraries that it would load first, which is most of a child's time
    code = (
        "import sys\n"
        "sys.modules['sklearn'] = sys.modules['pandas'] = None\n"
        "import lightgbm, numpy\n"
        "for path in sys.argv[1:]:\n"
        "    print(path, flush=True)\n"
        "    booster = lightgbm.Booster(model_file=path)\n"
        "    booster.predict(numpy.full((1, booster.num_feature()), numpy.nan), num_threads=1)\n"
    )
    try:
        child = subprocess.run(
            [sys.executable, "-c", code, *map(str, paths)], capture_output=True, timeout=_PARSE_SECONDS, check=False
        )
        failed, said = child.returncode != 0, child.stdout
    except subprocess.TimeoutExpired as error:
        failed, said = True, error.stdout or b""
    if failed:
        # the last one that it began; LightGBM may say something between, in any encoding
        last = [path for path in paths if str(path).encode() in said.splitlines()] or paths
        raise ArtefactError(
            f"{last[-1]}: LightGBM cannot parse these trees. Roll back (leads rollback) or train again."
        )
    for path in paths:
        if path in marks:
            with write_atomically(marks[path]) as temporary:
                temporary.write_text("parsed\n", encoding="utf-8")
