"""Spark and DuckDB answer alike, from one definition over one folder of tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from features.catalogue import Catalogue
from features.engine import build_features
from features.ingest import read_tables
from features.lake import TABLES, describe_lake, read_lake, write_lake
from features.listing import build_catalogue
from features.snapshots import build_open_snapshots, default_as_of
from features.spark import build_features_on_spark, build_open_snapshots_on_spark
from features.tables import Tables
from project.errors import SchemaError, SettingsError, StorageError
from project.folder import find_project
from worlds import ask, csv_text, make_project, rows_of, utc

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

KEPT = Path(__file__).parent / "real"
KINDS = (
    "O'Brien's call",
    'say "hi", now',
    "звонок ё",
    "💥 boom",
    "C:\\temp\\",
    "\\",
    "''",
    "100% off %s",
    "${env:HOME}",
)
TOML = """
[leads]
file = "leads.csv"
id = "id"
created_at = "created"
account = "account"
[leads.columns]
Source = "category"
[events]
file = "events.csv"
lead = "lead"
at = "at"
kind = "kind"
value = "value"
recorded_at = "recorded"
windows = ["7d", "30d", "6h"]
[accounts]
file = "accounts.csv"
id = "id"
valid_from = "since"
[accounts.columns]
Industry = "category"
Staff = "number"
[stages]
file = "stages.csv"
lead = "lead"
at = "at"
[outcome]
[features]
track_record = ["Source"]
ideal_customer = { Industry = ["steel", "Öl"], Staff = { min = 10 }, Source = ["web"] }
"""
AS_OF = utc("2024-03-15 12:00:00")
EDGES = (
    "2024-03-08T11:59:59.999999Z", "2024-03-08T12:00:00Z", "2024-03-15T05:59:59.999999Z", "2024-03-15T06:00:00Z",
    "2024-03-15T11:59:59.999999Z", "2024-03-15T12:00:00Z", "2024-02-14T12:00:00Z", "2024-02-14T11:59:59.999999Z",
)  # fmt: skip


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """Awkward kinds at the very edges of the windows; an account with two versions of one moment."""
    events = [
        [lead, at, kind, value, at if lead == "б" else "2024-03-01T00:00:00Z"]
        for lead, place in (("a'1", 0), ("б", 1))
        for number, kind in enumerate(KINDS)
        for at, value in zip(EDGES[(number + place) % 3 :], (0.1, 0.2, "", 12345678.9, 3, 0.7, 1, 2), strict=False)
    ]
    files = {
        "leads.csv": csv_text(
            [
                ["id", "created", "account", "Source"],
                ["a'1", "2024-01-01T00:00:00.000001Z", "x", "web"],
                ["б", "2024-03-15T11:59:59Z", "x", "\\n 💥"],
                ["c", "2024-03-10T00:00:00Z", "", ""],
                ["late", "2024-03-15T12:00:00.000001Z", "y", "web"],
                ["won", "2024-03-01T00:00:00Z", "y", "web"],
                ["now", "2024-03-01T00:00:00Z", "y", "web"],
            ]
        ),
        "events.csv": csv_text([["lead", "at", "kind", "value", "recorded"], *events]),
        "accounts.csv": csv_text(
            [
                ["id", "since", "Industry", "Staff"],
                ["x", "2024-01-05T00:00:00Z", "", "7"],
                ["x", "2024-01-05T00:00:00Z", "Steel", ""],
                ["y", "2024-03-15T12:00:00Z", "Öl", "12.5"],
                ["y", "2024-03-15T12:00:00.000001Z", "Gas", "13"],
            ]
        ),
        "stages.csv": csv_text(
            [["lead", "at"], ["won", "2024-03-15T11:59:59.999999Z"], ["now", "2024-03-15T12:00:00Z"]]
        ),
    }
    return read_tables(make_project(tmp_path_factory.mktemp("odd"), TOML, files))


def odd_catalogue(tables: Tables, folder: Path) -> Catalogue:
    return build_catalogue(tables, make_project(folder, TOML, {}).settings)


def compare(session: SparkSession, tables: Tables, catalogue: Catalogue, folder: Path) -> pd.DataFrame:
    """Check that both engines say the same of every open lead; return what they say."""
    write_lake(tables, folder)
    lake = describe_lake(folder)
    moment = AS_OF if tables.counts["leads"].read < 10 else default_as_of(tables)
    snapshots = build_open_snapshots(tables, moment)
    expected = build_features(snapshots, tables, catalogue)
    asked = build_open_snapshots_on_spark(session, lake, moment)
    found = build_features_on_spark(session, lake, asked, catalogue).orderBy("snapshot_id").toArrow().to_pandas()
    assert found["lead_id"].to_list() == snapshots["lead_id"].to_list()
    assert found["as_of"].to_list() == snapshots["as_of"].to_list()
    assert list(found.columns) == ["snapshot_id", "lead_id", "as_of", *catalogue.names]
    for feature in catalogue.features:
        if feature.kind == "category":
            assert found[feature.name].astype("str").equals(expected[feature.name]), feature.name
            continue
        spark, duck = found[feature.name].to_numpy("float64"), expected[feature.name].to_numpy()
        exact = feature.statistic in {"count", "day_count", "hour", "value"}
        np.testing.assert_allclose(spark, duck, rtol=0 if exact else 1e-12, atol=0, err_msg=feature.name)
    return expected


def test_awkward_kinds_at_the_very_edges_of_windows_count_alike(
    spark: SparkSession, odd: Tables, tmp_path: Path
) -> None:
    said = compare(spark, odd, odd_catalogue(odd, tmp_path / "p"), tmp_path / "lake")
    assert len(said) == 4  # not the one that came later, not the one already won
    assert said.loc[0, "any_event_count_7d"] > said.loc[0, "any_event_count_6h"] > 0


def test_the_simulator_gives_the_same_features(spark: SparkSession, demo: Path, tmp_path: Path) -> None:
    project = find_project(demo)
    tables = read_tables(project)
    said = compare(spark, tables, build_catalogue(tables, project.settings), tmp_path / "lake")
    assert len(said) > 100


@pytest.mark.real
def test_a_real_history_gives_the_same_features(spark: SparkSession, real_data: Path, tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(real_data)
    project = make_project(tmp_path, (KEPT / "bpic2012.toml").read_text("utf-8"), {})
    tables = read_tables(project)
    assert len(compare(spark, tables, build_catalogue(tables, project.settings), tmp_path / "lake")) > 100


def test_a_session_of_another_dialect_is_refused(spark: SparkSession, odd: Tables, tmp_path: Path) -> None:
    write_lake(odd, tmp_path / "lake")
    lake = describe_lake(tmp_path / "lake")
    other = spark.newSession()
    other.conf.set("spark.sql.session.timeZone", "Europe/Berlin")
    asked = build_open_snapshots_on_spark(other, lake, AS_OF)
    with pytest.raises(SettingsError, match="Europe/Berlin"):
        build_features_on_spark(other, lake, asked, odd_catalogue(odd, tmp_path / "p"))


def test_tables_that_lack_a_column_of_the_catalogue_are_refused(
    spark: SparkSession, odd: Tables, demo: Path, tmp_path: Path
) -> None:
    project = find_project(demo)
    catalogue = build_catalogue(read_tables(project), project.settings)
    write_lake(odd, tmp_path / "lake")
    lake = describe_lake(tmp_path / "lake")
    with pytest.raises(SchemaError, match="no longer declares"):
        build_features_on_spark(spark, lake, build_open_snapshots_on_spark(spark, lake, AS_OF), catalogue)


def test_tables_come_back_from_the_folder_as_they_were(odd: Tables, tmp_path: Path) -> None:
    write_lake(odd, tmp_path / "lake")
    back = read_lake(tmp_path / "lake")
    for table, order in TABLES.items():
        sql = f"SELECT * FROM {table} ORDER BY {order}"
        assert rows_of(back, sql) == rows_of(odd, sql)
        assert [*map(str, back.connection.sql(sql).types)] == [*map(str, odd.connection.sql(sql).types)]
    assert (back.dated, back.lead_attributes, back.account_attributes) == (
        odd.dated, odd.lead_attributes, odd.account_attributes
    )  # fmt: skip
    assert (back.observed_from, back.observed_until, back.data_until, back.data_hash) == (
        odd.observed_from, odd.observed_until, odd.data_until, odd.data_hash
    )  # fmt: skip
    catalogue = odd_catalogue(odd, tmp_path / "p")
    asked = ask(("a'1", AS_OF), ("б", AS_OF))
    assert build_features(asked, back, catalogue).equals(build_features(asked, odd, catalogue))


def test_the_same_tables_give_the_same_bytes_and_replace_the_earlier_ones(odd: Tables, tmp_path: Path) -> None:
    def write() -> dict[str, bytes]:
        write_lake(odd, tmp_path / "lake")
        return {file.name: file.read_bytes() for file in (tmp_path / "lake").iterdir()}

    assert write() == write()
    assert [path.name for path in tmp_path.iterdir()] == ["lake"]


def test_a_folder_of_something_else_is_not_replaced(odd: Tables, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(SettingsError, match="something else"):
        write_lake(odd, tmp_path)
    assert (tmp_path / "letter.txt").read_text() == "dear"


def test_a_damaged_folder_says_what_is_wrong(odd: Tables, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"tables\.json: cannot be read"):
        read_lake(tmp_path / "absent")
    lake = tmp_path / "lake"
    write_lake(odd, lake)
    facts = json.loads((lake / "tables.json").read_text("utf-8"))
    for damaged, words in (
        (facts | {"protocol": 9}, "protocol 9"),
        ({"protocol": 1}, "does not describe"),
        ([], "does not"),
    ):
        (lake / "tables.json").write_text(json.dumps(damaged), encoding="utf-8")
        with pytest.raises(SchemaError, match=words):
            read_lake(lake)
    (lake / "events.parquet").unlink()
    with pytest.raises(StorageError, match=r"events\.parquet is missing"):
        read_lake(lake)
