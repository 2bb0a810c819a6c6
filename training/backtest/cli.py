"""The command that replays the past: backtest."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from project.errors import SettingsError
from project.terminal import JsonOption, ProjectOption, Terminal, guarded

if TYPE_CHECKING:
    from training.backtest.judgement import Backtest

__all__ = ["app"]

app = typer.Typer()


@app.command(rich_help_panel="Keep")
@guarded
def backtest(
    project: ProjectOption = Path(),
    weeks: Annotated[int, typer.Option("--weeks", min=1, max=520, help="How many weeks to replay.")] = 26,
    retrain: Annotated[str, typer.Option("--retrain", help="How far apart models are trained.")] = "8w",
    json_: JsonOption = False,
) -> int | None:
    """Replay the last weeks and tell how many wins each way of choosing whom to call would have reached.

    All make the same number of calls: our model, the definitions of leads.toml, Odoo's naive Bayes, newest first, and
    first come first served. Models are trained again and again on what was known then. A replay tells whom a way of
    choosing would have reached, not what a call changes. Kept in state/backtests/.

    Example: leads backtest --project crm

    Example: leads backtest --project crm --weeks 12 --retrain 4w
    """
    from project.duration import parse_duration
    from project.folder import find_project
    from training.backtest.keep import keep_backtest
    from training.backtest.run import run_backtest

    terminal = Terminal(json_)
    try:
        between = parse_duration(retrain)
    except ValueError as error:
        raise SettingsError(f"--retrain: {error}") from error
    found = find_project(project)
    replayed = run_backtest(found, weeks=weeks, retrain=between, progress=terminal.step)
    kept = keep_backtest(found.state, replayed, now=datetime.now(UTC))
    _show(terminal, replayed)
    terminal.say(f"Backtest  {kept.page}")
    terminal.answer({**replayed.to_json(), "file": str(kept.file), "page": str(kept.page)})
    return None


def _show(terminal: Terminal, replayed: Backtest) -> None:
    from training.backtest.page import say_between, say_share

    money = replayed.ours.money is not None
    columns = ["whom to call", "wins [90%]", "of the calls [90%]", "our model: more wins by"]
    rows = []
    for one in (replayed.ours, *replayed.rivals):
        row = [
            one.policy.title + (" (in use today)" if one.policy.present else ""),
            say_between(one.wins),
            say_share(one.precision),
            say_between(one.difference, signed=True) if one.difference is not None else "",
        ]
        rows.append([*row, say_between(one.money)] if one.money is not None else row)
    first, last = (f"{week:%Y-%m-%d}" for week in (replayed.weeks[0], replayed.weeks[-1]))
    terminal.table(
        [*columns, f"money {replayed.currency}".strip()] if money else columns,
        rows,
        title=f"{replayed.calls:,} calls by each, from {first} to {last}; models trained on what was known then",
    )
    for note in replayed.notes:
        terminal.warn(note)
    if replayed.is_behind:
        terminal.warn("Our model reached FEWER wins than another way of choosing.")
    terminal.say(replayed.headline)
    terminal.say("This tells whom each would have reached, not what a call changes.")
