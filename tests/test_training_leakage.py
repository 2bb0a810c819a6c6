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
from features.listing import build_catalogue
from project.errors import QualityGateError
from project.folder import Project, find_project
from training.bands import make_rules
from training.demo import write_demo_project
from training.examples import Examples, build_examples
from training.leaks.bench import make_bench
from training.leaks.clues import Clue, auc_interval, clue_of_filling, clue_of_skill, measure_alone
from training.leaks.court import Trial, judge_project, refuse_leaks
from training.leaks.future import find_future_features
from training.leaks.rest import clue_of_rest
from training.leaks.verdict import Verdict, decide
from training.leaks.writing import (
    clue_of_age,
    clue_of_breaks,
    clue_of_name,
    clue_of_one_side,
    clue_of_times,
    clue_of_words,
)
from training.pipeline import train_model
from worlds import BASIC_TOML, ask, make_project, utc

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import leaks as benchmark

KEPT = Path(__file__).parent / "real"
WON = np.array([True, False, False, False, False] * 200)


def texts(*values: object) -> pd.Series:
    return pd.Series(list(values), dtype="str")


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


@pytest.fixture(scope="module")
def crm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Examples]:
    """A simulated CRM of 1,500 leads with its examples."""
    folder = tmp_path_factory.mktemp("crm")
    write_demo_project(folder, n_leads=1_500, seed=2)
    project = find_project(folder)
    return project, build_examples(read_tables(project), project.settings, rules=make_rules(project.settings.rules))


def clue(family: str, weight: str) -> Clue:
    return Clue(family, weight, 0.9, f"{weight} {family}")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("clues", "should"),
    [
        pytest.param([], "clean", id="nothing"),
        pytest.param([clue("skill", "hint")], "clean", id="a hint is no suspicion"),
        pytest.param([clue("skill", "hint"), clue("name", "hint")], "suspicious", id="two hints"),
        pytest.param([clue("fill", "strong")], "suspicious", id="one strong statistic condemns nobody"),
        pytest.param([clue("fill", "strong"), clue("skill", "strong")], "suspicious", id="the same thing said twice"),
        pytest.param([clue("fill", "strong"), clue("age", "strong")], "leak", id="two kinds agree"),
        pytest.param([clue("skill", "strong"), clue("name", "hint")], "leak", id="a name supports"),
        pytest.param([clue("future", "proof")], "leak", id="proof"),
    ],
)
def test_clues_become_a_verdict(clues: list[Clue], should: str) -> None:
    assert decide(clues)[0] == should


def test_the_interval_of_an_auc_narrows_with_the_leads() -> None:
    few, many = auc_interval(0.96, won=20, lost=50), auc_interval(0.96, won=2_000, lost=5_000)
    assert few.low < 0.95 < many.low
    assert clue_of_skill(0.96, won=20, lost=50) == clue_of_skill(0.96, won=20, lost=50)
    assert clue_of_skill(0.96, won=20, lost=50).weight == "strong"
    assert clue_of_skill(0.96, won=2_000, lost=5_000).weight == "proof"
    assert clue_of_skill(0.75, won=2_000, lost=5_000).weight == "hint"


def test_a_count_that_is_nearly_always_zero_is_still_measured() -> None:
    values = pd.Series(np.where(WON, np.arange(len(WON)) % 90 + 1.0, 0.0))
    assert measure_alone(values, WON) > 0.99
    assert measure_alone(pd.Series(np.random.default_rng(0).random(1000)), WON) == pytest.approx(0.5, abs=0.08)


def test_many_levels_are_no_skill() -> None:
    levels = texts(*(f"c{n}" for n in np.random.default_rng(1).integers(0, 500, len(WON))))
    assert measure_alone(levels, WON) == pytest.approx(0.5, abs=0.08)


