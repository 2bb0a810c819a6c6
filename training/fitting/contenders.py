"""Contenders: every rung that the data support, tried forward in time, fitted and calibrated; one is chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.calibration import Calibrator
from models.columns import ModelColumn, encode_frame
from models.estimators import Blend, Estimator
from training.calibration.calibrate import CalibrationChoice, choose_calibrator
from training.calibration.level import LevelShift, shift_level
from training.calibration.repair import Repair, add_repair, find_repair, repair_margin
from training.fitting.boost import Tuned
from training.fitting.encode import Learnt, look_back
from training.fitting.ladder import Forward, Rung, Step, climb, fit_rung, supported_rungs, try_rungs
from training.fitting.tune import Tuning, tune_trees
from training.fitting.views import Telling, settle_views, take_view

if TYPE_CHECKING:
    from training.examples import Examples

__all__ = ["Contender", "Contest", "hold_contest"]

Vector = NDArray[np.float64]
_HALF_LIFE_DAYS = 182.5


@dataclass(frozen=True)
class Contender:
    """A rung fitted on everything before the test period, calibrated on what it said of later leads at earlier origins.

    Attributes
    ----------
    said
        Log-odds of the contest's forward rows as each origin said them: nothing is learnt from their outcomes.
    forward
        The same with the repair, before calibration.
    repair
        Offsets of a category that was wrong at all origins; part of the estimator. Null if none was.
    """

    name: str
    estimator: Estimator
    calibration: CalibrationChoice
    level: LevelShift | None
    said: Vector
    forward: Vector
    repair: Repair | None

    @property
    def calibrator(self) -> Calibrator:
        """From log-odds to a probability, with the level that the latest leads speak for."""
        return self.level.calibrator if self.level is not None else self.calibration.calibrator

    def probability(self, matrix: NDArray[np.float64]) -> Vector:
        """Return calibrated probabilities of encoded rows."""
        return self.calibrator.probability(self.estimator.log_odds(matrix))

    @property
    def forward_probability(self) -> Vector:
        """Calibrated probabilities of the forward rows."""
        return self.calibrator.probability(self.forward)


@dataclass(frozen=True)
class Contest:
    """All contenders, simplest first, and how one was chosen.

    Attributes
    ----------
    columns
        What the estimators are told, learnt from everything before the test period.
    rows
        Positions of the mature examples that all contenders predicted from an earlier origin.
    steps
        The ladder, rung by rung.
    telling
        What was learnt from, and what the trials of it found.
    tuned
        Parameters of the trees that replace the usual ones.
    """

    columns: tuple[ModelColumn, ...]
    contenders: tuple[Contender, ...]
    chosen: Contender
    rows: NDArray[np.intp]
    steps: tuple[Step, ...]
    telling: Telling
    tuned: Tuned
    notes: tuple[str, ...]


def hold_contest(
    examples: Examples,
    *,
    horizon: timedelta,
    seed: int,
    progress: Callable[[str], None],
    tuning: Tuning | None = None,
) -> Contest:
    """Try the rungs at the origins, choose one, and fit all of them on everything before the test period."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):  # sums in another order would make another model
        return _hold(examples, horizon=horizon, seed=seed, progress=progress, tuning=tuning)


def _hold(
    examples: Examples,
    *,
    horizon: timedelta,
    seed: int,
    progress: Callable[[str], None],
    tuning: Tuning | None,
) -> Contest:
    split = examples.split
    converted = examples.converted
    fit = split.final.fit
    rungs, note = supported_rungs(len(np.unique(examples.leads[fit[converted[fit]]])))
    if not len(examples.catalogue.features):
        rungs, note = rungs[:1], "No feature varies: nothing but the base rate can be told."
    learnt, telling = settle_views(examples, horizon=horizon)
    progress(f"Trying {len(rungs)} kinds of models at {len(learnt)} earlier moments, each on the leads that came next")
    tuned: Tuned = ()
    if tuning is not None and "lightgbm" in rungs:
        tuned = tune_trees(examples, learnt, tuning, seed=seed, progress=progress)
    forward = try_rungs(examples, learnt, rungs, seed=seed, tuned=tuned)
    mature = split.mature[forward["base_rate"].rows]
    rows = forward["base_rate"].rows[mature]
    importance = examples.weigh_all(rows)
    losses = {rung: said.loss(converted)[mature] * importance for rung, said in forward.items()}
    halves = {rung: said.half_way(forward["base_rate"]) for rung, said in forward.items()}
    cautious = {rung: said.loss(converted)[mature] * importance for rung, said in halves.items()}
    steps = climb(forward, losses, cautious, groups=examples.groups[rows])
    held = [step.rung for step in steps if step.held][-1]
    progress("Fitting all of them on everything before the test period, and calibrating them on what they had said")
    del learnt  # their matrices are large, and so is the one to come
    final = take_view(examples, split.final, telling, horizon=horizon)
    estimators = _fit_all(final, examples, forward, seed=seed)
    codes = encode_frame(examples.frame, final.columns, rows=rows)
    contenders = tuple(
        _calibrate(
            rung, estimators[rung], forward[rung], examples, final, mature, codes,
            horizon=horizon, miss=telling.miss, follow=telling.follow,
        )
        for rung in forward
    )  # fmt: skip
    chosen = next(contender for contender in contenders if contender.name == held)
    notes = [text for text in (note,) if text is not None]
    return Contest(final.columns, contenders, chosen, rows, tuple(steps), telling, tuned, tuple(notes))


