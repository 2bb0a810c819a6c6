"""Log-odds and outcomes drawn from a known truth, every row a lead of its own."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from training.calibration.calibrate import CalibrationChoice, choose_calibrator


def draw(rows: int, *, intercept: float, slope: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds z and outcomes whose true log-odds are intercept + slope · z."""
    random = np.random.default_rng(seed)
    log_odds = random.normal(-2.0, 1.2, rows)
    return log_odds, random.random(rows) < expit(intercept + slope * log_odds)


def draw_positives(rows: int, positives: int, *, slope: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds and exactly so many positives, drawn by slope · log-odds (Gumbel's trick)."""
    random = np.random.default_rng(3)
    log_odds = random.normal(-2.0, 1.2, rows)
    order = np.argsort(-(slope * log_odds + random.logistic(0, 1, rows)))
    return log_odds, np.isin(np.arange(rows), order[:positives])


def name_rows(rows: int) -> np.ndarray:
    return np.array([f"lead-{row}" for row in range(rows)])


def choose_rows(log_odds: np.ndarray, converted: np.ndarray) -> CalibrationChoice:
    """Choose where every row is a lead of its own."""
    return choose_calibrator(log_odds, converted, leads=name_rows(len(log_odds)))
