"""The canonical tables as a folder of Parquet, so that several machines can read what one has checked.

::

    tables.json       what `Tables` says beside its rows: attributes, periods, counts, the hash of the sources
    leads.parquet     and `events`, `outcomes`, `accounts`, `matured`: columns and types as in `Tables`
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from features.ingest import connect
from features.tables import Attribute, TableCount, Tables, quote
from project.errors import SchemaError, SettingsError, StorageError
from project.files import canonical_json, write_folder_atomically

__all__ = ["TABLES", "Lake", "describe_lake", "read_lake", "write_lake"]

PROTOCOL = 1
# rows of a lead lie together, and the same rows give the same bytes
TABLES: Mapping[str, str] = {
    "leads": "position", "events": "ALL", "outcomes": "ALL", "accounts": "ALL", "matured": "ALL"
}  # fmt: skip
_FACTS = "tables.json"
_ROWS_IN_GROUP = 122_880


@dataclass(frozen=True)
class Lake:
    """What is known of the tables in a folder without reading a row; the attributes mean what they mean in `Tables`."""

    folder: Path
    dated: bool
    lead_attributes: tuple[Attribute, ...]
    account_attributes: tuple[Attribute, ...]
    observed_from: datetime | None
    observed_until: datetime | None
    data_until: datetime | None
    data_hash: str
    record_horizon: int | None
    counts: Mapping[str, TableCount]

    def file(self, table: str) -> Path:
        """Return where the rows of a table are."""
        return self.folder / f"{table}.parquet"


def write_lake(tables: Tables, folder: Path) -> None:
    """Write the tables as Parquet; the folder is whole or absent, and a folder of tables is replaced.

    Raises
    ------
    SettingsError
        The folder holds something else, which is not overwritten.
    """
    if folder.exists() and not (folder / _FACTS).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise SettingsError(f"{folder}: holds something else than tables. Choose a new folder.")
    with write_folder_atomically(folder) as temporary:
        for table, order in TABLES.items():
            tables.connection.execute(
                f"COPY (SELECT * FROM {table} ORDER BY {order}) TO {quote(str(temporary / f'{table}.parquet'))} "
                f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROWS_IN_GROUP})"
            )
        (temporary / _FACTS).write_text(canonical_json(_facts(tables)), encoding="utf-8")


def _facts(tables: Tables) -> dict[str, object]:
    def write(moment: datetime | None) -> str | None:
        return moment.isoformat() if moment is not None else None

    return {
        "protocol": PROTOCOL,
        "dated": tables.dated,
        "lead_attributes": [asdict(attribute) for attribute in tables.lead_attributes],
        "account_attributes": [asdict(attribute) for attribute in tables.account_attributes],
        "observed_from": write(tables.observed_from),
        "observed_until": write(tables.observed_until),
        "data_until": write(tables.data_until),
        "data_hash": tables.data_hash,
        "record_horizon": tables.record_horizon,
        "counts": {
            name: {"read": count.read, "kept": count.kept, "rejected": count.rejected, "reasons": dict(count.reasons)}
            for name, count in tables.counts.items()
        },
    }


def describe_lake(folder: Path) -> Lake:
    """Read `tables.json` and see that every table has its file.

    Raises
    ------
    StorageError
        The folder or one of its files is missing or cannot be read.
    SchemaError
        `tables.json` is damaged, or of another version.
    """
    path = folder / _FACTS
    cure = "Write the tables again: leads tables"
    try:
        facts: dict[str, Any] = json.loads(path.read_bytes())
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror}). {cure}") from error
    except ValueError as error:
        raise SchemaError(f"{path}: damaged, it is not JSON ({error}). {cure}") from error
    absent = [table for table in TABLES if not (folder / f"{table}.parquet").is_file()]
    if absent:
        raise StorageError(f"{folder}: {absent[0]}.parquet is missing. {cure}")
    try:
        if facts["protocol"] != PROTOCOL:
            raise SchemaError(f"{path}: protocol {facts['protocol']}, this version reads {PROTOCOL}. {cure}")
        return _read_facts(folder, facts)
    except (KeyError, TypeError, AttributeError) as error:
        raise SchemaError(f"{path}: damaged, it does not describe tables ({error}). {cure}") from error


def _read_facts(folder: Path, facts: Mapping[str, Any]) -> Lake:
    def read(name: str) -> datetime | None:
        return datetime.fromisoformat(facts[name]) if facts[name] is not None else None

    return Lake(
        folder=folder,
        dated=facts["dated"],
        lead_attributes=tuple(Attribute(**entry) for entry in facts["lead_attributes"]),
        account_attributes=tuple(Attribute(**entry) for entry in facts["account_attributes"]),
        observed_from=read("observed_from"),
        observed_until=read("observed_until"),
        data_until=read("data_until"),
        data_hash=facts["data_hash"],
        record_horizon=facts["record_horizon"],
        counts={name: TableCount(**count) for name, count in facts["counts"].items()},
    )


def read_lake(folder: Path) -> Tables:
    """Open a folder of tables on this machine: DuckDB views, so that rows are read when they are asked for.

    Raises
    ------
    StorageError, SchemaError
        As `describe_lake`.
    """
    lake = describe_lake(folder)
    connection = connect()
    for table in TABLES:
        connection.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet({quote(str(lake.file(table)))})")
    return Tables(
        connection=connection,
        dated=lake.dated,
        lead_attributes=lake.lead_attributes,
        account_attributes=lake.account_attributes,
        observed_from=lake.observed_from,
        observed_until=lake.observed_until,
        counts=lake.counts,
        data_hash=lake.data_hash,
        data_until=lake.data_until,
        record_horizon=lake.record_horizon,
    )
