"""From declared sources to the canonical tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from features.cells import Cell, CellReader
from features.declared import list_sources
from features.events import finish_events
from features.forget import forget_later_rows
from features.hygiene import set_apart_leads
from features.identity import fact_columns
from features.maturity import finish_matured
from features.outcomes import read_outcomes
from features.tables import Attribute, Tables, quote
from project.errors import NotEnoughDataError, SettingsError, name_some
from project.files import hash_bytes

if TYPE_CHECKING:
    import duckdb

    from project.folder import Project
    from project.settings import Settings
    from project.source_settings import SourceSettings

__all__ = ["connect", "read_tables"]


def connect(*, memory_limit: str = "2GB", spill_folder: Path | None = None) -> duckdb.DuckDBPyConnection:
    """Open a private DuckDB whose results do not depend on the machine's zone."""
    import duckdb

    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"SET memory_limit = {quote(memory_limit)}")
    connection.execute("SET allocator_background_threads = true")  # what it no longer needs goes back at once
    if spill_folder is not None:
        connection.execute(f"SET temp_directory = {quote(str(spill_folder))}")
    return connection


def read_tables(project: Project, *, known_until: datetime | None = None) -> Tables:
    """Read every source that the project declares.

    Parameters
    ----------
    known_until
        A moment in UTC: the tables are made of what was known before it, as if they had been read then. Only cells
        without a date of their own, those of a lead, are taken as they stand. Null: everything is known.

    Raises
    ------
    SchemaError
        A declared column is missing, or a column as a whole is not of its declared kind.
    NotEnoughDataError
        No lead is left.
    """
    settings = project.settings
    connection = connect(spill_folder=project.state / "spill")
    reader = CellReader(connection, project)
    lead_attributes = _attributes({**settings.leads.columns, **fact_columns(settings)})
    declared = [attribute for attribute in lead_attributes if attribute.header in settings.leads.columns]
    account_attributes = _attributes(settings.accounts.columns if settings.accounts else {})
    for table, source, cells in list_sources(settings, declared, account_attributes):
        reader.read(table, source, cells)
        if table == "leads" and project.more_leads is not None:
            _add_leads(reader, source, cells, project.more_leads)
    if known_until is not None:
        forget_later_rows(connection, known_until)
    _finish_leads(connection, settings, declared)
    set_apart_leads(connection, settings, lead_attributes)
    finish_events(connection, settings)
    read_outcomes(connection, settings, known_until=known_until)
    _finish_accounts(connection, account_attributes, present=settings.accounts is not None)
    observed_from, observed_until, data_until = _observed(connection, settings)
    if known_until is not None and observed_until is not None:
        # the caller knows that outcomes were recorded until then, which the last of the earlier ones does not tell
        observed_until = known_until
    finish_matured(connection, settings, observed_from=observed_from, observed_until=observed_until)
    connection.execute("DROP VIEW changes")
    for table in reader.counts:
        connection.execute(f"DROP TABLE typed_{table}")
    return Tables(
        connection=connection,
        dated=settings.dated,
        lead_attributes=lead_attributes,
        account_attributes=account_attributes,
        observed_from=observed_from,
        observed_until=observed_until,
        counts=reader.counts,
        data_hash=hash_bytes("".join(reader.hashes).encode()),
        data_until=data_until,
        record_horizon=round(settings.outcome.horizon.total_seconds()) if settings.features.track_record else None,
    )


def _add_leads(reader: CellReader, source: SourceSettings, cells: list[Cell], file: Path) -> None:
    """Read more leads, written like those declared, and let them stand for earlier rows of the same id.

    They are listed in `more_leads`; the counts of `leads` are theirs.
    """
    more = source.model_copy(update={"file": str(file.resolve()), "url": None, "query": None})
    reader.read("more_leads", more, cells)
    connection = reader.connection
    connection.execute("CREATE TABLE more_leads AS SELECT lead_id FROM typed_more_leads WHERE reason_aside IS NULL")
    connection.execute("DELETE FROM typed_leads WHERE lead_id IN (SELECT lead_id FROM more_leads)")
    connection.execute(
        "INSERT INTO typed_leads BY NAME SELECT * EXCLUDE (after) REPLACE (row + after AS row) FROM typed_more_leads "
        "CROSS JOIN (SELECT coalesce(max(row), 0) AS after FROM typed_leads)"
    )
    connection.execute("DROP TABLE typed_more_leads")
    reader.counts["leads"] = reader.counts.pop("more_leads")


def _attributes(columns: Mapping[str, str]) -> tuple[Attribute, ...]:
    return tuple(
        Attribute(header, f"a{place}", kind)  # type: ignore[arg-type]
        for place, (header, kind) in enumerate(sorted(columns.items()))
    )


