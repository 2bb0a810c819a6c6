"""One backtest: read, train at earlier moments, let every policy call week after week, and judge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.engine import build_features
from features.ingest import read_tables
from features.listing import build_catalogue
from features.snapshots import build_open_snapshots
from project.duration import days_of
from project.errors import NotEnoughDataError, SchemaError, SettingsError
from training.arrivals import drop_disqualified
from training.backtest.judgement import Backtest, Training, judge_calls
from training.backtest.lesson import Lesson, learn_by
from training.backtest.policies import Policy, list_policies, rank_leads
from training.backtest.replay import WEEK, Pool, call_leads, list_weeks
from training.bands import make_rules
from training.examples import build_examples
from training.leaks.court import judge_project, refuse_leaks
from training.promotion.forward import FEWEST_BLOCKS

if TYPE_CHECKING:
    from features.catalogue import Catalogue
    from features.tables import Tables
    from project.folder import Project

__all__ = ["run_backtest"]

Progress = Callable[[str], None]
_DEFAULT_SHARE = 0.2
_FEWEST_WINS = 2


@dataclass(frozen=True)
class _Term:
    """The weeks in which one lesson was what was known."""

    lesson: Lesson
    weeks: list[datetime]


def run_backtest(project: Project, *, weeks: int, retrain: timedelta, progress: Progress) -> Backtest:
    """Replay the last weeks whose outcomes are known; nothing is written.

    Parameters
    ----------
    weeks
        How many; fewer are replayed where there is too little history to learn from before the first of them.
    retrain
        After how long a new model is trained.

    Raises
    ------
    SchemaError
        The tables have no dates.
    SettingsError
        A definition cannot be read, or models would be trained more often than weeks begin.
    NotEnoughDataError
        Too little history to replay anything.
    QualityGateError
        A column is judged a leak: it would make our policy look better than it can be.
    """
    settings = project.settings
    if weeks < 1 or retrain < WEEK:
        raise SettingsError("Replay at least one week, and train a week or more apart, such as --retrain 8w.")
    progress("Reading the tables")
    tables = read_tables(project)
    if not tables.dated or tables.observed_until is None:
        raise SchemaError("The tables have no dates, so there are no weeks to replay. Declare leads.created_at.")
    catalogue = build_catalogue(tables, settings)
    policies = list_policies(settings.definitions, catalogue)
    rules = make_rules(settings.rules)
    trial = judge_project(
        project, tables, build_examples(tables, settings, rules=rules), progress=progress, thorough=False
    )
    refuse_leaks(trial)
    horizon = settings.outcome.horizon
    oldest = max(settings.snapshots.ages) + horizon
    asked = list_weeks(tables.observed_until, horizon, weeks=weeks)
    terms, notes = _learn_all(project, tables, asked, retrain=retrain, progress=progress)
    replayed = [week for term in terms for week in term.weeks]
    needed = catalogue.keep({name for policy in policies if policy.when is not None for name in policy.when.names})
    open_leads = [_find_open(tables, week, project, oldest=oldest) for week in replayed]
    leads = _number_leads(open_leads)
    pools: list[Pool] = []
    for term in terms:
        own = open_leads[len(pools) : len(pools) + len(term.weeks)]
        progress(f"Replaying {term.weeks[0]:%Y-%m-%d} to {term.weeks[-1]:%Y-%m-%d}")
        pools += _build_pools(tables, term, own, policies, needed, leads=leads)
    arrivals = _count_arrivals(tables, replayed[0], replayed[-1] + WEEK) / len(replayed)
    capacity = settings.capacity
    per_week = capacity.leads_per_week or _DEFAULT_SHARE * arrivals
    progress("Calling the leads, week after week, and drawing weeks again")
    calls = call_leads(pools, leads=len(leads), per_week=per_week)
    by_weeks = len(replayed) >= FEWEST_BLOCKS
    block = _block(open_leads, leads, replayed[0] if by_weeks else None)
    reached = judge_calls(calls, policies, block=block, capacity=capacity, seed=settings.training.seed)
    if not by_weeks:
        notes.append(
            f"Only {len(replayed)} weeks could be replayed: the intervals draw accounts, and do not know how much "
            "weeks differ."
        )
    if sum(calls.room) < int(per_week * len(replayed)):
        notes.append("In some weeks a policy had fewer leads left than there was room for; all called that many then.")
    return Backtest(
        project=settings.project.name,
        weeks=tuple(replayed),
        horizon=horizon,
        oldest_days=days_of(oldest),
        per_week=per_week,
        by_capacity=capacity.leads_per_week is not None,
        drawn="weeks" if by_weeks else "accounts",
        calls=sum(calls.room),
        within_reach=calls.within_reach,
        currency=capacity.currency,
        reached=reached,
        trainings=tuple(
            Training(term.lesson.at, term.lesson.rung, term.lesson.leads, term.lesson.converted) for term in terms
        ),
        notes=(*notes, *trial.notes()),
    )


def _learn_all(
    project: Project, tables: Tables, weeks: Sequence[datetime], *, retrain: timedelta, progress: Progress
) -> tuple[list[_Term], list[str]]:
    """Train at the first week that has enough before it, and again whenever `retrain` has passed."""
    terms: list[_Term] = []
    notes: list[str] = []
    trouble = ""
    for week in weeks:
        if terms and week - terms[-1].lesson.at < retrain:
            terms[-1].weeks.append(week)
            continue
        try:
            if _count_wins(tables, week) < _FEWEST_WINS:
                raise NotEnoughDataError(f"Fewer than {_FEWEST_WINS} leads had converted by then.")
            progress(f"Training on what was known on {week:%Y-%m-%d}")
            terms.append(_Term(learn_by(project, week), [week]))
        except NotEnoughDataError as error:
            trouble = str(error)
            if terms:
                terms[-1].weeks.append(week)
                notes.append(f"On {week:%Y-%m-%d} no new model could be trained ({trouble}) The earlier one went on.")
    if not terms:
        raise NotEnoughDataError(
            f"No week from {weeks[0]:%Y-%m-%d} to {weeks[-1]:%Y-%m-%d} has enough history before it to train on. "
            f"The last trial said: {trouble}"
        )
    first = terms[0].weeks[0]
    if first > weeks[0]:
        notes.insert(
            0, f"The replay begins on {first:%Y-%m-%d}, not on {weeks[0]:%Y-%m-%d}: before, there was too little "
            "history to learn from."
        )  # fmt: skip
    idle = [f"{one.lesson.at:%Y-%m-%d}" for one in terms if one.lesson.rung == "base_rate"]
    if idle:
        notes.append(
            f"The model trained on {', '.join(idle)} was no better than the base rate: its order of the leads is that "
            "of their ids."
        )
    return terms, notes


def _count_wins(tables: Tables, before: datetime) -> int:
    return int(tables.connection.execute("SELECT count(*) FROM outcomes WHERE won_at < ?", [before]).fetchall()[0][0])


def _count_arrivals(tables: Tables, start: datetime, end: datetime) -> int:
    sql = "SELECT count(*) FROM leads WHERE flag IS NULL AND created_at >= ? AND created_at < ?"
    return int(tables.connection.execute(sql, [start, end]).fetchall()[0][0])


def _find_open(tables: Tables, week: datetime, project: Project, *, oldest: timedelta) -> pd.DataFrame:
    """Return the leads that can be called in a week: open, not too old, neither set apart nor ruled out.

    Adds `converted`: whether the lead converted in [week, week + horizon).
    """
    found = build_open_snapshots(tables, week)
    found = found.loc[found["flag"].isna() & (found["created_at"] >= week - oldest)].reset_index(drop=True)
    found = drop_disqualified(found, tables, make_rules(project.settings.rules))
    won = tables.connection.execute(
        "SELECT lead_id FROM outcomes WHERE won_at >= ? AND won_at < ?", [week, week + project.settings.outcome.horizon]
    ).df()["lead_id"]
    return found.assign(converted=found["lead_id"].isin(set(won)))


def _number_leads(open_leads: Sequence[pd.DataFrame]) -> dict[str, int]:
    ids = dict.fromkeys(lead for one in open_leads for lead in one["lead_id"].to_list())
    return {lead: number for number, lead in enumerate(ids)}


def _build_pools(
    tables: Tables,
    term: _Term,
    open_leads: Sequence[pd.DataFrame],
    policies: Sequence[Policy],
    needed: Catalogue,
    *,
    leads: dict[str, int],
) -> list[Pool]:
    every = pd.concat(open_leads, ignore_index=True)
    frame = build_features(every, tables, term.lesson.catalogue)
    defined = build_features(every, tables, needed) if needed.names else frame
    pools, start = [], 0
    for week, snapshots in zip(term.weeks, open_leads, strict=True):
        rows = slice(start, start + len(snapshots))
        start += len(snapshots)
        place = rank_leads(policies, snapshots, term.lesson, frame=frame.iloc[rows], defined=defined.iloc[rows])
        number = np.array([leads[lead] for lead in snapshots["lead_id"]], dtype=np.int64)
        pools.append(Pool(week, number, snapshots["converted"].to_numpy(dtype=np.bool_), place))
    return pools


def _block(open_leads: Sequence[pd.DataFrame], leads: dict[str, int], since: datetime | None) -> NDArray[np.int64]:
    """Return for each lead the week in which the first lead of its account, of those that could be called, came in.

    With a null `since` return a number for its account.
    """
    every = pd.concat(open_leads, ignore_index=True).drop_duplicates("lead_id")  # in the order of the numbers
    if since is None:
        return np.unique(every["group_id"].to_numpy(dtype=object).astype(str), return_inverse=True)[1].astype(np.int64)
    arrived = every.groupby("group_id")["created_at"].transform("min")
    weeks = np.floor((arrived - since).dt.total_seconds().to_numpy() / WEEK.total_seconds())
    return np.asarray(weeks, dtype=np.int64)
