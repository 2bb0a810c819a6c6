"""Commands that are killed, interrupted, or meet another one in the same folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import typer

from conftest import FIXED, run_leads
from project.terminal import guarded


def test_a_killed_score_leaves_nothing_or_the_whole_file(demo: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole.csv"
    run_leads("score", "-p", demo, "-o", whole, *FIXED)
    seen = set()
    for wait in (0.5, 1.5, 2.5, 3.0, 3.5, 4.0, 5.0, 8.0):
        out = tmp_path / f"killed_{wait}.csv"
        command = [sys.executable, "-m", "leads", "score", "-p", str(demo), "-o", str(out), *FIXED]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(wait)
        process.kill()
        process.wait()
        seen.add(out.exists())
        if out.exists():
            assert out.read_bytes() == whole.read_bytes()
    assert False in seen


def test_a_kill_between_writing_and_renaming_leaves_the_old_file(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("old", encoding="utf-8")
    code = (
        "import os, signal, sys; from pathlib import Path; from project.files import write_atomically\n"
        "with write_atomically(Path(sys.argv[1])) as path:\n"
        "    path.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(out)], check=False)
    assert ran.returncode == -signal.SIGKILL
    assert out.read_text("utf-8") == "old"


def test_ctrl_c_ends_with_code_130_and_leaves_nothing_half_written(demo: Path, tmp_path: Path) -> None:
    codes = []
    for wait in (0.6, 1.2, 1.8):
        out = tmp_path / f"{wait}.csv"
        command = [sys.executable, "-m", "leads", "score", "-p", str(demo), "-o", str(out), "--all"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        time.sleep(wait)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate()
        codes.append(process.returncode)
        assert "Traceback" not in told
    # -2 is what a shell calls 130: Python ends by the signal itself if it came while a C extension was being imported
    assert set(codes) <= {0, 130, -signal.SIGINT}
    assert not list(tmp_path.glob(".*"))


def test_ctrl_c_stays_ctrl_c_if_a_library_makes_an_error_of_its_own_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    @guarded
    def query() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as interrupt:
            raise ValueError("exporting a stream failed: KeyboardInterrupt") from interrupt

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(typer.Exit) as ended:
        query()
    assert ended.value.exit_code == 130
    assert capsys.readouterr().err.startswith("Interrupted")
    assert signal.getsignal(signal.SIGINT) is before


def test_an_error_without_ctrl_c_stays_itself() -> None:
    @guarded
    def query() -> None:
        raise RuntimeError("the connection was interrupted")

    with pytest.raises(RuntimeError, match="connection"):
        query()


def test_a_command_told_to_ignore_ctrl_c_goes_on_ignoring_it() -> None:
    @guarded
    def query() -> int:
        signal.raise_signal(signal.SIGINT)
        return 3

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(typer.Exit) as ended:
            query()
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.value.exit_code == 3


def test_a_project_in_use_is_refused_with_code_7(own_demo: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from project.files import lock_folder\n"
        "with lock_folder(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(own_demo / "state")], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == "held"
        assert run_leads("train", "-p", own_demo).exit_code == 7
    finally:
        holder.kill()
        holder.communicate()
