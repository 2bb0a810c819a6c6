"""Small worlds: CSV text and a leads.toml, written into a folder and read back as a project of a user would be."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

from features.ingest import read_tables
from features.tables import Tables
from project.folder import Project, find_project

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
