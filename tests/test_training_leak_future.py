"""The future test: a feature that knew what came later is found out, and no honest one is."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from features.engine import build_features
from features.ingest import read_tables
from features.listing import build_catalogue
from project.folder import Project, find_project
from training.bands import make_rules
from training.demo import write_demo_project
from training.examples import Examples, build_examples
from training.leaks.future import find_future_features
from worlds import BASIC_TOML, ask, make_project, utc


@pytest.fixture(scope="module")
def crm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Examples]:
    """A simulated CRM of 1,500 leads with its examples."""
    folder = tmp_path_factory.mktemp("crm")
    write_demo_project(folder, n_leads=1_500, seed=2)
    project = find_project(folder)
    return project, build_examples(read_tables(project), project.settings, rules=make_rules(project.settings.rules))


def test_no_feature_of_the_catalogue_knows_the_future(crm: tuple[Project, Examples]) -> None:
    project, examples = crm
    tables = read_tables(project)
    assert find_future_features(examples.frame, examples.snapshots, tables, examples.catalogue) == ()


def test_a_frame_built_without_the_event_cut_is_found_out(crm: tuple[Project, Examples]) -> None:
    project, examples = crm
    tables = read_tables(project)
    late = examples.snapshots.assign(as_of=pd.Timestamp(tables.data_until).as_unit("us"))
    frame = build_features(late, tables, examples.catalogue)
    found = {one.name for one in find_future_features(frame, examples.snapshots, tables, examples.catalogue)}
    behaviour = {one.name for one in examples.catalogue.features if one.origin == "behaviour"}
    assert "age_days" in found
    assert len(found & behaviour) > 0.8 * len(behaviour)
    assert not {one.name for one in examples.catalogue.features if one.origin == "lead"} & found


def test_the_future_test_leaves_the_tables_as_they_were(crm: tuple[Project, Examples]) -> None:
    project, examples = crm
    tables = read_tables(project)
    count = (
        "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM outcomes), (SELECT count(*) FROM duckdb_schemas())"
    )
    before = tables.connection.execute(count).fetchall()
    find_future_features(examples.frame, examples.snapshots, tables, examples.catalogue)
    assert tables.connection.execute(count).fetchall() == before


COLLEAGUES = BASIC_TOML.replace('created_at = "created"', 'created_at = "created"\naccount = "account"')


def test_an_invented_win_stands_for_what_became_of_the_lead(tmp_path: Path) -> None:
    # lost first, won later: one lead, one outcome, and one colleague for the other, whatever is invented
    leads = "id,created,account\n1,2024-01-01T00:00:00Z,a\n2,2024-01-05T00:00:00Z,a\n"
    stages = "id,at,stage\n1,2024-01-10T00:00:00Z,lost\n1,2024-02-10T00:00:00Z,won\n2,2024-03-01T00:00:00Z,won\n"
    project = make_project(tmp_path, COLLEAGUES, {"leads.csv": leads, "stages.csv": stages})
    tables = read_tables(project)
    catalogue = build_catalogue(tables, project.settings).keep(["colleague_count", "colleague_win_count"])
    asked = ask(("2", utc("2024-01-20")), ("1", utc("2024-01-20")), ("2", utc("2024-02-20")))
    frame = build_features(asked, tables, catalogue)
    assert frame["colleague_count"].tolist() == [1.0, 1.0, 1.0]
    assert find_future_features(frame, asked, tables, catalogue) == ()
