"""Small canonical tables from plain rows: the canary's invented leads, or one lead that a service is asked about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from features.engine import build_features
from features.ingest import connect
from features.tables import Attribute, Tables

if TYPE_CHECKING:
    import pandas as pd

    from features.catalogue import Catalogue

__all__ = ["build_features_of_rows", "tables_from_rows"]

Rows = Sequence[Mapping[str, Any]]


def tables_from_rows(content: Mapping[str, Any]) -> Tables:
    """Make tables out of JSON-like rows.

    Parameters
    ----------
    content
        `dated` bool; `lead_columns` and `account_columns`: header → `number` or `category`; `leads`: rows with
        `lead_id`, `created_at` (ISO time in UTC, or null), `account_id` and the headers; `events`: rows with `lead_id`,
        `occurred_at`, `recorded_at`, `kind`, `value`, and if they have them `superseded_at` and `opens_until`;
        `accounts`: rows with `account_id`, `valid_from` and the headers; where needed `outcomes` (`lead_id`, `won_at`)
        and `matured` (`lead_id`, `known_at`, `converted`).
    """
    connection = connect()
    lead_attributes = _attributes(content["lead_columns"])
    account_attributes = _attributes(content["account_columns"])
    leads = [
        (
            row["lead_id"],
            row["created_at"],
            row["account_id"],
            row["account_id"],
            None,
            place,
            *(row[entry.header] for entry in lead_attributes),
        )
        for place, row in enumerate(content["leads"])
    ]
    connection.execute(
        "CREATE TABLE leads (lead_id VARCHAR, created_at TIMESTAMP, account_id VARCHAR, group_id VARCHAR, "
        "flag VARCHAR, position BIGINT"
        f"{_declare(lead_attributes)})"
    )
    events = [
        (
            row["lead_id"],
            row["occurred_at"],
            row["recorded_at"],
            row.get("superseded_at"),
            row.get("opens_until"),
            row["kind"],
            row["value"],
        )
        for row in content["events"]
    ]
    connection.execute(
        "CREATE TABLE events (lead_id VARCHAR, occurred_at TIMESTAMP, recorded_at TIMESTAMP, superseded_at TIMESTAMP, "
        "opens_until TIMESTAMP, kind VARCHAR, value DECIMAL(28, 6))"
    )
    accounts = [
        (row["account_id"], row["valid_from"], *(row[entry.header] for entry in account_attributes))
        for row in content["accounts"]
    ]
    connection.execute(
        f"CREATE TABLE accounts (account_id VARCHAR, valid_from TIMESTAMP{_declare(account_attributes)})"
    )
    connection.execute("CREATE TABLE outcomes (lead_id VARCHAR, won_at TIMESTAMP, lost_at TIMESTAMP, lost_as VARCHAR)")
    outcomes = [(row["lead_id"], row["won_at"], None, None) for row in content.get("outcomes", ())]
    connection.execute("CREATE TABLE matured (lead_id VARCHAR, known_at TIMESTAMP, converted INTEGER)")
    matured = [(row["lead_id"], row["known_at"], row["converted"]) for row in content.get("matured", ())]
    filled = {"leads": leads, "events": events, "accounts": accounts, "outcomes": outcomes, "matured": matured}
    for table, rows in filled.items():
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
    return Tables(connection, bool(content["dated"]), lead_attributes, account_attributes, None, None, {}, "")


def _attributes(columns: Mapping[str, Any]) -> tuple[Attribute, ...]:
    return tuple(Attribute(header, f"a{place}", kind) for place, (header, kind) in enumerate(sorted(columns.items())))


def _declare(attributes: Sequence[Attribute]) -> str:
    return "".join(f", {entry.column} {'DOUBLE' if entry.kind == 'number' else 'VARCHAR'}" for entry in attributes)


def build_features_of_rows(content: Mapping[str, Any], snapshots: Rows, catalogue: Catalogue) -> pd.DataFrame:
    """Return the feature frame of snapshots (`lead_id`, `as_of` as ISO time or null) of tables made of rows."""
    import pandas as pd

    moments = [datetime.fromisoformat(row["as_of"]) if row["as_of"] else None for row in snapshots]
    frame = pd.DataFrame(
        {
            "lead_id": [row["lead_id"] for row in snapshots],
            "as_of": pd.Series(moments, dtype="datetime64[us]"),
        }
    )
    return build_features(frame, tables_from_rows(content), catalogue)
