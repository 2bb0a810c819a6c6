"""Figures of the quality benchmark: every contender on every history, cells over seeds, and what it comes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.contest import OURS, ROWS, Contest, answer_of
from benchmarks.histories import History
from training.evaluation.evaluate import compare_log_loss, evaluate_probabilities

Vector = NDArray[np.float64]
Flags = NDArray[np.bool_]
_GRID, _DRAWS, _BISECTIONS = 2_048, 100, 20
FIGURES = {
    "log_loss": "log loss", "brier": "Brier", "auc": "AUC", "lift_at_10": "lift at 10 %", "level": "O/E",
    "slope": "slope", "calibration_error": "cal. error", "noise_floor": "its floor", "excess": "excess ×10⁴",
    "beyond": "beyond records", "fit_seconds": "fit s",
}  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """Ours beside the best rival of a cell, over its seeds; differences are ours minus the rival's.

    Attributes
    ----------
    ours, best, base
        Mean log loss (nats) of ours, of the rival with the lowest one, and of the base rate of the latest quarter.
    difference, low, high
        Mean difference with its 95 % interval: a paired bootstrap over groups of leads.
    careless
        On how many seeds ours was worse than the base rate and did not say "no skill".
    excess, closest, closest_excess
        Mean expected excess over the truth (10⁻⁴ nats) of ours and of the rival with the lowest one: free of the luck
        of a small test period, which decides who has the lowest log loss there. Only simulated cells have it.
    unknowable, usual
        The same of a perfect reader of the records, below which no model comes, and of LightGBM as it comes.
    """

    cell: str
    seeds: int
    ours: float
    rival: str
    best: float
    base: float
    difference: float
    low: float
    high: float
    careless: int
    excess: float = float("nan")
    closest: str = ""
    closest_excess: float = float("nan")
    unknowable: float = float("nan")
    usual: float = float("nan")

    @property
    def percent(self) -> float:
        """The difference in percent of the rival's log loss."""
        return 100 * self.difference / self.best

    @property
    def ratio(self) -> float:
        """Ours over LightGBM's default, both less what no model can know."""
        return (self.excess - self.unknowable) / (self.usual - self.unknowable)


def collect_figures(histories: Sequence[History], contenders: Sequence[str], contest: Contest) -> pd.DataFrame:
    """Return one row a history and contender: `cell`, `seed`, `contender`, `error`, `skill`, and FIGURES."""
    found = []
    for history in histories:
        folder = contest.folder(history)
        for name in contenders:
            answer = answer_of(folder, name)
            row = {"cell": history.cell, **history.to_json(), "contender": name, "error": answer.get("error", "")}
            found.append({**row, **({} if row["error"] else _judge(answer, folder, seed=history.seed))})
    return pd.DataFrame(found)


def _judge(answer: Mapping[str, Any], folder: Path, *, seed: int) -> dict[str, object]:
    test = _test_rows(folder)
    converted, probability = test["converted"].to_numpy(dtype=np.bool_), answer["probability"]
    metrics = evaluate_probabilities(probability, converted)
    error, floor = calibration_error(probability, converted, leads=test["lead"].to_numpy(), seed=seed)
    return {
        "rows": metrics.n, "positives": metrics.positives, "skill": answer.get("skill"),
        "chosen": answer.get("chosen"), "log_loss": metrics.log_loss, "brier": metrics.brier, "auc": metrics.auc,
        "lift_at_10": metrics.lift_at_10, "level": _level(probability, converted, folder),
        "slope": metrics.calibration_slope, "calibration_error": error, "noise_floor": floor,
        "excess": excess_log_loss(probability, folder),
        "beyond": excess_log_loss(probability, folder) - _excess_of_records(folder),
        "fit_seconds": answer["fit_seconds"], "cpu_seconds": answer["cpu_seconds"],
        "whole_seconds": answer.get("whole_seconds"),
    }  # fmt: skip


def _test_rows(folder: Path) -> pd.DataFrame:
    rows = pd.read_parquet(folder / ROWS)
    return rows.loc[rows["side"] == "test"]


def _level(probability: Vector, converted: Flags, folder: Path) -> float:
    """Return observed over expected conversions; the true probabilities stand for what was observed where known."""
    path = folder / "truth.npy"
    return float((np.load(path) if path.exists() else converted).mean() / probability.mean())


