"""Attributes of leads and of the version of their account that was valid then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from event_worlds import NO_STAGES, bits
from features.catalogue import Catalogue, Feature
from features.engine import build_features, read_lead_columns
from features.listing import build_catalogue
from features.tables import Tables
from project.errors import SchemaError
from project.folder import find_project
from worlds import ask, lines, make_tables, utc

ACCOUNTS_TOML = """
[leads]
file = "leads.csv"
id = "id"
created_at = "created"
account = "company"
columns = { "Источник, \\"лида\\"" = "category", "Size" = "number", "Test?" = "rule" }

[accounts]
file = "accounts.csv"
id = "company"
valid_from = "since"
columns = { "Size" = "number", "Field's" = "category" }

[stages]
file = "stages.csv"
lead = "lead"
at = "at"

[outcome]
"""
LEADS = lines(
    """id,created,company,"Источник, ""лида""\",Size,Test?
    1,2024-05-01T00:00:00Z,ACME,сайт,10,no
    2,2024-05-01T00:00:00Z,ACME,,,yes
    3,2024-05-01T00:00:00Z,,O'Hara,3.5,
    4,2024-05-01T00:00:00Z,Bolt,ads,0,no"""
)
ACCOUNTS = """company,since,Size,Field's
    ACME,2024-01-01T00:00:00Z,100,steel
    ACME,2024-05-10T00:00:00Z,200,"""
LATER_ACCOUNTS = """
    ACME,2024-05-20T00:00:00.000001Z,900,rubber
    ACME,2024-06-20T00:00:00Z,999,paper
    Bolt,2024-05-20T00:00:00.000001Z,7,screws"""


def account_world(folder: Path, accounts: str) -> tuple[Tables, Catalogue]:
    files = {"leads.csv": LEADS, "accounts.csv": lines(accounts), "stages.csv": NO_STAGES}
    tables = make_tables(folder, ACCOUNTS_TOML, files)
    return tables, build_catalogue(tables, find_project(folder).settings)


def test_attributes_are_those_of_the_version_valid_then(tmp_path: Path) -> None:
    tables, catalogue = account_world(tmp_path, ACCOUNTS + LATER_ACCOUNTS)
    moments = ["2024-05-09 23:59:59.999999", "2024-05-10", "2024-05-20", "2024-05-20 00:00:00.000001", "2024-07-01"]
    frame = build_features(ask(*(("1", utc(moment)) for moment in moments)), tables, catalogue)
    assert frame["size_2"].tolist() == [100, 200, 200, 900, 999]
    assert frame["field_s"].fillna("?").tolist() == ["steel", "?", "?", "rubber", "paper"]
    assert frame["size"].tolist() == [10.0] * 5
    assert "test" not in frame


def test_lead_attributes_stand_as_the_file_has_them(tmp_path: Path) -> None:
    tables, catalogue = account_world(tmp_path, ACCOUNTS)
    frame = build_features(ask(*((lead, utc("2024-05-20")) for lead in "1234")), tables, catalogue)
    assert frame["источник_лида"].fillna("?").tolist() == ["сайт", "?", "O'Hara", "ads"]
    assert frame["size"].fillna(-1).tolist() == [10, -1, 3.5, 0]
    assert frame["size_2"].fillna(-1).tolist() == [200, 200, -1, -1]
    assert frame["источник_лида"].isna().sum() == 1
    assert read_lead_columns(tables, ["4", "1"], ["Test?"])["Test?"].tolist() == ["no", "no"]


def test_later_versions_of_an_account_cannot_change_a_feature(tmp_path: Path) -> None:
    questions = ask(*((lead, utc("2024-05-20")) for lead in "1234"))
    frames = []
    for place, accounts in enumerate((ACCOUNTS, ACCOUNTS + LATER_ACCOUNTS)):
        tables, catalogue = account_world(tmp_path / str(place), accounts)
        frames.append(build_features(questions, tables, catalogue))
    assert bits(frames[0]) == bits(frames[1])


def test_versions_in_any_order_of_rows_give_the_same_attributes(tmp_path: Path) -> None:
    head, *rows = lines(ACCOUNTS + LATER_ACCOUNTS).splitlines()
    questions = ask(*((lead, utc("2024-06-30")) for lead in "1234"))
    frames = []
    for place, ordered in enumerate((rows, rows[::-1])):
        tables, catalogue = account_world(tmp_path / str(place), "\n".join([head, *ordered]))
        frames.append(build_features(questions, tables, catalogue))
    assert bits(frames[0]) == bits(frames[1])


def test_a_model_that_needs_a_column_nobody_declares_is_refused(tmp_path: Path) -> None:
    tables, _ = account_world(tmp_path, ACCOUNTS)
    gone: dict[str, Any] = {
        "kind": "number",
        "statistic": "value",
        "window": None,
        "known_by_then": "",
        "en": "",
        "ru": "",
    }
    catalogue = Catalogue((Feature("budget", origin="lead", subject="Budget", **gone),), ())
    with pytest.raises(SchemaError, match="lead column 'Budget'"):
        build_features(ask(("1", utc("2024-05-20"))), tables, catalogue)
    with pytest.raises(SchemaError, match="'Nope'"):
        read_lead_columns(tables, ["1"], ["Nope"])
