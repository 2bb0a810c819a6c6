"""One source, read cell by cell into typed columns; rows that do not fit are set aside with their reason.

A cell is trimmed; an empty cell or one of the source's `missing` tokens is no value. A row is set aside when a required
cell is missing, or when a cell does not read as its declared kind. The good rows go on.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from features.forms import ORDERS, ColumnToRead, Form, decide_forms
from features.sources import BadRow, Source, open_source
from features.tables import CONTRACTS, TableCount, quote
from features.written import has_zone, moment_of, number_text
from project.errors import SchemaError, SettingsError, name_some
from project.files import remove_file, write_atomically

if TYPE_CHECKING:
    import duckdb

    from project.folder import Project
    from project.source_settings import SourceSettings

__all__ = ["Cell", "CellKind", "CellReader"]

CellKind = Literal["id", "time", "text", "number", "amount"]

_REJECTS_AT_ONCE = 10_000
_ZONE_AT_END = r":\d{2}([.,]\d+)?\s*(Z|z|UTC|[+-]\d{2}(:?\d{2})?)$"


@dataclass(frozen=True)
class Cell:
    """One column to read: where it stands in the source, what it becomes, and whether it must be there.

    A `private` one says who somebody is: it is left out of the list of rejected rows.
    """

    target: str
    header: str
    kind: CellKind
    required: bool
    private: bool = False


class CellReader:
    """Reads sources into `typed_<table>` and remembers counts and hashes."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, project: Project) -> None:
        self.connection = connection
        self.project = project
        self.counts: dict[str, TableCount] = {}
        self.hashes: list[str] = []

    def read(self, table: str, source_settings: SourceSettings, cells: list[Cell]) -> None:
        """Read one source into `typed_<table>`; rows set aside keep a `reason_aside`."""
        headers = list(dict.fromkeys(cell.header for cell in cells))
        project = self.project
        source = open_source(source_settings, headers, folder=project.folder, environment=project.environment)
        columns = {header: f"h{place}" for place, header in enumerate(headers)}
        self._load(table, source, columns)
        self.hashes.append(source.data_hash)
        texts = {cell.header: _text(cell.header, columns, source_settings) for cell in cells}
        forms = self._decide_forms(table, source, source_settings, cells, texts)
        self._check_zones(table, source, cells, texts, forms)
        self._convert(table, source_settings, cells, texts, forms)
        shown = {cell.header: columns[cell.header] for cell in cells if not cell.private}
        self.counts[table] = self._count(table, source, shown)
        self.connection.execute(f"DROP TABLE raw_{table}")

    def _load(self, table: str, source: Source, columns: Mapping[str, str]) -> None:
        declared = ", ".join(f"{column} VARCHAR" for column in columns.values())
        self.connection.execute(f"CREATE TABLE raw_{table} ({declared}, row BIGINT)")
        for batch in source.batches:
            self.connection.register("batch", batch.rename_columns([*columns.values(), "row"]))
            self.connection.execute(f"INSERT INTO raw_{table} SELECT * FROM batch")
            self.connection.unregister("batch")

    def _decide_forms(
        self, table: str, source: Source, settings: SourceSettings, cells: list[Cell], texts: Mapping[str, str]
    ) -> dict[str, Form]:
        asked = [
            ColumnToRead(cell.header, texts[cell.header], cell.kind, _declared(cell, settings))
            for cell in cells
            if cell.kind in {"time", "number", "amount"}
        ]
        return decide_forms(self.connection, f"raw_{table}", asked, name=source.name, written=source.written)

    def _check_zones(
        self, table: str, source: Source, cells: list[Cell], texts: Mapping[str, str], forms: Mapping[str, Form]
    ) -> None:
        if self.project.settings.project.timezone is not None:
            return
        for cell in (cell for cell in cells if cell.kind == "time"):
            without_zone = _without_zone(texts[cell.header], forms[cell.header])
            naive, firsts = self.connection.execute(
                f"SELECT count(*), min(row, 3) FROM raw_{table} WHERE {without_zone}"
            ).fetchall()[0]
            if naive:
                rows = name_some(firsts) + (f" and {naive - 3} more" if naive > 3 else "")
                raise SchemaError(
                    f"{source.name}: column {cell.header!r} has {naive:,} times without a zone (rows {rows}). "
                    'Write them as 2024-05-01T09:00:00Z, or set timezone = "UTC" (or yours) in [project] of leads.toml.'
                )

    def _convert(
        self,
        table: str,
        settings: SourceSettings,
        cells: list[Cell],
        texts: Mapping[str, str],
        forms: Mapping[str, Form],
    ) -> None:
        import duckdb

        zone = self.project.settings.project.timezone or "UTC"
        plain = Form(True, None)
        values = ", ".join(
            f"{_typed(cell, texts[cell.header], forms.get(cell.header, plain))} AS {cell.target}" for cell in cells
        )
        written = ", ".join(f"{texts[cell.header]} AS text_{cell.target}" for cell in cells)
        cases = " ".join(_fault(cell) for cell in cells)
        try:
            self.connection.execute(f"SET TimeZone = {quote(zone)}")
            self.connection.execute(
                f"CREATE TABLE typed_{table} AS SELECT *, CASE {cases} END AS reason_aside FROM "
                f"(SELECT row, {values}, {written} FROM raw_{table})"
            )
        except (duckdb.InvalidInputException, duckdb.NotImplementedException) as error:
            raise SettingsError(
                f"{table}: timezone {zone!r} or date_format {settings.date_format!r} cannot be used: {error}"
            ) from error
        finally:
            self.connection.execute("SET TimeZone = 'UTC'")
        unique = CONTRACTS[table.removeprefix("more_")].unique
        if unique is not None:
            good = f"FROM typed_{table} WHERE reason_aside IS NULL"
            firsts = f"SELECT {unique} AS id, min(row) AS row {good} GROUP BY {unique}"
            self.connection.execute(
                f"UPDATE typed_{table} SET reason_aside = '{unique}: stands already in row ' || firsts.row "
                f"FROM ({firsts}) firsts "
                f"WHERE typed_{table}.{unique} = firsts.id AND typed_{table}.row > firsts.row AND reason_aside IS NULL"
            )

    def _count(self, table: str, source: Source, columns: Mapping[str, str]) -> TableCount:
        read, aside = self.connection.execute(f"SELECT count(*), count(reason_aside) FROM typed_{table}").fetchall()[0]
        aside_reasons = self.connection.execute(
            "SELECT regexp_replace(regexp_replace(reason_aside, 'row \\d+', 'an earlier row'), ': .* is not ', "
            f"': not ', 's'), count(*) FROM typed_{table} "
            "WHERE reason_aside IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1"
        ).fetchall()
        reasons = {str(reason): int(n) for reason, n in aside_reasons}
        for bad in source.bad_rows:
            reasons[bad.reason] = reasons.get(bad.reason, 0) + 1
        rejected = int(aside) + len(source.bad_rows)
        file = self.project.state / "rejects" / f"{table}.csv"
        if rejected:
            self._write_rejects(table, source.bad_rows, columns, file)
        else:
            remove_file(file)
        total = int(read) + len(source.bad_rows)
        return TableCount(total, total - rejected, rejected, reasons, file if rejected else None)

    def _write_rejects(self, table: str, bad_rows: list[BadRow], columns: Mapping[str, str], file: Path) -> None:
        cells = ", ".join(f"raw_{table}.{column}" for column in columns.values())
        rows = self.connection.execute(
            f"SELECT row, reason_aside, {cells} FROM typed_{table} JOIN raw_{table} USING (row) "
            "WHERE reason_aside IS NOT NULL ORDER BY row"
        )
        with write_atomically(file) as path, path.open("w", newline="", encoding="utf-8") as out:
            writer = csv.writer(out)
            writer.writerow(["row", "reason", *columns])
            while some := rows.fetchmany(_REJECTS_AT_ONCE):
                writer.writerows(some)
            writer.writerows([bad.row, bad.reason, bad.text] for bad in bad_rows)


