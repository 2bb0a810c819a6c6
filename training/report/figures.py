"""Figures of the report as SVG text: the same bytes every time, words kept as words, colours safe for the colour-blind.

Text is laid out for a wide font; the page may show it in any narrower one.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.columns import ModelColumn, encode_frame
from training.evaluation.evidence import BASE, Evidence
from training.report.check_figures import build_check_figures
from training.report.svg import BLUE, DARK, GREY, ORANGE, as_svg, name_rows, wrap, write_percent

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["CONTENDER_NAMES", "build_figures"]

Vector = NDArray[np.float64]

CONTENDER_NAMES: Mapping[str, str] = {
    "base_rate": "Base rate",
    "naive_bayes": "Naive Bayes",
    "logistic": "Logistic regression",
    "lightgbm": "LightGBM",
    "blend": "Blend",
    "odoo_naive_bayes": "Odoo naive Bayes",
}
_PERIOD_TINTS = {"fit": "#e3eef6", "forward": "#fdeccd", "test": "#dff1e7"}
_MOST_ROWS, _MOST_LEVELS, _MOST_TICKS = 10, 12, 6


def build_figures(evidence: Evidence) -> dict[str, str]:
    """Draw every figure that this evidence allows, by name.

    Returns
    -------
    dict
        `base_rate` (with dates), `comparison`, those of `build_check_figures`, and, where the model uses any feature,
        `beeswarm` and `dependence_1` to `dependence_3` in the order of `leading_features`.
    """
    leading = evidence.leading_features(3)
    figures = {
        "base_rate": base_rate_figure if evidence.base_rate_by_month else None,
        "comparison": comparison_figure if set(evidence.judged) != {BASE} else None,
        "beeswarm": beeswarm_figure if leading else None,
    }
    drawn = {name: draw(evidence) for name, draw in figures.items() if draw is not None}
    dependence = {f"dependence_{n}": dependence_figure(evidence, column) for n, (column, _) in enumerate(leading, 1)}
    return drawn | build_check_figures(evidence) | dependence


@as_svg
def base_rate_figure(figure: Figure, evidence: Evidence) -> None:
    """Draw the share that converted by month with its interval, over the number of leads; needs dates."""
    rows = evidence.base_rate_by_month
    month = np.array([f"{row['month']}-15" for row in rows], dtype="datetime64[D]")
    rate, low, high, leads = (_numbers(rows, key) for key in ("rate", "low", "high", "leads"))
    axes = figure.subplots()
    bars = axes.twinx()
    bars.bar(month, leads, color="#9aa4ab", alpha=0.45, width=np.timedelta64(22, "D"))
    bars.set(ylim=(0, max(1.0, 3.2 * leads.max())), yticks=[0, leads.max()], yticklabels=["0", f"{leads.max():,.0f}"])
    bars.set_ylabel("leads a month", color=GREY, loc="bottom")
    bars.tick_params(length=0, labelcolor=GREY)
    axes.set_zorder(bars.get_zorder() + 1)
    axes.patch.set_visible(False)
    _shade_periods(bars, evidence)
    axes.fill_between(month, low, high, color=BLUE, alpha=0.2, linewidth=0)
    axes.vlines(month, low, high, color=BLUE, alpha=0.35, linewidth=1)
    axes.plot(month, rate, color=BLUE, marker="o", markersize=4)
    # A month of three leads has an interval up to one; it must not flatten the others.
    axes.set(ylim=(0, np.clip(1.05 * min(high.max(), 2 * rate.max()), 0.01, 1)), ylabel="share converted")
    write_percent(axes.yaxis)
    axes.tick_params(axis="x", labelsize=10)


def _shade_periods(axes: Axes, evidence: Evidence) -> None:
    for period in evidence.split.periods.values():
        if period.first is not None and period.last is not None:
            start, end = (np.datetime64(moment, "s") for moment in (period.first, period.last))
            axes.axvspan(start, end, color=_PERIOD_TINTS[period.name], zorder=0, linewidth=0)  # type: ignore[arg-type]
            place = (start + (end - start) / 2, 1.01)
            axes.annotate(period.name, place, xycoords=("data", "axes fraction"), ha="center")


@as_svg
def comparison_figure(figure: Figure, evidence: Evidence) -> None:
    """Draw each contender's log loss minus the base rate's, with its interval."""
    rivals = [judged for name, judged in evidence.judged.items() if name != BASE]
    figure.set_figheight(1.4 + 0.62 * len(rivals))
    axes = figure.subplots()
    for place, rival in enumerate(rivals):
        colour = BLUE if rival.name == evidence.chosen else GREY
        gap = rival.against_base
        axes.plot([gap.low, gap.value, gap.high], [place] * 3, "-o", color=colour, markersize=8, markevery=[1])
        words = f"{gap.value:+.4f}".replace("-", "\N{MINUS SIGN}")
        white = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        axes.annotate(words, (gap.value, place - 0.2), ha="center", va="bottom", color=colour, bbox=white)
    axes.axvline(0, color=DARK, linewidth=1, zorder=0)
    axes.margins(x=0.16)
    axes.set_xlabel("log loss minus the base rate's\n\N{LEFTWARDS ARROW} better | worse \N{RIGHTWARDS ARROW}")
    name_rows(axes, [wrap(CONTENDER_NAMES.get(rival.name, rival.name), width=12) for rival in rivals])
    axes.set_ylim(len(rivals) - 0.4, -0.75)


@as_svg
def beeswarm_figure(figure: Figure, evidence: Evidence) -> None:
    """Draw the contributions of the leading features, a dot a snapshot; some feature must contribute."""
    import shap
    from matplotlib.colors import LinearSegmentedColormap

    leading = [column for column, _ in evidence.leading_features(_MOST_ROWS)]
    figure.set_figheight(1.3 + 0.46 * len(leading))
    axes = figure.subplots()
    explanation = shap.Explanation(
        values=np.column_stack([_contribution(evidence, column) for column in leading]),
        data=_colour_values(evidence.sample, leading),
        feature_names=[wrap(column.en, width=22) for column in leading],
    )
    colours = LinearSegmentedColormap.from_list("low_high", [BLUE, "#b9a9b5", "#e66100"])
    with _fixed_chance():
        shap.plots.beeswarm(explanation, max_display=99, color=colours, ax=axes, show=False, plot_size=None, s=11)
    for dots in axes.collections:
        dots.set_rasterized(True)
    axes.set_xlabel("contribution, log-odds", fontsize=11)
    axes.tick_params(axis="y", labelsize=9.5, length=0)
    figure.axes[-1].set_ylabel("value of the feature", fontsize=10, labelpad=-12)


@contextmanager
def _fixed_chance() -> Iterator[None]:
    """Give shap, which jitters with NumPy's global generator, the same chance every time; leave no trace there."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


