"""Search for better parameters of the trees, for as long as one may, and keep them only if other leads agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.columns import encode_frame
from project.errors import SettingsError
from training.evaluation.evaluate import standard_error
from training.fitting.boost import Tuned, find_rounds, fit_trees
from training.fitting.ladder import TELLINGS, make_data

if TYPE_CHECKING:
    import optuna

    from training.examples import Examples
    from training.fitting.encode import Learnt
    from training.fitting.fit import FitData

__all__ = ["Tuning", "tune_trees"]

_SURE = 2.0


@dataclass(frozen=True)
class Tuning:
    """How a search is run: for so many seconds, kept in a file so that the next one goes on, under a name.

    Attributes
    ----------
    name
        Of the study; searches on other data or settings have others.
    clock
        Seconds that only grow.
    """

    seconds: float
    file: Path
    name: str
    clock: Callable[[], float]


def tune_trees(
    examples: Examples, learnt: Sequence[Learnt], tuning: Tuning, *, seed: int, progress: Callable[[str], None]
) -> Tuned:
    """Search by the log loss of the leads that came after the last origin; judge the best by those after the others.

    Returns
    -------
    tuple
        Parameters that replace the usual ones, or none if they do not gain two standard errors on the other origins'
        leads. What is found depends on how long the search may take; what it is tried on does not.

    Raises
    ------
    SettingsError
        Optuna is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise SettingsError(
            "Tuning needs Optuna, which is not installed. Install it: pip install 'lead-conversion-predictor[tune]'"
        ) from error
    if len(learnt) < 2:
        progress("Tuning is left out: with one earlier moment nothing could tell luck from gain")
        return ()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    telling = TELLINGS[-1] if any(column.rates for column in learnt[-1].columns) else TELLINGS[0]
    data = [make_data(one, examples, telling=telling) for one in learnt]
    ends, told = tuning.clock() + tuning.seconds, tuning.clock()
    tuning.file.parent.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=f"sqlite:///{tuning.file}", study_name=tuning.name, load_if_exists=True,
        sampler=optuna.samplers.TPESampler(seed=seed + _finished(tuning), multivariate=False),
    )  # fmt: skip
    if not study.trials:
        study.enqueue_trial(_USUAL)
    while tuning.clock() < ends:
        study.optimize(lambda trial: _try(trial, data[-1], learnt[-1], examples, seed), n_trials=1)
        if tuning.clock() - told > 10.0 or tuning.clock() >= ends:
            told = tuning.clock()
            left = max(0.0, ends - told)
            progress(f"Tuning: {len(study.trials)} tries, best log loss {study.best_value:.4f}, {left:.0f} s left")
    best = _read(study.best_params)
    gains, groups = [], []
    for one, rows in zip(learnt[:-1], data[:-1], strict=True):
        usual, tuned = (_losses(rows, one, examples, kind, seed)[0] for kind in (_read(_USUAL), best))
        gains.append(usual - tuned)
        groups.append(examples.groups[_mature(one, examples)])
    gain, noise = float(np.concatenate(gains).mean()), standard_error(np.concatenate(gains), np.concatenate(groups))
    taken = gain > _SURE * noise
    progress(
        f"Tuned trees gain {gain:+.5f} ± {noise:.5f} log loss on other leads: "
        f"{'they are taken' if taken else 'the usual ones are kept'}"
    )
    return best if taken else ()


_USUAL = {"num_leaves": 15, "feature_fraction": 0.5, "lambda_l2": 5.0, "leaf": 1.0, "bagging_fraction": 0.75}


def _finished(tuning: Tuning) -> int:
    """Return how many tries there are, so that a search that goes on does not draw the same ones again."""
    import optuna

    if not tuning.file.exists():
        return 0
    names = {one.study_name: one.n_trials for one in optuna.get_all_study_summaries(f"sqlite:///{tuning.file}")}
    return int(names.get(tuning.name, 0))


def _try(trial: optuna.Trial, data: FitData, learnt: Learnt, examples: Examples, seed: int) -> float:
    kind = _read(
        {
            "num_leaves": trial.suggest_int("num_leaves", 4, 63, log=True),
            "feature_fraction": trial.suggest_float("feature_fraction", 0.1, 1.0, log=True),
            "lambda_l2": trial.suggest_float("lambda_l2", 0.1, 100.0, log=True),
            "leaf": trial.suggest_float("leaf", 0.2, 5.0, log=True),
            "bagging_fraction": trial.suggest_float("bagging_fraction", 0.4, 1.0),
        }
    )
    losses, rounds = _losses(data, learnt, examples, kind, seed)
    trial.set_user_attr("rounds", rounds)
    return float(losses.mean())


def _read(found: dict[str, float]) -> Tuned:
    return tuple(sorted((name, float(value)) for name, value in found.items()))


def _mature(learnt: Learnt, examples: Examples) -> NDArray[np.intp]:
    ahead = learnt.origin.ahead
    return ahead[examples.split.mature[ahead]]


def _losses(
    data: FitData, learnt: Learnt, examples: Examples, kind: Tuned, seed: int
) -> tuple[NDArray[np.float64], int]:
    rounds = find_rounds(data, seed=seed, tuned=kind)
    rows = _mature(learnt, examples)
    trees = fit_trees(data, rounds=rounds, seed=seed, tuned=kind)
    margin = trees.log_odds(encode_frame(examples.frame, learnt.columns, rows=rows))
    return np.logaddexp(0.0, np.where(examples.converted[rows], -margin, margin)), rounds
