"""A history worked by an older score, from leads.toml to the report and the scored file."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from conftest import Ran, run_leads
from training.demo import write_demo_project
from training.simulator.crm import simulate_crm, write_crm

SECTIONS = """
[selection]
worked = "worked"
propensity = "propensity"
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    """A trained project whose sales worked four tenths of the leads, and what training answered."""
    folder = tmp_path_factory.mktemp("selection") / "crm"
    write_demo_project(folder, n_leads=100, seed=2)
    write_crm(simulate_crm(4_000, seed=2, worked_share=0.4, exploration=0.3), folder / "data")
    settings = folder / "leads.toml"
    text = settings.read_text("utf-8")
    text = text.replace("[leads.columns]", '[leads.columns]\nworked = "rule"\npropensity = "rule"')
    text = re.sub(r"leads_per_week = \d+", "leads_per_week = 20\nexploration = 0.1", text)
    settings.write_text(text + SECTIONS, encoding="utf-8")
    ran = run_leads("train", "-p", folder, "--json")
    assert ran.exit_code == 0, ran.output
    return folder, ran


def test_the_report_says_who_was_worked_and_what_that_changes(trained: tuple[Path, Ran]) -> None:
    folder, ran = trained
    (report,) = (folder / "state" / "runs").glob("*/report.html")
    text = " ".join(report.read_text("utf-8").split())
    assert "What is known of worked leads only?" in text
    assert "drawn at random" in text
    assert "being worked changes their conversion by" in text
    assert "Weighted to all leads, the worked leads of the test period say as much as" in text
    assert "leads were worked; only they are learnt from" in " ".join(ran.output.split())


def test_every_figure_of_the_test_period_is_told_of_all_leads_too(trained: tuple[Path, Ran]) -> None:
    folder, ran = trained
    weighted = ran.answer["weighted"]
    assert weighted["effective"] > 100
    figures = weighted["figures"]
    assert figures["log_loss"]["worked"] == pytest.approx(ran.answer["test"]["log_loss"])
    assert figures["auc"]["worked"] == pytest.approx(ran.answer["test"]["auc"])
    assert figures["slope"]["worked"] == pytest.approx(ran.answer["test"]["calibration_slope"], abs=1e-3)
    # what the older score had chosen converts more often than all leads would
    assert figures["base_rate"]["value"] < figures["base_rate"]["worked"]
    (report,) = (folder / "state" / "runs").glob("*/report.html")
    text = report.read_text("utf-8")
    for name in ("AUC", "Brier score", "calibration slope", "lift of the top 10% of leads", "Said and seen, weighted"):
        assert name in text


def test_what_sales_did_is_no_feature(trained: tuple[Path, Ran]) -> None:
    folder, _ = trained
    names = " ".join(path.read_text("utf-8") for path in (folder / "state" / "models").glob("*/manifest.json"))
    assert '"name":"worked"' not in names.replace(" ", "")
    assert '"name":"propensity"' not in names.replace(" ", "")


def test_a_share_of_the_others_is_called_all_the_same_and_its_chance_is_written_down(
    trained: tuple[Path, Ran], tmp_path: Path
) -> None:
    folder, _ = trained
    out = tmp_path / "scored.csv"
    assert run_leads("score", "-p", folder, "-o", out).exit_code == 0
    scored = pd.read_csv(out)
    explored = scored["band_rule"] == "exploration"
    assert explored.any()
    assert set(scored.loc[explored, "band"]) == {"SQL"}
    assert set(scored.loc[explored, "propensity"]) == {0.1}
    assert set(scored.loc[scored["band"].isin(["MQL", "nurture"]), "propensity"]) == {0.1}
    assert scored.loc[scored["band"] == "disqualified", "propensity"].isna().all()
