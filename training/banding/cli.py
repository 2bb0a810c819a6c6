"""The command that fits bands to the team."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from project.errors import SettingsError
from project.terminal import JsonOption, ProjectOption, Terminal, guarded

if TYPE_CHECKING:
    from project.settings import CapacitySettings
    from training.banding.pick import Change
    from training.banding.run import Found

__all__ = ["app"]

app = typer.Typer()

_Pick = Literal["capacity", "break-even", "margin", "promise"]


@app.command(rich_help_panel="Keep")
@guarded
def bands(
    project: ProjectOption = Path(),
    sql: Annotated[float | None, typer.Option("--sql", help="SQL from this probability on.")] = None,
    mql: Annotated[
        float | None, typer.Option("--mql", help="MQL from this probability on. Default: as it is, if below SQL.")
    ] = None,
    pick: Annotated[_Pick | None, typer.Option("--pick", help="Pick the SQL threshold by this mark.")] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Make the champion with these bands the champion.")] = False,
    json_: JsonOption = False,
) -> int | None:
    """Show what each threshold would bring in a week: calls, wins, precision, margin; change nothing without --apply.

    Asks the champion about leads that it has not learnt from and whose horizon is over. Marks the threshold that fills
    the team's capacity, break-even, the best margin, and the precision that can be promised; says what one more rep
    would bring. Table, page and figure are kept in state/bands/. With --sql or --pick it says how many leads would
    change band; `leads rollback` undoes --apply. Ends with exit code 3 if there are too few outcomes.

    Example: leads bands --project crm

    Example: leads bands --project crm --sql 0.25 --mql 0.1

    Example: leads bands --project crm --pick capacity --apply
    """
    if sql is not None and pick is not None:
        raise SettingsError("--sql and --pick both say where SQL begins. Give one of them.")
    if sql is None and pick is None and (apply or mql is not None):
        raise SettingsError("Nothing says where SQL shall begin. Give --sql 0.25, or --pick capacity.")
    from project.files import lock_folder
    from project.folder import find_project
    from training.banding.pick import apply_bands, compare_bands, pick_bands
    from training.banding.run import describe, find_bands

    terminal = Terminal(json_)
    home = find_project(project)
    change, model = None, None
    with lock_folder(home.state):
        now = datetime.now(UTC)
        found = find_bands(home, now=now, progress=terminal.step)
        _show(terminal, found, home.settings.capacity)
        if sql is not None or pick is not None:
            policy = pick_bands(found.solution, found.model.policy, home.settings, sql=sql, mql=mql, mark=pick)
            change = compare_bands(found.solution, found.model.policy, policy)
            _show_change(terminal, change)
            if apply:
                model = apply_bands(home, policy, champion=found.model.model_id, now=now)
    if model is not None:
        from training.record import mirror

        trouble = mirror(home)
        if trouble:
            terminal.warn(trouble)
        terminal.say(f"Champion is {model} now; leads rollback undoes it.")
    elif change is not None:
        terminal.say("Nothing was changed. Make it so: the same command with --apply")
    terminal.answer(
        {
            "model_id": found.model.model_id,
            **describe(found.solution),
            "file": str(found.file),
            "page": str(found.page),
            "change": change.to_json() if change is not None else None,
            "applied": model,
        }
    )
    return None


def _show(terminal: Terminal, found: Found, capacity: CapacitySettings) -> None:
    from training.banding.words import HEADER, pick_lines, say_ground, say_line, say_solution

    terminal.table(HEADER, [say_line(line, capacity.currency) for line in pick_lines(found.solution)])
    terminal.say(say_ground(found.solution))
    for sentence in say_solution(found.solution, capacity):
        terminal.say(sentence)
    terminal.say(f"All thresholds and a figure: {found.page}")


def _show_change(terminal: Terminal, change: Change) -> None:
    ways = ", ".join(f"{n:,} from {way}" for way, n in change.moved.items())
    terminal.say(
        f"SQL from {change.sql:.4g} instead of {change.sql_before:.4g}, MQL from {change.mql:.4g} instead of "
        f"{change.mql_before:.4g}: {change.changed:,} of these {change.leads:,} leads change band"
        + (f" ({ways})." if ways else ".")
    )
