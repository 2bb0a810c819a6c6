"""Commands that watch a model in use: monitor, recalibrate."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from project.errors import QualityGateError
from project.terminal import JsonOption, ProjectOption, Terminal, guarded

if TYPE_CHECKING:
    from training.monitoring.monitor import Health

__all__ = ["app"]

app = typer.Typer()

_MODEL = Annotated[str, typer.Option("--model", help="champion, challenger or a model id.")]


@app.command(rich_help_panel="Keep")
@guarded
def monitor(project: ProjectOption = Path(), model: _MODEL = "champion", json_: JsonOption = False) -> int | None:
    """Check the model in use on the leads since it was trained, and say what to do.

    Looks at level, order, scores, columns, new levels, the mix of leads and delays; young leads count by what they can
    have shown so far.
    Ends with exit code 0 if there is nothing to do, else 4. Kept in state/monitoring/.

    Example: leads monitor --project crm
    """
    from project.folder import find_project
    from training.monitoring.monitor import watch_model

    terminal = Terminal(json_)
    health = watch_model(find_project(project), progress=terminal.step, name=model)
    _show_health(terminal, health)
    terminal.answer(health.to_json())
    return 0 if health.action == "nothing" else QualityGateError.exit_code


def _show_health(terminal: Terminal, health: Health) -> None:
    cures = {
        "nothing": "Nothing to do.",
        "recalibrate": "The level is off: look at leads recalibrate, then apply it.",
        "retrain": "Train again: leads train --promote-if-better",
        "look at the source": "Something changed where the data come from; mend that before you train again.",
    }
    terminal.table(
        ["check", "verdict", "found"],
        [[check.name, check.verdict, check.words] for check in health.checks],
        title=f"{health.leads:,} leads from {health.since[:10]} to {health.until[:10]}",
    )
    if health.drifted:
        terminal.table(
            ["column", "stability index", "limit", "missing before", "now", "never seen"],
            [
                [one.words, f"{one.index:.2f}", f"{one.limit:.2f}", f"{one.missing_before:.0%}",
                 f"{one.missing_now:.0%}", f"{one.unseen:.0%}"]
                for one in health.drifted
            ],
            title="Columns that drift by more than chance",
        )  # fmt: skip
    terminal.say(cures[health.action])


@app.command(rich_help_panel="Keep")
@guarded
def recalibrate(
    project: ProjectOption = Path(),
    apply: Annotated[
        bool, typer.Option("--apply", help="Make the champion with the shifted level the champion.")
    ] = False,
    json_: JsonOption = False,
) -> int | None:
    """Measure the champion's level on the latest leads and propose a shift; change nothing without --apply.

    Leads too young to know count by the share of conversions they can have shown. A shift less than two errors from
    zero is not applied (exit code 4). `leads rollback` undoes it. Every proposal is kept in state/recalibrations/.

    Example: leads recalibrate --project crm

    Example: leads recalibrate --project crm --apply
    """
    from project.files import lock_folder
    from project.folder import find_project
    from training.monitoring.recalibrate import apply_level, propose_level

    terminal = Terminal(json_)
    found = find_project(project)
    with lock_folder(found.state):
        proposal = propose_level(found, progress=terminal.step)
        terminal.say(
            f"{proposal.leads:,} leads of the last horizon: {proposal.conversions:,.0f} conversions seen so far, "
            f"{proposal.expected:,.0f} expected by now."
        )
        terminal.say(
            f"Shift {proposal.shift:+.2f} ± {proposal.error:.2f} log-odds: mean probability {proposal.before:.1%} → "
            f"{proposal.after:.1%}. {'It is needed.' if proposal.needed else 'Nothing shows that it is needed.'}"
        )
        model = apply_level(found, proposal, now=datetime.now(UTC)) if apply else None
    if model is not None:
        from training.record import mirror

        trouble = mirror(found)
        if trouble:
            terminal.warn(trouble)
        terminal.say(f"Champion is {model} now; leads rollback undoes it.")
    elif proposal.needed:
        terminal.say("Apply it: leads recalibrate --apply")
    terminal.answer({**proposal.to_json(), "applied": model})
    return None
