"""The ladder: base rate, naive Bayes, logistic regression, boosted trees, a blend; the rung is chosen by evidence.

Every rung is tried as it would have been used: fitted at each origin on what was known then, it says something of the
leads that came next. On those forward predictions rungs are compared, and a step up the ladder must be worth more than
one standard error of its gain (Breiman et al. 1984).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from models.calibration import logit
from models.columns import encode_frame
from models.estimators import BaseRate, Estimator
from models.linear import LinearTerm, Logistic
from training.boost import find_rounds, fit_bag, fit_trees
from training.delays import still_to_come
from training.encode import Learnt
from training.fit import FitData, find_strength, fit_logistic

if TYPE_CHECKING:
    from training.examples import Examples

__all__ = ["RUNGS", "Forward", "Plan", "Step", "climb", "fit_rung", "supported_rungs", "try_rungs"]

Vector = NDArray[np.float64]
Rung = Literal["base_rate", "naive_bayes", "logistic", "lightgbm", "blend"]
Telling = Literal["codes", "rates"]
RUNGS: tuple[Rung, ...] = ("base_rate", "naive_bayes", "logistic", "lightgbm", "blend")
TELLINGS: tuple[Telling, ...] = ("codes", "rates")
_NEEDS: dict[Rung, int] = {"base_rate": 0, "naive_bayes": 20, "logistic": 20, "lightgbm": 200, "blend": 200}
_SHARES = (0.25, 0.5, 0.75)
_TRY_ROWS = 60_000
_MEMBERS, _FEWER_MEMBERS, _MANY_ROWS = 5, 3, 120_000


@dataclass(frozen=True)
class Plan:
    """How a rung is fitted.

    Attributes
    ----------
    telling
        How it is told categories: by a code for every level, or by how the level did.
    strength, rounds
        Of the logistic regression, and how many trees.
    share
        Of the trees in a blend.
    """

    rung: Rung
    telling: Telling = "codes"
    strength: float = 0.0
    rounds: int = 0
    share: float = 1.0


@dataclass(frozen=True)
class Forward:
    """Forward predictions of one rung: log-odds of the rows in `rows`, said before their outcome was known."""

    plan: Plan
    rows: NDArray[np.intp]
    log_odds: Vector

    def loss(self, converted: NDArray[np.bool_]) -> Vector:
        """Return the log loss of each row."""
        return np.logaddexp(0.0, np.where(converted[self.rows], -self.log_odds, self.log_odds))


@dataclass(frozen=True)
class Step:
    """One rung of the ladder beside the one below that was held before it.

    Attributes
    ----------
    loss
        Mean log loss of the forward predictions.
    gain, error
        By how much it is lower than that of the rung held so far, and the standard error of that, by accounts.
    held
        Whether the step up was taken.
    """

    rung: Rung
    loss: float
    gain: float
    error: float
    held: bool


def supported_rungs(converted_leads: int) -> tuple[tuple[Rung, ...], str | None]:
    """Return the rungs that so many converted leads support, and what the next one needs, in words."""
    rungs = tuple(rung for rung in RUNGS if _NEEDS[rung] <= converted_leads)
    above = [rung for rung in RUNGS if _NEEDS[rung] > converted_leads]
    if not above:
        return rungs, None
    return rungs, (
        f"Only {converted_leads} leads converted in the fit period: that supports {' and '.join(rungs[-2:])}. "
        f"{above[0]} needs {_NEEDS[above[0]] - converted_leads} more conversions."
    )


def make_data(learnt: Learnt, examples: Examples, *, telling: Telling) -> FitData:
    """Return an origin's rows with labels as known then; the young have a probability for a label.

    It is what a first logistic regression makes of them, given that they have not converted so far; twice, since the
    first time it has only learnt from the others (two rounds of expectation and maximisation).
    """
    known = learnt.known
    count = len(learnt.columns)
    categories = {place for place, column in enumerate(learnt.columns) if column.kind == "category"}
    rated = {place for place, column in enumerate(learnt.columns) if column.rates}
    if telling == "codes" or not rated:
        inputs = tuple(range(count))
    else:
        inputs = tuple(place for place in range(learnt.matrix.shape[1]) if place not in categories & rated)
    target = known.converted.astype(np.float64)
    data = FitData(learnt.columns, learnt.matrix, target, examples.arrived[learnt.rows], learnt.weight, inputs)
    young = ~known.converted & (known.seen < 1.0)
    if not young.any():
        return data
    told = data.part(~young)
    for _ in range(2):
        first = fit_logistic(told.thin(_TRY_ROWS // 2), strength=0.03)
        probability = 1.0 / (1.0 + np.exp(-first.log_odds(data.matrix[young])))
        target = target.copy()
        target[young] = still_to_come(probability, known.seen[young])
        told = data = replace(data, target=target)
    return data


def fit_naive_bayes(data: FitData) -> Logistic:
    """Return log-odds of all plus those of each category's level: naive Bayes on shrunk counts, an exact sum."""
    rate = float(np.clip(np.mean(data.target), 1e-6, 1 - 1e-6))
    terms = []
    for place in range(data.matrix.shape[1]):
        values = data.matrix[:, place]
        is_category = place < len(data.columns) and data.columns[place].kind == "category"
        if not is_category:
            terms.append(LinearTerm("identity", (0.0,), 0.0, 0.0))
            continue
        codes = np.where(np.isnan(values), len(data.columns[place].frequent) + 1, values).astype(np.int64)
        size = len(data.columns[place].frequent) + 2
        seen = np.bincount(codes, minlength=size) * data.weight
        won = np.bincount(codes, weights=data.target, minlength=size) * data.weight
        told = (won + 20.0 * rate) / (seen + 20.0)
        weights = np.log(told / (1 - told)) - logit(rate)
        blank = LinearTerm("levels", tuple(map(float, weights[:-1])), float(weights[-1]), 0.0)
        terms.append(replace(blank, mean=float(np.mean(blank.raw_contribution(values)))))
    return Logistic(logit(rate) + sum(term.mean for term in terms), tuple(terms))


