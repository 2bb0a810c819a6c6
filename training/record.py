"""Record a training: the run's own folder first, then aliases, then the mirror in MLflow."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from models.registry import move_alias, read_aliases
from project.files import canonical_json, write_atomically, write_folder_atomically
from training.pipeline import Trained
from training.report.figures import build_figures
from training.report.page import render_report

if TYPE_CHECKING:
    from project.folder import Project
    from training.promotion.promote import Decision

__all__ = ["Recorded", "answer_for_machines", "mirror", "mirror_decision", "record_training"]


@dataclass(frozen=True)
class Recorded:
    """Where a training is to be found.

    Attributes
    ----------
    run_id
        Of the MLflow run; null if the store did not answer, and `trouble` says why.
    alias
        The alias the model got: `champion` if it is the first, else `challenger`.
    """

    folder: Path
    report: Path
    run_id: str | None
    alias: str
    trouble: str | None


def record_training(project: Project, trained: Trained, *, now: datetime) -> Recorded:
    """Write report, figures, numbers and test predictions under `state/runs`, set the alias, mirror to MLflow."""
    figures = build_figures(trained.evidence)
    model_id = trained.model.model_id
    folder = project.state / "runs" / f"{now:%Y%m%d-%H%M%S}-{model_id}"
    page = render_report(trained.evidence, figures, model_id=model_id, trained_at=now.isoformat(timespec="seconds"))
    with write_folder_atomically(folder) as temporary:
        (temporary / "report.html").write_text(page, encoding="utf-8")
        (temporary / "figures").mkdir()
        for name, svg in figures.items():
            (temporary / "figures" / f"{name}.svg").write_text(svg, encoding="utf-8")
        (temporary / "metrics.json").write_text(canonical_json(answer_for_machines(trained, run_id=None)), "utf-8")
    _write_predictions(project.state / "predictions" / f"{model_id}.csv", trained)
    aliases = read_aliases(project.state)
    champion = aliases.get("champion")
    if champion in {None, model_id}:
        alias, why = "champion", "the first model"
        if champion is None:
            move_alias(project.state, "champion", model_id, expected=None, why=why, now=now)
    else:
        alias = "challenger"
        move_alias(
            project.state, "challenger", model_id, expected=aliases.get("challenger"), why="newly trained", now=now
        )
    run_id, trouble = _mirror(project, trained, folder)
    return Recorded(folder, folder / "report.html", run_id, alias, trouble)


def _write_predictions(path: Path, trained: Trained) -> None:
    """Keep the forward predictions beside the models, not in the run: they name leads, which MLflow must not."""
    test = trained.examples.snapshots.iloc[trained.examples.split.rows("test")]
    with write_atomically(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["lead_id", "as_of", "converted", "probability"])
        rows = zip(
            test["lead_id"], test["as_of"], test["converted"], trained.evidence.probability.tolist(), strict=True
        )
        writer.writerows([lead, moment, int(won), repr(said)] for lead, moment, won, said in rows)


def _mirror(project: Project, trained: Trained, folder: Path) -> tuple[str | None, str | None]:
    from training.tracking import log_training

    run_ids: list[str] = []
    trouble = _attempt(lambda: run_ids.append(log_training(project, trained, run_folder=folder)))
    return (run_ids[0] if run_ids else None), trouble or mirror(project)


def mirror(project: Project) -> str | None:
    """Set MLflow's aliases like ours; return what went wrong, if anything."""
    from training.tracking import mirror_aliases

    return _attempt(lambda: mirror_aliases(project))


def mirror_decision(project: Project, decision: Decision, *, now: datetime) -> str | None:
    """Log a comparison to the challenger's run and set MLflow's aliases; return what went wrong, if anything."""
    from training.tracking import log_comparison

    files = [decision.file, decision.page]
    trouble = _attempt(lambda: log_comparison(project, decision.comparison, files=files, now=now))
    return trouble or mirror(project)


def _attempt(work: Callable[[], None]) -> str | None:
    try:
        work()
    except Exception as error:
        # a tracking store can fail in any way its server and drivers invent; the training stands without it
        return f"MLflow did not answer ({type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]})"
    return None


def answer_for_machines(trained: Trained, *, run_id: str | None) -> dict[str, object]:
    """Return what `leads train --json` prints."""
    evidence = trained.evidence
    split: dict[str, object] = {"kind": evidence.split.kind}
    split |= {name: period.to_json() for name, period in evidence.split.periods.items()}
    return {
        "model_id": trained.model.model_id,
        "run_id": run_id,
        "chosen": evidence.chosen,
        "skill": evidence.skill,
        "with_forward_leads": evidence.together.to_json() if evidence.together is not None else None,
        "split": split,
        "test": evidence.judged[evidence.chosen].metrics.to_json(),
        "rivals": {name: judged.metrics.to_json() for name, judged in evidence.judged.items()},
        "weighted": evidence.weighted.to_json() if evidence.weighted is not None else None,
        "sooner": [table.to_json() for table in evidence.sooner],
        "immature": evidence.immature,
        "warnings": list(evidence.warnings),
    }
