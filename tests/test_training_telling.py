from __future__ import annotations

import itertools
import shutil
from datetime import timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from conftest import run_leads
from features.ingest import read_tables
from models.columns import ModelColumn
from models.evidence import EvidenceTable
from project.errors import SettingsError
from project.folder import find_project
from serving.load import load_named_model
from training.bands import make_rules
from training.examples import Examples, build_examples
from training.telling import _ranges, collect_evidence


@pytest.fixture(scope="module")
def examples(demo: Path) -> Examples:
    project = find_project(demo)
    return build_examples(read_tables(project), project.settings, rules=make_rules(project.settings.rules))


@pytest.fixture(scope="module")
def evidence(demo: Path) -> EvidenceTable:
    model, _ = load_named_model(find_project(demo))
    assert model.evidence is not None
    return model.evidence


def test_the_saved_evidence_is_what_a_query_of_its_own_finds(examples: Examples, evidence: EvidenceTable) -> None:
    """Each lead once, at the first snapshot where its value was such."""
    asked = examples.snapshots[["lead_id", "as_of", "created_at", "converted"]].join(examples.frame)
    checked = 0
    with duckdb.connect() as connection:
        connection.register("asked", asked)

        def count(where: str) -> tuple[int, int, float]:
            rows = connection.execute(
                "WITH rates AS (SELECT as_of - created_at AS age, avg(CAST(converted AS INTEGER)) AS rate FROM asked "
                "GROUP BY 1), first AS (SELECT lead_id, arg_min(converted, as_of) AS converted, "
                f"arg_min(as_of - created_at, as_of) AS age FROM asked WHERE {where} GROUP BY lead_id) "
                "SELECT count(*), coalesce(sum(CAST(converted AS INTEGER)), 0), avg(rate) "
                "FROM first JOIN rates USING (age)"
            ).fetchall()
            return int(rows[0][0]), int(rows[0][1]), float(rows[0][2])

        assert count("true")[:2] == (evidence.leads, evidence.converted)
        for name, buckets in evidence.columns.items():
            for bucket in buckets:
                if bucket.level is not None:
                    where = f"\"{name}\" = '{bucket.level}'"
                elif bucket.low is None:
                    where = f'"{name}" IS NULL OR isnan(TRY_CAST("{name}" AS DOUBLE))'
                else:
                    high = bucket.low if bucket.high is None else bucket.high  # ages are looked at exactly
                    where = f'"{name}" BETWEEN {bucket.low!r} AND {high!r}'
                leads, converted, usual = count(where)
                assert (leads, converted) == (bucket.leads, bucket.converted), (name, bucket)
                assert usual == pytest.approx(bucket.usual, abs=1e-9)
                checked += 1
    assert checked > 100


def test_only_matured_leads_are_counted(examples: Examples, evidence: EvidenceTable, demo: Path) -> None:
    tables = read_tables(find_project(demo))
    horizon = find_project(demo).settings.outcome.horizon
    assert (examples.snapshots["as_of"] + horizon <= np.datetime64(tables.observed_until, "us")).all()
    assert evidence.leads == examples.snapshots["lead_id"].nunique()


def test_every_bucket_has_support_and_ranges_rise_without_touching(evidence: EvidenceTable) -> None:
    for buckets in evidence.columns.values():
        assert all(bucket.leads >= evidence.support or bucket.low is not None for bucket in buckets)
        ranges = [(bucket.low, bucket.high) for bucket in buckets if bucket.low is not None]
        for (_, high), (low, _) in itertools.pairwise(ranges):
            assert low is not None
            assert high is None or high < low


def test_few_values_have_a_range_each_and_many_share_five() -> None:
    assert _ranges(np.array([3.0, 1.0, 1.0, 2.0])) == [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)]
    numbers = np.concatenate([np.zeros(100), np.arange(1.0, 101.0)])
    assert _ranges(numbers) == [(0.0, 0.0), (1.0, 20.0), (21.0, 40.0), (41.0, 60.0), (61.0, 80.0), (81.0, 100.0)]
    assert _ranges(np.arange(-50.0, 50.0))[0] == (-50.0, -31.0)
    assert _ranges(np.empty(0)) == []


def test_columns_of_the_saved_model_say_what_they_are_about(demo: Path) -> None:
    model, catalogue = load_named_model(find_project(demo))
    told = {column.name: column.wording for column in model.columns}
    assert all(told.values())
    channel, pages = told["channel"], told["pricing_view_count_7d"]
    assert channel is not None
    assert pages is not None
    assert (channel.en, channel.ru, channel.form) == ("Channel", "Канал", "lead value")
    assert (pages.ru, pages.window, pages.group_en) == ("Просмотры страниц с ценами", 604_800, "Pricing page views")
    assert {group.name for group in catalogue.groups} >= {column.group for column in model.columns}


def test_key_fields_are_declared_columns_that_few_leads_lack(examples: Examples, demo: Path) -> None:
    model, _ = load_named_model(find_project(demo))
    key = [column.name for column in model.columns if column.wording is not None and column.wording.key]
    declared = {one.name for one in examples.catalogue.features if one.origin in {"lead", "account"}}
    assert key
    assert set(key) <= declared
    assert examples.frame[key].isna().mean().max() < 0.25


def test_leads_toml_may_name_groups_key_fields_and_what_is_hidden(demo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "crm"
    shutil.copytree(demo, folder, ignore=shutil.ignore_patterns("state"))
    settings = folder / "leads.toml"
    own = """[reasons]
key_fields = ["role"]
hidden = ["country*"]

[reasons.groups.size]
en = "Size of the company"
ru = "Размер компании"
features = ["employees", "annual_revenue", "company_size*"]
"""
    text = settings.read_text("utf-8")
    start = text.index("[reasons]")
    settings.write_text(text[:start] + own + text[text.index("[snapshots]") :], encoding="utf-8")
    ran = run_leads("train", "-p", folder, "--json")
    assert ran.exit_code == 0, ran.output
    model, _ = load_named_model(find_project(folder), ran.answer["model_id"])
    told = {column.name: column.wording for column in model.columns if column.wording is not None}
    assert [name for name, one in told.items() if one.key] == ["role"]
    assert {name for name, one in told.items() if one.hidden} >= {"country"}
    assert {one.group_ru for name, one in told.items() if name in {"employees", "annual_revenue"}} == {
        "Размер компании"
    }
    settings.write_text(settings.read_text("utf-8").replace('"employees",', '"employes_*",'), encoding="utf-8")
    wrong = run_leads("train", "-p", folder)
    assert wrong.exit_code == SettingsError.exit_code
    assert "reasons.groups.size names 'employes_*', which fits no feature" in " ".join(wrong.output.split())


def test_evidence_of_a_column_that_nobody_fills_is_empty(examples: Examples) -> None:
    column = ModelColumn("nothing", "category", "Nothing", "Ничего")
    nothing = pd.Series(None, index=examples.frame.index, dtype="str", name="nothing")
    frame = pd.concat([examples.frame, nothing], axis=1)
    from dataclasses import replace

    table = collect_evidence(replace(examples, frame=frame), [column], timedelta(days=60))
    assert [bucket.leads for bucket in table.columns["nothing"]] == [table.leads]
