"""What a perfect model of the same size would show: outcomes drawn from the probabilities themselves, counted in cells.

An absolute "calibration error below 0.01" means nothing: the error of a flawless model falls with the number of leads.
So every figure of calibration stands beside its values over draws y ~ Bernoulli(p).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["GRID", "Cells", "draw_cells", "fit_lines", "smooth_errors"]

Vector = NDArray[np.float64]
Flags = NDArray[np.bool_]
GRID = 2_048
_BLOCKS = 512
_BISECTIONS = 22
_NEWTON_STEPS = 25
_CLIP = 1e-9


@dataclass(frozen=True)
class Cells:
    """Rows counted in cells of nearly equal probability, cut by 2,048 equal steps and by 512 equal counts.

    Attributes
    ----------
    rows, said, wins
        Number of rows, their mean probability and how many converted, shape (cells,), from the lowest probability up.
    step
        The equal step of [0, 1] that the cell lies in, shape (cells,).
    drawn
        How many would have converted if what was said were true, shape (draws, cells).
    clustered
        Whether leads have several rows. Then one number drawn a lead decides all its rows: it converts in those whose
        probability is above it, the closest that outcomes of one lead can hang together.
    """

    rows: Vector
    said: Vector
    wins: Vector
    step: NDArray[np.intp]
    drawn: Vector
    clustered: bool


def draw_cells(
    probability: Vector, converted: Flags, *, leads: NDArray[np.int64], seed: int, draws: int = 200
) -> Cells:
    """Count rows in cells, and draw what a perfect model would have met there."""
    random = np.random.default_rng(seed)
    step = np.minimum((probability * GRID).astype(np.intp), GRID - 1)
    edges = np.unique(np.quantile(probability, np.linspace(0, 1, _BLOCKS + 1)[1:-1]))
    key = step + np.searchsorted(edges, probability, side="right")  # both never fall, so the sum tells the pair
    _, first, place, rows = np.unique(key, return_index=True, return_inverse=True, return_counts=True)
    said = np.clip(np.bincount(place, weights=probability) / rows, 0.0, 1.0)
    names, lead = np.unique(leads, return_inverse=True)
    clustered = len(names) < len(leads)
    if clustered:
        drawn = _draw_by_lead(probability, lead, np.argsort(place, kind="stable"), rows, random, draws)
    else:
        drawn = random.binomial(rows, said, size=(draws, len(rows))).astype(np.float64)
    wins = np.asarray(np.bincount(place, weights=converted), dtype=np.float64)
    return Cells(rows.astype(np.float64), said, wins, step[first], drawn, clustered)


def _draw_by_lead(
    probability: Vector,
    lead: NDArray[np.intp],
    order: NDArray[np.intp],
    rows: NDArray[np.intp],
    random: np.random.Generator,
    draws: int,
) -> Vector:
    starts = np.concatenate([[0], rows.cumsum()[:-1]])
    sorted_lead, sorted_said = lead[order], probability[order].astype(np.float32)
    count = int(lead.max()) + 1
    drawn = np.empty((draws, len(rows)))
    for draw in range(draws):
        won = random.random(count, dtype=np.float32)[sorted_lead] < sorted_said
        drawn[draw] = np.add.reduceat(won, starts, dtype=np.intp)
    return drawn


def smooth_errors(cells: Cells, wins: Vector) -> Vector:
    """Return the smooth calibration error of each row of `wins`, shape (draws, cells) to (draws,).

    smECE (Błasiok & Nakkiran 2023): the integral of |residual smoothed by a Gaussian reflected at 0 and 1|, at the
    width σ that equals the integral. The reflected Gaussian multiplies the k-th cosine by exp(−(πkσ)²/2); residuals lie
    on the middles of 2,048 steps, so widths below 0.0005 are not told apart.
    """
    from scipy.fft import dct, idct

    residual = np.zeros((len(wins), GRID))
    kept, first = np.unique(cells.step, return_index=True)
    residual[:, kept] = np.add.reduceat(wins - cells.rows * cells.said, first, axis=1) / cells.rows.sum()
    waves = dct(residual, type=2, axis=1)
    squared = 0.5 * (np.pi * np.arange(GRID)) ** 2
    low, high = np.zeros(len(wins)), np.ones(len(wins))
    for _ in range(_BISECTIONS):
        width = (low + high) / 2
        size = np.abs(idct(waves * np.exp(-squared * width[:, None] ** 2), type=2, axis=1)).sum(axis=1)
        low, high = np.where(size > width, width, low), np.where(size > width, high, width)
    return (low + high) / 2


def fit_lines(cells: Cells, wins: Vector) -> tuple[Vector, Vector]:
    """Return slope, and intercept at slope one, of logit P(converted) on logit of what was said.

    Both have shape (draws,), one for each row of `wins`, shape (draws, cells). Newton's method on all rows at once;
    `nan` where all or none converted, and slopes of a constant.
    """
    from scipy import special

    margin = special.logit(np.clip(cells.said, _CLIP, 1 - _CLIP))
    total = wins.sum(axis=1)
    told = (total > 0) & (total < cells.rows.sum())
    centre = float(np.average(margin, weights=cells.rows))
    spread = margin - centre
    moment = np.column_stack([np.ones_like(spread), spread])
    level, line = np.zeros(len(wins)), np.tile([centre, 1.0], (len(wins), 1))
    for _ in range(_NEWTON_STEPS):
        said = special.expit(margin + level[:, None])
        level += _step((total - said @ cells.rows) / (said * (1 - said) @ cells.rows))
        said = special.expit(line @ moment.T)
        pull = (wins - said * cells.rows) @ moment
        curve = (said * (1 - said) * cells.rows) @ np.column_stack([np.ones_like(spread), spread, spread**2])
        line += _step(_solve(curve, pull))
    if np.ptp(margin) < _CLIP:
        line[:, 1] = np.nan
    level[~told], line[~told] = np.nan, np.nan
    return line[:, 1], level


def _solve(curve: Vector, pull: Vector) -> Vector:
    """Solve many symmetric systems [[a, b], [b, c]] x = pull; those without a solution stay where they are."""
    a, b, c = curve.T
    determinant = a * c - b * b
    steps = np.column_stack([c * pull[:, 0] - b * pull[:, 1], a * pull[:, 1] - b * pull[:, 0]])
    solved: Vector = np.zeros_like(steps)
    np.divide(steps, determinant[:, None], out=solved, where=determinant[:, None] > 1e-12)
    return solved


def _step(wanted: Vector) -> Vector:
    bounded: Vector = np.clip(np.nan_to_num(wanted), -2.0, 2.0)
    return bounded