def try_rungs(examples: Examples, learnt: Sequence[Learnt], rungs: Sequence[Rung], *, seed: int) -> dict[Rung, Forward]:
    """Fit every rung at every origin and let it say what comes next; how to be told is chosen on the way.

    Returns
    -------
    dict
        The best forward predictions of each rung, all of the same rows.
    """
    tellings = TELLINGS if any(column.rates for column in learnt[-1].columns) else TELLINGS[:1]
    last = {telling: make_data(learnt[-1], examples, telling=telling).thin(_TRY_ROWS) for telling in tellings}
    strength = {telling: find_strength(data) if "logistic" in rungs else 0.0 for telling, data in last.items()}
    rounds = {telling: find_rounds(data, seed=seed) if "lightgbm" in rungs else 0 for telling, data in last.items()}
    said: dict[tuple[Rung, Telling], list[Vector]] = {}
    rows = []
    for origin in learnt:
        ahead = origin.origin.ahead
        rows.append(ahead)
        matrix = encode_frame(examples.frame.iloc[ahead], origin.columns)
        for telling in tellings:
            data = make_data(origin, examples, telling=telling)
            for rung in rungs:
                plan = Plan(rung, telling, strength[telling], rounds[telling])
                estimator = _fit_simple(plan, data.thin(_TRY_ROWS), seed=seed)
                if estimator is not None:
                    said.setdefault((rung, telling), []).append(estimator.log_odds(matrix))
    every = np.concatenate(rows)
    found: dict[Rung, Forward] = {}
    for (rung, telling), parts in said.items():
        plan = Plan(rung, telling, strength[telling], rounds[telling])
        _keep_better(found, Forward(plan, every, np.concatenate(parts)), examples)
    if "blend" in rungs:
        line, trees = found["logistic"], found["lightgbm"]
        for share in _SHARES:
            plan = replace(trees.plan, rung="blend", share=share)
            mixed = share * trees.log_odds + (1.0 - share) * line.log_odds
            _keep_better(found, Forward(plan, every, mixed), examples)
    return found


def _keep_better(found: dict[Rung, Forward], forward: Forward, examples: Examples) -> None:
    held = found.get(forward.plan.rung)
    if held is None or _mean_loss(forward, examples) < _mean_loss(held, examples):
        found[forward.plan.rung] = forward


def _mean_loss(forward: Forward, examples: Examples) -> float:
    return float(forward.loss(examples.converted)[examples.split.mature[forward.rows]].mean())


def _fit_simple(plan: Plan, data: FitData, *, seed: int) -> Estimator | None:
    match plan.rung:
        case "base_rate":
            return BaseRate(logit(float(np.clip(np.mean(data.target), 1e-6, 1 - 1e-6))))
        case "naive_bayes":
            return fit_naive_bayes(data)
        case "logistic":
            return fit_logistic(data, strength=plan.strength)
        case "lightgbm":
            return fit_trees(data, rounds=plan.rounds, seed=seed)
    return None


def climb(forward: dict[Rung, Forward], losses: dict[Rung, Vector], *, groups: NDArray[np.int64]) -> list[Step]:
    """Go up the ladder: a rung is taken if its gain over the one held is above one standard error.

    Parameters
    ----------
    losses
        Log loss of each mature forward row, by rung.
    groups
        Account of each of those rows; rows of one account count together.
    """
    steps: list[Step] = []
    held: Rung | None = None
    for rung in RUNGS:
        if rung not in forward:
            continue
        if held is None:
            steps.append(Step(rung, float(losses[rung].mean()), 0.0, 0.0, True))
            held = rung
            continue
        gain = losses[held] - losses[rung]
        error = _standard_error(gain, groups)
        taken = bool(gain.mean() > error)
        steps.append(Step(rung, float(losses[rung].mean()), float(gain.mean()), error, taken))
        held = rung if taken else held
    return steps


def _standard_error(values: Vector, groups: NDArray[np.int64]) -> float:
    _, place = np.unique(groups, return_inverse=True)
    sums = np.bincount(place, weights=values - values.mean())
    return float(np.sqrt(np.sum(sums**2)) / len(values))


def fit_rung(learnt: Learnt, examples: Examples, plan: Plan, *, seed: int) -> Estimator:
    """Fit a rung on everything that an origin knows; trees are bagged over accounts. A blend is made of two of them."""
    data = make_data(learnt, examples, telling=plan.telling)
    if plan.rung == "lightgbm":
        members = _MEMBERS if len(data.target) < _MANY_ROWS else _FEWER_MEMBERS
        return fit_bag(data, examples.groups[learnt.rows], rounds=plan.rounds, members=members, seed=seed)
    estimator = _fit_simple(plan, data, seed=seed)
    if estimator is None:
        raise ValueError(f"a {plan.rung} is made of others, not fitted")
    return estimator
