"""`leads train` and what becomes of its models, as users and batch jobs meet it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import run_leads

METRICS = set(
    "n positives base_rate log_loss brier auc lift_at_10 calibration_slope calibration_intercept".split()  # noqa: SIM905
)


def test_train_answers_with_the_documented_document(demo: Path) -> None:
    answer = json.loads((demo / "answer.json").read_text("utf-8"))
    assert {"model_id", "run_id", "chosen", "skill", "split", "test", "rivals", "immature", "warnings"} <= set(answer)
    (within,) = answer["sooner"]
    assert within["horizon"] == "30d"
    assert 0 < within["whole"]["observed"] < answer["test"]["positives"]
    assert [row["age_days"] for row in within["by_age"]] == [0.0, 1.0, 3.0, 7.0, 14.0, 30.0]
    assert sum(row["observed"] for row in within["by_age"]) == within["whole"]["observed"]
    assert set(answer["split"]) == {"kind", "fit", "forward", "test"}
    assert answer["split"]["kind"] == "time"
    assert set(answer["test"]) == METRICS
    rungs = {"base_rate", "naive_bayes", "logistic", "lightgbm", "blend"}
    assert set(answer["rivals"]) == {*rungs, "odoo_naive_bayes"}
    assert all(set(numbers) == METRICS for numbers in answer["rivals"].values())
    assert answer["test"] == answer["rivals"][answer["chosen"]]
    assert answer["immature"] > 0
    assert 0 < answer["with_forward_leads"]["forward_leads"] <= answer["split"]["forward"]["leads"]


@pytest.fixture(scope="module")
def challenged(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A copy of the demo, its model, and the one that was trained after the team had grown. Do not change it."""
    folder = Path(shutil.copytree(demo, tmp_path_factory.mktemp("challenged") / "demo"))
    first = run_leads("info", "-p", folder, "--json").answer["model_id"]
    settings = folder / "leads.toml"
    settings.write_text(settings.read_text("utf-8").replace("leads_per_week = ", "leads_per_week = 1"), "utf-8")
    return folder, first, run_leads("train", "-p", folder, "--json").answer["model_id"]


def test_a_second_training_challenges_and_can_be_promoted_and_rolled_back(
    challenged: tuple[Path, str, str], tmp_path: Path
) -> None:
    folder, first, second = challenged
    own = shutil.copytree(folder, tmp_path / "demo")
    assert second != first
    aliases = run_leads("info", "-p", own, "--json").answer["aliases"]
    assert aliases == {"champion": first, "challenger": second}
    kept = run_leads("promote", "-p", own, "--json")
    assert kept.exit_code == 4
    assert kept.answer["champion"] == first
    promoted = run_leads("promote", "-p", own, "--reason", "the team has grown", "--json")
    assert (promoted.answer["champion"], promoted.answer["before"]) == (second, first)
    assert run_leads("promote", "-p", own).exit_code == 4
    rolled = run_leads("rollback", "-p", own, "--json")
    assert rolled.answer == {"champion": first, "before": second}
    moves = run_leads("info", "-p", own, "--json").answer["moves"]
    assert [move["why"] for move in moves if move["alias"] == "champion"] == [
        "the first model",
        f"the team has grown (state/comparisons/{second}-vs-{first}.json)",
        "rolled back",
    ]
    # a second time never goes forward
    assert run_leads("rollback", "-p", own).exit_code == 4


def test_people_in_a_category_are_refused_with_code_4_and_never_named(own_demo: Path) -> None:
    settings = own_demo / "leads.toml"
    text = settings.read_text("utf-8").replace('email = "identifies a person"\n', "")
    text = text.replace('email = "email"\n', "")  # not declared as identity either
    settings.write_text(text.replace("[leads.columns]\n", '[leads.columns]\nemail = "category"\n'), "utf-8")
    ran = run_leads("train", "-p", own_demo)
    assert ran.exit_code == 4
    assert "'email'" in ran.output
    assert "@" not in ran.output


def test_the_same_data_give_the_same_model_in_any_process_with_any_number_of_threads(own_demo: Path) -> None:
    ids = {run_leads("info", "-p", own_demo, "--json").answer["model_id"]}
    # the other way round than in this process
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "2"}
    command = [sys.executable, "-m", "leads", "train", "-p", str(own_demo), "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    ids.add(json.loads(ran.stdout.splitlines()[-1])["model_id"])
    assert len(ids) == 1
