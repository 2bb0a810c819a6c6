"""Choose band thresholds on the calibration period, from what the team can call and from money."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from features.rule_columns import DID, name_answer
from models.bands import BandPolicy, Rule
from training.evaluation.evaluate import mean_with_interval
from training.evaluation.evidence import BandRow

if TYPE_CHECKING:
    import pandas as pd

    from project.settings import CapacitySettings, RuleSettings

__all__ = [
    "capacity_share",
    "choose_mql",
    "choose_policy",
    "describe_bands",
    "find_break_even",
    "make_rules",
    "threshold_for",
]

_DEFAULT_SHARE = 0.2
_SMALLEST = 1e-4
_WEEK_SECONDS = 604_800


def make_rules(settings: tuple[RuleSettings, ...]) -> tuple[Rule, ...]:
    """Turn the `[[rules]]` of leads.toml into the rules of a policy."""
    return tuple(_make_rule(rule) for rule in settings)


def _make_rule(rule: RuleSettings) -> Rule:
    if rule.event is None:
        assert rule.column is not None
        return Rule(rule.name, rule.column, rule.equals, rule.band, rule.contains, rule.matches)
    within = round(rule.within.total_seconds()) if rule.within is not None else None
    return Rule(rule.name, name_answer(rule.event, within), (DID,), rule.band, event=rule.event, within=within)


def choose_policy(
    examples: pd.DataFrame,
    probability: NDArray[np.float64],
    *,
    capacity: CapacitySettings,
    rules: tuple[Rule, ...],
    coverage: float = 1.0,
    weight: NDArray[np.float64] | None = None,
    hysteresis: float = 0.0,
) -> tuple[BandPolicy, list[str]]:
    """Choose thresholds so that new SQLs a week fit the capacity and none of them costs more than it brings.

    A lead counts once, with the highest probability it reached. The SQL threshold is the larger of the one that fills
    the capacity and the break-even cost / value; without a capacity (or without dates) the top fifth counts as one.
    MQL begins at break-even where that is lower, else at half the SQL threshold: worth warming up, not worth a call.

    Parameters
    ----------
    examples, probability
        The calibration period: `lead_id`, `created_at`; one probability a row.
    coverage
        How many leads the examples have of all that came in during the period. The team meets all of them; nothing has
        scored the others before they were learnt from, so they are taken to reach a threshold as often, as `leads
        bands` takes them to. Leads that end unreachable reach it less often, which leaves some of the week free.
    weight
        How many leads each row's lead stands for beside the others, shape (rows,); null if all count alike.
    hysteresis
        How far below a threshold, as a share of it, a lead that was in the band stays in it.

    Returns
    -------
    (BandPolicy, list of str)
        The policy, and what its reader should know.
    """
    best, count = _best_per_lead(examples, probability, weight)
    weeks = _weeks(examples)
    notes = []
    if capacity.leads_per_week is not None and weeks is not None:
        room = capacity.leads_per_week * weeks * coverage
    else:
        room = _DEFAULT_SHARE * len(best)
        notes.append(
            "No capacity.leads_per_week that dates could turn into a share: the top fifth of the leads is SQL."
        )
    by_capacity = threshold_for(best, room, weight=count)
    break_even = find_break_even(capacity)
    if break_even is None:
        absent = [name for name in ("cost_per_call", "value_per_win") if getattr(capacity, name) is None]
        without_value = " expected_value stays empty." if capacity.value_per_win is None else ""
        if capacity.value_per_win is None and capacity.value_column is not None:
            without_value = f" expected_value stays empty where {capacity.value_column!r} is."
        notes.append(
            f"No capacity.{' and '.join(absent)}: without both cost_per_call and value_per_win bands follow capacity "
            f"alone.{without_value}"
        )
    sql = max(by_capacity, break_even or 0.0)
    mql = choose_mql(sql, break_even)
    policy = BandPolicy(
        sql=sql,
        mql=mql,
        rules=rules,
        cost_per_call=capacity.cost_per_call,
        value_per_win=capacity.value_per_win,
        currency=capacity.currency,
        exploration=capacity.exploration,
        hysteresis=hysteresis,
        value_column=capacity.value_column or "",
    )
    return policy, notes


def find_break_even(capacity: CapacitySettings) -> float | None:
    """Return the probability from which a call brings what it costs, within (0, 1]; null if nothing tells."""
    return None if capacity.break_even is None else min(1.0, max(_SMALLEST, capacity.break_even))


def choose_mql(sql: float, break_even: float | None) -> float:
    """Return where MQL begins: at break-even where that is lower than SQL, else at half the SQL threshold."""
    return break_even if break_even is not None and break_even < sql else sql / 2


def _best_per_lead(
    examples: pd.DataFrame, probability: NDArray[np.float64], weight: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the highest probability of each lead and its weight, of mean 1, both of shape (leads,)."""
    names = examples["lead_id"].to_numpy(dtype=object).astype(str)
    _, first, place = np.unique(names, return_index=True, return_inverse=True)
    best = np.zeros(len(first))
    np.maximum.at(best, place, probability)
    own = np.ones(len(first)) if weight is None else weight[first]
    return best, own / own.mean()


