"""The commands as users and batch jobs meet them."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from conftest import run_leads

COMMANDS = ("init", "check", "train", "score", "explain", "info", "promote", "rollback", "demo")


def test_help_answers_fast_because_it_imports_nothing_heavy() -> None:
    code = "import sys, leads; leads.app(['--help'], standalone_mode=False); print(*sys.modules, file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in ran.stderr.split()}
    heavy = {
        "pandas",
        "numpy",
        "sklearn",
        "scipy",
        "lightgbm",
        "mlflow",
        "shap",
        "duckdb",
        "pyarrow",
        "matplotlib",
        "pydantic",
    }
    assert not loaded & heavy
    for command in COMMANDS:
        assert command in ran.stdout


@pytest.mark.parametrize(
    "command", ["init", "check", "train", "score", "explain", "info", "promote", "rollback", "demo"]
)
def test_every_command_shows_an_example(command: str) -> None:
    assert f"Example: leads {command}" in " ".join(run_leads(command, "--help").output.split())


def test_the_hygiene_report_counts_and_names_leads_but_nobody(demo: Path) -> None:
    found = {entry["what"]: entry for entry in run_leads("check", "-p", demo, "--json").answer["hygiene"]}
    assert set(found) == {
        "duplicate: same e-mail",
        "rule: failed the spam check",
        "rule: present customer",
        "lost for a reason that tells nothing: no negative",
        "lost as junk: nothing is learnt from it",
    }
    assert found["duplicate: same e-mail"]["leads"] == 60  # 2 % of 3,000
    assert all(1 <= len(entry["examples"]) <= 3 for entry in found.values())
    report = (demo / "state" / "reports" / "hygiene.csv").read_text("utf-8")
    assert report.splitlines()[0] == "lead_id,flag,evidence"
    assert report.count("duplicate of L") == 60
    assert "@" not in report
    assert "+7" not in report


def test_no_address_phone_or_name_of_a_lead_is_kept_with_the_model(demo: Path) -> None:
    leads = pd.read_csv(demo / "data" / "leads.csv", dtype="str")
    words = {*leads["email"], *leads["phone"], *leads["contact_name"]}
    for file in (demo / "state" / "models").rglob("*"):
        text = file.read_text("utf-8") if file.is_file() else ""
        assert not [word for word in words if word in text], file.name


def test_explain_tells_the_leads_own_values_in_both_languages(demo: Path, tmp_path: Path) -> None:
    run_leads("score", "-p", demo, "-o", tmp_path / "scored.csv")
    top = pd.read_csv(tmp_path / "scored.csv").iloc[0]
    english = run_leads("explain", top["lead_id"], "-p", demo, "--json")
    assert english.answer["reasons_for"][0] == top["reason_for_1"]
    assert abs(sum(english.answer["contributions"].values()) + english.answer["base"] - top["log_odds"]) < 1e-9
    russian = run_leads("explain", top["lead_id"], "-p", demo, "--language", "ru")
    assert "За:" in russian.output
    assert "%" in russian.output


def test_explain_of_an_unknown_lead_is_a_usage_error(demo: Path) -> None:
    ran = run_leads("explain", "nobody", "-p", demo)
    assert ran.exit_code == 2
    assert "nobody" in ran.output


def test_info_tells_periods_metrics_bands_and_hashes(demo: Path) -> None:
    ran = run_leads("info", "-p", demo, "--json")
    assert ran.exit_code == 0
    answer = ran.answer
    assert answer["aliases"]["champion"] == answer["model_id"]
    assert answer["policy"]["mql"] <= answer["policy"]["sql"]
    assert len(answer["data_hash"]) == len(answer["settings_hash"]) == len(answer["code_hash"]) == 64
    assert answer["test"]["n"] > 0


def test_check_counts_rows_and_young_leads_and_shows_the_base_rate(demo: Path) -> None:
    ran = run_leads("check", "-p", demo, "--json")
    assert ran.exit_code == 0
    assert ran.answer["tables"]["leads"]["kept"] == 3_000
    assert ran.answer["immature_leads"] > 0
    assert len(ran.answer["base_rate_over_time"]) >= 12


def test_no_project_no_model_and_wrong_words_are_told_apart(tmp_path: Path, own_demo: Path) -> None:
    assert run_leads("train", "-p", tmp_path).exit_code == 2
    shutil.rmtree(own_demo / "state")
    assert run_leads("score", "-p", own_demo).exit_code == 3
    assert run_leads("score", "-p", own_demo, "--model", "nobody").exit_code == 3
    (own_demo / "leads.toml").write_text("[leads]\nfle = 'x'\n", encoding="utf-8")
    ran = run_leads("check", "-p", own_demo)
    assert ran.exit_code == 2
    assert "did you mean 'file'" in ran.output


def test_the_demo_does_not_overwrite_a_project(tmp_path: Path) -> None:
    (tmp_path / "leads.toml").write_text("# mine\n", encoding="utf-8")
    assert run_leads("demo", tmp_path, "--leads", "1000").exit_code == 2
    assert (tmp_path / "leads.toml").read_text("utf-8") == "# mine\n"


def test_rejected_cells_are_not_told_outside_the_rejects_file(own_demo: Path) -> None:
    path = own_demo / "data" / "leads.csv"
    lines = path.read_text("utf-8").splitlines()
    head = next(csv.reader([lines[0]]))
    cells = next(csv.reader([lines[5]]))
    cells[head.index("company_size_answer")] = "David Keller"
    lines[5] = ",".join(f'"{cell}"' for cell in cells)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    ran = run_leads("check", "-p", own_demo, "--json")
    assert "David" not in ran.output
    assert ran.answer["tables"]["leads"]["reasons"] == {
        "company_size_answer: not a finite number; correct it, or set decimal, missing or another kind": 1
    }
    assert "David Keller" in (own_demo / "state" / "rejects" / "leads.csv").read_text("utf-8")
