"""Commands about one lead: explain, replay, forget."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from project.terminal import JsonOption, ProjectOption, Terminal, guarded
from serving.cli import AsOfOption, LanguageOption, ModelOption, read_moment

if TYPE_CHECKING:
    from models.reasons import Reason
    from project.language import Words
    from serving.story.explain import Explanation

__all__ = ["app"]

app = typer.Typer()


@app.command(rich_help_panel="Use")
@guarded
def explain(
    lead_id: Annotated[str, typer.Argument(help="The lead.")],
    project: ProjectOption = Path(),
    as_of: AsOfOption = None,
    page: Annotated[bool, typer.Option("--page", help="Write a page about it, too, into state/stories.")] = False,
    model: ModelOption = "champion",
    language: LanguageOption = None,
    json_: JsonOption = False,
) -> int | None:
    """Say why a lead has its probability, what changed, and what would raise it.

    Example: leads explain L0001234 --project crm --language ru

    Example: leads explain L0001234 --project crm --page
    """
    from project.folder import find_project
    from project.language import speak
    from serving.story.explain import explain_lead
    from serving.story.page import write_page

    found = find_project(project)
    spoken = language or found.settings.project.language
    explanation = explain_lead(
        found,
        lead_id,
        model_name=model,
        as_of=read_moment(as_of, "--as-of"),
        not_after=datetime.now(UTC).replace(tzinfo=None),
        language=spoken,
    )
    terminal = Terminal(json_)
    _show(terminal, explanation, speak(spoken))
    written = write_page(explanation, found.state) if page else None
    if written is not None:
        terminal.say(f"Page  {written}")
    terminal.answer({**explanation.to_json(), "page": str(written) if written else None})
    return None


def _show(terminal: Terminal, explanation: Explanation, words: Words) -> None:
    from serving.ledger.changes import say_change
    from serving.story.page import name_band, say_plan, say_rule
    from serving.story.within import say_within

    share = words.percent(explanation.probability)
    terminal.say(f"{explanation.lead_id}: {share}, {words.odds(explanation.probability)}")
    if explanation.interval is not None:
        low, high = (words.percent(end) for end in explanation.interval)
        terminal.say(words.text("of similarly scored leads {low} to {high} bought", low=low, high=high))
    for said in say_within(explanation.sooner, words):
        terminal.say(said)
    rule = words.text("decided by: {rule}", rule=say_rule(explanation.band_rule, words))
    terminal.say(f"{name_band(explanation.band, words)} ({rule})")
    plan = say_plan(explanation, words)
    if plan:
        terminal.say(plan)
    for line in explanation.to_verify:
        terminal.warn(line)
    _show_reasons(terminal, words.text("For"), explanation.arguments_for[:5], words)
    _show_reasons(terminal, words.text("Against"), explanation.arguments_against[:4], words)
    if explanation.change is not None:
        terminal.say(words.text("What changed") + f": {say_change(explanation.change, words)}")
    if explanation.steps:
        terminal.say(words.text("What would raise it") + ":")
        for step in explanation.steps:
            reached = words.text(
                "{probability}, band {band}", probability=words.percent(step.probability), band=step.band
            )
            terminal.say(f"  {step.words}: {reached}")
        terminal.say(words.text("What the model says of a lead like this one. Not a promise of cause."))
    start = words.percent(explanation.start)
    terminal.say(words.text("Points of probability, from {start} for a typical lead.", start=start))
    terminal.say(words.text("Reasons are associations found in earlier leads, not causes."))


def _show_reasons(terminal: Terminal, title: str, reasons: tuple[Reason, ...], words: Words) -> None:
    if reasons:
        terminal.say(f"{title}:")
    for reason in reasons:
        terminal.say(f"  {words.points(reason.points):>6}  {reason.text}")


@app.command(rich_help_panel="Use")
@guarded
def replay(
    decision_id: Annotated[str, typer.Argument(help="As in the column decision_id of a scored file.")],
    project: ProjectOption = Path(),
    json_: JsonOption = False,
) -> int | None:
    """Work a past decision out again from what was recorded, to the last bit.

    Ends with exit code 0 if it is the same, 6 if not.

    Example: leads replay D0123456789abcdef0123 --project crm
    """
    from project.folder import find_project
    from serving.ledger.replay import replay_decision

    terminal = Terminal(json_)
    replayed = replay_decision(find_project(project), decision_id)
    one = replayed.decision
    terminal.say(f"{one.lead_id} as of {one.as_of or 'no date'}, scored {one.scored_at} by {one.model_id}")
    terminal.say(f"Recorded  probability {one.probability!r}, log-odds {one.log_odds!r}, {one.band} ({one.band_rule})")
    terminal.say(f"Replayed  probability {replayed.probability!r}, log-odds {replayed.log_odds!r}")
    for reason in one.reasons:
        terminal.say(f"  {reason}")
    terminal.say("The same to the last bit." if replayed.same else "Not the same.")
    terminal.answer(replayed.to_json())
    return 0 if replayed.same else 6


@app.command(rich_help_panel="Use")
@guarded
def forget(
    lead_id: Annotated[str, typer.Argument(help="The lead.")],
    project: ProjectOption = Path(),
    json_: JsonOption = False,
) -> int | None:
    """Erase a person from everything that is kept under state: decisions, rejected rows, pages. Leaves a receipt.

    The sources are the CRM's own: erase the lead there, too, or it comes back.

    Example: leads forget L0001234 --project crm
    """
    from project.files import lock_folder
    from project.folder import find_project
    from serving.ledger.forget import forget_lead

    terminal = Terminal(json_)
    found = find_project(project)
    with lock_folder(found.state):
        receipt = forget_lead(found, lead_id, now=datetime.now(UTC))
    terminal.say(
        f"Erased: {receipt.decisions:,} decisions, {sum(receipt.lines.values()):,} lines of tables, "
        f"{receipt.pages:,} pages. Receipt {receipt.receipt}."
    )
    if receipt.look_at:
        terminal.warn("The same letters stand in " + ", ".join(receipt.look_at) + ": look whether they mean the lead.")
    terminal.answer(receipt.to_json())
    return None
