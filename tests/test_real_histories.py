"""The whole walk on three real histories: raw files, `leads init`, the kept leads.toml, train, score, explain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conftest import Ran, run_leads
from models.breakdown import take_apart
from models.columns import encode_frame
from training.examples import Examples
from training.fitting.contenders import Contest, hold_contest

KEPT = Path(__file__).parent / "real"
HISTORIES: dict[str, list[str]] = {
    "bpic2012": ["--leads", "leads.csv", "--events", "events.csv.gz", "--outcomes", "outcomes.csv"],
    "olist_funnel": [
        "--leads", "olist_marketing_qualified_leads_dataset.csv", "--outcomes", "olist_closed_deals_dataset.csv"
    ],
    "xeducation": ["--leads", "Leads.csv"],
}  # fmt: skip

pytestmark = pytest.mark.real


CONTESTS: dict[str, tuple[Examples, Contest]] = {}


@pytest.fixture(scope="module", params=sorted(HISTORIES))
def walked(
    request: pytest.FixtureRequest, real_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, Ran]:
    """One history, initialised from its raw files, set up with the kept settings, and trained.

    What was tried on the way is remembered in `CONTESTS`: a saved model is one of its rungs only.
    """
    name = str(request.param)
    folder = tmp_path_factory.mktemp(name)
    (folder / "data").symlink_to(real_data)
    files = [word if word.startswith("--") else str(real_data / name / word) for word in HISTORIES[name]]
    ran = run_leads("init", folder, *files)
    assert ran.exit_code == 0, ran.output
    assert run_leads("check", "-p", folder).exit_code == 0, "the proposal as it stands must be usable"
    (folder / "leads.toml").write_text((KEPT / f"{name}.toml").read_text("utf-8"), encoding="utf-8")
    assert run_leads("check", "-p", folder).exit_code == 0

    def hold(examples: Examples, **asked: Any) -> Contest:
        CONTESTS[name] = examples, hold_contest(examples, **asked)
        return CONTESTS[name][1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.pipeline.hold_contest", hold)
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


def test_reasons_add_up_for_every_lead_and_every_rung_of_the_ladder(walked: tuple[str, Path, Ran]) -> None:
    name, _, _ = walked
    examples, contest = CONTESTS[name]
    first = ~examples.snapshots["lead_id"].duplicated().to_numpy()
    matrix = encode_frame(examples.frame.loc[first], contest.columns)
    assert len(matrix) == examples.snapshots["lead_id"].nunique() > 3_000
    assert len(contest.contenders) >= 3
    for contender in contest.contenders:
        apart = take_apart(contender.estimator, matrix, contest.columns)
        added = apart.base + apart.by_group.sum(axis=1)
        np.testing.assert_allclose(added, contender.estimator.log_odds(matrix), rtol=0, atol=1e-9)
        points, start = apart.points(contender.calibrator)
        np.testing.assert_allclose(start + points.sum(axis=1), contender.probability(matrix), rtol=0, atol=1e-9)
