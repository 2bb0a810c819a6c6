"""The artefact: a directory a person can read, verified before a byte of it is used.

::

    manifest.json     everything but the estimator's numbers, and the SHA-256 of every other file
    estimator.txt     LightGBM's own text, or …
    estimator.json    … the logistic regression's terms; of a blend, `estimator-<n>` for each of its parts
    canary.json       invented leads as raw tables, and what this model said of them

No file is code or a pickle. Loading checks, in this order: protocol, the manifest's own seal, every hash, whether the
trees can be parsed at all (in a child process, since a bad LightGBM text can kill or hang the one that reads it), and
whether the canary still sings.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.bands import BandPolicy
from models.calibration import read_calibrator
from models.columns import ModelColumn
from models.estimator_files import read_estimator, write_estimator
from models.evidence import EvidenceTable
from models.interval import IntervalTable
from models.lead_model import LeadModel
from models.sooner import Sooner
from project.errors import ArtefactError, name_some
from project.files import canonical_json, hash_bytes, hash_file, write_folder_atomically

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PROTOCOL", "answer_canary", "load_model", "read_manifest", "save_model"]

PROTOCOL = 2
_READS = (1, 2)  # 1 had neither blends nor categories told by rates
_MANIFEST = "manifest.json"
_CANARY = "canary.json"
_CANARY_TOLERANCE = 1e-9
_TOLD = 0.02  # log-odds; a smaller first reason is none

Canary = Mapping[str, Any]
BuildCanary = Callable[[Canary], "pd.DataFrame"]


def save_model(model: LeadModel, folder: Path, *, canary: Canary, facts: Mapping[str, object]) -> LeadModel:
    """Write a model to `folder`/<model id> and return it with its manifest.

    Parameters
    ----------
    canary
        What `load_model` replays: `tables`, `snapshots` and the `expected` answers.
    facts
        Everything the manifest tells beyond the model itself: outcome, periods, catalogue, metrics, versions, hashes.
    """
    entry, parts = write_estimator(model.estimator)
    files = {_CANARY: canonical_json(dict(canary)).encode(), **parts}
    content = {
        **facts,
        "protocol": PROTOCOL,
        "columns": [column.to_json() for column in model.columns],
        "estimator": entry,
        "calibrator": model.calibrator.to_json(),
        "policy": model.policy.to_json(),
        **({"interval": model.interval.to_json()} if model.interval is not None else {}),
        **({"unusual_from": model.unusual_from} if model.unusual_from is not None else {}),
        **({"sooner": model.sooner.to_json()} if model.sooner is not None else {}),
        **({"evidence": model.evidence.to_json()} if model.evidence is not None else {}),
        "files": {name: hash_bytes(text) for name, text in files.items()},
    }
    manifest = {**content, "model_id": _seal(content)}
    with write_folder_atomically(folder / str(manifest["model_id"])) as temporary:
        for name, text in files.items():
            (temporary / name).write_bytes(text)
        (temporary / _MANIFEST).write_text(canonical_json(manifest), encoding="utf-8")
    return replace(model, manifest=manifest)


def _seal(content: Mapping[str, object]) -> str:
    return "model-" + hash_bytes(canonical_json(dict(content)).encode())[:24]


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read a manifest and check protocol, seal and the hash of every file, without touching the estimator.

    Raises
    ------
    ArtefactError
        The directory is incomplete, changed since it was written, or of a protocol this version does not read.
    """
    cure = "Restore it from a backup, roll back (leads rollback) or train again."
    path = folder / _MANIFEST
    if not path.is_file():
        raise ArtefactError(f"{folder}: no {_MANIFEST}, so this is not a saved model. {cure}")
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ArtefactError(f"{path}: cannot be read ({error.strerror}). {cure}") from error
    try:
        manifest: dict[str, Any] = json.loads(raw)
        protocol = manifest["protocol"]
        untouched = canonical_json(manifest).encode() == raw
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ArtefactError(f"{path}: damaged, it does not read as a manifest. {cure}") from error
    if protocol not in _READS:
        raise ArtefactError(
            f"{path}: protocol {protocol}, this version reads up to {PROTOCOL}. Use the version that wrote it."
        )
    content = {key: value for key, value in manifest.items() if key != "model_id"}
    files = manifest.get("files")
    if not untouched or _seal(content) != manifest.get("model_id") or not isinstance(files, dict):
        raise ArtefactError(f"{path}: changed after it was written. {cure}")
    changed = [name for name, digest in files.items() if not _is_whole(folder / name, digest)]
    if changed:
        raise ArtefactError(f"{folder}: {name_some(changed)} missing or changed after writing. {cure}")
    return manifest


def _is_whole(path: Path, digest: str) -> bool:
    return path.is_file() and hash_file(path) == digest


def load_model(folder: Path, *, build_canary: BuildCanary | None = None, verified: Path | None = None) -> LeadModel:
    """Verify and load a model.

    Parameters
    ----------
    build_canary
        Makes the feature frame of the canary's leads; with it the canary is replayed.
    verified
        Folder of marks "these trees were parsed on this machine"; with a mark the child process is not started again.

    Raises
    ------
    ArtefactError
        As `read_manifest`; or the trees do not parse; or the canary's answers differ.
    """
    manifest = read_manifest(folder)
    try:
        model = LeadModel(
            columns=tuple(ModelColumn.from_json(entry) for entry in manifest["columns"]),
            estimator=read_estimator(folder, manifest, verified=verified),
            calibrator=read_calibrator(manifest["calibrator"]),
            policy=BandPolicy.from_json(manifest["policy"]),
            manifest=manifest,
            interval=IntervalTable.from_json(manifest["interval"]) if "interval" in manifest else None,
            unusual_from=manifest.get("unusual_from"),
            sooner=Sooner.from_json(manifest["sooner"]) if "sooner" in manifest else None,
            evidence=EvidenceTable.from_json(manifest["evidence"]) if "evidence" in manifest else None,
        )
    except ArtefactError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise ArtefactError(f"{folder}: the manifest does not describe a model ({error}). Train again.") from error
    if build_canary is not None:
        _replay_canary(model, json.loads((folder / _CANARY).read_bytes()), build_canary)
    return model


def _replay_canary(model: LeadModel, canary: Canary, build: BuildCanary) -> None:
    frame = build(canary)
    answers = answer_canary(model, frame)
    if len(answers) != len(canary["expected"]):
        raise ArtefactError(f"{model.model_id}: the canary's leads could not all be built. Train again.")
    for said, expected in zip(answers, canary["expected"], strict=True):
        close = math.isclose(said["probability"], expected["probability"], rel_tol=_CANARY_TOLERANCE)
        if not close or said["first_reason"] != expected["first_reason"]:
            raise ArtefactError(
                f"{model.model_id}: of an invented lead it now says {said}, but said {expected} when it was saved. "
                "The libraries or the features changed their meaning: train again with this version."
            )


def answer_canary(model: LeadModel, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return what a model says of the canary's leads: probability, and the column that raises it most."""
    contributions, _ = model.contributions(frame)

    def first(shares: list[float]) -> str:
        largest = max(shares, default=0.0)
        return model.columns[shares.index(largest)].name if largest >= _TOLD else ""

    return [
        {"probability": float(probability), "first_reason": first(shares)}
        for probability, shares in zip(model.probability(frame), contributions.tolist(), strict=True)
    ]
