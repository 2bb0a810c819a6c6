"""The ledger: every decision, replayed to the last bit."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conftest import SECOND, read_scored, run_leads
from features.engine import build_features
from features.ingest import read_tables
from features.snapshots import build_open_snapshots
from project.errors import SettingsError, StorageError
from project.folder import find_project
from serving.ledger.ledger import find_decision, last_decisions, ledger_file, open_ledger, to_frame
from serving.load import load_named_model


def test_every_scored_lead_is_in_the_ledger_to_the_last_bit(scored_twice: Path) -> None:
    scored = read_scored(scored_twice / "b.csv")
    found = last_decisions(scored_twice / "state", scored["lead_id"].to_list(), before=None)
    assert len(found) == len(scored) > 100
    for row in scored.head(50).itertuples():
        one = found[str(row.lead_id)]
        assert (one.decision_id, one.probability, one.log_odds) == (row.decision_id, row.probability, row.log_odds)
        assert (one.band, one.band_rule, one.as_of) == (row.band, row.band_rule, "2025-12-20T06:30:00.000000Z")
        assert row.reason_for_1 is np.nan or row.reason_for_1 in one.reasons


def test_scoring_the_same_again_adds_nothing_and_says_the_same(scored_twice: Path, tmp_path: Path) -> None:
    out = tmp_path / "again.csv"
    with open_ledger(scored_twice / "state") as connection:
        before = connection.execute("SELECT count(*) FROM decisions").fetchall()
    run_leads("score", "-p", scored_twice, "--as-of", SECOND, "--out", out)
    with open_ledger(scored_twice / "state") as connection:
        assert connection.execute("SELECT count(*) FROM decisions").fetchall() == before
    same = [name for name in read_scored(out).columns if name != "scored_at"]
    pd.testing.assert_frame_equal(read_scored(out)[same], read_scored(scored_twice / "b.csv")[same])


def test_the_ledger_can_only_be_added_to(scored_twice: Path) -> None:
    with (
        pytest.raises(StorageError, match="only added to"),
        open_ledger(scored_twice / "state") as connection,
    ):
        connection.execute("UPDATE decisions SET probability = 1.0")


def test_the_decision_before_is_the_latest_from_strictly_before(scored_twice: Path) -> None:
    leads = read_scored(scored_twice / "a.csv")["lead_id"].to_list()

    def moments(before: datetime | None) -> set[str]:
        return {one.as_of[:10] for one in last_decisions(scored_twice / "state", leads, before=before).values()}

    assert moments(datetime(2025, 12, 10)) == set()
    assert moments(datetime(2025, 12, 10, 0, 0, 1)) == {"2025-12-10"}
    assert moments(datetime(2025, 12, 20, 6, 30)) == {"2025-12-10"}
    assert moments(None) >= {"2025-12-20"}
    assert last_decisions(scored_twice / "state", [], before=None) == {}


def test_a_damaged_ledger_is_a_clear_error(scored_twice: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    ledger_file(state).write_bytes(b"no database at all, but long enough to be looked at " * 100)
    with pytest.raises(StorageError, match=r"ledger\.db: the ledger cannot be used"):
        last_decisions(state, ["L1"], before=None)


def test_a_decision_is_replayed_in_another_process_to_the_last_bit(scored_twice: Path) -> None:
    for decision in read_scored(scored_twice / "b.csv")["decision_id"].iloc[[0, 40]]:
        code = "import sys; sys.argv[0] = 'leads'; import leads; leads.main()"
        done = subprocess.run(
            [sys.executable, "-c", code, "replay", decision, "-p", str(scored_twice), "--json"],
            capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1],
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout.strip().splitlines()[-1])
        assert answer["same"] is True
        assert answer["probability"] == answer["decision"]["probability"]


def test_a_replay_that_differs_says_so(scored_twice: Path, tmp_path: Path) -> None:
    folder = tmp_path / "crm"
    shutil.copytree(scored_twice, folder)
    decision = read_scored(folder / "b.csv")["decision_id"].iloc[0]
    with sqlite3.connect(ledger_file(folder / "state")) as connection:
        connection.execute("DROP TRIGGER only_added_to")
        connection.execute("UPDATE decisions SET probability = probability + 1e-12 WHERE decision_id = ?", [decision])
    connection.close()
    ran = run_leads("replay", decision, "-p", folder)
    assert ran.exit_code == 6
    assert "Not the same." in ran.output


def test_an_unknown_decision_is_a_usage_error(scored_twice: Path) -> None:
    with pytest.raises(SettingsError, match="There is no decision 'D0'"):
        find_decision(scored_twice / "state", "D0")


def test_rows_of_the_ledger_are_the_frame_that_the_model_saw(scored_twice: Path) -> None:
    project = find_project(scored_twice)
    model, catalogue = load_named_model(project)
    tables = read_tables(project)
    snapshots = build_open_snapshots(tables, datetime(2025, 12, 20, 6, 30))
    frame = build_features(snapshots, tables, catalogue)
    kept = last_decisions(project.state, snapshots["lead_id"].to_list(), before=None)
    rebuilt = to_frame([kept[lead] for lead in snapshots["lead_id"]], model)
    pd.testing.assert_frame_equal(rebuilt, frame[list(rebuilt.columns)])


def test_a_trial_of_another_model_leaves_no_record_unless_it_is_asked_for(scored_twice: Path, tmp_path: Path) -> None:
    folder = tmp_path / "crm"
    shutil.copytree(scored_twice, folder)
    name = read_scored(folder / "b.csv")["model_id"].iloc[0]
    moment = ("--as-of", "2025-12-22T00:00:00Z")

    def count() -> int:
        with open_ledger(folder / "state") as connection:
            return int(connection.execute("SELECT count(*) FROM decisions").fetchall()[0][0])

    before = count()
    assert run_leads("score", "-p", folder, "--model", name, *moment).exit_code == 0
    assert count() == before
    assert run_leads("score", "-p", folder, "--model", name, "--record", *moment).exit_code == 0
    assert count() > before


def test_scoring_can_leave_no_record(demo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "crm"
    shutil.copytree(demo, folder)
    ledger_file(folder / "state").unlink(missing_ok=True)
    out = tmp_path / "scored.csv"
    assert run_leads("score", "-p", folder, "--no-record", "--out", out).exit_code == 0
    assert not ledger_file(folder / "state").is_file()
    assert read_scored(out)["decision_id"].str.fullmatch("D[0-9a-f]{20}").all()
