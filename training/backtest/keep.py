"""Keep a backtest as a file for machines and a page for people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from project.files import canonical_json, hash_bytes, write_atomically
from training.backtest.page import render_backtest

if TYPE_CHECKING:
    from training.backtest.judgement import Backtest

__all__ = ["Kept", "keep_backtest"]


@dataclass(frozen=True)
class Kept:
    """Where the file and the page are."""

    file: Path
    page: Path


def keep_backtest(state: Path, backtest: Backtest, *, now: datetime) -> Kept:
    """Write `state`/backtests/<date>-<hash>.json and .html; the hash is of what was found."""
    content = backtest.to_json()
    name = f"{now:%Y-%m-%d}-{hash_bytes(canonical_json(content).encode())[:8]}"
    kept = Kept(state / "backtests" / f"{name}.json", state / "backtests" / f"{name}.html")
    at = now.isoformat(timespec="seconds")
    with write_atomically(kept.page) as temporary:
        temporary.write_text(render_backtest(backtest, tested_at=at), encoding="utf-8")
    with write_atomically(kept.file) as temporary:
        temporary.write_text(canonical_json({**content, "tested_at": at}), encoding="utf-8")
    return kept
