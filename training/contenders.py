"""Contenders: every estimator with its calibrator, and the choice between them on the calibration period."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.calibration import AffineCalibrator, logit
from models.estimators import BaseRate, Estimator
from training.calibrate import fit_calibrator
from training.evaluate import log_loss_per_row
from training.fit import FitData, fit_boosted, fit_logistic

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Contender", "choose_contender", "fit_contenders"]

_FOLDS = 5
_FEWEST_POSITIVES = 20


@dataclass(frozen=True)
class Contender:
    """An estimator fitted on the fit period and calibrated on the calibration period.

    Attributes
    ----------
    calibrate_loss
        Log loss on the calibration period, each fifth of the groups judged by a calibrator fitted on the others.
    """

    name: str
    estimator: Estimator
    calibrator: AffineCalibrator
    calibrate_loss: float

    def probability(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return calibrated probabilities of encoded rows."""
        return self.calibrator.probability(self.estimator.log_odds(matrix))


def fit_contenders(
    data: FitData, calibrate: pd.DataFrame, matrix: NDArray[np.float64], *, seed: int
) -> tuple[list[Contender], list[str]]:
    """Fit base rate, logistic regression and LightGBM; calibrate each on the calibration period.

    Parameters
    ----------
    calibrate, matrix
        Snapshots of the calibration period (`lead_id`, `group_id`, `converted`) and their encoded rows.

    Returns
    -------
    (list of Contender, list of str)
        The contenders, simplest first, and what the reader should know.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):  # sums in another order would make another model
        return _fit_all(data, calibrate, matrix, seed=seed)


def _fit_all(
    data: FitData, calibrate: pd.DataFrame, matrix: NDArray[np.float64], *, seed: int
) -> tuple[list[Contender], list[str]]:
    rate = float(np.clip(calibrate["converted"].mean(), 1e-6, 1 - 1e-6))
    estimators: list[Estimator] = [BaseRate(logit(rate))]
    notes = []
    if data.converted.sum() < _FEWEST_POSITIVES or not data.columns:
        notes.append(
            f"Only {int(data.converted.sum())} conversions in the fit period: below {_FEWEST_POSITIVES} nothing but "
            "the base rate can be told."
        )
    else:
        estimators += [fit_logistic(data), fit_boosted(data, seed=seed)]
    return [_calibrate(estimator, calibrate, matrix) for estimator in estimators], notes


def _calibrate(estimator: Estimator, calibrate: pd.DataFrame, matrix: NDArray[np.float64]) -> Contender:
    log_odds = estimator.log_odds(matrix)
    converted = calibrate["converted"].to_numpy(dtype=np.bool_)
    leads = calibrate["lead_id"].to_numpy(dtype=object).astype(str)
    _, account = np.unique(calibrate["group_id"].to_numpy(dtype=object).astype(str), return_inverse=True)
    fold = account % _FOLDS

    def fit(rows: NDArray[np.bool_]) -> AffineCalibrator:
        return fit_calibrator(log_odds[rows], converted[rows], leads=leads[rows])

    losses = np.empty(len(log_odds))
    for number in range(_FOLDS):
        inside = fold == number
        if inside.any():
            calibrator = fit(~inside) if (~inside).any() else AffineCalibrator(0.0, 1.0)
            losses[inside] = log_loss_per_row(calibrator.probability(log_odds[inside]), converted[inside])
    return Contender(estimator.kind, estimator, fit(np.ones(len(log_odds), dtype=np.bool_)), float(losses.mean()))


def choose_contender(contenders: Sequence[Contender]) -> Contender:
    """Return the one with the lowest log loss on the calibration period; the simpler one if they tie."""
    return min(contenders, key=lambda contender: contender.calibrate_loss)
