"""Look at everything without training: what was read, what was set aside, who is too young, how the base rate moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from features.identity import identity_headers
from features.ingest import read_tables
from features.snapshots import build_training_snapshots
from features.sources import open_source
from project.errors import NotEnoughDataError, name_some
from training.bands import make_rules
from training.evaluation.evidence import rate_by_month
from training.examples import build_examples
from training.hygiene import SetApart, report_hygiene, say_left_out
from training.labels import label_snapshots
from training.leaks.court import Trial, judge_project

if TYPE_CHECKING:
    from features.tables import TableCount, Tables
    from project.folder import Project

__all__ = ["Checked", "check_leaks", "check_project"]


@dataclass(frozen=True)
class Checked:
    """What `leads check` found.

    Attributes
    ----------
    months
        As `training.evaluation.evidence.rate_by_month`.
    """

    counts: Mapping[str, TableCount]
    leads: int
    converted: int
    lost: int
    mature_snapshots: int
    immature_snapshots: int
    immature_leads: int
    months: list[dict[str, object]]
    hygiene: tuple[SetApart, ...]
    notes: tuple[str, ...]


def check_project(project: Project) -> Checked:
    """Read and validate every table, ask and label every snapshot, and tell what was found.

    Who is set apart, and why, goes into `state/reports/hygiene.csv`.
    """
    tables = read_tables(project)
    labelled = label_snapshots(
        build_training_snapshots(tables, project.settings.snapshots.ages), tables, project.settings.outcome.horizon
    )
    leads, converted, lost = _count_outcomes(tables)
    return Checked(
        tables.counts,
        leads,
        converted,
        lost,
        len(labelled.snapshots),
        labelled.immature,
        labelled.immature_leads,
        rate_by_month(labelled.snapshots),
        report_hygiene(project, tables, rules=make_rules(project.settings.rules)),
        (*_notes(project, tables), *say_left_out(labelled, tables)),
    )


def check_leaks(project: Project, *, progress: Callable[[str], None]) -> tuple[Trial, tuple[str, ...]]:
    """Try every column and feature for leaks; too short a history for examples leaves the features out, and says so."""
    progress("Reading the tables")
    tables = read_tables(project)
    notes: tuple[str, ...] = ()
    examples = None
    try:
        progress("Building snapshots, labels and features as they were known then")
        examples = build_examples(tables, project.settings, rules=make_rules(project.settings.rules))
    except NotEnoughDataError as error:
        notes = (f"Features were not tried: {error}",)
    return judge_project(project, tables, examples, progress=progress), notes


def _count_outcomes(tables: Tables) -> tuple[int, int, int]:
    if tables.dated:
        sql = (
            "SELECT count(*), count(won_at), count(*) FILTER (WHERE lost_at IS NOT NULL AND won_at IS NULL "
            "AND NOT coalesce(starts_with(flag, 'duplicate'), false)) FROM leads LEFT JOIN outcomes USING (lead_id)"
        )
    else:
        sql = "SELECT count(*), count(*) FILTER (WHERE converted), count(*) FILTER (WHERE NOT converted) FROM leads"
    leads, converted, lost = tables.connection.execute(sql).fetchall()[0]
    return int(leads), int(converted), int(lost)


def _notes(project: Project, tables: Tables) -> list[str]:
    settings = project.settings
    notes = []
    if not tables.dated:
        notes.append("No dates: features, labels and the split cannot be checked against time.")
    questions = {
        "events": "events speak of leads that are not in the leads table; they are not used",
        "outcomes": "leads have an outcome but are not in the leads table; they are not used",
    }
    for table, words in questions.items():
        n = _number(tables, f"SELECT count(*) FROM {table} ANTI JOIN leads USING (lead_id)")
        if n:
            notes.append(f"{n:,} {words}.")
    early = _number(
        tables,
        "SELECT count(*) FROM leads JOIN outcomes USING (lead_id) "
        "WHERE least(coalesce(won_at, lost_at), coalesce(lost_at, won_at)) < created_at",
    )
    if early:
        notes.append(f"{early:,} leads have an outcome before they came in; nothing can be asked about them.")
    undated = tables.counts["leads"].kept - _number(tables, "SELECT count(*) FROM leads")
    if undated:
        notes.append(
            f"{undated:,} leads are won or lost, but {settings.outcome.closed_at!r} is empty: they are left out."
        )
    header = open_source(settings.leads, [settings.leads.id], folder=project.folder).header
    used = {settings.leads.id, settings.leads.created_at, settings.leads.account, settings.leads.order}
    used |= {*settings.leads.columns, *settings.leads.forbidden, settings.outcome.column}
    outcome = settings.outcome
    used |= {outcome.won_at, outcome.lost_at, outcome.closed_at, outcome.reason, *identity_headers(settings).values()}
    idle = [name for name in header if name and name not in used]
    if idle:
        notes.append(f"Columns of the leads table that leads.toml does not mention: {name_some(idle)}.")
    return notes


def _number(tables: Tables, sql: str) -> int:
    return int(tables.connection.execute(sql).fetchall()[0][0])
