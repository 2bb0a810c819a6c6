"""The ladder: base rate, naive Bayes, logistic regression, boosted trees, a blend; the rung is chosen by evidence.

Every rung is tried as it would have been used: fitted at each origin on what was known then, it says something of the
leads that came next. On those forward predictions rungs are compared, and a step up the ladder must be worth more than
one standard error of its gain (Breiman et al. 1984). Whether anything is better than the base rate is asked of models
taken half way to it: at an early origin they have learnt from few leads, and say more than the one to come will. The
price is that noise passes this first step more often; whether there is skill is judged apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from models.calibration import logit
from models.columns import encode_frame
from models.estimators import BaseRate, Estimator
from training.evaluation.evaluate import standard_error
from training.fitting.beside import run_beside
from training.fitting.boost import Tuned, find_rounds, fit_bag, fit_trees
from training.fitting.encode import Learnt
from training.fitting.fit import FitData, find_strength, fit_logistic
from training.fitting.naive_bayes import fit_naive_bayes

if TYPE_CHECKING:
    from training.examples import Examples

__all__ = [
    "RUNGS",
    "TELLINGS",
    "TRY_ROWS",
    "Forward",
    "Plan",
    "Step",
    "climb",
    "fit_rung",
    "supported_rungs",
    "try_rungs",
]

Vector = NDArray[np.float64]
Rung = Literal["base_rate", "naive_bayes", "logistic", "lightgbm", "blend"]
Telling = Literal["codes", "rates"]
RUNGS: tuple[Rung, ...] = ("base_rate", "naive_bayes", "logistic", "lightgbm", "blend")
TELLINGS: tuple[Telling, ...] = ("codes", "rates")
_NEEDS: dict[Rung, int] = {"base_rate": 0, "naive_bayes": 20, "logistic": 20, "lightgbm": 200, "blend": 200}
_SHARES = (0.25, 0.5, 0.75)
TRY_ROWS = 60_000
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
    tuned
        Parameters of the trees that replace the usual ones.
    """

    rung: Rung
    telling: Telling = "codes"
    strength: float = 0.0
    rounds: int = 0
    share: float = 1.0
    tuned: Tuned = ()


@dataclass(frozen=True)
class Forward:
    """Forward predictions of one rung: log-odds of the rows in `rows`, said before their outcome was known."""

    plan: Plan
    rows: NDArray[np.intp]
    log_odds: Vector

    def loss(self, converted: NDArray[np.bool_]) -> Vector:
        """Return the log loss of each row."""
        return np.logaddexp(0.0, np.where(converted[self.rows], -self.log_odds, self.log_odds))

    def half_way(self, base: Forward) -> Forward:
        """Return it taken half way to the base rate, in log-odds."""
        return replace(self, log_odds=0.5 * (self.log_odds + base.log_odds))


@dataclass(frozen=True)
class Step:
    """One rung of the ladder beside the one below that was held before it.

    Attributes
    ----------
    loss
        Mean log loss of the forward predictions.
    gain, error
        By how much it is lower than that of the rung held so far, and the standard error of that, by accounts; beside
        the base rate, of the rung taken half way to it.
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
    """Return an origin's rows as they are learnt from, categories told one way or the other."""
    count = len(learnt.columns)
    categories = {place for place, column in enumerate(learnt.columns) if column.kind == "category"}
    rated = {place for place, column in enumerate(learnt.columns) if column.rates}
    if telling == "codes" or not rated:
        # pairs are no codes, but nothing else tells them
        inputs = (*range(count), *range(count + len(rated), learnt.matrix.shape[1]))
    else:
        inputs = tuple(place for place in range(learnt.matrix.shape[1]) if place not in categories & rated)
    return FitData(
        learnt.columns, learnt.matrix, learnt.target, examples.arrived[learnt.rows], learnt.weight, inputs,
        _weigh(learnt, examples),
    )  # fmt: skip


def _weigh(learnt: Learnt, examples: Examples) -> Vector | None:
    """Return what each row counts beside the others, by its lead's chance to be worked and by its age."""
    if learnt.recency is None:
        return examples.weigh(learnt.rows)
    weight = examples.weigh_all(learnt.rows) * learnt.recency
    return np.asarray(weight / weight.mean())


