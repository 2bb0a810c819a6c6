"""Scoring on Spark says what scoring on one machine says, to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from conftest import run_leads
from features.lake import describe_lake, read_lake, write_lake
from project.folder import find_project
from serving.score import COLUMNS, score_open_leads
from worlds import utc

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FIXED = "2026-01-02T00:00:00Z"


@pytest.fixture(scope="module")
def lake(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("beyond") / "lake"
    ran = run_leads("tables", "-p", demo, "-o", folder, "--json")
    assert ran.exit_code == 0, ran.output
    assert ran.answer["data_hash"] == describe_lake(folder).data_hash
    return folder


@pytest.mark.parametrize(("language", "options"), [("en", []), ("ru", ["--all"])])
def test_scores_are_those_of_one_machine_to_the_last_bit(
    spark: SparkSession, demo: Path, lake: Path, tmp_path: Path, language: str, options: list[str]
) -> None:
    out = tmp_path / "scored"
    words = ["-p", demo, "-o", out, "--tables", lake, "--scored-at", FIXED, "-l", language, *options, "--json"]
    ran = run_leads("score-tables", *words)
    assert ran.exit_code == 0, ran.output
    expected = score_open_leads(
        find_project(demo),
        model_name="champion",
        as_of=None,
        scored_at=utc(FIXED),
        language="en" if language == "en" else "ru",
        closed_too=bool(options),
        progress=lambda _: None,
    )
    found = pd.concat([pd.read_parquet(file) for file in sorted(out.iterdir())], ignore_index=True)
    columns = [*COLUMNS, "probability_30d"]
    assert list(found.columns) == columns
    leads = expected.leads[columns]
    assert_frame_equal(found, leads.astype(found.dtypes.to_dict()), check_exact=True)
    assert ran.answer["leads"] == len(found) > 100
    assert ran.answer["bands"] == found["band"].value_counts().to_dict()
    assert all(file.name.startswith("part-") for file in out.iterdir())
    assert [path.name for path in tmp_path.iterdir()] == ["scored"]


def test_a_folder_of_something_else_is_not_replaced(demo: Path, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    ran = run_leads("score-tables", "-p", demo, "-o", tmp_path, "--tables", tmp_path / "lake")
    assert ran.exit_code == 2
    assert (tmp_path / "letter.txt").read_text() == "dear"


def test_absent_tables_and_a_missing_source_have_their_exit_codes(
    spark: SparkSession, demo: Path, lake: Path, tmp_path: Path
) -> None:
    absent = run_leads("score-tables", "-p", demo, "-o", tmp_path / "s", "--tables", tmp_path / "lake")
    assert absent.exit_code == 8, absent.output
    tables = read_lake(lake)
    tables.counts.pop("events")  # type: ignore[attr-defined]
    write_lake(tables, tmp_path / "silent")
    silent = run_leads("score-tables", "-p", demo, "-o", tmp_path / "s", "--tables", tmp_path / "silent")
    assert silent.exit_code == 5, silent.output
    assert not (tmp_path / "s").exists()
