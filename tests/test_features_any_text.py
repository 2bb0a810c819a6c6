"""Anything at all may stand in a file."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.engine import build_features
from features.ingest import read_tables
from features.listing import build_catalogue
from features.snapshots import build_open_snapshots, build_training_snapshots
from features.tables import Tables
from project.errors import LeadError, NotEnoughDataError
from project.folder import Project
from project.settings import Settings
from training.labels import label_snapshots
from training.proposal.inspection import inspect_file
from worlds import rows_of

EXAMPLES = 30
TRIMMED = " \t\r\n\u00a0"
ANYTHING = st.text(max_size=6)
TRICKY = st.text(alphabet=" ,;|\t\n\r\"'\\\u00a0\ufeff\x00%{}7aёя💥", max_size=6)
CELL = st.one_of(ANYTHING, TRICKY, st.sampled_from(["", "1", "2.5", "2024-05-01T00:00:00Z", "won", "NaN", "infinity"]))


@st.composite
def files(draw: st.DrawFn, *, header: st.SearchStrategy[str]) -> tuple[list[list[str]], str]:
    width = draw(st.integers(1, 5))
    names = draw(st.lists(header, min_size=width, max_size=width))
    rows = draw(st.lists(st.lists(CELL, min_size=width, max_size=width), max_size=5))
    return [names, *rows], draw(st.sampled_from(",;\t|"))


def write_with_csv(path: Path, table: list[list[str]], delimiter: str) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows(table)


@settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(made=files(header=CELL), places=st.lists(st.integers(0, 4), min_size=7, max_size=7), declared=st.booleans())
def test_no_file_raises_anything_but_a_named_error(
    tmp_path: Path, made: tuple[list[list[str]], str], places: list[int], declared: bool
) -> None:
    table, delimiter = made
    write_with_csv(tmp_path / "t.csv", table, delimiter)
    names = [table[0][place % len(table[0])] for place in places]
    source = {"file": "t.csv", "delimiter": delimiter if declared else None}
    try:
        read_all(tmp_path, source, names, won=table[-1][places[-1] % len(table[0])])
    except LeadError as error:
        assert str(error)


def read_all(folder: Path, source: dict[str, Any], names: list[str], *, won: str) -> None:
    """Read the one file as leads, events and stages, and go on to labels and features."""
    chosen = Settings.model_validate(
        {
            "project": {"timezone": "UTC"},
            "leads": {**source, "id": names[0], "created_at": names[1], "columns": {names[2]: "category"}},
            "events": {**source, "lead": names[0], "at": names[1], "kind": names[3], "value": names[4]},
            "stages": {**source, "lead": names[0], "at": names[1], "stage": names[5]},
            "outcome": {"won": [won]},
        }
    )
    tables = read_tables(Project(folder, chosen))
    go_on(tables, chosen)


def go_on(tables: Tables, chosen: Settings) -> None:
    snapshots = build_training_snapshots(tables, chosen.snapshots.ages)
    label_snapshots(snapshots, tables, chosen.outcome.horizon)
    catalogue = build_catalogue(tables, chosen)
    build_features(build_open_snapshots(tables, tables.observed_until), tables, catalogue)


GOOD_ROW = st.tuples(
    st.one_of(st.sampled_from("123"), ANYTHING, TRICKY),
    CELL,
    CELL,
    st.sampled_from(["2024-05-01T00:00:00Z", "2024-05-02T00:00:00Z"]),
    CELL,
)


@settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.lists(GOOD_ROW, min_size=1, max_size=6), delimiter=st.sampled_from(",;\t|"))
def test_any_text_comes_in_as_it_was_written_but_for_its_edges(
    tmp_path: Path, rows: list[tuple[str, ...]], delimiter: str
) -> None:
    write_with_csv(tmp_path / "t.csv", [["id", "n", "c", "t", "won"], *map(list, rows)], delimiter)
    chosen = Settings.model_validate(
        {
            "leads": {"file": "t.csv", "id": "id", "created_at": "t", "columns": {"c": "category", "won": "rule"}},
            "events": {"file": "t.csv", "lead": "id", "at": "t", "kind": "c"},
            "outcome": {"won_at": "t"},
        }
    )
    firsts: dict[str, tuple[str, str]] = {}
    for row in rows:
        if row[0].strip(TRIMMED):
            firsts.setdefault(row[0].strip(TRIMMED), (row[2].strip(TRIMMED), row[4].strip(TRIMMED)))
    if not firsts:
        with pytest.raises(NotEnoughDataError):
            read_tables(Project(tmp_path, chosen))
        return
    tables = read_tables(Project(tmp_path, chosen))
    found = rows_of(tables, "SELECT lead_id, coalesce(a0, ''), coalesce(a1, '') FROM leads ORDER BY position")
    assert found == [(lead, *cells) for lead, cells in firsts.items()]
    kinds = sorted(row[2].strip(TRIMMED) for row in rows if row[0].strip(TRIMMED) and row[2].strip(TRIMMED))
    assert sorted(str(kind) for (kind,) in rows_of(tables, "SELECT kind FROM events")) == kinds
    go_on(tables, chosen)


TRICKY_CELLS = [
    "1,234",
    "03.04.2024",
    "13/13/2024",
    "1714550400",
    "45413",
    "12-мар-2024",
    "5%",
    "(1)",
    "Müller",
    '"',
    "\x00",
    "NA",
]
WRITTEN_CELL = st.one_of(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), st.sampled_from(TRICKY_CELLS))
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "cp1251", "cp1252", "koi8-r")


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    header=st.lists(WRITTEN_CELL, min_size=1, max_size=5),
    rows=st.lists(st.lists(WRITTEN_CELL, max_size=6), max_size=5),
    mark=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(ENCODINGS),
    junk=st.one_of(st.just(b""), st.binary(max_size=12)),
)
def test_whatever_a_file_holds_only_named_errors_come_out(
    tmp_path: Path, header: list[str], rows: list[list[str]], mark: str, encoding: str, junk: bytes
) -> None:
    text = "\n".join(mark.join(cells) for cells in [header, *rows])
    (tmp_path / "t.csv").write_bytes(text.encode(encoding, errors="replace") + junk)
    for work in (lambda: inspect_file(tmp_path / "t.csv", folder=tmp_path), lambda: read_everything(tmp_path, header)):
        try:
            work()
        except LeadError as error:
            assert str(error)


def read_everything(folder: Path, header: list[str]) -> None:
    names = [name.strip() for name in header]
    columns = {names[len(names) // 2]: "number"}
    chosen = Settings.model_validate(
        {
            "project": {"timezone": "UTC"},
            "leads": {"file": "t.csv", "id": names[0], "created_at": names[-1], "columns": columns},
            "stages": {"file": "t.csv", "lead": names[0], "at": names[-1]},
            "outcome": {},
        }
    )
    read_tables(Project(folder, chosen))