def try_rungs(
    examples: Examples, learnt: Sequence[Learnt], rungs: Sequence[Rung], *, seed: int, tuned: Tuned = ()
) -> dict[Rung, Forward]:
    """Fit every rung at every origin and let it say what comes next; how to be told is chosen at the last one.

    Returns
    -------
    dict
        Forward predictions of each rung, all of the same rows.
    """
    plans = _make_plans(examples, learnt[-1], rungs, seed=seed, tuned=tuned)
    said = _say_ahead(examples, learnt[-1], [plan for several in plans.values() for plan in several], seed=seed)
    ahead = learnt[-1].origin.ahead
    best = {
        rung: min(several, key=lambda plan: _mean_loss(Forward(plan, ahead, said[plan]), examples))
        for rung, several in plans.items()
    }
    earlier = [_say_ahead(examples, origin, list(best.values()), seed=seed) for origin in learnt[:-1]]
    rows = np.concatenate([origin.origin.ahead for origin in learnt])
    found = {
        rung: Forward(plan, rows, np.concatenate([*(one[plan] for one in earlier), said[plan]]))
        for rung, plan in best.items()
    }
    if "blend" in rungs:
        line, trees = found["logistic"], found["lightgbm"]
        mixed = [
            Forward(
                replace(trees.plan, rung="blend", share=share),
                rows,
                share * trees.log_odds + (1.0 - share) * line.log_odds,
            )
            for share in _SHARES
        ]
        found["blend"] = min(mixed, key=lambda forward: _mean_loss(forward, examples))
    return found


def _make_plans(
    examples: Examples, last: Learnt, rungs: Sequence[Rung], *, seed: int, tuned: Tuned
) -> dict[Rung, list[Plan]]:
    """Return the plans to choose from, with the strength and the rounds that suit the latest leads."""
    tellings = TELLINGS if any(column.rates for column in last.columns) else TELLINGS[:1]
    data = {telling: make_data(last, examples, telling=telling) for telling in tellings}
    plans: dict[Rung, list[Plan]] = {rung: [Plan(rung)] for rung in rungs if rung in ("base_rate", "naive_bayes")}
    if "logistic" in rungs:
        plans["logistic"] = [Plan("logistic", told, strength=find_strength(data[told])) for told in tellings]
    if "lightgbm" in rungs:
        rounds = run_beside([partial(find_rounds, data[told], seed=seed, tuned=tuned) for told in tellings])
        plans["lightgbm"] = [
            Plan("lightgbm", told, rounds=number, tuned=tuned) for told, number in zip(tellings, rounds, strict=True)
        ]
    return plans


def _say_ahead(examples: Examples, origin: Learnt, plans: Sequence[Plan], *, seed: int) -> dict[Plan, Vector]:
    """Fit plans at an origin, and return the log-odds that each gives to the leads that came next."""
    ahead = encode_frame(examples.frame, origin.columns, rows=origin.origin.ahead)

    def say(plan: Plan) -> Vector:
        data = make_data(origin, examples, telling=plan.telling)
        return _fit_simple(plan, data, seed=seed).log_odds(ahead)

    return dict(zip(plans, run_beside([partial(say, plan) for plan in plans]), strict=True))


def _mean_loss(forward: Forward, examples: Examples) -> float:
    mature = examples.split.mature[forward.rows]
    weights = examples.weigh(forward.rows[mature])
    return float(np.average(forward.loss(examples.converted)[mature], weights=weights))


def _fit_simple(plan: Plan, data: FitData, *, seed: int) -> Estimator:
    match plan.rung:
        case "base_rate":
            return BaseRate(logit(data.rate))
        case "naive_bayes":
            return fit_naive_bayes(data)
        case "logistic":
            return fit_logistic(data, strength=plan.strength)
        case "lightgbm":
            return fit_trees(data, rounds=plan.rounds, seed=seed, tuned=plan.tuned)
        case "blend":
            raise ValueError("a blend is made of others, not fitted")


def climb(
    forward: dict[Rung, Forward], losses: dict[Rung, Vector], cautious: dict[Rung, Vector], *, groups: NDArray[np.int64]
) -> list[Step]:
    """Go up the ladder: a rung is taken if its gain over the one held is above one standard error.

    Naive Bayes is for a cold start: where there is enough for trees it only stands beside, since it sees categories
    alone and yet keeps better models from showing a sure gain over it.

    Parameters
    ----------
    losses
        Log loss of each mature forward row, by rung.
    cautious
        The same of the rung taken half way to the base rate, which counts as long as that is held.
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
        gain = losses[held] - (cautious if held == "base_rate" else losses)[rung]
        error = standard_error(gain, groups)
        taken = bool(gain.mean() > error) and not (rung == "naive_bayes" and "lightgbm" in forward)
        steps.append(Step(rung, float(losses[rung].mean()), float(gain.mean()), error, taken))
        held = rung if taken else held
    return steps


def fit_rung(learnt: Learnt, examples: Examples, plan: Plan, *, seed: int) -> Estimator:
    """Fit a rung on everything that an origin knows; trees are bagged over accounts. A blend is made of two of them."""
    data = make_data(learnt, examples, telling=plan.telling)
    if plan.rung == "lightgbm":
        members = _MEMBERS if len(data.target) < _MANY_ROWS else _FEWER_MEMBERS
        return fit_bag(
            data, examples.groups[learnt.rows], rounds=plan.rounds, members=members, seed=seed, tuned=plan.tuned
        )
    return _fit_simple(plan, data, seed=seed)
