"""Commands that prepare and train: init, check, train, promote, rollback."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from project.errors import QualityGateError
from project.terminal import JsonOption, ProjectOption, Terminal, guarded

if TYPE_CHECKING:
    from project.folder import Project
    from training.pipeline import Trained
    from training.record import Recorded

__all__ = ["app", "show_training"]

app = typer.Typer()

_CRM = "Whose export it is: amocrm, bitrix24, dynamics, hubspot, odoo, salesforce, or none; else it is recognised."
_NAMES = {
    "base_rate": "base rate",
    "logistic": "logistic regression",
    "lightgbm": "LightGBM",
    "odoo_naive_bayes": "Odoo naive Bayes",
}


@app.command(rich_help_panel="Prepare and train")
@guarded
def init(
    folder: Annotated[Path, typer.Argument(help="The project folder to make.")],
    leads: Annotated[Path, typer.Option("--leads", help="Table of leads: CSV, CSV.gz or Parquet.")],
    events: Annotated[Path | None, typer.Option("--events", help="Dated behaviour of leads.")] = None,
    stages: Annotated[
        Path | None, typer.Option("--stages", "--outcomes", help="Dated stage changes or outcomes of leads.")
    ] = None,
    accounts: Annotated[Path | None, typer.Option("--accounts", help="The companies behind the leads.")] = None,
    crm: Annotated[str | None, typer.Option("--crm", help=_CRM)] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a leads.toml that is there.")] = False,
    json_: JsonOption = False,
) -> int | None:
    """Inspect your files and write a commented leads.toml.

    Example: leads init crm --leads leads.csv --events events.csv.gz --stages stages.csv
    """
    from project.errors import SettingsError
    from project.files import write_atomically
    from project.folder import FILE_NAME, read_settings
    from training.propose import propose_project

    terminal = Terminal(json_)
    path = folder / FILE_NAME
    if path.exists() and not force:
        raise SettingsError(f"{path}: exists already. Edit it, or overwrite it with --force.")
    terminal.step("Looking at the files")
    proposal = propose_project(folder.resolve(), leads=leads, events=events, stages=stages, accounts=accounts, crm=crm)
    with write_atomically(path) as temporary:
        temporary.write_text(proposal.text, encoding="utf-8")
    read_settings(path)
    for note in proposal.notes:
        terminal.say(f"  {note}")
    terminal.say(f"Wrote {path}. Read it and correct it, then: leads check --project {folder}")
    terminal.answer({"settings": str(path), "notes": list(proposal.notes)})
    return None


@app.command(rich_help_panel="Prepare and train")
@guarded
def check(
    project: ProjectOption = Path(),
    leaks: Annotated[
        bool, typer.Option("--leaks", help="Try every column and feature: was it written after the outcome?")
    ] = False,
    json_: JsonOption = False,
) -> int | None:
    """Read and validate everything without training.

    Example: leads check --project crm --leaks
    """
    if leaks:
        return _check_leaks(project, Terminal(json_))
    from features.tables import reject_share
    from project.folder import find_project
    from training.check import check_project
    from training.hygiene import hygiene_file

    terminal = Terminal(json_)
    found = find_project(project)
    terminal.step("Reading the tables")
    checked = check_project(found)
    terminal.table(
        ["table", "rows", "kept", "set aside", "why"],
        [
            [name, f"{c.read:,}", f"{c.kept:,}", f"{c.rejected:,}", _say_reasons(c.reasons)]
            for name, c in checked.counts.items()
        ],
    )
    for count in checked.counts.values():
        if count.rejects_file is not None:
            terminal.say(f"Set aside with reasons: {count.rejects_file}")
    terminal.say(f"{checked.leads:,} leads: {checked.converted:,} converted, {checked.lost:,} lost.")
    terminal.say(
        f"{checked.immature_leads:,} leads are too young to know ({checked.immature_snapshots:,} snapshots left out, "
        f"{checked.mature_snapshots:,} used); they are not counted as lost."
    )
    if checked.months:
        rows = [
            [row["month"], f"{row['leads']:,}", f"{row['rate']:.1%}", f"{row['low']:.1%} – {row['high']:.1%}"]
            for row in checked.months
        ]
        terminal.table(["came in", "leads", "converted", "95 % interval"], rows, title="Base rate over time")
    if checked.hygiene:
        terminal.table(
            ["set apart or read with care", "leads", "such as"],
            [[entry.what, f"{entry.leads:,}", ", ".join(entry.examples)] for entry in checked.hygiene],
            title="Hygiene",
        )
        terminal.say(f"Set apart, with evidence: {hygiene_file(found)}")
    for note in checked.notes:
        terminal.warn(note)
    share = reject_share(checked.counts)
    limit = found.settings.project.max_reject_share
    terminal.answer(
        {
            "tables": {
                name: {"read": c.read, "kept": c.kept, "rejected": c.rejected, "reasons": dict(c.reasons)}
                for name, c in checked.counts.items()
            },
            "leads": checked.leads,
            "converted": checked.converted,
            "lost": checked.lost,
            "immature": checked.immature_snapshots,
            "immature_leads": checked.immature_leads,
            "base_rate_over_time": checked.months,
            "hygiene": [
                {"what": entry.what, "leads": entry.leads, "examples": list(entry.examples)}
                for entry in checked.hygiene
            ],
            "notes": list(checked.notes),
        }
    )
    return _end_on_rejects(terminal, share, limit)


def _check_leaks(project: Path, terminal: Terminal) -> int:
    from project.folder import find_project
    from training.check import check_leaks
    from training.leak_court import write_verdicts

    found = find_project(project)
    trial, notes = check_leaks(found, progress=terminal.step)
    terminal.table(
        ["column", "of", "verdict", "evidence"],
        [
            [one.column, one.source + ("" if one.declared else " (not used)"), one.verdict, one.evidence]
            for one in trial.verdicts
            if one.verdict != "clean"
        ],
        title="Leaks and suspicions, the worst first",
    )
    clean = sum(one.verdict == "clean" for one in trial.verdicts)
    terminal.say(f"{clean:,} of {len(trial.verdicts):,} columns and features are clean.")
    if trial.bracket:
        rows = [[row.name, str(row.columns), f"{row.auc:.3f}", f"{row.log_loss:.4f}"] for row in trial.bracket]
        terminal.table(["", "columns", "AUC", "log loss"], rows, title="Honest skill lies between these (no dates)")
    path = found.state / "reports" / "leaks.csv"
    write_verdicts(path, trial)
    for note in [*notes, *trial.notes()]:
        terminal.warn(note)
    for one in trial.refused:
        terminal.warn(f"{one.column!r} is declared and a leak: move it to forbidden, or allow it with a reason.")
    terminal.say(f"Every verdict with its evidence: {path}")
    terminal.answer(
        {
            "verdicts": [one.to_json() for one in trial.verdicts],
            "bracket": [asdict(row) for row in trial.bracket],
            "refused": [one.column for one in trial.refused],
            "notes": list(notes),
            "file": str(path),
        }
    )
    return QualityGateError.exit_code if trial.refused else 0


def _say_reasons(reasons: Mapping[str, int]) -> str:
    return "; ".join(f"{n:,} × {reason}" for reason, n in list(reasons.items())[:3])


def _end_on_rejects(terminal: Terminal, share: float, limit: float) -> int:
    if share <= limit:
        return 0
    terminal.warn(f"{share:.1%} of a table's rows were set aside, more than project.max_reject_share = {limit:.1%}.")
    return 1


@app.command(rich_help_panel="Prepare and train")
@guarded
def train(project: ProjectOption = Path(), json_: JsonOption = False) -> int | None:
    """Train, judge on a later period, save, and log to MLflow.

    The first model becomes the champion; later ones become the challenger until you promote them.

    Example: leads train --project crm
    """
    from features.tables import reject_share
    from project.files import lock_folder
    from project.folder import find_project
    from training.pipeline import train_model
    from training.record import answer_for_machines, record_training

    terminal = Terminal(json_)
    found = find_project(project)
    with lock_folder(found.state):
        trained = train_model(found, progress=terminal.step)
        terminal.step("Drawing the report and logging to MLflow")
        recorded = record_training(found, trained, now=datetime.now(UTC))
    show_training(terminal, trained, recorded)
    terminal.answer(answer_for_machines(trained, run_id=recorded.run_id))
    return _end_on_rejects(terminal, reject_share(trained.evidence.counts), found.settings.project.max_reject_share)


def show_training(terminal: Terminal, trained: Trained, recorded: Recorded) -> None:
    """Print the headline numbers beside the base rate and the rivals, and where everything is."""
    evidence = trained.evidence
    if evidence.split.kind != "time":
        terminal.warn(evidence.split.warnings[0])
    rows = []
    for name, judged in evidence.judged.items():
        numbers = judged.metrics
        rows.append(
            [
                _NAMES[name] + (" (chosen)" if name == evidence.chosen else ""),
                str(judged.log_loss),
                f"{numbers.brier:.4f}",
                f"{numbers.auc:.3f}",
                f"{numbers.lift_at_10:.2f}",
                "–" if numbers.calibration_slope != numbers.calibration_slope else f"{numbers.calibration_slope:.2f}",
                str(judged.against_base) if name != "base_rate" else "–",
            ]
        )
    test = evidence.split.periods["test"]
    terminal.table(
        ["", "log loss [95 %]", "Brier", "AUC", "lift at 10 %", "slope", "log loss minus base rate's"],
        rows,
        title=(
            f"Test period: {test.snapshots:,} snapshots of {test.leads:,} leads, {test.converted_leads:,} of which "
            "converted"
        ),
    )
    terminal.say(evidence.headline)
    if evidence.immature:
        terminal.say(f"{evidence.immature_leads:,} leads are too young to know; they are not counted as lost.")
    for warning in evidence.warnings:
        terminal.warn(warning)
    if recorded.trouble:
        terminal.warn(f"{recorded.trouble}. The training itself is complete.")
    terminal.say(f"Model   {trained.model.model_id} ({recorded.alias})  {trained.folder}")
    terminal.say(f"Report  {recorded.report}")


@app.command(rich_help_panel="Keep")
@guarded
def promote(
    project: ProjectOption = Path(),
    reason: Annotated[str | None, typer.Option("--reason", help="Why, if the challenger showed no skill.")] = None,
    json_: JsonOption = False,
) -> int | None:
    """Make the challenger the champion.

    Example: leads promote --project crm
    """
    from project.files import lock_folder
    from project.folder import find_project
    from training.promotion import promote_challenger

    found = find_project(project)
    with lock_folder(found.state):
        move = promote_challenger(found, now=datetime.now(UTC), reason=reason)
        _show_move(Terminal(json_), found, move.champion, move.before)
    return None


@app.command(rich_help_panel="Keep")
@guarded
def rollback(project: ProjectOption = Path(), json_: JsonOption = False) -> int | None:
    """Make the previous champion the champion again.

    Example: leads rollback --project crm
    """
    from project.files import lock_folder
    from project.folder import find_project
    from training.promotion import roll_back

    found = find_project(project)
    with lock_folder(found.state):
        move = roll_back(found, now=datetime.now(UTC))
        _show_move(Terminal(json_), found, move.champion, move.before)
    return None


def _show_move(terminal: Terminal, project: Project, champion: str, before: str | None) -> None:
    from training.record import mirror

    trouble = mirror(project)
    if trouble:
        terminal.warn(trouble)
    terminal.say(f"Champion is {champion} now; before it was {before}.")
    terminal.answer({"champion": champion, "before": before})
