"""`leads bands` on a trained project."""

from __future__ import annotations

import json
import re
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from conftest import run_leads
from features.ingest import read_tables
from models.artefact import load_model
from models.registry import find_model, read_aliases, read_moves
from project.folder import find_project
from serving.score import load_named_model
from training.bands import make_rules
from training.examples import build_examples
from training.hygiene import hygiene_file, report_hygiene


@pytest.fixture
def own(demo: Path, tmp_path: Path) -> Path:
    """A copy of the demo with a team of two and a precision that it wants."""
    folder = Path(shutil.copytree(demo, tmp_path / "own"))
    path = folder / "leads.toml"
    text = re.sub(r"leads_per_week = \d+", "reps = 2\ncalls_per_rep = 4\nprecision = 0.2", path.read_text("utf-8"))
    path.write_text(text, encoding="utf-8")
    return folder


def test_what_thresholds_bring_is_shown_and_kept_and_nothing_is_changed(own: Path) -> None:
    before = read_aliases(own / "state")
    ran = run_leads("bands", "-p", own, "--json")
    assert ran.exit_code == 0, ran.output
    marks = {mark for line in ran.answer["lines"] for mark in line["marks"]}
    assert {"present", "capacity", "break-even", "margin"} <= marks
    (full,) = [line for line in ran.answer["lines"] if "capacity" in line["marks"]]
    assert 0 < full["calls"]["value"] <= 8
    assert full["calls"]["low"] <= full["calls"]["value"] <= full["calls"]["high"]
    assert ran.answer["one_more_rep"]["calls"] > 0
    assert ran.answer["promise"]["target"] == 0.2
    assert ran.answer["arrived"] > ran.answer["leads"] >= 200  # some ended unreachable
    assert (ran.answer["change"], ran.answer["applied"]) == (None, None)
    kept = json.loads(Path(ran.answer["file"]).read_text("utf-8"))
    assert kept["lines"] == ran.answer["lines"]
    assert "bands that fit the team" in Path(ran.answer["page"]).read_text("utf-8")
    assert Path(ran.answer["page"]).parent == own / "state" / "bands"
    assert read_aliases(own / "state") == before
    words = " ".join(ran.output.split())
    assert "The team can make 8 calls a week" in words
    assert "One more rep" in words


def test_what_training_chose_fills_the_week_of_all_leads_that_come_in(demo: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(demo, tmp_path / "own"))
    ran = run_leads("bands", "-p", folder, "--json")
    assert ran.answer["leads"] < 0.85 * ran.answer["arrived"]  # so many end unreachable or as junk, and are called
    present, full = (
        next(line for line in ran.answer["lines"] if mark in line["marks"]) for mark in ("present", "capacity")
    )
    assert present["threshold"] == pytest.approx(full["threshold"], rel=0.1)
    assert present["calls"]["value"] == pytest.approx(8, rel=0.1)


def test_all_leads_that_came_in_are_counted_whatever_became_of_them(demo: Path) -> None:
    project = find_project(demo)
    tables = read_tables(project)
    rules = make_rules(project.settings.rules)
    examples = build_examples(tables, project.settings, rules=rules)
    rows = examples.split.rows("test")
    created = examples.snapshots["created_at"].iloc[rows]
    found = tables.connection.execute(
        "SELECT count(*) FROM leads WHERE flag IS NULL AND created_at >= ? AND created_at <= ?",
        [created.min().to_pydatetime(), created.max().to_pydatetime()],
    ).fetchall()[0][0]
    learnt = examples.snapshots["lead_id"].iloc[rows].nunique()
    # of these the rules disqualify a few, about four in a hundred
    assert 0.9 * found < learnt / examples.coverage(rows) <= found


def test_a_threshold_is_shown_before_it_is_applied_and_a_rollback_undoes_it(own: Path) -> None:
    before = read_aliases(own / "state")["champion"]
    shown = run_leads("bands", "-p", own, "--sql", "0.25", "--mql", "0.1", "--json")
    assert shown.exit_code == 0, shown.output
    assert shown.answer["change"]["sql"] == 0.25
    assert shown.answer["change"]["changed"] == sum(shown.answer["change"]["moved"].values()) > 0
    assert shown.answer["applied"] is None
    assert "Nothing was changed" in shown.output
    assert read_aliases(own / "state")["champion"] == before
    ran = run_leads("bands", "-p", own, "--sql", "0.25", "--mql", "0.1", "--apply", "--json")
    assert ran.exit_code == 0, ran.output
    after = read_aliases(own / "state")["champion"]
    assert after == ran.answer["applied"] != before
    assert "bands: SQL from 0.25" in read_moves(own / "state")[-1]["why"]
    old, (new, _) = (
        load_model(find_model(own / "state", before)),
        load_named_model(find_project(own)),
    )  # the canary sings
    assert (new.policy.sql, new.policy.mql, new.policy.hysteresis) == (0.25, 0.1, 0.15)
    assert new.policy.rules == old.policy.rules
    assert new.calibrator == old.calibrator
    assert {key: new.manifest[key] for key in ("split", "catalogue", "metrics") if key in new.manifest} == {
        key: old.manifest[key] for key in ("split", "catalogue", "metrics") if key in old.manifest
    }
    again = run_leads("bands", "-p", own, "--sql", "0.25", "--mql", "0.1", "--apply")
    assert again.exit_code == 4
    assert "nothing to apply" in again.output
    assert run_leads("rollback", "-p", own).exit_code == 0
    assert read_aliases(own / "state")["champion"] == before