def _colour_values(sample: pd.DataFrame, columns: Sequence[ModelColumn]) -> pd.DataFrame:
    """Return what colours the dots; a column of dtype object stays grey: a category, or numbers that hardly vary."""
    import pandas as pd

    frame = pd.DataFrame(encode_frame(sample, columns)[:, : len(columns)])
    bottom, top = frame.quantile(0.01), frame.quantile(0.99)
    grey = [n for n, column in enumerate(columns) if column.kind == "category" or not bottom[n] < top[n]]
    return frame.astype(dict.fromkeys(grey, "object"))


@as_svg
def dependence_figure(figure: Figure, evidence: Evidence, column: ModelColumn) -> None:
    """Draw value against contribution, a dot a snapshot; of a category the mean contribution of each level."""
    draw = _draw_levels if column.kind == "category" else _draw_values
    draw(figure, encode_frame(evidence.sample, [column])[:, 0], _contribution(evidence, column), column=column)


def _draw_levels(figure: Figure, codes: Vector, added: Vector, *, column: ModelColumn) -> None:
    import pandas as pd

    words = np.array([*column.frequent, "a rare value", column.unknown_en], dtype=object)
    level = words[np.where(np.isnan(codes), len(words) - 1, codes).astype(np.intp)]
    table = pd.Series(added).groupby(level).agg(["size", "mean"]).nlargest(_MOST_LEVELS, "size").sort_values("mean")
    figure.set_figheight(1.3 + 0.31 * len(table))
    axes = figure.subplots()
    colours = [BLUE if mean >= 0 else ORANGE for mean in table["mean"]]
    axes.barh(range(len(table)), table["mean"], color=colours, height=0.7)
    axes.axvline(0, color=DARK, linewidth=1)
    axes.set(title=wrap(column.en, width=40), xlabel="mean contribution, log-odds")
    name_rows(axes, [textwrap.shorten(str(word), 22, placeholder=" …") for word in table.index])


def _draw_values(figure: Figure, value: Vector, added: Vector, *, column: ModelColumn) -> None:
    axes = figure.subplots()
    known = ~np.isnan(value)
    label = wrap(column.en, width=44)
    axes.axhline(0, color=GREY, linewidth=1)
    axes.scatter(value[known], added[known], s=16, color=BLUE, alpha=0.35, linewidth=0, rasterized=True)
    if not known.all():
        mean = f"{added[~known].mean():+.2f}".replace("-", "\N{MINUS SIGN}")
        words = wrap(f"{column.unknown_en} ({np.mean(~known):.0%}): {mean} on average", width=48)
        axes.set_title(words, loc="left", fontsize=10, color=GREY)
    low, high = np.quantile(value[known], [0.01, 0.99]) if known.any() else (0.0, 0.0)
    if 0 < 2.5 * (high - low) < np.ptp(value[known]):
        axes.set_xlim(low - 0.04 * (high - low), high + 0.04 * (high - low))
        label += "\n(outermost 1% at either end not drawn)"
    axes.locator_params(axis="x", nbins=_MOST_TICKS)
    axes.set(xlabel=label, ylabel="contribution, log-odds")


def _contribution(evidence: Evidence, column: ModelColumn) -> Vector:
    return evidence.contributions[:, [known.name for known in evidence.columns].index(column.name)]


def _numbers(rows: Sequence[Mapping[str, object]] | Sequence[Mapping[str, float]], key: str) -> Vector:
    return np.array([row[key] for row in rows], dtype=np.float64)