def _weeks(examples: pd.DataFrame) -> float | None:
    created = examples["created_at"]
    if created.isna().all():
        return None
    return max(1.0, float((created.max() - created.min()).total_seconds()) / _WEEK_SECONDS)


def capacity_share(examples: pd.DataFrame, *, capacity: CapacitySettings, coverage: float = 1.0) -> float | None:
    """Return the share of a period's leads that the team can call; null without a capacity or without dates.

    Parameters
    ----------
    examples, coverage
        As for `choose_policy`.
    """
    weeks = _weeks(examples)
    if capacity.leads_per_week is None or weeks is None:
        return None
    return min(1.0, capacity.leads_per_week * weeks * coverage / int(examples["lead_id"].nunique()))


def threshold_for(best: NDArray[np.float64], room: float, *, weight: NDArray[np.float64] | None = None) -> float:
    """Return the smallest threshold that at most `room` leads reach; leads that tie stay on one side.

    Parameters
    ----------
    weight
        How many leads each stands for, shape (leads,); null if each stands for itself.
    """
    levels, place = np.unique(-best, return_inverse=True)
    counts = np.bincount(place, weights=weight, minlength=len(levels))
    fitting = np.flatnonzero(counts.cumsum() <= max(room, 0.0))
    if len(fitting) == 0:
        return max(_SMALLEST, float(np.nextafter(-levels[0], 1.0)) + _SMALLEST)
    return max(_SMALLEST, float(-levels[fitting[-1]]))


def describe_bands(
    policy: BandPolicy,
    examples: pd.DataFrame,
    probability: NDArray[np.float64],
    *,
    groups: NDArray[np.int64],
    seed: int,
    coverage: float = 1.0,
    weight: NDArray[np.float64] | None = None,
) -> list[BandRow]:
    """Return what each band held and what converted of it, on the given (test) period.

    Parameters
    ----------
    coverage, weight
        As for `choose_policy`: leads a week, and shares, are of all leads that came in.
    """
    converted = examples["converted"].to_numpy(dtype=np.float64)
    bands = policy.assign(probability)
    highest, count = _best_per_lead(examples, probability, weight)
    best = policy.assign(highest)
    weeks = _weeks(examples)
    edges = {"SQL": (policy.sql, 1.0), "MQL": (policy.mql, policy.sql), "nurture": (0.0, policy.mql)}
    rows = []
    for band, (low, high) in edges.items():
        inside = bands == band
        precision = mean_with_interval(converted[inside], groups=groups[inside], seed=seed) if inside.any() else None
        rows.append(
            BandRow(
                band=band,
                low=low,
                high=high,
                leads_per_week=float(count[best == band].sum()) / weeks / coverage if weeks is not None else None,
                share=float(count[best == band].sum() / len(count)),
                snapshots=int(inside.sum()),
                precision=precision,
            )
        )
    return rows
