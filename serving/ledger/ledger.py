"""The ledger of decisions: one line for every lead that was scored, in SQLite, only ever added to."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from project.errors import SettingsError, StorageError
from project.files import hash_bytes

if TYPE_CHECKING:
    import pandas as pd

    from models.lead_model import LeadModel

__all__ = ["Decision", "find_decision", "last_decisions", "ledger_file", "open_ledger", "record_decisions", "to_frame"]

_WAIT_SECONDS = 60.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS decisions (
    decision_id TEXT PRIMARY KEY, lead_id TEXT NOT NULL, as_of TEXT NOT NULL, scored_at TEXT NOT NULL,
    model_id TEXT NOT NULL, data_hash TEXT NOT NULL, settings_hash TEXT NOT NULL, probability REAL NOT NULL,
    log_odds REAL NOT NULL, band TEXT NOT NULL, band_rule TEXT NOT NULL, sql REAL NOT NULL, mql REAL NOT NULL,
    flags TEXT NOT NULL, reasons TEXT NOT NULL, features BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_lead ON decisions (lead_id, as_of);
CREATE TRIGGER IF NOT EXISTS only_added_to BEFORE UPDATE ON decisions
    BEGIN SELECT RAISE(ABORT, 'the ledger is only added to'); END;
"""
_COLUMNS = (
    "decision_id", "lead_id", "as_of", "scored_at", "model_id", "data_hash", "settings_hash", "probability",
    "log_odds", "band", "band_rule", "sql", "mql", "flags", "reasons", "features",
)  # fmt: skip


@dataclass(frozen=True)
class Decision:
    """One scored lead at one moment, with everything needed to say it again.

    Attributes
    ----------
    as_of, scored_at
        ISO times, UTC; `as_of` is empty for a flat file.
    sql, mql
        The thresholds that were in force.
    reasons
        The sentences that were shown, for and against.
    features
        The lead's row of the feature frame: column → number, text or null, to the last bit.
    """

    decision_id: str
    lead_id: str
    as_of: str
    scored_at: str
    model_id: str
    data_hash: str
    settings_hash: str
    probability: float
    log_odds: float
    band: str
    band_rule: str
    sql: float
    mql: float
    flags: str
    reasons: tuple[str, ...]
    features: Mapping[str, float | str | None]


def ledger_file(state: Path) -> Path:
    """Return where the ledger of a project is."""
    return state / "ledger.db"


@contextmanager
def open_ledger(state: Path) -> Iterator[sqlite3.Connection]:
    """Open the ledger, made if it is not there; what is deleted is overwritten on the disk.

    Raises
    ------
    StorageError
        It cannot be opened, is damaged, or another command holds it for over a minute.
    """
    path = ledger_file(state)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=_WAIT_SECONDS)) as connection:
            connection.execute("PRAGMA secure_delete = ON")
            connection.executescript(_SCHEMA)
            yield connection
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"{path}: the ledger cannot be used ({error}). Restore it from a backup.") from error


def record_decisions(
    state: Path, scored: pd.DataFrame, frame: pd.DataFrame, model: LeadModel, *, data_hash: str, settings_hash: str
) -> list[str]:
    """Add scored leads, all or none, and return their decisions' ids; a decision that is there already stays.

    Parameters
    ----------
    scored, frame
        Row by row in one order: columns of the scored file, and the feature frame.
    """
    cells = _cells(frame, model)
    texts = [json.dumps(row, ensure_ascii=False) for row in cells]
    keys = scored[["lead_id", "as_of", "model_id", "band"]].itertuples(index=False)
    # what decided is part of the name: the same lead asked again with other data is another decision
    ids = ["D" + hash_bytes("\0".join([*key, text]).encode())[:20] for key, text in zip(keys, texts, strict=True)]
    shown = scored[[name for name in scored.columns if name.startswith("reason_")]]
    reasons = [json.dumps([text for text in row if text], ensure_ascii=False) for row in shown.itertuples(index=False)]
    rows = zip(
        ids, scored["lead_id"], map(_in_full, scored["as_of"]), scored["scored_at"], scored["model_id"],
        [data_hash] * len(ids), [settings_hash] * len(ids), scored["probability"].tolist(),
        scored["log_odds"].tolist(), scored["band"], scored["band_rule"], [model.policy.sql] * len(ids),
        [model.policy.mql] * len(ids), scored["flags"], reasons, [zlib.compress(text.encode(), 1) for text in texts],
        strict=True,
    )  # fmt: skip
    with open_ledger(state) as connection, connection:
        connection.executemany(f"INSERT OR IGNORE INTO decisions VALUES ({', '.join('?' * len(_COLUMNS))})", rows)
    return ids


