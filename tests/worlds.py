"""Small worlds: CSV text and a leads.toml, written into a folder and read back as a project of a user would be."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from features.ingest import read_tables
from features.tables import Tables
from project.errors import SettingsError
from project.folder import Project, find_project, read_settings

BASIC_TOML = """
[leads]
file = "leads.csv"
id = "id"
created_at = "created"

[stages]
file = "stages.csv"
lead = "id"
at = "at"
stage = "stage"

[outcome]
horizon = "10d"
won = ["won"]
lost = ["lost"]
"""
FLAT = """
[leads]
file = "leads.csv"
id = "id"
columns = { "n" = "number", "c" = "category" }
%s
[outcome]
column = "won"
won = ["1"]
"""
MOSCOW = '[project]\ntimezone = "Europe/Moscow"\n'
SMALLEST_TOML = """
[leads]
file = "leads.csv"
id = "id"

[outcome]
column = "bought"
won = ["yes"]
"""
PEOPLE_TOML = """
[project]
timezone = "UTC"
[leads]
file = "leads.csv"
id = "id"
created_at = "created"
account = "account"
[leads.identity]
email = "mail"
phone = "phone"
name = "name"
company = "firm"
[leads.columns]
source = "category"
[events]
file = "events.csv"
lead = "id"
at = "at"
kind = "kind"
[stages]
file = "stages.csv"
lead = "id"
at = "at"
stage = "stage"
reason = "why"
[outcome]
horizon = "10d"
won = ["won"]
lost = ["lost"]
%s
"""
PEOPLE_HEADER = "id,created,account,mail,phone,name,firm,source"
OLD_WIN = "id,at,stage\nold,2020-01-01T00:00:00Z,won\n"
ONE_LEAD = "id,created\n1,2024-05-01T00:00:00Z\n"


def lines(text: str) -> str:
    """Strip the indentation that a table has inside a test."""
    return "".join(f"{line.strip()}\n" for line in text.strip().splitlines())


def csv_text(rows: Iterable[Sequence[object]], *, delimiter: str = ",") -> str:
    """Write rows as the standard library does."""
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return out.getvalue()


def make_project(folder: Path, toml: str, files: Mapping[str, str | bytes]) -> Project:
    """Write `leads.toml` and the files; texts as UTF-8, just as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in {**files, "leads.toml": toml}.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return find_project(folder)


def make_tables(folder: Path, toml: str, files: Mapping[str, str | bytes]) -> Tables:
    """Make a project and read its tables."""
    return read_tables(make_project(folder, toml, files))


def rows_of(tables: Tables, sql: str) -> list[tuple[object, ...]]:
    """Ask the tables."""
    return tables.connection.execute(sql).fetchall()


def iso(moment: datetime) -> str:
    """Write a moment in UTC with its microseconds and a Z."""
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"


def utc(text: str) -> datetime:
    """Read `2024-05-01` or `2024-05-01 09:00:00` as a moment in UTC without a zone, as the tables hold it."""
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def ask(*questions: tuple[str, datetime | None]) -> pd.DataFrame:
    """Make snapshots of (lead, as_of) pairs."""
    return pd.DataFrame(
        {
            "lead_id": pd.Series([lead for lead, _ in questions], dtype="str"),
            "as_of": pd.Series([moment for _, moment in questions], dtype="datetime64[us]"),
        }
    )


def days(number: float) -> timedelta:
    """Return a length in days."""
    return timedelta(days=number)


def make_flat(folder: Path, rows: str, *, more: str = "", name: str = "leads.csv") -> Tables:
    """Read leads of a flat file: id, a number, a category, and whether they were won."""
    text = lines(f"id,n,c,won\n{rows}")
    content = gzip.compress(text.encode()) if name.endswith(".gz") else text
    return make_tables(folder, (FLAT % more).replace("leads.csv", name), {name: content})


def make_dated(folder: Path, rows: str, *, toml: str = BASIC_TOML) -> Tables:
    """Read leads of which nothing is known but when they came."""
    return make_tables(folder, toml, {"leads.csv": lines(f"id,created\n{rows}"), "stages.csv": OLD_WIN})


def read_rejects(folder: Path, table: str = "leads") -> list[list[str]]:
    """Return the rows that were set aside, header first."""
    with (folder / "state" / "rejects" / f"{table}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def numbers_of(tables: Tables) -> dict[object, object]:
    """Return the number of each lead of a flat file."""
    return dict(rows_of(tables, "SELECT lead_id, a1 FROM leads ORDER BY position"))


def write_settings(folder: Path, text: str) -> Path:
    """Write `leads.toml` and return its path."""
    path = folder / "leads.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str) -> str:
    """Return what is said of a `leads.toml` that is refused."""
    with pytest.raises(SettingsError) as caught:
        read_settings(write_settings(folder, text))
    return str(caught.value)


def make_people(folder: Path, leads: str, *, more: str = "", stages: str = "", events: str = "") -> Tables:
    """Read leads who say who they are, with their stages and events."""
    files = {
        "leads.csv": lines(f"{PEOPLE_HEADER}\n{leads}"),
        "stages.csv": lines(f"id,at,stage,why\n{stages}"),
        "events.csv": lines(f"id,at,kind\n{events}"),
    }
    return make_tables(folder, PEOPLE_TOML % more, files)


def flags(tables: Tables) -> dict[object, object]:
    """Return why each lead is set apart, or null."""
    return dict(rows_of(tables, "SELECT lead_id, flag FROM leads"))
