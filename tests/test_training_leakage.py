"""The leak court: what is condemned, what is only shown, and what is left alone."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conftest import run_leads
from features.engine import build_features
from features.ingest import read_tables
from project.errors import QualityGateError
from project.folder import Project, find_project
from training.bands import make_rules
from training.examples import build_examples
from training.leaks.bench import make_bench
from training.leaks.clues import Clue
from training.leaks.court import Trial, judge_project, refuse_leaks
from training.leaks.verdict import Verdict
from training.pipeline import train_model

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import leaks as benchmark

KEPT = Path(__file__).parent / "real"


def real_project(name: str, folder: Path, real_data: Path, *, say: tuple[str, str] = ("", "")) -> Project:
    (folder / "data").symlink_to(real_data)
    (folder / "leads.toml").write_text((KEPT / f"{name}.toml").read_text("utf-8").replace(*say), encoding="utf-8")
    return find_project(folder)


def flat_project(folder: Path, columns: dict[str, list[str]], *, more: str = "") -> Project:
    """400 leads with `won`, a third by chance, and declared categories."""
    chance = np.random.default_rng(5)
    won = chance.random(400) < 1 / 3
    with (folder / "leads.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "won", *columns])
        writer.writerows(zip(range(400), np.where(won, "1", "0"), *columns.values(), strict=True))
    declared = "".join(f'"{name}" = "category"\n' for name in columns)
    toml = f'[leads]\nfile = "leads.csv"\nid = "id"\n[leads.columns]\n{declared}'
    (folder / "leads.toml").write_text(f'{toml}[outcome]\ncolumn = "won"\nwon = ["1"]\n{more}')
    return find_project(folder)


def tell_tale() -> dict[str, list[str]]:
    """One column that repeats the outcome but for one lead in a hundred, and one that knows nothing."""
    chance = np.random.default_rng(5)
    won = chance.random(400) < 1 / 3
    told = won ^ (chance.random(400) < 0.01)
    return {"signed": ["yes" if one else "no" for one in told], "colour": chance.choice(["red", "blue"], 400).tolist()}


def test_training_stops_at_a_declared_leak_and_says_what_to_do(tmp_path: Path) -> None:
    project = flat_project(tmp_path, tell_tale())
    with pytest.raises(QualityGateError, match=r"'signed' of leads: alone it tells .* Move it to leads\.forbidden"):
        train_model(project, progress=lambda _: None)


def test_a_leak_allowed_with_a_reason_is_trained_on_and_recorded(tmp_path: Path) -> None:
    more = '[training.leaks_allowed]\nsigned = "an order form, signed before we call"\n'
    trained = train_model(flat_project(tmp_path, tell_tale(), more=more), progress=lambda _: None)
    assert trained.model.manifest["leaks_allowed"] == {"signed": "an order form, signed before we call"}
    assert [one.column for one in trained.evidence.leaks if one.verdict == "leak" and one.declared] == ["signed"] * 2
    assert any("used all the same" in warning for warning in trained.evidence.warnings)


def test_the_command_shows_every_verdict_and_ends_with_4_at_a_declared_leak(tmp_path: Path) -> None:
    flat_project(tmp_path, tell_tale())
    ran = run_leads("check", "--leaks", "-p", tmp_path, "--json")
    assert ran.exit_code == 4
    verdicts = {(one["source"], one["column"]): one["verdict"] for one in ran.answer["verdicts"]}
    assert verdicts["leads", "signed"] == "leak"
    assert verdicts["leads", "colour"] == "clean"
    assert [row["name"] for row in ran.answer["bracket"]] == ["everything", "without leaks", "surely known at creation"]
    written = (tmp_path / "state" / "reports" / "leaks.csv").read_text("utf-8").splitlines()
    assert written[0] == "source,column,verdict,declared,allowed,evidence,figures"
    assert len(written) == len(ran.answer["verdicts"]) + 1


def test_a_deny_list_condemns_by_rule(tmp_path: Path) -> None:
    project = flat_project(tmp_path, tell_tale())
    trial = judge_project(
        project, read_tables(project), None, progress=lambda _: None, denied={"colour": "set on closing"}
    )
    verdict = next(one for one in trial.verdicts if one.column == "colour")
    assert (verdict.verdict, verdict.stops_training) == ("leak", True)
    assert "set on closing" in verdict.evidence


def test_only_what_is_declared_and_not_allowed_stops_training() -> None:
    def one(*, declared: bool, allowed: str | None) -> Verdict:
        return Verdict("leads", "x", "leak", declared, allowed, (Clue("skill", "proof", 0.9, "proof skill"),))

    refuse_leaks(Trial((one(declared=False, allowed=None), one(declared=True, allowed="known")), ()))
    with pytest.raises(QualityGateError):
        refuse_leaks(Trial((one(declared=True, allowed=None),), ()))


def test_too_few_outcomes_say_nothing(tmp_path: Path) -> None:
    project = flat_project(tmp_path, tell_tale())
    kept = (tmp_path / "leads.csv").read_text().splitlines()[:40]
    (tmp_path / "leads.csv").write_text("\n".join(kept) + "\n")
    tables = read_tables(project)
    assert make_bench(project, tables).known.sum() == 39
    trial = judge_project(project, tables, None, progress=lambda _: None)
    assert {one.column for one in trial.verdicts if one.verdict != "clean"} == {"won"}


@pytest.mark.parametrize("seed", [21, 22])
def test_six_planted_leaks_are_caught_and_nothing_clean_is_condemned(seed: int) -> None:
    verdicts = benchmark.try_planted(4_000, seed=seed, leaks=benchmark.LEAKS)
    assert {column for column, verdict in verdicts.items() if verdict == "leak"} == set(benchmark.LEAKS)


@pytest.mark.real
def test_xeducation_shows_what_sales_wrote(tmp_path: Path, real_data: Path) -> None:
    project = real_project("xeducation", tmp_path, real_data)
    trial = judge_project(project, read_tables(project), None, progress=lambda _: None)
    verdicts = {one.column: one.verdict for one in trial.verdicts if one.source == "leads"}
    ratings = [
        f"Asymmetrique {what}" for what in ("Activity Index", "Activity Score", "Profile Index", "Profile Score")
    ]
    for column in ("Tags", "Lead Quality", "Lead Profile", "Last Notable Activity", *ratings):
        assert verdicts[column] in {"leak", "suspicious"}, column
    assert verdicts["Tags"] == "leak"
    assert not [column for column in ("Lead Origin", "Lead Source", "Do Not Email") if verdicts[column] == "leak"]
    everything, honest, known = trial.bracket
    assert everything.auc > honest.auc > known.auc


@pytest.mark.real
def test_olist_condemns_the_whole_table_of_deals(tmp_path: Path, real_data: Path) -> None:
    project = real_project("olist_funnel", tmp_path, real_data)
    tables = read_tables(project)
    trial = judge_project(project, tables, None, progress=lambda _: None)
    assert {one.verdict for one in trial.verdicts if one.source == "stages"} == {"leak"}
    assert sum(one.source == "stages" for one in trial.verdicts) == 14
    assert {one.verdict for one in trial.verdicts if one.source == "leads"} == {"clean"}


@pytest.mark.real
def test_bpic2012_raises_no_false_alarm_and_a_true_one(tmp_path: Path, real_data: Path) -> None:
    from dataclasses import replace

    project = real_project("bpic2012", tmp_path, real_data)
    tables = read_tables(project)
    examples = build_examples(tables, project.settings, rules=make_rules(project.settings.rules))
    honest = judge_project(project, tables, examples, progress=lambda _: None)
    assert not [one.column for one in honest.verdicts if one.source != "stages" and one.verdict != "clean"]
    late = examples.snapshots.assign(as_of=pd.Timestamp(tables.data_until).as_unit("us"))
    uncut = replace(examples, frame=build_features(late, tables, examples.catalogue))
    trial = judge_project(project, tables, uncut, progress=lambda _: None)
    condemned = [one.column for one in trial.verdicts if one.source == "feature" and one.verdict == "leak"]
    assert len(condemned) > 0.8 * len(examples.catalogue.names)
    with pytest.raises(QualityGateError, match="knew the future"):
        refuse_leaks(trial)
