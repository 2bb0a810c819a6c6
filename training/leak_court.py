"""The leak court: every column of the sources and every feature, tried on the evidence of the data."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from project.errors import QualityGateError
from project.files import write_atomically
from training import leak_writing as writing
from training.leak_bench import Bench, make_bench
from training.leak_clues import (
    FEWEST,
    Clue,
    clue_of_collapse,
    clue_of_filling,
    clue_of_skill,
    measure_alone,
    measure_forward,
)
from training.leak_columns import read_header_of, read_whole_source
from training.leak_future import find_future_features
from training.leak_rest import BracketRow, measure_bracket, weigh_against_rest
from training.leak_verdict import Verdict, VerdictName, decide, sort_verdicts

if TYPE_CHECKING:
    from features.tables import Tables
    from project.folder import Project
    from training.examples import Examples

__all__ = ["Trial", "judge_columns", "judge_features", "judge_project", "refuse_leaks", "write_verdicts"]

Progress = Callable[[str], None]
Clues = dict[str, list[Clue]]
_MOST_LEVELS_SHARE, _SUSPECT, _MOST_SUSPECTS = 0.5, 0.78, 6


@dataclass(frozen=True)
class Trial:
    """All verdicts, the worst first, and for a flat file the bracket of honest skill."""

    verdicts: tuple[Verdict, ...]
    bracket: tuple[BracketRow, ...]

    @property
    def refused(self) -> tuple[Verdict, ...]:
        """The leaks that training stops at."""
        return tuple(one for one in self.verdicts if one.stops_training)

    def notes(self) -> list[str]:
        """Say which declared columns are suspicious and which leaks are used all the same, each in one sentence."""
        said = []
        for one in (one for one in self.verdicts if one.declared):
            if one.verdict == "suspicious":
                said.append(f"{_name(one)} is suspicious: {one.evidence}.")
            elif one.verdict == "leak" and one.allowed is not None:
                said.append(f"{_name(one)} is judged a leak and used all the same ({one.allowed}): {one.evidence}.")
        return said


def judge_columns(columns: Mapping[str, pd.Series], bench: Bench, *, denied: Mapping[str, str] | None = None) -> Clues:
    """Collect the clues about each column of the leads or of their accounts.

    Parameters
    ----------
    columns
        Header → values of the bench's leads, in its order: float64, datetime64 or `str`.
    denied
        Header → why it is known to be written after the outcome.
    """
    clues: Clues = {name: [] for name in columns}
    for name, reason in (denied or {}).items():
        if name in clues:
            clues[name].append(Clue("rule", "proof", float("nan"), f"known to be written afterwards: {reason}"))
    for name, values in columns.items():
        found = [writing.clue_of_name(name), *_clues_of_writing(values, bench)] if values.notna().any() else []
        clues[name] += [clue for clue in found if clue is not None]
    _add_statistics(clues, {name: _as_measured(values, bench) for name, values in columns.items()}, bench)
    return clues


def _clues_of_writing(values: pd.Series, bench: Bench) -> list[Clue | None]:
    filled = values.notna().to_numpy()
    said = filled & (values != 0).to_numpy() if values.dtype.kind == "f" else filled
    found = [
        writing.clue_of_one_side(said, bench.won, bench.lost),
        writing.clue_of_history(values, latest_stage=None, counts=bench.counts),
    ]
    if bench.dated:
        found.append(writing.clue_of_age(values, bench.order, bench.known))
    else:
        found.append(writing.clue_of_breaks(filled, bench.order))
    if values.dtype.kind == "M" and bench.until is not None:
        found.append(writing.clue_of_times(values, bench.closed_at, until=bench.until))
    if values.dtype.kind not in "fM":
        known = bench.known
        found.append(
            writing.clue_of_words(
                values[known], bench.won[known], named_won=bench.named_won, named_lost=bench.named_lost
            )
        )
    if _enough(bench):
        found.append(clue_of_filling(filled[bench.known], bench.won[bench.known]))
    return found


def _enough(bench: Bench) -> bool:
    won = bench.won[bench.known]
    return bool(min(won.sum(), (~won).sum()) >= FEWEST)


def _as_measured(values: pd.Series, bench: Bench) -> pd.Series:
    """Count a time from when the lead came in: the calendar itself is no skill."""
    if values.dtype.kind != "M":
        return values
    start = bench.created_at if bench.dated else values.min()
    return (values - start).dt.total_seconds().astype("float64") / 86_400


def _add_statistics(clues: Clues, columns: Mapping[str, pd.Series], bench: Bench) -> None:
    """Add what each column tells alone, and for those that tell much, what it tells beside all that is not condemned."""
    if not _enough(bench):
        return
    known, won, groups = bench.known, bench.won[bench.known], bench.groups[bench.known]
    kept = {name: values[known].reset_index(drop=True) for name, values in columns.items()}
    kept = {name: values for name, values in kept.items() if values.nunique(dropna=False) > 1}
    skill = {name: measure_alone(values, won, groups=groups) for name, values in kept.items()}
    sizes = {"won": int(won.sum()), "lost": int((~won).sum())}
    for name, alone in skill.items():
        clues[name] += [clue for clue in [clue_of_skill(alone, **sizes)] if clue is not None]
        if bench.dated and alone >= _SUSPECT - 0.1:
            fallen = clue_of_collapse(alone, measure_forward(kept[name], won, bench.order[known]))
            clues[name] += [fallen] if fallen is not None else []
    condemned = {name for name in kept if decide(clues[name])[0] == "leak"}
    suspects = [name for name in sorted(skill, key=lambda name: -skill[name]) if skill[name] >= _SUSPECT]
    for name in [name for name in suspects if name not in condemned][:_MOST_SUSPECTS]:
        rest = {other: values for other, values in kept.items() if other not in condemned and not _names_rows(values)}
        beside = weigh_against_rest(name, rest | {name: kept[name]}, won, groups, alone=skill[name])
        if beside is not None:
            clues[name].append(beside)
            condemned |= {name} if decide(clues[name])[0] == "leak" else set()


def _names_rows(values: pd.Series) -> bool:
    return values.dtype.kind not in "fM" and values.nunique() > _MOST_LEVELS_SHARE * max(1, values.notna().sum())


def judge_features(
    frame: pd.DataFrame, snapshots: pd.DataFrame, tables: Tables, examples: Examples, bench: Bench
) -> Clues:
    """Collect the clues about each feature: the future test, and its skill on one snapshot a lead.

    Parameters
    ----------
    frame, snapshots
        Features and questions, row by row; `snapshots` also has `converted` and `account_id`.
    """
    catalogue = examples.catalogue
    clues: Clues = {name: [] for name in catalogue.names}
    for future in find_future_features(frame, snapshots, tables, catalogue):
        says = f"it knew the future: without it {future.changed:,} of {future.compared:,} values are other ones"
        clues[future.name].append(Clue("future", "proof", future.changed / future.compared, says))
    chance = np.random.default_rng(0).permutation(len(snapshots))
    rows = np.sort(chance[~snapshots["lead_id"].iloc[chance].duplicated().to_numpy()])[: 2 * 10_000]
    asked = snapshots.iloc[rows]
    order = asked["as_of"] if tables.dated else asked["position"]
    one = Bench(
        **{
            **{name: getattr(bench, name) for name in Bench.__dataclass_fields__},
            "won": asked["converted"].to_numpy(dtype=np.bool_),
            "known": np.ones(len(rows), dtype=np.bool_),
            "groups": pd.factorize(asked["account_id"])[0].astype(np.int64),
            "order": order.astype("int64").to_numpy(),
        }
    )
    _add_statistics(clues, {name: frame[name].iloc[rows] for name in catalogue.names}, one)
    return clues


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
        Header → why a CRM is known to write it after the outcome.
    thorough
        Whether a flat file's bracket of honest skill is measured too.
    """
    settings = project.settings
    bench = make_bench(tables, settings)
    progress("Trying every column of the leads")
    columns = _read_leads(project, bench)
    own = judge_columns(columns, bench, denied=denied)
    _add_roles(own, project)
    declared = {name for name, kind in settings.leads.columns.items() if kind != "rule"}
    verdicts = _pronounce(own, "leads", declared, settings.training.leaks_allowed)
    if settings.accounts is not None:
        progress("Trying every column of the accounts")
        accounts = settings.accounts
        found = read_whole_source(
            accounts, accounts.id, bench.account_ids, folder=project.folder, timezone=settings.project.timezone,
            kinds=accounts.columns,
        )  # fmt: skip
        verdicts += _pronounce(
            judge_columns(found, bench), "accounts", set(accounts.columns), settings.training.leaks_allowed
        )
    verdicts += _judge_stages(project)
    if examples is not None:
        progress("Trying every feature, with the future taken away and with another one invented")
        clues = judge_features(examples.frame, examples.snapshots, tables, examples, bench)
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
    says = "it stands in the file of outcomes, which has a row " + ("for won leads only" if only else "of what followed")
    clues = {
        name: [Clue("rule", "proof", float("nan"), says)]
        for name in read_header_of(stages, stages.lead, folder=project.folder)
    }
    return _pronounce(clues, "stages", set(), settings.training.leaks_allowed)


