"""Which model is in use: folders of artefacts, two aliases, and a line for every move.

`state/models/<model id>/` holds the artefacts, `state/aliases.json` says who is `champion` and who `challenger`, and
`state/promotions.jsonl` remembers every move. MLflow mirrors the aliases; scoring never needs it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from project.errors import ArtefactError, NotEnoughDataError, QualityGateError, SettingsError, StorageError
from project.files import canonical_json, write_atomically

__all__ = ["Alias", "find_model", "models_folder", "move_alias", "read_aliases", "read_moves"]

Alias = Literal["champion", "challenger"]


def models_folder(state: Path) -> Path:
    """Return where artefacts are kept."""
    return state / "models"


def read_aliases(state: Path) -> dict[str, str]:
    """Return the model id behind each alias that is set."""
    path = state / "aliases.json"
    if not path.is_file():
        return {}
    cure = "Write {} into it and promote a model again."
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise StorageError(f"{path}: damaged. {cure}") from error
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror}).") from error
    if not isinstance(content, dict) or not all(isinstance(model, str) for model in content.values()):
        raise StorageError(f"{path}: damaged, it does not name a model for each alias. {cure}")
    return content


def read_moves(state: Path) -> list[dict[str, Any]]:
    """Return all moves of aliases, oldest first: `at`, `alias`, `from`, `to`, `why`."""
    path = state / "promotions.jsonl"
    if not path.is_file():
        return []
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    except (ValueError, OSError) as error:
        raise StorageError(f"{path}: damaged or not to be read ({error}). Take the bad line out.") from error


def find_model(state: Path, name: str = "champion") -> Path:
    """Return the folder of a model by alias or id.

    Raises
    ------
    NotEnoughDataError
        Nothing was trained yet.
    SettingsError
        No model has that name.
    """
    aliases = read_aliases(state)
    models = {path.name: path for path in models_folder(state).glob("model-*") if path.is_dir()}
    wanted = aliases.get(name, name)
    if wanted in models:
        return models[wanted]
    if name in aliases:
        raise ArtefactError(
            f"{models_folder(state) / wanted}: the {name} is gone. Restore it, or roll back: leads rollback"
        )
    if not models:
        raise NotEnoughDataError("No model was trained yet. Run: leads train")
    raise SettingsError(f"There is no model {name!r}. Known: {', '.join(sorted({*aliases, *models}))}.")


def move_alias(state: Path, alias: Alias, to: str | None, *, expected: str | None, why: str, now: datetime) -> None:
    """Point an alias at a model, if it still points where the caller believes; leave an audit line.

    Raises
    ------
    QualityGateError
        Somebody else moved it in the meantime (compare and swap).
    """
    aliases = read_aliases(state)
    found = aliases.get(alias)
    if found != expected:
        raise QualityGateError(f"{alias} is {found} by now, not {expected}: somebody moved it. Look again: leads info")
    after = {name: model for name, model in {**aliases, alias: to}.items() if model is not None}
    line: Mapping[str, object] = {"at": now.isoformat(), "alias": alias, "from": found, "to": to, "why": why}
    moves = state / "promotions.jsonl"
    earlier = moves.read_text(encoding="utf-8") if moves.is_file() else ""
    with write_atomically(moves) as temporary:
        temporary.write_text(earlier + json.dumps(line, ensure_ascii=False) + "\n", encoding="utf-8")
    with write_atomically(state / "aliases.json") as temporary:
        temporary.write_text(canonical_json(dict(after)), encoding="utf-8")
