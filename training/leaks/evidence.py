"""What the data says of each column and each feature: all clues, gathered over the leads of one bench."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from training.leaks import writing as writing
from training.leaks.bench import Bench
from training.leaks.clues import (
    FEWEST,
    Clue,
    clue_of_collapse,
    clue_of_filling,
    clue_of_skill,
    measure_alone,
    measure_forward,
)
from training.leaks.future import find_future_features
from training.leaks.rest import weigh_against_rest
from training.leaks.verdict import decide

if TYPE_CHECKING:
    from features.catalogue import Catalogue
    from features.tables import Tables

__all__ = ["Clues", "has_enough", "is_constant", "judge_columns", "judge_features", "names_rows"]

Clues = dict[str, list[Clue]]
_MOST_LEVELS_SHARE, _SUSPECT, _MOST_SUSPECTS, _MOST_ROWS = 0.5, 0.78, 6, 20_000


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
        writing.clue_of_history(values, latest_stage=bench.latest_stage, counts=bench.counts),
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
    if has_enough(bench):
        found.append(clue_of_filling(filled[bench.known], bench.won[bench.known]))
    return found


def has_enough(bench: Bench) -> bool:
    """Tell whether there are enough leads of both outcomes for statistics to say anything."""
    won = bench.won[bench.known]
    return bool(min(won.sum(), (~won).sum()) >= FEWEST)


def _as_measured(values: pd.Series, bench: Bench) -> pd.Series:
    """Count a time from when the lead came in: the calendar itself is no skill."""
    if values.dtype.kind != "M":
        return values
    start = bench.created_at if bench.dated else values.min()
    return (values - start).dt.total_seconds().astype("float64") / 86_400


def _add_statistics(clues: Clues, columns: Mapping[str, pd.Series], bench: Bench) -> None:
    """Add what each column tells alone, and for those that tell much, what they tell beside all that is honest."""
    if not has_enough(bench):
        return
    known, won, groups = bench.known, bench.won[bench.known], bench.groups[bench.known]
    kept = {name: values[known].reset_index(drop=True) for name, values in columns.items()}
    kept = {name: values for name, values in kept.items() if not is_constant(values)}
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
        rest = {other: values for other, values in kept.items() if other not in condemned and not names_rows(values)}
        beside = weigh_against_rest(name, rest | {name: kept[name]}, won, groups, alone=skill[name])
        if beside is not None:
            clues[name].append(beside)
            condemned |= {name} if decide(clues[name])[0] == "leak" else set()


def is_constant(values: pd.Series) -> bool:
    """Tell whether a column holds one value only, or none."""
    return len(values.unique()) < 2


def names_rows(values: pd.Series) -> bool:
    """Tell whether a column has a value of its own for most rows, as an identifier or free text has."""
    return values.dtype.kind not in "fM" and values.nunique() > _MOST_LEVELS_SHARE * max(1, values.notna().sum())


def judge_features(
    frame: pd.DataFrame, snapshots: pd.DataFrame, tables: Tables, catalogue: Catalogue, bench: Bench
) -> Clues:
    """Collect the clues about each feature: the future test, and its skill on one snapshot a lead.

    Parameters
    ----------
    frame, snapshots
        Features and questions, row by row; `snapshots` also has `converted` and `group_id`.
    """
    clues: Clues = {name: [] for name in catalogue.names}
    for future in find_future_features(frame, snapshots, tables, catalogue):
        says = f"it knew the future: without it {future.changed:,} of {future.compared:,} values are other ones"
        clues[future.name].append(Clue("future", "proof", future.changed / future.compared, says))
    chance = np.random.default_rng(0).permutation(len(snapshots))
    rows = np.sort(chance[~snapshots["lead_id"].iloc[chance].duplicated().to_numpy()])[:_MOST_ROWS]
    asked = snapshots.iloc[rows]
    order = asked["as_of"] if tables.dated else asked["position"]
    one = replace(
        bench,
        won=asked["converted"].to_numpy(dtype=np.bool_),
        known=np.ones(len(rows), dtype=np.bool_),
        groups=pd.factorize(asked["group_id"])[0].astype(np.int64),
        order=order.astype("int64").to_numpy().astype(np.int64),
    )
    _add_statistics(clues, {name: frame[name].iloc[rows] for name in catalogue.names}, one)
    return clues
