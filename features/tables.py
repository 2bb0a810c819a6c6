"""The canonical tables: what each column means, and the one value that holds them all.

Every reader ends in these tables and everything later starts from them. Times are UTC without a zone, identifiers are
text, intervals are half-open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import duckdb

__all__ = [
    "CONTRACTS",
    "PAGE_MARK",
    "TOUCH",
    "Attribute",
    "Column",
    "Contract",
    "TableCount",
    "Tables",
    "quote",
    "reject_share",
]

TOUCH = "touch: "  # before the kind of an event that sales did, so that it is never taken for the lead's own
PAGE_MARK = " @ "  # between a kind and the group of pages it went to


@dataclass(frozen=True)
class Column:
    """One declared column of a canonical table."""

    name: str
    kind: Literal["id", "time", "text", "number"]
    required: bool
    meaning: str


@dataclass(frozen=True)
class Contract:
    """A canonical table: its columns, and the column that names a row once."""

    table: str
    columns: tuple[Column, ...]
    unique: str | None = None


_LEAD = Column("lead_id", "id", True, "the lead")

CONTRACTS: dict[str, Contract] = {
    contract.table: contract
    for contract in (
        Contract(
            "leads",
            (
                Column("lead_id", "id", True, "the lead; once in the table"),
                Column("created_at", "time", True, "when it came in"),
                Column("account_id", "id", False, "the company behind it"),
            ),
            unique="lead_id",
        ),
        Contract(
            "events",
            (
                _LEAD,
                Column("occurred_at", "time", True, "when it happened"),
                Column("kind", "text", True, "what happened"),
                Column("value", "number", False, "how much of it, if that means anything"),
                Column("recorded_at", "time", False, "when the source knew; the event was unknown before"),
            ),
        ),
        Contract(
            "stages",
            (
                _LEAD,
                Column("stage", "text", True, "the stage entered"),
                Column("changed_at", "time", True, "when"),
                Column("reason", "text", False, "why, for a lost lead"),
                Column("amount", "number", False, "worth of the deal"),
            ),
        ),
        Contract(
            "accounts",
            (
                Column("account_id", "id", True, "the company"),
                Column("valid_from", "time", False, "since when these attributes hold"),
            ),
        ),
        Contract(
            "touches",
            (
                _LEAD,
                Column("occurred_at", "time", True, "when"),
                Column("kind", "text", True, "call, mail or meeting"),
                Column("outcome", "text", False, "what came of it"),
            ),
        ),
        Contract(
            "spend",
            (
                Column("day", "time", True, "the day"),
                Column("channel", "text", True, "where the money went"),
                Column("campaign", "text", False, "for what"),
                Column("amount", "number", True, "how much"),
            ),
        ),
        Contract(
            "feedback",
            (
                _LEAD,
                Column("given_at", "time", True, "when"),
                Column("verdict", "text", True, "accepted, or the agreed reason of rejection"),
            ),
        ),
    )
}


@dataclass(frozen=True)
class Attribute:
    """A column of the user's own in `leads` or `accounts`, kept under an internal name that any header survives."""

    header: str
    column: str
    kind: Literal["number", "category", "rule"]


@dataclass(frozen=True)
class TableCount:
    """How many rows of a source were read, kept and set aside, and why."""

    read: int
    kept: int
    rejected: int
    reasons: Mapping[str, int] = field(default_factory=dict)
    rejects_file: Path | None = None


@dataclass(frozen=True)
class Tables:
    """The canonical tables inside one DuckDB connection.

    Tables in the connection
    ------------------------
    leads
        `lead_id` text, `created_at` timestamp (null in a flat file), `account_id` text, `group_id` text (leads of one
        group never stand on two sides of a split), `flag` text (why the lead is set apart before anything is learnt;
        null: it is not), `position` bigint (order in the source), `converted` and `closed` boolean (flat files only),
        then the attributes `a0`, `a1`, …
    events
        `lead_id`, `occurred_at`, `recorded_at` (never before `occurred_at`), `superseded_at` (when a corrected version
        was recorded, from then on this one no longer counts; null: never), `opens_until` (until when it counts as the
        first of a session: when an event shortly before it was recorded; null: for ever), `kind`, `value`
        decimal(28, 6).
    outcomes
        `lead_id`, `won_at`, `lost_at`: the first of each, null if it never came; `lost_as`: what the loss says of the
        lead (`lost`, `unknown` or `junk`), null if it was not lost.
    matured
        `lead_id`, `known_at`, `converted` 0 or 1: whether a lead converted within the horizon after it came in, and
        since when that is known. Only where track records are asked for.
    accounts
        `account_id`, `valid_from` (null: always), then the attributes `a0`, `a1`, …

    Attributes
    ----------
    dated
        Whether leads and outcomes have dates. If not, there is one snapshot a lead and no time to respect.
    observed_from, observed_until
        Outcomes are known in the half-open interval between them, UTC; both null for a flat file.
    data_until
        The latest time in any table; null for a flat file.
    record_horizon
        The horizon of `matured` in seconds; null where no track record is asked for.
    """

    connection: duckdb.DuckDBPyConnection
    dated: bool
    lead_attributes: tuple[Attribute, ...]
    account_attributes: tuple[Attribute, ...]
    observed_from: datetime | None
    observed_until: datetime | None
    counts: Mapping[str, TableCount]
    data_hash: str
    data_until: datetime | None = None
    record_horizon: int | None = None


def reject_share(counts: Mapping[str, TableCount]) -> float:
    """Return the largest share of a table's rows that was set aside."""
    return max((count.rejected / count.read for count in counts.values() if count.read), default=0.0)


def quote(text: str) -> str:
    """Write a text as an SQL literal.

    >>> quote("O'Brien")
    "'O''Brien'"
    """
    return "'" + text.replace("'", "''") + "'"
