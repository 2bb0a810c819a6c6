"""The file of scored leads: CSV or Parquet, whole or absent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from project.errors import SettingsError
from project.files import write_atomically

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["check_out", "write_scores"]


def check_out(path: Path, *, sources: Sequence[Path] = ()) -> None:
    """Refuse to write anything but .csv or .parquet, or over one of the sources."""
    if path.suffix.lower() not in {".csv", ".parquet"}:
        raise SettingsError(f"{path}: write to a .csv or a .parquet file.")
    if path.resolve() in {source.resolve() for source in sources}:
        raise SettingsError(f"{path}: is one of the files that leads.toml reads. Choose another name.")


def write_scores(scored: pd.DataFrame, path: Path) -> None:
    """Write CSV or Parquet, by suffix; the file is whole or absent, and the same scores give the same bytes.

    Raises
    ------
    SettingsError
        Another suffix.
    StorageError
        The file cannot be written.
    """
    check_out(path)
    with write_atomically(path) as temporary:
        if path.suffix.lower() == ".csv":
            scored.to_csv(temporary, index=False, lineterminator="\n", encoding="utf-8")
        else:
            scored.to_parquet(temporary, index=False)
