"""Files written for a test, opened as sources and read as rows."""

from __future__ import annotations

import gzip
from pathlib import Path

from features.sources import Source, open_source
from project.source_settings import SourceSettings


def write(folder: Path, content: str | bytes, name: str = "t.csv") -> str:
    text = content.encode() if isinstance(content, str) else content
    (folder / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return name


def read(source: Source) -> list[tuple[str | None, ...]]:
    """Read all batches as rows; the row number comes first."""
    rows: list[tuple[str | None, ...]] = []
    for batch in source.batches:
        columns = [batch.column(place).to_pylist() for place in range(batch.num_columns)]
        rows += [(cells[-1], *cells[:-1]) for cells in zip(*columns, strict=True)]
    return rows


def opened(folder: Path, content: str | bytes, *wanted: str, name: str = "t.csv", **settings: object) -> Source:
    chosen = SourceSettings.model_validate({"file": write(folder, content, name), **settings})
    return open_source(chosen, wanted, folder=folder)
