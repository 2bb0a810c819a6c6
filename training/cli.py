"""Commands that prepare and train: init, check, train, promote, rollback."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from project.errors import QualityGateError
from project.terminal import JsonOption, ProjectOption, Terminal, guarded
from training.show import answer_checked, show_checked, show_training, show_trial

if TYPE_CHECKING:
    from project.folder import Project
    from training.promotion.promote import Decision

__all__ = ["app"]

app = typer.Typer()

_CRM = "Whose export it is: amocrm, bitrix24, dynamics, hubspot, odoo, salesforce, or none; else it is recognised."


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
    from training.proposal.propose import propose_project

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
    show_checked(terminal, checked, listed=hygiene_file(found))
    share = reject_share(checked.counts)
    limit = found.settings.project.max_reject_share
    terminal.answer(answer_checked(checked))
    return _end_on_rejects(terminal, share, limit)


def _check_leaks(project: Path, terminal: Terminal) -> int:
    from project.folder import find_project
    from training.check import check_leaks
    from training.leaks.court import write_verdicts

    found = find_project(project)
    trial, notes = check_leaks(found, progress=terminal.step)
    show_trial(terminal, trial)
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


def _end_on_rejects(terminal: Terminal, share: float, limit: float) -> int:
    if share <= limit:
        return 0
    terminal.warn(f"{share:.1%} of a table's rows were set aside, more than project.max_reject_share = {limit:.1%}.")
    return 1


@app.command(rich_help_panel="Prepare and train")
@guarded
def train(
    project: ProjectOption = Path(),
    promote_if_better: Annotated[
        bool,
        typer.Option("--promote-if-better", help="Then do what promote does; a champion that is kept is no error."),
    ] = False,
    tune: Annotated[
        float | None,
        typer.Option("--tune", min=0.1, help="Search this many minutes for better trees; the next search goes on."),
    ] = None,
    json_: JsonOption = False,
) -> int | None:
    """Train, judge on a later period, save, and log to MLflow.

    The first model becomes the champion; later ones become the challenger until you promote them.

    Example: leads train --project crm

    Example: leads train --project crm --tune 10 --promote-if-better
    """
    from features.tables import reject_share
    from project.files import lock_folder
    from project.folder import find_project
    from training.pipeline import train_model
    from training.record import answer_for_machines, record_training

    terminal = Terminal(json_)
    found = find_project(project)
    challenge: dict[str, object] = {}
    with lock_folder(found.state):
        seconds = 60.0 * tune if tune is not None else None
        trained = train_model(found, progress=terminal.step, tune_seconds=seconds, clock=time.monotonic)
        terminal.step("Drawing the report and logging to MLflow")
        recorded = record_training(found, trained, now=datetime.now(UTC))
        show_training(terminal, trained, recorded)
        if promote_if_better and recorded.alias == "challenger":
            challenge = _challenge(terminal, found, reason=None).to_json()
        elif promote_if_better:
            terminal.say(f"{trained.model.model_id} is the champion itself: there is nothing to compare.")
    answer = answer_for_machines(trained, run_id=recorded.run_id)
    terminal.answer(answer | ({"promotion": challenge or None} if promote_if_better else {}))
    return _end_on_rejects(terminal, reject_share(trained.evidence.counts), found.settings.project.max_reject_share)


_REASON = "Why, if the evidence does not speak for the challenger; it is promoted all the same, and the reason kept."


@app.command(rich_help_panel="Keep")
@guarded
def promote(
    project: ProjectOption = Path(),
    reason: Annotated[str | None, typer.Option("--reason", help=_REASON)] = None,
    json_: JsonOption = False,
) -> int | None:
    """Make the challenger the champion, if leads that neither has learnt from show that it is better.

    Ends with exit code 4 if they do not.

    Example: leads promote --project crm
    """
    from project.errors import SettingsError
    from project.files import lock_folder
    from project.folder import find_project

    if reason is not None and not reason.strip():
        raise SettingsError("--reason is empty. Say why the challenger shall be promoted.")
    terminal = Terminal(json_)
    found = find_project(project)
    with lock_folder(found.state):
        decision = _challenge(terminal, found, reason=reason)
    terminal.answer(decision.to_json())
    return 0 if decision.comparison.promoted else QualityGateError.exit_code


def _challenge(terminal: Terminal, project: Project, *, reason: str | None) -> Decision:
    from training.promotion.promote import promote_challenger
    from training.promotion.show_comparison import show_comparison
    from training.record import mirror_decision

    now = datetime.now(UTC)
    decision = promote_challenger(project, now=now, progress=terminal.step, reason=reason)
    terminal.step("Logging the comparison to MLflow")
    trouble = mirror_decision(project, decision, now=now)
    show_comparison(terminal, decision)
    if trouble:
        terminal.warn(trouble)
    return decision


@app.command(rich_help_panel="Keep")
@guarded
def rollback(project: ProjectOption = Path(), json_: JsonOption = False) -> int | None:
    """Make the previous champion the champion again.

    Example: leads rollback --project crm
    """
    from project.files import lock_folder
    from project.folder import find_project
    from training.promotion.promote import roll_back

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
