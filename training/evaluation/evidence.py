"""Everything a report tells about one training: computed once, as values; figures and pages only show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from training.evaluation.decomposition import Decomposition, decompose
from training.evaluation.evaluate import (
    Interval,
    Metrics,
    evaluate_probabilities,
    log_loss_per_row,
    ratios_with_intervals,
)
from training.evaluation.perfect import draw_cells, smooth_errors
from training.evaluation.ranking import auc_with_interval, average_precision_with_interval

if TYPE_CHECKING:
    import pandas as pd

    from features.tables import TableCount
    from models.columns import ModelColumn
    from training.evaluation.certificate import Certificate
    from training.evaluation.delay_table import DelayTable
    from training.evaluation.examine import Examined
    from training.evaluation.skill import Together
    from training.evaluation.sooner import SoonerTable
    from training.evaluation.weighted import Weighted
    from training.fitting.ladder import Step
    from training.fitting.recency import RecencyTrial
    from training.leaks.verdict import Verdict
    from training.selection import Selection
    from training.split import Split

__all__ = ["BandRow", "Evidence", "Judged", "judge", "rate_by_age", "rate_by_month"]

BASE = "base_rate"


@dataclass(frozen=True)
class Judged:
    """The test period's verdict on one set of probabilities.

    Attributes
    ----------
    log_loss, brier
        With 95 % intervals, bootstrapped over groups (accounts, and who shares a phone or an address).
    against_base
        Its log loss minus the base rate's, paired; below zero it is better.
    against_chosen
        Its log loss minus the chosen model's, paired; above zero the chosen model is better.
    auc, average_precision
        Areas under the ROC and the precision-recall curve, with 95 % intervals.
    observed_over_expected
        Conversions over the sum of the probabilities, with its 95 % interval.
    smooth_error
        Smooth calibration error; `Examined` has it beside its noise floor.
    parts
        What its log loss is made of.
    """

    name: str
    metrics: Metrics
    log_loss: Interval
    brier: Interval
    against_base: Interval
    against_chosen: Interval
    auc: Interval
    average_precision: Interval
    observed_over_expected: Interval
    smooth_error: float
    parts: Decomposition


@dataclass(frozen=True)
class BandRow:
    """One band in the test period: volume in new leads a week (null without dates), share, and what converted."""

    band: str
    low: float
    high: float
    leads_per_week: float | None
    share: float
    snapshots: int
    precision: Interval | None


@dataclass(frozen=True)
class Evidence:
    """What one training found.

    Attributes
    ----------
    skill
        Whether the chosen model is shown to be better than the base rate, by the test period or by `together`.
    judged
        Every contender by name, `base_rate` first; `chosen` names the one that was saved.
    probability, converted
        The chosen model on the test period's snapshots.
    raw_probability
        The same before calibration.
    contributions
        Log-odds, shape (sampled rows, columns), for the rows of `sample`.
    base_rate_by_month
        `month` (text), `leads`, `rate`, `low`, `high`, of all mature first snapshots; empty without dates.
    by_age
        `age_days`, `n`, `base_rate`, `log_loss`, `log_loss_base`, `auc`, in the test period; empty without dates.
    leaks
        What the leak court found suspicious or a leak, used or not.
    examined
        A close look at the chosen model; null leaves its sections out of the report.
    delay
        How long conversions took; null without dates.
    steps
        The ladder, rung by rung.
    together
        The chosen model beside the base rate on the test period and on earlier forward leads; null if the base rate is
        chosen, or where there are none that earlier models knew nothing of. All other figures are of the test period.
    promises
        Which precision can be promised above which threshold.
    recency
        What counting old leads less was worth; null without dates.
    selection
        Who was worked, where leads.toml says so, and `weighted`: the figures of the test period weighted to all leads,
        where chances were logged.
    sooner
        The chosen model within the horizons of `outcome.sooner`; empty if there are none, or nothing can be told.
    """

    project: str
    chosen: str
    skill: bool
    horizon: str
    split: Split
    judged: Mapping[str, Judged]
    probability: NDArray[np.float64]
    raw_probability: NDArray[np.float64]
    converted: NDArray[np.bool_]
    base_rate_by_month: Sequence[Mapping[str, object]]
    by_age: Sequence[Mapping[str, float]]
    bands: Sequence[BandRow]
    sample: pd.DataFrame
    contributions: NDArray[np.float64]
    columns: Sequence[ModelColumn]
    counts: Mapping[str, TableCount]
    immature: int
    immature_leads: int
    warnings: Sequence[str]
    leaks: Sequence[Verdict] = ()
    examined: Examined | None = None
    delay: DelayTable | None = None
    steps: Sequence[Step] = ()
    recency: RecencyTrial | None = None
    promises: Sequence[Certificate] = ()
    selection: Selection | None = None
    weighted: Weighted | None = None
    together: Together | None = None
    sooner: Sequence[SoonerTable] = ()

    @property
    def headline(self) -> str:
        """Is there skill, how much, and what that rests on, in a sentence or three."""
        best = self.judged[self.chosen]
        gain = -best.against_base.value / self.judged[BASE].log_loss.value
        if not self.skill:
            return (
                "No skill: on the test period the chosen model is not shown to be better than the base rate "
                f"(log loss {best.metrics.log_loss:.4f}, base rate {self.judged[BASE].metrics.log_loss:.4f})"
                f"{self._say_why_not()}."
            )
        return (
            f"Log loss {best.metrics.log_loss:.4f} against {self.judged[BASE].metrics.log_loss:.4f} of the base rate: "
            f"{gain:.1%} less. {self._say_ground()}The tenth with the highest probability converts "
            f"{best.metrics.lift_at_10:.1f} times as often as all leads."
        )

    def _say_ground(self) -> str:
        """Say what skill rests on where the test period alone does not show it."""
        if self.together is None or self.judged[self.chosen].against_base.high < 0:
            return ""
        return (
            "On the test period alone chance cannot be ruled out; by the order of those and of "
            f"{self.together.forward_leads:,} leads of the earlier forward periods it can. "
        )

    def _say_why_not(self) -> str:
        """Say what earlier forward leads add where there is no skill."""
        if self.together is None:
            return ""
        more = f"{self.together.forward_leads:,} leads of the earlier forward periods"
        if not self.together.beats_chance:
            return f", nor does the order of these and of {more} show it"
        return f"; the order of these and of {more} is better than chance, but on the latest leads the log loss is not"

    def leading_features(self, most: int = 15) -> list[tuple[ModelColumn, float]]:
        """Return the columns with the largest mean absolute contribution, largest first."""
        size = np.abs(self.contributions).mean(axis=0) if len(self.contributions) else np.zeros(len(self.columns))
        order = np.argsort(-size, kind="stable")[:most]
        return [(self.columns[place], float(size[place])) for place in order if size[place] > 0]


def judge(
    probabilities: Mapping[str, NDArray[np.float64]],
    converted: NDArray[np.bool_],
    *,
    chosen: str,
    groups: NDArray[np.int64],
    seed: int,
) -> dict[str, Judged]:
    """Evaluate every contender on the same rows, each beside the base rate and beside the chosen one.

    All intervals of means come from the same draws of groups.
    """
    losses = {name: log_loss_per_row(one, converted) for name, one in probabilities.items()}
    wins = converted.astype(np.float64)
    # 4 columns a contender: log loss, Brier, log loss minus the base rate's and minus the chosen one's
    columns = [
        part
        for name, one in probabilities.items()
        for part in (losses[name], (one - wins) ** 2, *(losses[name] - losses[rival] for rival in (BASE, chosen)))
    ]
    means = ratios_with_intervals(np.column_stack(columns), np.ones((len(wins), 1)), groups=groups, seed=seed)
    ratios = ratios_with_intervals(
        np.column_stack([wins] * len(losses)), np.column_stack(list(probabilities.values())), groups=groups, seed=seed
    )
    judged = {}
    for place, (name, one) in enumerate(probabilities.items()):
        log_loss, brier, against_base, against_chosen = means[4 * place : 4 * place + 4]
        judged[name] = Judged(
            name=name,
            metrics=evaluate_probabilities(one, converted),
            log_loss=log_loss,
            brier=brier,
            against_base=against_base,
            against_chosen=against_chosen,
            auc=auc_with_interval(one, converted, groups=groups),
            average_precision=average_precision_with_interval(one, converted, groups=groups),
            observed_over_expected=ratios[place],
            smooth_error=_smooth_error(one, converted),
            parts=decompose(one, converted, score="log_loss"),
        )
    return judged


def _smooth_error(probability: NDArray[np.float64], converted: NDArray[np.bool_]) -> float:
    cells = draw_cells(probability, converted, leads=np.arange(len(converted)), seed=0, draws=0)
    return float(smooth_errors(cells, cells.wins[None])[0])


def rate_by_month(examples: pd.DataFrame) -> list[dict[str, object]]:
    """Return the share of leads that converted, by the month they came in, with 95 % Clopper–Pearson intervals."""
    from scipy import stats

    if examples["as_of"].isna().all():
        return []
    first = examples.sort_values("as_of").drop_duplicates("lead_id")
    months = first.groupby(first["created_at"].dt.strftime("%Y-%m"))["converted"].agg(["size", "sum"])
    rows: list[dict[str, object]] = []
    for month, n, wins in zip(months.index, months["size"].tolist(), months["sum"].tolist(), strict=True):
        low = float(stats.beta.ppf(0.025, wins, n - wins + 1)) if wins else 0.0
        high = float(stats.beta.ppf(0.975, wins + 1, n - wins)) if wins < n else 1.0
        rows.append({"month": str(month), "leads": n, "rate": wins / n, "low": low, "high": high})
    return rows


def rate_by_age(
    test: pd.DataFrame, probability: NDArray[np.float64], base: NDArray[np.float64]
) -> list[dict[str, float]]:
    """Return the metrics of the test period by the age at which leads were looked at."""
    if test["as_of"].isna().all():
        return []
    ages = ((test["as_of"] - test["created_at"]).dt.total_seconds() / 86_400).to_numpy()
    converted = test["converted"].to_numpy(dtype=np.bool_)
    rows = []
    for age in np.unique(ages):
        inside = ages == age
        own = evaluate_probabilities(probability[inside], converted[inside])
        loss_base = float(np.mean(log_loss_per_row(base[inside], converted[inside])))
        rows.append(
            {
                "age_days": float(age),
                "n": float(own.n),
                "base_rate": own.base_rate,
                "log_loss": own.log_loss,
                "log_loss_base": loss_base,
                "auc": own.auc,
            }
        )
    return rows
