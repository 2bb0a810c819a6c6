"""The quality benchmark on one tiny world, and the arithmetic of its verdicts."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

if TYPE_CHECKING:
    from benchmarks.histories import History

ROOT = Path(__file__).parents[1]
RIVALS = ("base_rate", "odoo")


@pytest.fixture(autouse=True)
def _benchmarks_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)


def tiny() -> History:
    """The history of the one run."""
    from benchmarks.histories import History

    return History("simulated", 1, 600, 0.3, drift=True)


def run_benchmark(script: str, *words: str | Path) -> str:
    """Run a benchmark as its user would; return what it printed."""
    command = [sys.executable, str(ROOT / "benchmarks" / script), *map(str, words)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of one run, and what it printed."""
    out = tmp_path_factory.mktemp("quality")
    words = ["--worlds", "simulated", "--sizes", 600, "--rates", 0.3, "--drifts", "drift", "--seeds", 1, "--threads", 1]
    return out, run_benchmark("quality.py", "--out", out, *map(str, words), "--contenders", *RIVALS)


def test_every_contender_is_judged_on_the_same_rows(ran: tuple[Path, str]) -> None:
    out, printed = ran
    with (out / "quality.csv").open(encoding="utf-8") as file:
        rows = {row["contender"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["ours", *RIVALS]
    assert {row["error"] for row in rows.values()} == {""}
    assert len({(row["rows"], row["positives"]) for row in rows.values()}) == 1
    assert float(rows["base_rate"]["auc"]) == 0.5
    losses = {name: float(row["log_loss"]) for name, row in rows.items()}
    assert len(set(losses.values())) == 3
    assert all(float(row["excess"]) > 0 for row in rows.values())
    best = min(RIVALS, key=lambda name: losses[name])
    assert f"| {best} | {losses[best]:.4f} |" in printed
    assert f"in {int(losses['ours'] <= losses[best])} of 1 cells" in printed
    assert printed.strip().endswith((out / "quality.md").read_text("utf-8").strip().splitlines()[-1])


def test_what_is_finished_is_not_computed_again(ran: tuple[Path, str]) -> None:
    from benchmarks.contest import Contest, hold

    folder = ran[0] / "histories" / tiny().key
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert {f"{name}.json" for name in ("ours", *RIVALS)} < set(before)
    kept = json.loads((folder / "base_rate.json").read_text("utf-8"))
    (folder / "base_rate.json").write_text(json.dumps({**kept, "arguments": {}}), encoding="utf-8")
    said: list[str] = []
    hold(tiny(), RIVALS, Contest(ran[0], ran[0] / "cache", 1, 300.0), progress=said.append)
    assert [text.partition(":")[0] for text in said] == ["ours", *RIVALS]
    changed = {name for name, moment in before.items() if (folder / name).stat().st_mtime_ns != moment}
    assert changed == {"base_rate.json", "base_rate.npy"}


def test_a_rival_never_sees_the_outcomes_of_the_test_period(ran: tuple[Path, str], tmp_path: Path) -> None:
    (folder,) = (ran[0] / "histories").iterdir()
    rows = pd.read_parquet(folder / "rows.parquet")
    test = rows["side"] == "test"
    flipped = rows["converted"].mask(test, ~rows["converted"])
    assert (flipped != rows["converted"]).sum() == test.sum() > 50
    rows.assign(converted=flipped).to_parquet(tmp_path / "rows.parquet")
    (tmp_path / "examples.parquet").write_bytes((folder / "examples.parquet").read_bytes())
    run_benchmark("rivals.py", "odoo", tmp_path, "--threads", "1")
    assert np.array_equal(np.load(tmp_path / "odoo.npy"), np.load(folder / "odoo.npy"))


@pytest.mark.parametrize("name", ["odoo", "logistic", "lightgbm_default", "lightgbm_tuned", "hist_gradient_boosting"])
def test_a_rival_learns_what_there_is_and_takes_what_it_never_saw(name: str) -> None:
    from sklearn.metrics import roc_auc_score

    from benchmarks.rivals import RIVALS as FITS
    from benchmarks.rivals import Rows

    random = np.random.default_rng(2)
    n = 1_200
    level = random.integers(0, 4, n)
    frame = pd.DataFrame({"number": random.normal(size=n), "empty": np.nan, "level": np.array([*"abc", None])[level]})
    frame.loc[::7, "number"] = np.nan
    frame["level"] = frame["level"].astype("str")
    converted = random.random(n) < np.array([0.05, 0.2, 0.5, 0.8])[level]
    test = frame.iloc[1_000:].reset_index(drop=True)
    test.loc[:9, "level"] = "never seen"
    rows = Rows(frame.iloc[:1_000], converted[:1_000], np.arange(1_000), np.arange(1_000) >= 850,
                np.arange(1_000) >= 750, test, 1, 1, 1.0)  # fmt: skip
    said = FITS[name](rows)()
    assert said.shape == (200,)
    assert ((said > 0) & (said < 1)).all()
    assert roc_auc_score(converted[1_010:], said[10:]) > 0.7


def test_what_cannot_be_installed_is_said(
    ran: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks.contest import Contest, answer_of, hold

    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty"))
    contest = Contest(ran[0], tmp_path / "cache", 1, 300.0)
    said: list[str] = []
    hold(tiny(), ["catboost"], contest, progress=said.append)
    assert said[-1] == "catboost: not installed"
    assert answer_of(contest.folder(tiny()), "catboost")["error"] == "not installed"


def test_a_rival_that_crashes_is_said_and_tried_again(ran: tuple[Path, str], tmp_path: Path) -> None:
    from benchmarks.contest import Contest, hold

    shutil.copytree(ran[0], tmp_path / "out")
    contest = Contest(tmp_path / "out", tmp_path / "cache", 1, 300.0)
    examples = contest.folder(tiny()) / "examples.parquet"
    whole = examples.read_bytes()
    said: list[str] = []
    for content in (b"no Parquet", whole):
        examples.write_bytes(content)
        hold(tiny(), ["base_rate"], contest, progress=said.append)
    assert said[1].startswith("base_rate: crashed: ")
    assert said[3].startswith("base_rate: fitted")


def test_a_history_too_small_to_train_on_says_so(tmp_path: Path) -> None:
    from benchmarks.contest import OURS, Contest, hold, train_ours
    from benchmarks.histories import History
    from benchmarks.verdicts import collect_figures, compare, write_cells, write_summary

    history, contest = History("simulated", 1, 100, 0.03), Contest(tmp_path, tmp_path / "cache", 1, 1.0)
    contest.folder(history).mkdir(parents=True)
    train_ours(history, contest)
    said: list[str] = []
    hold(history, ["base_rate"], contest, progress=said.append)
    assert len(said) == 1
    assert "conversions among" in said[0]
    figures = collect_figures([history], [OURS, "base_rate"], contest)
    assert "| base_rate | not done |" in write_cells(figures, [OURS, "base_rate"])
    assert write_summary(compare(figures, [history], contest)) == "No cell has an answer of ours and of a rival."


@pytest.mark.parametrize(
    ("distort", "should"),
    [
        pytest.param(lambda p: p, lambda error, floor: error < 1.6 * floor, id="a perfect model is near its floor"),
        pytest.param(lambda p: p**2, lambda error, floor: error > 4 * floor, id="a wrong model is far above it"),
    ],
)
def test_the_calibration_error_knows_right_from_wrong(
    distort: Callable[[np.ndarray], np.ndarray], should: Callable[[float, float], bool]
) -> None:
    from benchmarks.verdicts import calibration_error

    random = np.random.default_rng(3)
    truth = random.beta(1.5, 6, 5_000)
    converted = random.random(5_000) < truth
    error, floor = calibration_error(distort(truth), converted, leads=np.arange(5_000), seed=1)
    assert should(error, floor)


def test_the_noise_floor_is_the_published_one_and_higher_if_rows_hang_together() -> None:
    from benchmarks.verdicts import calibration_error

    random = np.random.default_rng(5)
    said = np.sort(random.beta(0.9, 9.1, 5_000))
    converted = random.random(5_000) < said
    alone = calibration_error(said, converted, leads=np.arange(5_000), seed=1)[1]
    together = calibration_error(said, converted, leads=np.arange(5_000) // 5, seed=1)[1]
    assert alone == pytest.approx(0.0114, rel=0.15)
    assert together > 1.5 * alone


def test_the_truth_has_no_excess_and_a_constant_has_its_information(tmp_path: Path) -> None:
    from benchmarks.verdicts import excess_log_loss

    assert np.isnan(excess_log_loss(np.array([0.5]), tmp_path))
    np.save(tmp_path / "truth.npy", np.array([0.0, 0.5, 1.0]))
    assert excess_log_loss(np.array([0.0, 0.5, 1.0]), tmp_path) == pytest.approx(0, abs=1e-6)
    assert excess_log_loss(np.full(3, 0.5), tmp_path) == pytest.approx(1e4 * 2 / 3 * np.log(2))


def test_the_summary_counts_cells_and_names_the_worst() -> None:
    from benchmarks.verdicts import Comparison, write_summary

    text = write_summary(
        [
            Comparison("calm", 2, 0.30, "odoo", 0.31, 0.33, -0.01, -0.02, -0.001, 0, 90, "odoo", 100),
            Comparison("rough", 2, 0.42, "logistic", 0.40, 0.41, 0.02, 0.01, 0.03, 1, 90, "logistic", 80),
            Comparison("even", 2, 0.20, "logistic", 0.20, 0.21, 0.0, -0.01, 0.01, 0),
        ]
    )
    assert "in 2 of 3 cells (67%); the interval lies below zero in 1 and above zero in 1." in text
    assert "at least as close to it as the closest rival in 1 of 2 cells." in text
    assert "Worst cell: rough, +5.00 % beside logistic." in text
    assert text.endswith('without saying "no skill": rough (1 of 2 seeds).')


def test_the_null_benchmark_asks_a_training_and_counts_what_was_said(capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks.histories import History
    from benchmarks.null import Said, ask, tell

    said = ask(History("simulated", 1, 100, 0.03, shuffled=True, once=True))
    assert (said.skill, said.chosen) == (False, "not enough data")
    tell("shuffled", "a cell", [said, *[Said(True, "lightgbm", 0.7)] * 3])
    printed = capsys.readouterr().out
    assert 'said "no skill" in 1 of 4 seeds, 25.0%' in printed
    assert "mean AUC of the chosen models that are no base rate: 0.700" in printed
    assert "TOO SELDOM" in printed
    tell("faint", "a cell", [said, Said(True, "lightgbm", 0.7, alone=True), *[Said(True, "lightgbm", 0.7)] * 2])
    printed = capsys.readouterr().out
    assert "found the signal in 3 of 4 seeds, 75.0%" in printed
    assert "skill was claimed in 3, in 1 of them by the test period alone" in printed
