"""The leak court: every column of the sources and every feature, tried on the evidence of the data."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from features.presets import recognise_preset
from project.errors import QualityGateError
from project.files import write_atomically
from training.leaks.bench import Bench, make_bench
from training.leaks.clues import Clue
from training.leaks.columns import read_header_of, read_whole_source
from training.leaks.evidence import Clues, has_enough, is_constant, judge_columns, judge_features, names_rows
from training.leaks.rest import BracketRow, measure_bracket
from training.leaks.verdict import Verdict, VerdictName, decide, sort_verdicts
from training.proposal.inspection import spell

if TYPE_CHECKING:
    import pandas as pd

    from features.tables import Tables
    from project.folder import Project
    from training.examples import Examples

__all__ = ["Trial", "judge_project", "refuse_leaks", "write_verdicts"]

Progress = Callable[[str], None]
# what counts on while a lead lives: without dates nobody can say how it stood at creation
_RUNNING = (
    r"\b(total|count|number of|num|visits?|views?|sessions?|opens?|clicks?|calls?|time|duration|last|recent)\b"
    r"|\bactivit|всего|количеств|число|визит|просмотр|сесси|звонк|время|последн|активност"
)


@dataclass(frozen=True)
class Trial:
    """All verdicts, the worst first, and for a flat file the bracket of honest skill."""

    verdicts: tuple[Verdict, ...]
    bracket: tuple[BracketRow, ...]

    @property
    def refused(self) -> tuple[Verdict, ...]:
        """The leaks that training stops at."""
        return tuple(one for one in self.verdicts if one.stops_training)

    def of_interest(self) -> tuple[Verdict, ...]:
        """Return what a report shows: what is suspicious or a leak among leads, accounts and features."""
        return tuple(one for one in self.verdicts if one.verdict != "clean" and one.source != "stages")

    def notes(self) -> list[str]:
        """Say which declared columns are suspicious and which leaks are used all the same, each in one sentence."""
        said = []
        for one in (one for one in self.verdicts if one.declared):
            if one.verdict == "suspicious":
                said.append(f"{_name(one)} is suspicious: {one.evidence}.")
            elif one.verdict == "leak" and one.allowed is not None:
                said.append(f"{_name(one)} is judged a leak and used all the same ({one.allowed}): {one.evidence}.")
        return said


def judge_project(
    project: Project,
    tables: Tables,
    examples: Examples | None,
    *,
    progress: Progress,
    denied: Mapping[str, str] | None = None,
    thorough: bool = True,
) -> Trial:
    """Try every column of leads, accounts and stages, and every feature of the examples.

    Parameters
    ----------
    denied
        Header → why it is written after the outcome, beside what is known of the CRM that wrote the export.
    thorough
        Whether a flat file's bracket of honest skill is measured too.
    """
    settings = project.settings
    bench = make_bench(project, tables)
    progress("Trying every column of the leads")
    columns = _read_leads(project, bench)
    own = judge_columns(columns, bench, denied={**_known_of_its_crm(columns), **(denied or {})})
    _add_roles(own, project)
    declared = {name for name, kind in settings.leads.columns.items() if kind != "rule"}
    verdicts = _pronounce(own, "leads", declared, settings.training.leaks_allowed)
    if settings.accounts is not None:
        progress("Trying every column of the accounts")
        accounts = settings.accounts
        found = read_whole_source(
            accounts, accounts.id, bench.account_ids, folder=project.folder, timezone=settings.project.timezone,
            kinds=accounts.columns, latest_by=accounts.valid_from,
        )  # fmt: skip
        verdicts += _pronounce(
            judge_columns(found, bench), "accounts", set(accounts.columns), settings.training.leaks_allowed
        )
    verdicts += _judge_stages(project)
    if examples is not None:
        progress("Trying every feature, with the future taken away and with another one invented")
        clues = judge_features(examples.frame, examples.snapshots, tables, examples.catalogue, bench)
        _inherit(clues, examples, verdicts)
        verdicts += _pronounce(clues, "feature", set(examples.catalogue.names), settings.training.leaks_allowed)
    bracket: tuple[BracketRow, ...] = ()
    if thorough and not tables.dated:
        progress("Measuring skill with everything, without leaks, and with what is surely known at creation")
        bracket = _bracket(columns, own, bench, project)
    return Trial(sort_verdicts(verdicts), bracket)


def _read_leads(project: Project, bench: Bench) -> dict[str, pd.Series]:
    settings = project.settings
    return read_whole_source(
        settings.leads, settings.leads.id, bench.lead_ids, folder=project.folder, timezone=settings.project.timezone,
        kinds={name: "category" if kind == "rule" else kind for name, kind in settings.leads.columns.items()},
    )  # fmt: skip


def _known_of_its_crm(headers: Iterable[str]) -> dict[str, str]:
    """Return what the CRM that wrote the export, if it is one of ours, is known to write after the outcome."""
    names = list(headers)
    preset = recognise_preset(names)
    found = {name: preset.forbid(name) for name in names} if preset is not None else {}
    return {name: why for name, why in found.items() if why is not None}


def _add_roles(clues: Clues, project: Project) -> None:
    """Columns that say when or how a lead ended are the outcome; those that name a lead are not on trial."""
    leads, outcome = project.settings.leads, project.settings.outcome
    for name in (outcome.column, outcome.won_at, outcome.lost_at):
        if name in clues:
            clues[name] = [Clue("rule", "proof", float("nan"), "it is the outcome itself")]
    for name in (leads.id, leads.created_at, leads.order):
        if name in clues:
            clues[name] = []


def _judge_stages(project: Project) -> list[Verdict]:
    stages, settings = project.settings.stages, project.settings
    if stages is None:
        return []
    only = stages.stage is None
    says = "it stands in the file of outcomes, which has a row " + (
        "for won leads only" if only else "of what followed"
    )
    clues = {
        name: [Clue("rule", "proof", float("nan"), says)]
        for name in read_header_of(stages, stages.lead, folder=project.folder)
    }
    return _pronounce(clues, "stages", set(), settings.training.leaks_allowed)


def _inherit(clues: Clues, examples: Examples, verdicts: Sequence[Verdict]) -> None:
    """Give a feature that is a column as it stands the clues of a column that is a leak."""
    guilty = {(one.source, one.column): one for one in verdicts if one.verdict == "leak"}
    for feature in examples.catalogue.features:
        table = {"lead": "leads", "account": "accounts"}.get(feature.origin)
        column = next((one for key, one in guilty.items() if key == (table, feature.subject)), None)
        if column is not None and feature.statistic == "value":
            clues[feature.name] = [*column.clues]


def _pronounce(
    clues: Clues,
    source: Literal["leads", "accounts", "stages", "feature"],
    declared: set[str],
    allowed: Mapping[str, str],
) -> list[Verdict]:
    decided: list[tuple[str, tuple[VerdictName, tuple[Clue, ...]]]] = [
        (name, decide(own)) for name, own in clues.items()
    ]
    return [
        Verdict(source, name, verdict, name in declared, allowed.get(name), ordered)
        for name, (verdict, ordered) in decided
    ]


def _bracket(columns: Mapping[str, pd.Series], clues: Clues, bench: Bench, project: Project) -> tuple[BracketRow, ...]:
    leads, outcome = project.settings.leads, project.settings.outcome
    roles = {leads.id, leads.created_at, leads.order, leads.account, outcome.column, outcome.won_at, outcome.lost_at}
    known = bench.known
    usable = {
        name: values[known].reset_index(drop=True)
        for name, values in columns.items()
        if name not in roles and not is_constant(values[known]) and not names_rows(values)
    }
    sets = {
        "everything": usable,
        "without leaks": {name: v for name, v in usable.items() if decide(clues[name])[0] != "leak"},
        "surely known at creation": {
            name: v
            for name, v in usable.items()
            if all(clue.family == "skill" and clue.weight == "hint" for clue in clues[name])
            and not re.search(_RUNNING, spell(name))
        },
    }  # fmt: skip
    return measure_bracket(sets, bench.won[known], bench.groups[known]) if has_enough(bench) else ()


def _name(one: Verdict) -> str:
    return f"feature {one.column!r}" if one.source == "feature" else f"column {one.column!r} of {one.source}"


def refuse_leaks(trial: Trial) -> None:
    """Stop at leaks that a model would learn from and that nobody allowed.

    Raises
    ------
    QualityGateError
        Up to five are named with their evidence and the cure.
    """
    refused = trial.refused
    columns = {one.column for one in refused if one.source != "feature"}
    named = [one for one in refused if one.source != "feature"] or list(refused)
    if not named:
        return
    said = "; ".join(f"{_name(one)}: {one.evidence}" for one in named[:5])
    more = f" (and {len(named) - 5} more)" if len(named) > 5 else ""
    cure = (
        "Move it to leads.forbidden (of accounts: out of accounts.columns)"
        if columns
        else "Name it in features.forbidden with a reason"
    )
    raise QualityGateError(
        f"Leaks would be learnt{more}: {said}. {cure}, or, if it was known at scoring time after all, give the reason "
        f'in leads.toml: [training.leaks_allowed] "{named[0].column}" = "why".'
    )


def write_verdicts(path: Path, trial: Trial) -> None:
    """Write every verdict with its evidence as CSV."""
    with write_atomically(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["source", "column", "verdict", "declared", "allowed", "evidence", "figures"])
        for one in trial.verdicts:
            figures = "; ".join(f"{c.family} {c.figure:.3f}" for c in one.clues if c.figure == c.figure)
            row = [
                one.source,
                one.column,
                one.verdict,
                "yes" if one.declared else "no",
                one.allowed or "",
                one.evidence,
            ]
            writer.writerow([*row, figures])