def _fit_all(final: Learnt, examples: Examples, forward: dict[Rung, Forward], *, seed: int) -> dict[Rung, Estimator]:
    fitted: dict[Rung, Estimator] = {
        rung: fit_rung(final, examples, said.plan, seed=seed) for rung, said in forward.items() if rung != "blend"
    }
    if "blend" in forward:
        share, bag = forward["blend"].plan.share, fitted["lightgbm"]
        fitted["blend"] = _mix(fitted["logistic"], bag, share)
    return fitted


def _mix(line: Estimator, bag: Estimator, share: float) -> Blend:
    assert isinstance(bag, Blend)
    return Blend((line, *bag.parts), (1.0 - share, *(share * weight for weight in bag.weights)))  # type: ignore[arg-type]


def _calibrate(
    rung: Rung,
    estimator: Estimator,
    said: Forward,
    examples: Examples,
    final: Learnt,
    mature: NDArray[np.bool_],
    codes: NDArray[np.float64],
    *,
    horizon: timedelta,
    miss: float,
    follow: bool,
) -> Contender:
    rows, log_odds = said.rows[mature], said.log_odds[mature]
    snapshots = examples.snapshots.iloc[rows]
    repair = None
    if rung != "base_rate" and examples.importance is None:
        origin = np.repeat(np.arange(len(examples.split.origins)), [len(one.ahead) for one in examples.split.origins])
        repair = find_repair(
            final.columns, codes, log_odds, examples.converted[rows], origin=origin[mature],
            groups=examples.groups[rows], weight=len(np.unique(examples.leads[rows])) / max(1, len(rows)),
        )  # fmt: skip
        if repair is not None:
            log_odds = log_odds + repair_margin(repair, codes)
            estimator = add_repair(estimator, repair, final.matrix)
    weight = None
    if examples.split.kind == "time":
        age = (snapshots["as_of"].max() - snapshots["as_of"]).to_numpy() / np.timedelta64(1, "D")
        weight = 0.5 ** (age / _HALF_LIFE_DAYS)
    if examples.importance is not None:
        own = examples.importance[rows] / examples.importance[rows].max()
        weight = own if weight is None else weight * own
    calibration = _keep_level(
        choose_calibrator(log_odds, examples.converted[rows], leads=examples.leads[rows], weight=weight), log_odds
    )
    level = None
    if final.delays is not None and examples.split.final.at is not None and examples.importance is None:
        level = _follow(calibration, estimator, examples, final, horizon=horizon, miss=miss, follow=follow)
    return Contender(rung, estimator, calibration, level, said.log_odds[mature], log_odds, repair)


def _keep_level(choice: CalibrationChoice, log_odds: Vector) -> CalibrationChoice:
    """Take from a calibrator what it says of spread and shape, not of the level.

    By how much earlier models missed the level of the months after them says little of the months to come: on real
    histories it had the wrong sign as often as not. What is seen so far of the latest leads says more (`_follow`).
    """
    from scipy import optimize, special

    said = float(special.expit(log_odds).mean())
    bent = choice.calibrator.calibrated(log_odds)
    back = float(optimize.brentq(lambda by: float(special.expit(bent + by).mean()) - said, -50.0, 50.0, xtol=1e-12))
    return replace(choice, calibrator=choice.calibrator.shifted(back))


def _follow(
    calibration: CalibrationChoice,
    estimator: Estimator,
    examples: Examples,
    final: Learnt,
    *,
    horizon: timedelta,
    miss: float,
    follow: bool,
) -> LevelShift | None:
    """Correct the level by what had been seen, when the test period began, of the leads of the last horizon."""
    split = examples.split
    known = look_back(examples.snapshots.iloc[split.final.fit], split.final, horizon=horizon, delays=final.delays)
    told = (known.seen > 0.0) & (known.seen < 1.0)
    if not told.any():
        return None
    rows = split.final.fit[told]
    return shift_level(
        calibration.calibrator,
        estimator.log_odds(encode_frame(examples.frame, final.columns, rows=rows)),
        observed=known.converted[told],
        seen_share=known.seen[told],
        leads=examples.leads[rows],
        miss=miss,
        follow=follow,
    )