def excess_log_loss(probability: Vector, folder: Path) -> float:
    """Return the expected log loss beyond that of the true probabilities, in 10⁻⁴ nats; nan where they are unknown."""
    if not (folder / "truth.npy").exists():
        return float("nan")
    truth, said = np.load(folder / "truth.npy"), np.clip(probability, 1e-12, 1 - 1e-12)
    lose = 1 - truth
    with np.errstate(divide="ignore", invalid="ignore"):
        won = np.where(truth > 0, truth * np.log(truth / said), 0.0)
        lost = np.where(lose > 0, lose * np.log(lose / (1 - said)), 0.0)
    return float(1e4 * np.mean(won + lost))


def _excess_of_records(folder: Path) -> float:
    """Return the excess of a reader who knows every rate and effect of the simulation and reads the same records."""
    path = folder / "knowable.npy"
    return excess_log_loss(np.load(path), folder) if path.exists() else float("nan")


def calibration_error(probability: Vector, converted: Flags, *, leads: NDArray[np.int64], seed: int) -> Vector:
    """Return the smooth calibration error, and its mean over outcomes drawn from the probabilities themselves.

    smECE (Błasiok & Nakkiran 2023): residuals are smoothed over the probability by a Gaussian that is reflected at 0
    and 1, whose width equals the integral of what remains. In the draws, rows of one lead share their luck.
    """
    random = np.random.default_rng(seed)
    _, lead = np.unique(leads, return_inverse=True)
    luck = random.random((_DRAWS, lead.max() + 1))
    step = np.minimum((probability * _GRID).astype(np.int64), _GRID - 1)
    outcomes = (converted, *(draw[lead] < probability for draw in luck))
    residuals = [np.bincount(step, weights=won - probability, minlength=_GRID) / len(step) for won in outcomes]
    errors = _smooth(np.array(residuals))
    return np.array([errors[0], errors[1:].mean()])


def _smooth(residuals: Vector) -> Vector:
    """Solve width = error for each row; a reflected Gaussian damps the k-th cosine by exp(-(π k width)² / 2)."""
    from scipy.fft import dct, idct

    waves, frequency = dct(residuals, axis=1), np.pi * np.arange(_GRID)
    low, high = np.zeros(len(residuals)), np.ones(len(residuals))
    for _ in range(_BISECTIONS):
        width = (low + high) / 2
        error = np.abs(idct(waves * np.exp(-0.5 * (frequency * width[:, None]) ** 2), axis=1)).sum(axis=1)
        low, high = np.where(error > width, width, low), np.where(error > width, high, width)
    return (low + high) / 2


def compare(figures: pd.DataFrame, histories: Sequence[History], contest: Contest) -> list[Comparison]:
    """Return ours beside the best rival of each cell in which both have an answer for every seed that ours has."""
    found = []
    for cell, rows in figures.loc[figures["error"] == ""].groupby("cell", sort=False):
        table = rows.pivot_table(index="seed", columns="contender", values="log_loss")
        if OURS not in table:
            continue
        table = table.loc[table[OURS].notna()].dropna(axis="columns")
        losses = table.mean()
        rivals = losses.drop(OURS)
        if rivals.empty:
            continue
        best = str(rivals.idxmin())
        mine = [one for one in histories if one.cell == cell and one.seed in table.index]
        own = rows.loc[rows["contender"] == OURS].set_index("seed").reindex(table.index)
        base = table.get("base_rate", pd.Series(np.nan, table.index))
        careless = int(((table[OURS] > base) & own["skill"].astype(bool)).sum())
        pooled = _pool(mine, best, contest)
        near = _closest_to_the_truth(rows, list(losses.index))
        found.append(
            Comparison(str(cell), len(mine), losses[OURS], best, rivals[best], base.mean(), *pooled, careless, *near)
        )
    return found


def _closest_to_the_truth(rows: pd.DataFrame, contenders: list[str]) -> tuple[float, str, float, float, float]:
    nothing = float("nan")
    fine = rows.loc[rows["contender"].isin(contenders)]
    means = fine.groupby("contender")["excess"].mean().dropna()
    if OURS not in means:
        return nothing, "", nothing, nothing, nothing
    rivals = means.drop(OURS)
    unknowable = float((fine["excess"] - fine["beyond"]).mean())
    usual = float(means.get("lightgbm_default", nothing))
    return float(means[OURS]), str(rivals.idxmin()), float(rivals.min()), unknowable, usual