def test_a_threshold_is_picked_by_its_mark(own: Path) -> None:
    ran = run_leads("bands", "-p", own, "--pick", "capacity", "--apply", "--json")
    assert ran.exit_code == 0, ran.output
    (full,) = [line for line in ran.answer["lines"] if "capacity" in line["marks"]]
    model = load_model(find_model(own / "state", ran.answer["applied"]))
    assert model.policy.sql == full["threshold"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--apply"], "Nothing says where SQL shall begin"),
        (["--mql", "0.1"], "Nothing says where SQL shall begin"),
        (["--sql", "0.2", "--pick", "margin"], "Give one of them"),
        (["--sql", "0.2", "--mql", "0.3"], "0 < MQL <= SQL <= 1"),
        (["--pick", "luck"], "capacity"),
    ],
)
def test_what_cannot_be_picked_is_refused_with_the_cure(own: Path, words: list[str], says: str) -> None:
    ran = run_leads("bands", "-p", own, *words)
    assert ran.exit_code == 2
    assert says in ran.output


def test_too_few_outcomes_end_with_an_exit_code_of_their_own(own: Path) -> None:
    path = own / "leads.toml"
    text = path.read_text("utf-8")
    until = run_leads("bands", "-p", own, "--json").answer["since"]
    path.write_text(text.replace("[outcome]\n", f"[outcome]\nobserved_until = {until}Z\n"), encoding="utf-8")
    ran = run_leads("bands", "-p", own, "--json")
    assert ran.exit_code == 3
    assert not list((own / "state" / "bands").glob("*.part*"))


def test_a_win_may_have_a_value_of_its_own_from_a_column_of_the_leads(own: Path) -> None:
    plain = run_leads("bands", "-p", own, "--json").answer["lines"]
    path = own / "leads.toml"
    path.write_text(
        path.read_text("utf-8").replace("value_per_win", 'value_column = "company_size_answer"\nvalue_per_win'), "utf-8"
    )
    ran = run_leads("bands", "-p", own, "--sql", "0.3", "--apply", "--json")
    assert ran.exit_code == 0, ran.output
    assert [line["wins"] for line in ran.answer["lines"]] == [line["wins"] for line in plain]
    assert [line["margin"]["value"] for line in ran.answer["lines"]] != [line["margin"]["value"] for line in plain]
    assert load_model(find_model(own / "state", ran.answer["applied"])).policy.value_column == "company_size_answer"


def test_a_rule_about_an_event_takes_its_leads_out_of_training_as_known_then(own: Path) -> None:
    path = own / "leads.toml"
    rule = '\n[[rules]]\nname = "только чат"\nevent = "chat"\nwithin = "3d"\n'
    rule += '\n[[rules]]\nname = "demo"\nevent = "dmeo"\nband = "SQL"\n'
    project = find_project(own)
    plain = build_examples(read_tables(project), project.settings, rules=make_rules(project.settings.rules))
    path.write_text(path.read_text("utf-8") + rule, encoding="utf-8")
    project = find_project(own)
    tables, rules = read_tables(project), make_rules(project.settings.rules)
    ruled = build_examples(tables, project.settings, rules=rules)
    chats = tables.connection.execute("SELECT lead_id, occurred_at, recorded_at FROM events WHERE kind = 'chat'").df()
    asked = plain.snapshots[["lead_id", "as_of"]].merge(chats, on="lead_id")
    then = (asked["occurred_at"] < asked["as_of"]) & (asked["recorded_at"] < asked["as_of"])
    recent = asked["occurred_at"] >= asked["as_of"] - timedelta(days=3)
    out = set(map(tuple, asked.loc[then & recent, ["lead_id", "as_of"]].to_numpy().tolist()))
    before = set(map(tuple, plain.snapshots[["lead_id", "as_of"]].to_numpy().tolist()))
    assert out
    assert set(map(tuple, ruled.snapshots[["lead_id", "as_of"]].to_numpy().tolist())) == before - out
    assert any("'dmeo', which no lead ever did" in warning for warning in ruled.warnings)
    report_hygiene(project, tables, rules=rules)
    listed = hygiene_file(project).read_text("utf-8")
    assert "только чат,it did 'chat'" in listed