def _text(header: str, columns: Mapping[str, str], settings: SourceSettings) -> str:
    trimmed = f"nullif(trim({columns[header]}, ' \t\r\n\u00a0'), '')"
    own = settings.cells[header].missing if header in settings.cells else None
    missing = settings.missing if own is None else own
    if not missing:
        return trimmed
    return f"(CASE WHEN {trimmed} IN ({', '.join(map(quote, missing))}) THEN NULL ELSE {trimmed} END)"


def _declared(cell: Cell, settings: SourceSettings) -> str | None:
    own = settings.cells.get(cell.header)
    if cell.kind == "time":
        return (own.date_format if own else None) or settings.date_format
    return (own.decimal if own else None) or settings.decimal


def _without_zone(text: str, form: Form) -> str:
    if form.plain:
        return f"try_cast({text} AS TIMESTAMP) IS NOT NULL AND NOT regexp_matches({text}, {quote(_ZONE_AT_END)})"
    if form.mark is not None and form.mark not in ORDERS:
        return "false" if "%z" in form.mark or "%Z" in form.mark else f"{text} IS NOT NULL"
    return f"NOT {has_zone(text)} AND {moment_of(text, form.mark)} IS NOT NULL"


def _typed(cell: Cell, text: str, form: Form) -> str:
    if cell.kind == "time":
        if form.plain:
            moment = f"try_cast({text} AS TIMESTAMPTZ)"
        elif form.mark is None or form.mark in ORDERS:
            moment = moment_of(text, form.mark)
        else:
            moment = f"CAST(try_strptime({text}, {quote(form.mark)}) AS TIMESTAMPTZ)"
        return f"timezone('UTC', {moment})"
    if cell.kind in {"number", "amount"}:
        kind = "DOUBLE" if cell.kind == "number" else "DECIMAL(28, 6)"
        number = text if form.plain else number_text(text, form.mark or ".")
        return f"try_cast({number} AS {kind})"
    return text


_WORDS = {
    "time": "not a time; write it as 2024-05-01T09:00:00Z or set date_format",
    "number": "not a finite number; correct it, or set decimal, missing or another kind",
    "amount": "not a finite number; correct it, or set decimal or missing",
}


def _fault(cell: Cell) -> str:
    name = cell.header.replace("'", "''")
    cases = []
    if cell.required:
        cases.append(f"WHEN text_{cell.target} IS NULL THEN '{name}: empty'")
    if cell.kind in _WORDS:
        says = f"'{name}: ' || left(text_{cell.target}, 40) || ' is {_WORDS[cell.kind]}'"
        cases.append(f"WHEN text_{cell.target} IS NOT NULL AND {cell.target} IS NULL THEN {says}")
    if cell.kind == "number":
        cases.append(f"WHEN isnan({cell.target}) OR isinf({cell.target}) THEN {says}")
    if cell.kind == "time":
        cases.append(
            f"WHEN coalesce(year({cell.target}) NOT BETWEEN 1990 AND 2099, {cell.target} IS NOT NULL) THEN {says}"
        )
    return " ".join(cases)