def _pool(histories: Sequence[History], rival: str, contest: Contest) -> tuple[float, float, float]:
    """Compare over seeds; those of a real history hold the same leads, which are then resampled together."""
    parts, shift = [], 0
    for history in histories:
        folder = contest.folder(history)
        test = _test_rows(folder)
        groups = test["group"].to_numpy() + shift
        shift += (int(test["group"].max()) + 1) * (history.leads > 0)
        answers = [answer_of(folder, name)["probability"] for name in (OURS, rival)]
        parts.append((*answers, test["converted"].to_numpy(dtype=np.bool_), groups))
    ours, theirs, converted, groups = (np.concatenate(part) for part in zip(*parts, strict=True))
    interval = compare_log_loss(ours, theirs, converted, groups=groups, seed=1)
    return interval.value, interval.low, interval.high


def write_cells(figures: pd.DataFrame, contenders: Sequence[str]) -> str:
    """Write a Markdown table a cell: contenders down, figures across, means over seeds."""
    text = []
    for cell, rows in figures.groupby("cell", sort=False):
        fine = rows.loc[rows["error"] == ""]
        means = fine.groupby("contender")[list(FIGURES)].mean() if len(fine) else pd.DataFrame()
        size = (
            f"{fine['rows'].mean():,.0f} rows to judge, {fine['positives'].mean():,.0f} positive" if len(fine) else ""
        )
        text += [f"\n### {cell}: {size} (mean of {rows['seed'].nunique()} seeds)\n"]
        text += [_line(["contender", *FIGURES.values()]), _line(["---"] + ["---:"] * len(FIGURES))]
        for name in contenders:
            if name in means.index:
                text.append(_line([name, *(_show(means.loc[name, figure], figure) for figure in FIGURES)]))
            else:
                error = rows.loc[rows["contender"] == name, "error"]
                text.append(_line([name, error.iloc[0] if len(error) else "", *[""] * (len(FIGURES) - 1)]))
    return "\n".join(text)


def write_summary(comparisons: Sequence[Comparison]) -> str:
    """Write what it comes to: a row a cell, then the three sentences."""
    heads = ["cell", "seeds", "ours", "best rival", "its log loss", "base rate", "ours − best", "95 % interval", "in %"]
    heads += [
        "excess ×10⁴",
        "closest rival",
        "its excess",
        "perfect reader",
        "LightGBM default",
        "ratio beyond records",
    ]
    text = [_line(heads), _line(["---"] + ["---:"] * (len(heads) - 1))]
    text += [
        _line([one.cell, str(one.seeds), f"{one.ours:.4f}", one.rival, f"{one.best:.4f}", f"{one.base:.4f}",
               f"{one.difference:+.4f}", f"{one.low:+.4f} … {one.high:+.4f}", f"{one.percent:+.2f}",
               _show(one.excess, "excess"), one.closest or "–", _show(one.closest_excess, "excess"),
               _show(one.unknowable, "excess"), _show(one.usual, "excess"), _show(one.ratio, "ratio")])
        for one in comparisons
    ]  # fmt: skip
    if not comparisons:
        return "No cell has an answer of ours and of a rival."
    ahead = sum(one.difference <= 0 for one in comparisons)
    beaten, behind = sum(one.high < 0 for one in comparisons), sum(one.low > 0 for one in comparisons)
    worst = max(comparisons, key=lambda one: one.percent)
    known = [one for one in comparisons if one.closest]
    near = sum(one.excess <= one.closest_excess for one in known)
    careless = [f"{one.cell} ({one.careless} of {one.seeds} seeds)" for one in comparisons if one.careless]
    return "\n".join(
        [
            *text, "",
            f"Ours is at or below the best rival's log loss in {ahead} of {len(comparisons)} cells "
            f"({ahead / len(comparisons):.0%}); the interval lies below zero in {beaten} and above zero in {behind}.",
            f"Where the truth is known, ours is at least as close to it as the closest rival in {near} of {len(known)} "
            "cells.",
            f"Worst cell: {worst.cell}, {worst.percent:+.2f} % beside {worst.rival}.",
            f'Worse than the base rate without saying "no skill": {", ".join(careless) or "nowhere"}.',
        ]
    )  # fmt: skip


def _line(words: Sequence[str]) -> str:
    return f"| {' | '.join(words)} |"


def _show(value: float, figure: str) -> str:
    if np.isnan(value):
        return "–"
    digits = {
        "excess": 0,
        "beyond": 0,
        "ratio": 2,
        "fit_seconds": 1,
        "lift_at_10": 2,
        "level": 3,
        "slope": 2,
        "auc": 3,
    }.get(figure, 4)
    return f"{value:.{digits}f}"