def test_filling_is_weighed_by_how_much_it_tells() -> None:
    chance = np.random.default_rng(0)
    assert clue_of_filling(chance.random(1000) < 0.2, WON) is None
    assert clue_of_filling(chance.random(1000) < np.where(WON, 0.6, 0.2), WON).weight == "strong"
    assert clue_of_filling(chance.random(1000) < np.where(WON, 0.95, 0.02), WON).weight == "proof"


def test_a_reason_that_only_lost_leads_have_is_proof() -> None:
    lost = ~WON & (np.arange(len(WON)) % 3 > 0)
    assert clue_of_one_side(lost, WON, lost).weight == "proof"
    few = lost & (np.arange(len(WON)) % 20 == 7)
    junk = clue_of_one_side(few, WON, lost)
    assert junk is None or junk.weight == "strong"
    assert clue_of_one_side(np.ones(len(WON), dtype=bool), WON, lost) is None


def test_the_newest_leads_lack_what_is_written_later() -> None:
    order, mature = np.arange(4_000), np.arange(4_000) < 3_600
    late = pd.Series(np.where(mature, 3.0, 0.0))
    assert clue_of_age(late, order, mature).weight == "strong"
    assert clue_of_age(pd.Series(np.where(order % 5, np.nan, 1.0)), order, mature) is None


def test_filling_in_batches_is_noticed_and_a_new_question_is_not() -> None:
    order = np.arange(2_000)
    assert clue_of_breaks((order < 600) | (order > 1_500), order) is not None
    assert clue_of_breaks(order > 1_000, order) is None


def test_words_of_an_outcome_count_only_where_they_came_true() -> None:
    ends = texts(*np.where(WON, "Closed Won", "talking"))
    assert clue_of_words(ends, WON, named_won=(), named_lost=()).weight == "proof"
    russian = texts(*np.where(WON, "новый", "Закрыто и не реализовано"))
    assert clue_of_words(russian, WON, named_won=(), named_lost=()).weight == "proof"
    own = texts(*np.where(WON, "Ура", "talking"))
    assert clue_of_words(own, WON, named_won=("ура",), named_lost=()).weight == "proof"
    plans = texts(*np.where(WON, "Will revert after reading the email", "talking"))
    assert clue_of_words(plans, WON, named_won=(), named_lost=()) is None
    untrue = texts(*np.where(np.arange(len(WON)) % 2, "won", "talking"))
    assert clue_of_words(untrue, WON, named_won=(), named_lost=()) is None


def test_times_after_the_outcome_are_told_from_wishes() -> None:
    closed = pd.Series(pd.date_range("2024-01-01", periods=200, freq="D").astype("datetime64[us]"))
    until = np.datetime64("2024-07-20", "us")
    assert clue_of_times(closed + pd.Timedelta("2h"), closed, until=until).weight == "proof"
    assert (
        clue_of_times((closed + pd.Timedelta("20D")).clip(upper=pd.Timestamp(until)), closed, until=until).weight
        == "proof"
    )
    assert clue_of_times(closed + pd.Timedelta("90D"), closed, until=until).weight == "strong"
    assert clue_of_times(closed - pd.Timedelta("9D"), closed, until=until) is None


@pytest.mark.parametrize("header", ["Tags", "Lead Quality", "lead_score", "причина", "Last Notable Activity"])
def test_a_name_is_never_more_than_a_hint(header: str) -> None:
    assert clue_of_name(header).weight == "hint"
    assert clue_of_name("marital_status") is None


def test_a_strong_honest_column_is_not_condemned_for_beating_the_rest() -> None:
    from training.evaluation.evaluate import Interval

    honest = auc_interval(0.75, won=1_000, lost=3_000)
    drop = Interval(0.2, 0.19, 0.21)
    assert clue_of_rest(honest, rest=0.55, drop=drop, next_drop=0.001, base=0.5) is None
    leak = auc_interval(0.93, won=1_000, lost=3_000)
    assert clue_of_rest(leak, rest=0.70, drop=drop, next_drop=0.001, base=0.5).weight == "proof"


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
        return Verdict("leads", "x", "leak", declared, allowed, (clue("skill", "proof"),))

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

    from features.engine import build_features

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
