"""Small files of leads, and the settings that are proposed for them, loaded as a user would."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

from features.ingest import read_tables
from project.folder import Project, read_settings
from project.settings import Settings
from training.proposal.propose import Proposal

START = datetime(2024, 1, 1, tzinfo=UTC)
CHANCE = random.Random(3)
WON = [CHANCE.random() < 1 / 3 for _ in range(400)]


def write(path: Path, *lines: str, encoding: str = "utf-8") -> Path:
    path.write_bytes("".join(f"{line}\n" for line in lines).encode(encoding))
    return path


def settle(folder: Path, proposal: Proposal) -> Settings:
    """Write the text as the command does; the settings must load and every lead must be read."""
    (folder / "leads.toml").write_text(proposal.text, encoding="utf-8")
    settings = read_settings(folder / "leads.toml")
    counts = read_tables(Project(folder, settings)).counts
    assert all(count.rejected == 0 for count in counts.values()), counts
    return settings


def day(number: float) -> str:
    return (START + timedelta(days=number)).isoformat()


def dated_world(folder: Path, *, delay: float = 10, days: int = 200) -> tuple[Path, Path]:
    """One lead a day; every second is won after `delay` days, every tenth lost at once."""
    leads = [f"L{n},{day(n)},{'web' if n % 3 else 'fair'},{n % 7}" for n in range(days)]
    won = [f"L{n},Closed Won,{day(n + delay)}" for n in range(0, days, 2)]
    lost = [f"L{n},Closed Lost,{day(n)}" for n in range(1, days, 10)]
    stages = write(folder / "stages.csv", "lead_id,stage,entered_at", *won, *lost, f"L1,New,{day(1)}")
    return write(folder / "leads.csv", "lead_id,created_at,source,employees", *leads), stages


def flat_world(folder: Path, columns: dict[str, list[str]]) -> Path:
    """400 leads with a `converted` column (a third are won, by chance) and the given columns."""
    rows = zip((f"L{n}" for n in range(400)), ("1" if won else "0" for won in WON), *columns.values(), strict=True)
    return write(folder / "leads.csv", ",".join(["id", "converted", *columns]), *map(",".join, rows))
