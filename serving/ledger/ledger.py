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

from models.bands import BandPolicy
from project.errors import SettingsError, StorageError
from project.files import hash_bytes

if TYPE_CHECKING:
    import pandas as pd

    from models.lead_model import LeadModel

__all__ = [
    "Decision",
    "band_since",
    "find_decision",
    "last_decisions",
    "ledger_file",
    "name_decisions",
    "open_ledger",
    "previous_bands",
    "record_decisions",
    "to_frame",
]

_WAIT_SECONDS = 60.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS decisions (
    decision_id TEXT PRIMARY KEY, lead_id TEXT NOT NULL, as_of TEXT NOT NULL, scored_at TEXT NOT NULL,
    model_id TEXT NOT NULL, data_hash TEXT NOT NULL, settings_hash TEXT NOT NULL, probability REAL NOT NULL,
    log_odds REAL NOT NULL, band TEXT NOT NULL, band_rule TEXT NOT NULL, sql REAL NOT NULL, mql REAL NOT NULL,
    flags TEXT NOT NULL, reasons TEXT NOT NULL, features BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_lead ON decisions (lead_id, as_of, scored_at, band);
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


def name_decisions(scored: pd.DataFrame, frame: pd.DataFrame, model: LeadModel) -> list[str]:
    """Return the ids of decisions: the same lead, moment, model, features, band and rule make the same decision.

    Parameters
    ----------
    scored, frame
        Row by row in one order: columns of the scored file, and the feature frame.
    """
    keys = scored[["lead_id", "as_of", "model_id", "band", "band_rule"]].itertuples(index=False)
    return [
        "D" + hash_bytes("\0".join([*key, text]).encode())[:20]
        for key, text in zip(keys, _rows_as_text(frame, model), strict=True)
    ]


def record_decisions(
    state: Path,
    decision_ids: Sequence[str],
    scored: pd.DataFrame,
    frame: pd.DataFrame,
    model: LeadModel,
    *,
    data_hash: str,
    settings_hash: str,
) -> None:
    """Add scored leads, all or none; a decision that is there already stays as it is.

    Parameters
    ----------
    decision_ids, scored, frame
        As `name_decisions` gives and takes them.
    """
    n = len(scored)
    shown = scored[[name for name in scored.columns if name.startswith("reason_")]]
    reasons = [json.dumps([text for text in row if text], ensure_ascii=False) for row in shown.itertuples(index=False)]
    rows = zip(
        decision_ids, scored["lead_id"], *(map(_in_full, scored[name]) for name in ("as_of", "scored_at")),
        scored["model_id"],
        [data_hash] * n, [settings_hash] * n, scored["probability"].tolist(), scored["log_odds"].tolist(),
        scored["band"], scored["band_rule"], [model.policy.sql] * n, [model.policy.mql] * n, scored["flags"], reasons,
        [zlib.compress(text.encode(), 1) for text in _rows_as_text(frame, model)],
        strict=True,
    )  # fmt: skip
    with open_ledger(state) as connection, connection:
        connection.executemany(
            f"INSERT INTO decisions VALUES ({', '.join('?' * len(_COLUMNS))}) ON CONFLICT (decision_id) DO NOTHING",
            rows,
        )


def _in_full(moment: str) -> str:
    """Write an ISO time with all its digits, so that times can be compared as texts.

    >>> _in_full("2026-01-15T06:00:00Z"), _in_full("")
    ('2026-01-15T06:00:00.000000Z', '')
    """
    if not moment:
        return ""
    plain = moment.removesuffix("Z")
    return f"{plain if '.' in plain else plain + '.000000'}Z"


def _rows_as_text(frame: pd.DataFrame, model: LeadModel) -> list[str]:
    """Write every row of a frame down, to the last bit."""
    names = [column.name for column in model.columns]
    columns = [frame[name].astype(object).where(frame[name].notna(), None).to_list() for name in names]
    rows = zip(*columns, strict=True) if names else [()] * len(frame)
    return [json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) for row in rows]


def last_decisions(state: Path, lead_ids: Sequence[str], *, before: datetime | None) -> dict[str, Decision]:
    """Return for each lead that has one its latest decision from before a moment; null: the latest of all."""
    if not ledger_file(state).is_file() or not lead_ids:
        return {}
    limit = "9999" if before is None else _in_full(before.isoformat())
    with open_ledger(state) as connection, connection:
        connection.execute("CREATE TEMP TABLE asked (lead_id TEXT PRIMARY KEY)")
        connection.executemany("INSERT OR IGNORE INTO asked VALUES (?)", [(lead,) for lead in lead_ids])
        # the index alone finds the latest one of each lead; then one row of each is read
        rows = connection.execute(
            f"SELECT {', '.join('decisions.' + name for name in _COLUMNS)} FROM asked CROSS JOIN decisions ON "
            "decisions.decision_id = (SELECT decision_id FROM decisions AS own WHERE own.lead_id = asked.lead_id "
            "AND own.as_of < ? ORDER BY own.as_of DESC, own.scored_at DESC LIMIT 1)",
            [limit],
        ).fetchall()
    return {decision.lead_id: decision for decision in map(_read, rows)}


def previous_bands(earlier: Mapping[str, Decision], lead_ids: Sequence[str]) -> list[str]:
    """Return the band of each lead at its earlier decision, if its probability decided it; empty where it did not."""
    bands = {lead: one.band for lead, one in earlier.items() if BandPolicy.says(one.band_rule)}
    return [bands.get(lead, "") for lead in lead_ids]


def band_since(state: Path, bands: Mapping[str, str], *, before: datetime) -> dict[str, datetime]:
    """Return since when leads have been in the bands they are in now: lead → UTC, by decisions from before a moment.

    Leads that were in another band at their last decision, or have none, are left out.
    """
    if not ledger_file(state).is_file() or not bands:
        return {}
    with open_ledger(state) as connection, connection:
        connection.execute("CREATE TEMP TABLE asked (lead_id TEXT PRIMARY KEY, band TEXT)")
        connection.executemany("INSERT INTO asked VALUES (?, ?)", bands.items())
        # the first decision of the unbroken run of this band that ends with the latest decision
        rows = connection.execute(
            "SELECT lead_id, min(as_of) FROM (SELECT lead_id, as_of, sum(own.band <> asked.band) OVER "
            "(PARTITION BY lead_id ORDER BY as_of DESC, scored_at DESC) AS others FROM asked "
            "CROSS JOIN decisions AS own USING (lead_id) WHERE as_of < ?) WHERE others = 0 GROUP BY lead_id",
            [_in_full(before.isoformat())],
        ).fetchall()
    return {lead: datetime.fromisoformat(str(moment).removesuffix("Z")) for lead, moment in rows}


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
