from __future__ import annotations

import hashlib
import math
import subprocess
import sys
import time
from pathlib import Path

import pytest

from project.errors import LockHeldError, StorageError
from project.files import canonical_json, hash_bytes, hash_file, lock_folder, write_atomically, write_folder_atomically

HOLD_THE_LOCK = """
import pathlib, sys
from project.files import lock_folder
with lock_folder(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_file_is_there_only_after_the_block_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.csv"
    with write_atomically(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
        assert temporary.parent == path.parent
        assert temporary.suffix == ".csv"
    assert path.read_text() == "whole"
    assert [entry.name for entry in path.parent.iterdir()] == ["out.csv"]


def test_an_exception_leaves_the_old_content_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")
    with pytest.raises(KeyError), write_atomically(path) as temporary:
        temporary.write_text("half of the n")
        raise KeyError
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.csv"]


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), write_atomically(tmp_path / "out.csv") as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_finished_file_replaces_the_old_one_and_can_be_read_by_others(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")
    with write_atomically(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_disk_that_is_full_is_a_storage_error_and_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")
    with (
        pytest.raises(StorageError, match="No space left on device"),
        write_atomically(path),
        Path("/dev/full").open("w") as full,
    ):
        full.write("x")
        full.flush()
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.csv"]


def test_a_place_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"), write_atomically(tmp_path / "file" / "out.csv"):
        pass
    with pytest.raises(StorageError, match="cannot be written"), write_folder_atomically(tmp_path / "file" / "out"):
        pass


def test_a_folder_is_there_only_after_the_block_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "model"
    with write_folder_atomically(path) as temporary:
        (temporary / "sub").mkdir()
        (temporary / "sub" / "a.txt").write_text("a")
        assert not path.exists()
    assert (path / "sub" / "a.txt").read_text() == "a"
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]
    assert path.stat().st_mode & 0o777 == 0o755


def test_an_exception_leaves_the_old_folder_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.mkdir()
    (path / "old.txt").write_text("old")
    with pytest.raises(ZeroDivisionError), write_folder_atomically(path) as temporary:
        (temporary / "new.txt").write_text("new")
        raise ZeroDivisionError
    assert [entry.name for entry in path.iterdir()] == ["old.txt"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


def test_a_finished_folder_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.mkdir()
    (path / "old.txt").write_text("old")
    with write_folder_atomically(path) as temporary:
        (temporary / "new.txt").write_text("new")
    assert [entry.name for entry in path.iterdir()] == ["new.txt"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


def test_hashes_are_sha256_of_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"lead\r\n")
    assert hash_file(path) == hash_bytes(b"lead\r\n") == hashlib.sha256(b"lead\r\n").hexdigest()
    with pytest.raises(StorageError, match="cannot be read"):
        hash_file(tmp_path / "absent")


def test_canonical_json_is_one_text_for_one_value() -> None:
    text = canonical_json({"б": [1, 2.5, None, True], "a": {"y": "“лид” 💥", "x": 0.1}})
    assert text == (
        '{\n  "a": {\n    "x": 0.1,\n    "y": "“лид” 💥"\n  },\n  "б": [\n    1,\n    2.5,\n    null,\n    true\n  ]\n}'
    )
    assert canonical_json({"a": 1, "b": 2}) == canonical_json({"b": 2, "a": 1})


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_canonical_json_has_no_nan(number: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"a": number})


def test_a_folder_locked_by_another_process_is_refused_and_then_free_again(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_THE_LOCK, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    try:
        assert holder.stdout.readline().strip() == "held"
        started = time.monotonic()
        with (
            pytest.raises(LockHeldError, match="another command is writing here"),
            lock_folder(tmp_path, wait_seconds=0.3),
        ):
            pass
        assert time.monotonic() - started >= 0.3
    finally:
        holder.communicate("go\n", timeout=20)
    with lock_folder(tmp_path, wait_seconds=0.3):
        assert holder.returncode == 0


def test_a_process_that_dies_gives_its_lock_back(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_THE_LOCK, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == "held"
        holder.kill()
    with lock_folder(tmp_path, wait_seconds=1.0):
        assert holder.returncode < 0


def test_an_exception_inside_gives_the_lock_back(tmp_path: Path) -> None:
    with pytest.raises(KeyError), lock_folder(tmp_path / "state"):
        raise KeyError
    with lock_folder(tmp_path / "state", wait_seconds=0.0):
        assert (tmp_path / "state").is_dir()


def test_a_folder_that_cannot_be_locked_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file stands where the folder should be")
    with pytest.raises(StorageError), lock_folder(tmp_path / "state", wait_seconds=0.1):
        pass
