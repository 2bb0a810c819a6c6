"""The front door: one command `leads`, composed of the rooms' own commands. Imports nothing heavy."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from project.terminal import JsonOption, Terminal, guarded
from serving import cli as serving_cli
from serving import lake_cli
from serving.story import cli as story_cli
from training import cli as training_cli
from training.backtest import cli as backtest_cli
from training.banding import cli as banding_cli
from training.monitoring import cli as monitoring_cli

__all__ = ["app", "main"]

app = typer.Typer(
    name="leads",
    help="An honest, explained probability that a lead will buy, and a band to act on.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
app.add_typer(training_cli.app)
app.add_typer(backtest_cli.app)
app.add_typer(monitoring_cli.app)
app.add_typer(banding_cli.app)
app.add_typer(serving_cli.app)
app.add_typer(story_cli.app)
app.add_typer(lake_cli.app)


@app.command(rich_help_panel="Start here")
@guarded
def demo(
    folder: Annotated[Path, typer.Argument(help="Where to put the demo project.")] = Path("demo"),
    n_leads: Annotated[
        int, typer.Option("--leads", min=1_000, max=1_000_000, help="How many leads to simulate.")
    ] = 8_000,
    seed: Annotated[int, typer.Option("--seed", help="Another seed, another CRM.")] = 1,
    json_: JsonOption = False,
) -> int | None:
    """Simulate a CRM and do the whole job on it: train, register, score, explain.

    Example: leads demo demo --leads 20000
    """
    from project.files import lock_folder
    from project.folder import find_project
    from serving.score import score_open_leads
    from serving.scored_file import write_scores
    from serving.story.explain import explain_lead
    from serving.story.page import write_page
    from training.demo import write_demo_project
    from training.pipeline import train_model
    from training.record import answer_for_machines, record_training
    from training.show import show_training
    from training.tracking import store_address

    terminal = Terminal(json_)
    terminal.step(f"Simulating a CRM of {n_leads:,} leads in {folder}")
    write_demo_project(folder, n_leads=n_leads, seed=seed)
    project = find_project(folder)
    now = datetime.now(UTC)
    with lock_folder(project.state):
        trained = train_model(project, progress=terminal.step)
        terminal.step("Drawing the report and logging to MLflow")
        recorded = record_training(project, trained, now=now)
    scored = score_open_leads(
        project,
        model_name=trained.model.model_id,
        as_of=None,
        scored_at=now.replace(tzinfo=None),
        language="en",
        closed_too=False,
        progress=terminal.step,
        record=True,
    )
    out = folder / "scored.csv"
    write_scores(scored.leads, out)
    terminal.step("Done")
    show_training(terminal, trained, recorded)
    serving_cli.show_ranked(terminal, scored.leads, most=10)
    first = str(scored.leads["lead_id"].iloc[0])
    story = explain_lead(
        project, first, model_name=trained.model.model_id, as_of=None, not_after=now.replace(tzinfo=None), language="en"
    )
    terminal.say(f"Scored leads  {out}")
    terminal.say(f"Explanation   {write_page(story, project.state)}")
    terminal.say(f"Report        {recorded.report}")
    terminal.say(f"MLflow store  {store_address(project)}")
    terminal.say(f"Next          leads explain {first} --project {folder} --language ru")
    terminal.answer({**answer_for_machines(trained, run_id=recorded.run_id), "out": str(out)})
    return None


def main() -> None:
    """Run the command line."""
    # idle OpenMP threads that spin make everything crawl when the cores are shared with other work
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app()
    except KeyboardInterrupt:
        # pressed before any command had begun
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