def _inherit(clues: Clues, examples: Examples, verdicts: Sequence[Verdict]) -> None:
    """A feature that is a column as it stands shares the column's verdict."""
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
    decided: list[tuple[str, tuple[VerdictName, tuple[Clue, ...]]]] = [(name, decide(own)) for name, own in clues.items()]
    return [
        Verdict(source, name, verdict, name in declared, allowed.get(name), ordered)
        for name, (verdict, ordered) in decided
    ]


def _bracket(
    columns: Mapping[str, pd.Series], clues: Clues, bench: Bench, project: Project
) -> tuple[BracketRow, ...]:
    leads, outcome = project.settings.leads, project.settings.outcome
    roles = {leads.id, leads.created_at, leads.order, leads.account, outcome.column, outcome.won_at, outcome.lost_at}
    known = bench.known
    usable = {
        name: values[known].reset_index(drop=True)
        for name, values in columns.items()
        if name not in roles and values[known].nunique() > 1 and not _names_rows(values)
    }
    sets = {
        "everything": usable,
        "without leaks": {name: v for name, v in usable.items() if decide(clues[name])[0] != "leak"},
        "surely known at creation": {
            name: v for name, v in usable.items() if all(clue.family == "skill" and clue.weight == "hint" for clue in clues[name])
        },
    }  # fmt: skip
    return measure_bracket(sets, bench.won[known], bench.groups[known]) if _enough(bench) else ()


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
            row = [one.source, one.column, one.verdict, "yes" if one.declared else "no", one.allowed or "", one.evidence]
            writer.writerow([*row, figures])
