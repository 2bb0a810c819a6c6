"""Files that are whole or absent, their hashes, and one writer at a time."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from project.errors import LockHeldError, StorageError

__all__ = [
    "canonical_json",
    "hash_bytes",
    "hash_file",
    "lock_folder",
    "remove_file",
    "write_atomically",
    "write_folder_atomically",
]


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success flush it to disk and rename it over `path`.

    A reader, or a process killed at any moment, sees the old file or the whole new one.

    Raises
    ------
    StorageError
        The folder cannot be written, or the disk is full. Nothing is left behind.
    """
    with _storage(path):
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=f".part{path.suffix}", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            _flush(temporary)
            temporary.chmod(0o644)
            temporary.replace(path)
            _flush(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def write_folder_atomically(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside `path`; on success flush its files and rename it to `path`.

    An existing folder at `path` is replaced.
    """
    with _storage(path):
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
        try:
            yield temporary
            for file in sorted(temporary.rglob("*")):
                _flush(file)
            temporary.chmod(0o755)
            earlier = temporary.with_suffix(".old")
            if path.exists():
                path.replace(earlier)
            temporary.replace(path)
            _flush(path.parent)
            shutil.rmtree(earlier, ignore_errors=True)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _storage(path: Path) -> Iterator[None]:
    """Make the folder of `path`; turn what the disk refuses into an error that names the file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be written ({error.strerror or error}). Free space or choose another place."
        ) from error


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_file(path: Path) -> None:
    """Remove a file if it is there."""
    with _storage(path):
        path.unlink(missing_ok=True)


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror}).") from error


def hash_bytes(content: bytes) -> str:
    """Return the SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def canonical_json(content: Mapping[str, object] | list[object]) -> str:
    """Return the one JSON text of a value: sorted keys, two spaces, Unicode as it is, no NaN.

    >>> print(canonical_json({"b": 1, "a": "лид"}))
    {
      "a": "лид",
      "b": 1
    }
    """
    return json.dumps(content, ensure_ascii=False, sort_keys=True, indent=2, allow_nan=False)


@contextmanager
def lock_folder(folder: Path, *, wait_seconds: float = 2.0) -> Iterator[None]:
    """Hold the only right to write in `folder`.

    Raises
    ------
    LockHeldError
        Another process still holds it after `wait_seconds`.
    """
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder}: cannot be made ({error.strerror}). Choose another place.") from error
    lock = FileLock(folder / ".lock", timeout=wait_seconds)
    try:
        lock.acquire()
    except OSError as error:
        if not isinstance(error, Timeout):
            raise StorageError(f"{folder}: cannot be written ({error.strerror}). Choose another place.") from error
        raise LockHeldError(
            f"{folder}: another command is writing here. Wait for it to end, then try again."
        ) from error
    try:
        yield
    finally:
        lock.release()
