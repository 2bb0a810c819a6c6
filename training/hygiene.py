"""The hygiene report: who is set apart before anything is learnt, by what evidence, and what that leaves."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from features.rule_columns import read_rule_columns
from features.snapshots import build_open_snapshots, default_as_of
from models.bands import Rule, matches
from project.files import write_atomically

if TYPE_CHECKING:
    from features.tables import Tables
    from project.folder import Project
    from training.labels import Labelled

__all__ = ["SetApart", "hygiene_file", "report_hygiene", "say_left_out"]

_EXAMPLES = 3


@dataclass(frozen=True)
class SetApart:
    """Leads that are set apart for one reason, or whose loss is read with care: how many, and up to three ids."""

    what: str
    leads: int
    examples: tuple[str, ...]


def hygiene_file(project: Project) -> Path:
    """Return where the report is written."""
    return project.state / "reports" / "hygiene.csv"


def report_hygiene(project: Project, tables: Tables, *, rules: Iterable[Rule]) -> tuple[SetApart, ...]:
    """Write `lead_id, flag, evidence` of every lead set apart, and return the counts, largest first within each kind.

    Neither holds a name, an address or a phone. A lead with a flag is not asked about the rules any more.
    """
    flagged: list[tuple[str, str, str]] = tables.connection.execute(
        "SELECT lead_id, set_apart.flag, evidence FROM set_apart JOIN leads USING (lead_id) ORDER BY position"
    ).fetchall()
    ruled = [entry for rule in rules if rule.band == "disqualified" for entry in _ruled_out(tables, rule)]
    with write_atomically(hygiene_file(project)) as path, path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["lead_id", "flag", "evidence"])
        writer.writerows(flagged)
        writer.writerows(ruled)
    found: dict[str, list[str]] = {}
    for lead, flag, evidence in flagged:
        found.setdefault(_say_what(flag, evidence), []).append(lead)
    for lead, flag, _ in ruled:
        found.setdefault(f"rule: {flag}", []).append(lead)
    counted = [SetApart(what, len(leads), tuple(leads[:_EXAMPLES])) for what, leads in sorted(found.items())]
    return (*counted, *_count_reasons(tables))


def _say_what(flag: str, evidence: str) -> str:
    return f"duplicate: {evidence.partition(' as ')[0]}" if flag.startswith("duplicate of ") else f"{flag}: {evidence}"


def _ruled_out(tables: Tables, rule: Rule) -> list[tuple[str, str, str]]:
    """Return whom a rule disqualifies at the end of the data."""
    leads = build_open_snapshots(tables, default_as_of(tables), closed_too=True)
    leads = leads.loc[leads["flag"].isna()].reset_index(drop=True)
    found = matches(rule, read_rule_columns(tables, leads, [rule]))
    evidence = f"column {rule.column!r} says so" if rule.event is None else f"it did {rule.event!r}"
    return [(lead, rule.name, evidence) for lead in leads["lead_id"].to_numpy(dtype=object)[found].tolist()]


def _count_reasons(tables: Tables) -> list[SetApart]:
    words = {
        "unknown": "lost for a reason that tells nothing: no negative",
        "junk": "lost as junk: nothing is learnt from it",
    }
    rows = tables.connection.execute(
        f"""SELECT lost_as, count(*), list(lead_id ORDER BY position)[:{_EXAMPLES}]
        FROM outcomes JOIN leads USING (lead_id) WHERE flag IS NULL AND lost_as IN ('unknown', 'junk')
        GROUP BY lost_as ORDER BY lost_as DESC"""
    ).fetchall()
    return [SetApart(words[str(meaning)], int(n), tuple(map(str, examples))) for meaning, n, examples in rows]


def say_left_out(labelled: Labelled, tables: Tables) -> list[str]:
    """Say who was set apart or left out before the labels, and what that does to the base rate."""
    notes = []
    ((flagged,),) = tables.connection.execute("SELECT count(flag) FROM leads").fetchall()
    if flagged:
        notes.append(f"{flagged:,} leads are set apart as duplicates, test records or competitors; see hygiene.csv.")
    if labelled.junk:
        notes.append(f"{labelled.junk_leads:,} leads were lost as junk; nothing is learnt from them.")
    if labelled.unknown and len(labelled.snapshots):
        rate = float(labelled.snapshots["converted"].mean())
        wins, all_of_them = labelled.snapshots["converted"].sum(), len(labelled.snapshots) + labelled.unknown
        notes.append(
            f"{labelled.unknown_leads:,} leads were lost for reasons that do not tell whether they would have bought "
            f"({labelled.unknown:,} snapshots left out, they are no negatives). The base rate of the others is "
            f"{rate:.1%}; with them as negatives it would be {wins / all_of_them:.1%}. Of all that come in "
            "expect fewer conversions than the probabilities add up to, in that proportion."
        )
    return notes