def _in_full(moment: str) -> str:
    """Write an ISO time with all its digits, so that times can be compared as texts.

    >>> _in_full("2026-01-15T06:00:00Z"), _in_full("")
    ('2026-01-15T06:00:00.000000Z', '')
    """
    if not moment:
        return ""
    plain = moment.removesuffix("Z")
    return f"{plain if '.' in plain else plain + '.000000'}Z"


def _cells(frame: pd.DataFrame, model: LeadModel) -> list[dict[str, float | str | None]]:
    names = [column.name for column in model.columns]
    columns = [frame[name].astype(object).where(frame[name].notna(), None).to_list() for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)] or [{} for _ in range(len(frame))]


def last_decisions(state: Path, lead_ids: Sequence[str], *, before: datetime | None) -> dict[str, Decision]:
    """Return for each lead that has one its latest decision from before a moment; null: the latest of all."""
    if not ledger_file(state).is_file() or not lead_ids:
        return {}
    limit = "9999" if before is None else _in_full(before.isoformat())
    with open_ledger(state) as connection, connection:
        connection.execute("CREATE TEMP TABLE asked (lead_id TEXT PRIMARY KEY)")
        connection.executemany("INSERT OR IGNORE INTO asked VALUES (?)", [(lead,) for lead in lead_ids])
        rows = connection.execute(
            f"SELECT {', '.join('decisions.' + name for name in _COLUMNS)}, max(as_of || scored_at) FROM asked "
            "JOIN decisions USING (lead_id) WHERE as_of < ? GROUP BY decisions.lead_id",
            [limit],
        ).fetchall()
    return {decision.lead_id: decision for decision in (_read(row[:-1]) for row in rows)}


def find_decision(state: Path, decision_id: str) -> Decision:
    """Return a decision by its id.

    Raises
    ------
    SettingsError
        There is none.
    """
    rows = []
    if ledger_file(state).is_file():
        with open_ledger(state) as connection:
            rows = connection.execute(
                f"SELECT {', '.join(_COLUMNS)} FROM decisions WHERE decision_id = ?", [decision_id]
            ).fetchall()
    if not rows:
        raise SettingsError(
            f"There is no decision {decision_id!r}. Its id is in the column decision_id of a scored file, and in "
            "leads explain."
        )
    return _read(rows[0])


def _read(row: Sequence[object]) -> Decision:
    told = dict(zip(_COLUMNS, row, strict=True))
    features = json.loads(zlib.decompress(told.pop("features")))  # type: ignore[arg-type]
    reasons = tuple(json.loads(told.pop("reasons")))  # type: ignore[arg-type]
    return Decision(**told, reasons=reasons, features=features)  # type: ignore[arg-type]


def to_frame(decisions: Sequence[Decision], model: LeadModel) -> pd.DataFrame:
    """Return the feature rows of decisions as the frame that the model saw, one row a decision."""
    import pandas as pd

    kinds = {column.name: "float64" if column.kind == "number" else "str" for column in model.columns}
    rows = [[decision.features.get(name) for name in kinds] for decision in decisions]
    frame = pd.DataFrame(rows, columns=list(kinds), dtype=object)
    return frame.astype(kinds)
