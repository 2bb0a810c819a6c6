"""The histories that the quality benchmarks train on: three real ones, and simulated ones of any size with their truth.

Every history becomes a project folder as a user would have it.
"""

from __future__ import annotations

import os
import re
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from project.folder import Project

ROOT = Path(__file__).parents[1]
REAL_DATA = Path(os.environ.get("LEADS_REAL_DATA", ROOT.parent / "shared" / "data"))
REAL = ("xeducation", "olist_funnel", "bpic2012")
SIMULATED = "simulated"
HORIZON = timedelta(days=60)


@dataclass(frozen=True)
class History:
    """One history.

    Attributes
    ----------
    world
        A real history's name, or "simulated".
    leads, rate, drift
        Of a simulated one: how many leads, the share that buys within 60 days of creation, and whether the log-odds
        fall by 0.35 over the span with a wave of half a year and campaigns that are born and die, or nothing moves.
    seed
        Of the simulation, and of the training of all contenders, unless that has one of its own.
    shuffled
        Whether fates are dealt to other leads at random.
    once
        Whether leads are asked once, when they come in: how long a lead has been open tells of its fate in any history.
    signal
        How strongly what distinguishes leads moves their log-odds; 1 is the simulator's own.
    training_seed
        Of the training, if it is not that of the history.
    """

    world: str
    seed: int
    leads: int = 0
    rate: float = 0.0
    drift: bool = False
    shuffled: bool = False
    once: bool = False
    signal: float = 1.0
    training_seed: int | None = None

    @property
    def chance(self) -> int:
        """The seed of the training."""
        return self.seed if self.training_seed is None else self.training_seed

    @property
    def cell(self) -> str:
        """The name of the history but for its seed."""
        if self.world != SIMULATED:
            return self.world
        words = [f"{self.leads:,} leads", f"{self.rate:.0%}", "drift" if self.drift else "still"]
        return " · ".join(
            [*words, *(["shuffled"] * self.shuffled), *([f"signal {self.signal:g}"] * (self.signal != 1))]
        )

    @property
    def key(self) -> str:
        """A name for files."""
        return re.sub(r"[^a-z0-9_]+", "-", f"{self.cell.lower().replace(',', '')}-seed-{self.seed}")

    def to_json(self) -> dict[str, object]:
        """Return the arguments that make it."""
        return asdict(self)


def write_project(history: History, folder: Path) -> tuple[Project, object]:
    """Make a new project folder; return the project and, of a simulated history, the SimulatedCrm (else None)."""
    from project.folder import find_project

    folder.mkdir(parents=True)
    crm = _write_simulated(history, folder) if history.world == SIMULATED else _write_real(history, folder)
    with (folder / "leads.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n[training]\nseed = {history.chance}\n")
    return find_project(folder), crm


def _write_real(history: History, folder: Path) -> None:
    (folder / "data").symlink_to(REAL_DATA)
    kept = ROOT / "tests" / "real" / f"{history.world}.toml"
    (folder / "leads.toml").write_text(kept.read_text("utf-8"), encoding="utf-8")


def _write_simulated(history: History, folder: Path) -> object:
    """Write the demo's settings with another history; every loss counts as one, since the truth speaks of all leads."""
    from training.demo import write_demo_project
    from training.simulator.crm import simulate_crm, write_crm

    write_demo_project(folder, n_leads=100, seed=history.seed)
    moves = {"drift": -0.35} if history.drift else {"drift": 0.0, "season": 0.0, "new_campaigns": False}
    crm = simulate_crm(
        history.leads,
        seed=history.seed,
        base_rate=history.rate,
        signal=history.signal,
        shuffle_outcomes=history.shuffled,
        **moves,  # type: ignore[arg-type]
    )
    write_crm(crm, folder / "data")
    path = folder / "leads.toml"
    text = path.read_text("utf-8")
    for pattern, new in (
        (r"leads_per_week = \d+", f"leads_per_week = {max(1, history.leads // 390)}"),
        (r'(bad_timing|unreachable) = "unknown"', r'\1 = "lost"'),
        (r"ages = \[.*\]", 'ages = ["0d"]' if history.once else r"\g<0>"),
    ):
        text, changed = re.subn(pattern, new, text)
        assert changed, f"the demo's settings have no {pattern}"
    path.write_text(text, encoding="utf-8")
    return crm


def tell_truth(crm: object, snapshots: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return of each snapshot (`lead_id`, `as_of`) the true probability, and the most that its records tell of it."""
    from training.simulator.crm import SimulatedCrm
    from training.simulator.knowable import knowable_probability

    assert isinstance(crm, SimulatedCrm)
    asked = snapshots["lead_id"], snapshots["as_of"], HORIZON
    return crm.truth.probability(*asked), knowable_probability(crm, *asked)
