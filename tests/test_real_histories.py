"""The whole walk on three real histories: raw files, `leads init`, the kept leads.toml, train, score, explain."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from conftest import Ran, run_leads

KEPT = Path(__file__).parent / "real"
HISTORIES: dict[str, list[str]] = {
    "bpic2012": ["--leads", "leads.csv", "--events", "events.csv.gz", "--outcomes", "outcomes.csv"],
    "olist_funnel": [
        "--leads", "olist_marketing_qualified_leads_dataset.csv", "--outcomes", "olist_closed_deals_dataset.csv"
    ],
    "xeducation": ["--leads", "Leads.csv"],
}  # fmt: skip

pytestmark = pytest.mark.real


@pytest.fixture(scope="module", params=sorted(HISTORIES))
def walked(
    request: pytest.FixtureRequest, real_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, Ran]:
    """One history, initialised from its raw files, set up with the kept settings, and trained."""
    name = str(request.param)
    folder = tmp_path_factory.mktemp(name)
    (folder / "data").symlink_to(real_data)
    files = [word if word.startswith("--") else str(real_data / name / word) for word in HISTORIES[name]]
    ran = run_leads("init", folder, *files)
    assert ran.exit_code == 0, ran.output
    assert run_leads("check", "-p", folder).exit_code == 0, "the proposal as it stands must be usable"
    (folder / "leads.toml").write_text((KEPT / f"{name}.toml").read_text("utf-8"), encoding="utf-8")
    assert run_leads("check", "-p", folder).exit_code == 0
    return name, folder, run_leads("train", "-p", folder, "--json")


def test_it_trains_and_is_no_worse_than_the_base_rate_or_says_no_skill(walked: tuple[str, Path, Ran]) -> None:
    name, _, ran = walked
    assert ran.exit_code == 0, ran.output
    answer = ran.answer
    assert answer["split"]["kind"] == ("row_order" if name == "xeducation" else "time")
    if answer["test"]["log_loss"] >= answer["rivals"]["base_rate"]["log_loss"]:
        assert answer["skill"] is False
        assert "No skill" in ran.output
    if name == "xeducation":
        assert "No dates" in ran.output.splitlines()[-1] or "No dates" in ran.output


def test_nothing_looks_into_the_future(walked: tuple[str, Path, Ran]) -> None:
    name, _, ran = walked
    honest = {"bpic2012": 0.80, "olist_funnel": 0.80, "xeducation": 0.90}
    assert ran.answer["test"]["auc"] < honest[name]


def test_it_scores_and_explains(walked: tuple[str, Path, Ran], tmp_path: Path) -> None:
    _, folder, _ = walked
    out = tmp_path / "scored.csv"
    ran = run_leads("score", "-p", folder, "-o", out, "--json")
    assert ran.exit_code == 0, ran.output
    scored = pd.read_csv(out, dtype={"lead_id": "str"})
    assert len(scored) > 0
    for language in ("en", "ru"):
        explained = run_leads("explain", scored["lead_id"].iloc[0], "-p", folder, "--language", language, "--json")
        assert explained.exit_code == 0
        total = sum(explained.answer["contributions"].values()) + explained.answer["base"]
        assert total == pytest.approx(explained.answer["log_odds"], abs=1e-9)
