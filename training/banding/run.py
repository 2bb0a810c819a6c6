"""One look at the thresholds of a model: ask it, solve, keep what was found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from project.files import canonical_json, write_atomically
from training.banding.ground import find_ground
from training.banding.page import render_bands
from training.banding.solve import Solution, solve
from training.monitoring.recent import ask_recent

if TYPE_CHECKING:
    from models.lead_model import LeadModel
    from project.folder import Project

__all__ = ["Found", "describe", "find_bands"]

_NOT_WORKED = (
    "[selection] is not used here: leads that nobody worked count as not converted, so wins and precision are more "
    "likely too low than too high."
)


@dataclass(frozen=True)
class Found:
    """What was found about a model's thresholds, and where it is kept."""

    model: LeadModel
    solution: Solution
    file: Path
    page: Path


def find_bands(project: Project, *, now: datetime, progress: Callable[[str], None]) -> Found:
    """Ask the champion about the leads it has not learnt from and write what thresholds bring to `state/bands/`.

    Raises
    ------
    NotEnoughDataError, SchemaError
        There are no dates, or too few leads with known outcomes that the model has not learnt from.
    """
    settings = project.settings
    tables, entrant, recent = ask_recent(project, "champion", progress=progress)
    progress("Working out what each threshold brings")
    ground = find_ground(recent, tables, settings)
    solution = solve(ground, entrant.model.policy, settings.capacity, seed=settings.training.seed)
    if settings.selection is not None:
        solution = replace(solution, notes=(_NOT_WORKED,))
    name = f"{entrant.model.model_id}-{recent.until:%Y-%m-%d}"
    file, page = (project.state / "bands" / f"{name}.{kind}" for kind in ("json", "html"))
    at = now.isoformat(timespec="seconds")
    html = render_bands(
        solution, settings.capacity, project=settings.project.name, model_id=entrant.model.model_id, asked_at=at
    )
    with write_atomically(page) as temporary:
        temporary.write_text(html, encoding="utf-8")
    with write_atomically(file) as temporary:
        content = {**describe(solution), "model_id": entrant.model.model_id, "asked_at": at}
        temporary.write_text(canonical_json(content), encoding="utf-8")
    return Found(entrant.model, solution, file, page)


def describe(solution: Solution) -> dict[str, object]:
    """Return what `leads bands --json` prints of the thresholds."""
    ground = solution.ground
    return {
        "leads": ground.leads,
        "converted": int(ground.won.sum()),
        "arrived": ground.arrived,
        "since": ground.since.isoformat(),
        "until": ground.until.isoformat(),
        "weeks": ground.weeks,
        "lines": [{**asdict(line), "marks": list(line.marks)} for line in solution.lines],
        "gain": asdict(solution.gain) if solution.gain is not None else None,
        "one_more_rep": asdict(solution.more) if solution.more is not None else None,
        "promise": asdict(solution.promise) if solution.promise is not None else None,
        "notes": list(solution.notes),
    }