def _finish_leads(connection: duckdb.DuckDBPyConnection, settings: Settings, attributes: Sequence[Attribute]) -> None:
    def column(target: str, header: str | None, missing: str) -> str:
        return target if header is not None else missing

    closing = settings.dated and settings.outcome.closed_at is not None
    flat = settings.outcome.column is not None and not closing
    won = _one_of("outcome", settings.outcome.won)
    over = _one_of("outcome", (*settings.outcome.won, *settings.outcome.lost))
    undated = f"{over} AND closed_at IS NULL" if closing else "false"
    position = "coalesce(sequence, 0), row" if settings.leads.order is not None else "row"
    names = "".join(f", {attribute.column}" for attribute in attributes)
    connection.execute(
        f"""CREATE TABLE leads AS SELECT lead_id,
            {column("created_at", settings.leads.created_at, "CAST(NULL AS TIMESTAMP)")} AS created_at,
            coalesce({column("account_id", settings.leads.account, "NULL")}, 'lead ' || lead_id) AS account_id,
            coalesce({column("account_id", settings.leads.account, "NULL")}, 'lead ' || lead_id) AS group_id,
            CAST(NULL AS VARCHAR) AS flag,
            row_number() OVER (ORDER BY {position}) AS position,
            {f"CASE WHEN outcome IS NOT NULL THEN {won} END" if flat else "NULL"} AS converted,
            {f"coalesce({over}, false)" if flat else "false"} AS closed
            {names}
        FROM typed_leads WHERE reason_aside IS NULL AND NOT coalesce({undated}, false)"""
    )
    if flat or closing:
        _check_won_values(connection, settings)
    if not connection.execute("SELECT count(*) FROM leads").fetchall()[0][0]:
        raise NotEnoughDataError("No lead is left after reading. See `leads check` and state/rejects/leads.csv.")


def _one_of(column: str, values: Sequence[str]) -> str:
    return f"{column} IN ({', '.join(map(quote, values))})" if values else "false"


def _check_won_values(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    found = connection.execute(
        "SELECT outcome FROM typed_leads WHERE outcome IS NOT NULL AND reason_aside IS NULL GROUP BY 1 ORDER BY 1"
    ).fetchall()
    values = [str(value) for (value,) in found]
    if values and not set(settings.outcome.won) & set(values):
        raise SettingsError(
            f"outcome.won names {name_some(map(repr, settings.outcome.won))}, but column {settings.outcome.column!r} "
            f"holds {name_some(map(repr, values), most=20)}. Correct it in leads.toml."
        )


def _finish_accounts(connection: duckdb.DuckDBPyConnection, attributes: Sequence[Attribute], *, present: bool) -> None:
    if not present:
        connection.execute("CREATE TABLE accounts (account_id VARCHAR, valid_from TIMESTAMP)")
        return
    found = {str(row[0]) for row in connection.execute("DESCRIBE typed_accounts").fetchall()}
    valid = "valid_from" if "valid_from" in found else "CAST(NULL AS TIMESTAMP) AS valid_from"
    names = "".join(f", {attribute.column}" for attribute in attributes)
    connection.execute(
        f"CREATE TABLE accounts AS SELECT account_id, {valid}{names} FROM typed_accounts WHERE reason_aside IS NULL"
    )


def _observed(
    connection: duckdb.DuckDBPyConnection, settings: Settings
) -> tuple[datetime | None, datetime | None, datetime | None]:
    """Return since when and until when outcomes are known, and the latest time in any table.

    Outcomes are known until the last stage change, of any stage. Where there are events, not after the last of them
    either: one date in the future (a booked meeting, a typing error) must not make young leads look old. Rows of
    unknown leads do not count.
    """
    if not settings.dated:
        return None, None, None
    first, arrived, active, changed = connection.execute(
        """SELECT min(created_at), max(created_at),
            (SELECT max(greatest(occurred_at, recorded_at)) FROM events SEMI JOIN leads USING (lead_id)),
            (SELECT max(changed_at) FROM changes SEMI JOIN leads USING (lead_id)) FROM leads"""
    ).fetchall()[0]
    last = arrived if active is None else max(active, arrived)
    if changed is not None:
        last = changed if active is None else min(last, changed)
    zone, outcome = settings.project.timezone, settings.outcome
    latest = max(moment for moment in (arrived, active, changed) if moment is not None)
    return _naive_utc(outcome.observed_from, zone) or first, _naive_utc(outcome.observed_until, zone) or last, latest


def _naive_utc(moment: datetime | None, timezone: str | None) -> datetime | None:
    if moment is None:
        return None
    known = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(timezone or "UTC"))
    return known.astimezone(UTC).replace(tzinfo=None)
