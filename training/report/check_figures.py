"""Figures of the close look at the chosen model: its level, its order, its slices; and how long conversions take."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from training.evaluation.delay_table import DelayTable
from training.evaluation.evaluate import reliability_table
from training.evaluation.evidence import Evidence
from training.evaluation.examine import Examined
from training.evaluation.slices import Slice, SliceTable, distinct_slices
from training.report.svg import BLUE, DARK, GREY, ORANGE, as_svg, name_rows, write_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import XAxis, YAxis
    from matplotlib.figure import Figure

__all__ = ["build_check_figures", "straying_slices"]

Vector = NDArray[np.float64]
MONTH = "Month"
_POINTS = 160
_MOST_SLICES = 14
_RATIO_TICKS = (0.25, 0.5, 0.7, 1.0, 1.4, 2.0, 4.0)


def build_check_figures(evidence: Evidence) -> dict[str, str]:
    """Draw every figure of the close look that this evidence allows, by name.

    Returns
    -------
    dict
        `reliability` and `gains`; `months` where the test period has several; `slices` where leads have categories or
        ages; `delay` where delays are known.
    """
    figures = {}
    if evidence.examined is not None:
        examined = evidence.examined
        figures["reliability"] = reliability_figure(evidence, examined)
        figures["gains"] = gains_figure(examined)
        months = next((table for table in examined.slices if table.kind == MONTH), None)
        if months is not None:
            figures["months"] = months_figure(months)
        if straying_slices(examined.slices):
            figures["slices"] = slices_figure(straying_slices(examined.slices))
    if evidence.delay is not None and evidence.delay.within:
        figures["delay"] = delay_figure(evidence.delay)
    return figures


def straying_slices(tables: Sequence[SliceTable], most: int = _MOST_SLICES) -> list[tuple[str, Slice]]:
    """Return kind and slice of those that stray most surely, months aside, by kind in the order of the tables."""
    known = distinct_slices([table for table in tables if table.kind != MONTH])
    worst = sorted(range(len(known)), key=lambda place: (known[place][1].p_value, place))[:most]
    return [known[place] for place in sorted(worst)]


@as_svg
def reliability_figure(figure: Figure, evidence: Evidence, examined: Examined) -> None:
    """Draw the isotonic curve over the band of perfect models, the bins before calibration, and a histogram."""
    figure.set_figheight(4.4)
    curve = examined.calibration.curve
    before = reliability_table(evidence.raw_probability, evidence.converted)
    raw = [np.array([row[key] for row in before]) for key in ("said", "seen")]
    # the last few leads reach far: they must not squeeze all others into a corner
    end = float(np.quantile(evidence.probability, 0.998))
    inside = curve.said <= end
    limit = min(1.0, 1.08 * max(0.01, end, *(part.max() for part in raw), float(curve.seen[inside].max(initial=0.0))))
    said = np.linspace(float(curve.said[0]), max(end, float(curve.said[0])), _POINTS)
    low, seen, high = (np.interp(said, curve.said, part) for part in (curve.low, curve.seen, curve.high))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    upper.fill_between(said, low, high, color=GREY, alpha=0.25, linewidth=0, label="90% of perfect models")
    upper.plot([0, limit], [0, limit], color=GREY, linestyle="--", linewidth=1, label="said = seen")
    upper.plot(*raw, "D", color=ORANGE, alpha=0.5, markersize=5, label="before calibration")
    upper.plot(said, seen, color=BLUE, linewidth=2, label="calibrated")
    upper.set(ylim=(-0.02 * limit, limit), ylabel="seen: share converted")
    upper.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=9.5, columnspacing=1)
    lower.hist(np.clip(evidence.probability, 0, limit), bins=np.linspace(0, limit, 41).tolist(), color=BLUE, alpha=0.6)
    lower.spines["left"].set_visible(False)
    lower.set(xlim=(-0.02 * limit, limit), xlabel="said: probability", yticks=[])
    write_percent(upper.yaxis, lower.xaxis)


@as_svg
def gains_figure(figure: Figure, examined: Examined) -> None:
    """Draw the share of conversions that the top of the list holds with its interval, the team's share marked."""
    share, reached, low, high = examined.gains.T
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
    axes.fill_between(share, low, high, where=~np.isnan(low), color=BLUE, alpha=0.2, linewidth=0)
    axes.plot(share, reached, color=BLUE, linewidth=2)
    top = examined.reached
    if 0 < top.share < 1 and not np.isnan(top.conversions.value):
        height = top.conversions.value
        axes.plot([top.share, top.share, 0], [0, height, height], "-o", color=ORANGE, linewidth=1, markevery=[1])
        place, side = (top.share + 0.025, "left") if top.share < 0.5 else (top.share - 0.025, "right")
        words = f"the top {top.share:.0%} holds\n{height:.0%} of conversions"
        axes.annotate(words, (place, 0.04), ha=side, color=ORANGE)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="leads, highest probability first", ylabel="conversions reached")
    write_percent(axes.xaxis, axes.yaxis)


@as_svg
def months_figure(figure: Figure, table: SliceTable) -> None:
    """Draw observed over expected by month: its own interval, and what remains after borrowing from other months."""
    figure.set_figheight(2.9)
    axes = figure.subplots()
    places = np.arange(len(table.slices))
    for place, one in zip(places.tolist(), table.slices, strict=True):
        axes.plot([place, place], [max(one.ratio.low, 1e-3), one.ratio.high], color=_colour(one), alpha=0.45)
        if one.ratio.value > 0:
            axes.plot(place, one.ratio.value, "o", color=_colour(one), markerfacecolor="white", markersize=5)
    axes.plot(places, [one.pooled.value for one in table.slices], "-o", color=BLUE, markersize=4, linewidth=1.5)
    axes.axhline(1, color=DARK, linewidth=1, zorder=0)
    every = max(1, -(-len(places) // 8))
    axes.set_xticks(places[::every], [one.name for one in table.slices][::every], fontsize=9.5)
    axes.set_ylabel("observed / expected")
    _scale_ratio(axes, axes.yaxis, table.slices, vertical=True)


@as_svg
def slices_figure(figure: Figure, slices: Sequence[tuple[str, Slice]]) -> None:
    """Draw observed over expected of slices, a row each: hollow its own with its interval, full after borrowing."""
    figure.set_figheight(1.0 + 0.34 * len(slices))
    axes = figure.subplots()
    for place, (_, one) in enumerate(slices):
        axes.plot([max(one.ratio.low, 1e-3), one.ratio.high], [place, place], color=_colour(one), alpha=0.45)
        if one.ratio.value > 0:
            axes.plot(one.ratio.value, place, "o", color=_colour(one), markerfacecolor="white", markersize=5)
        axes.plot(one.pooled.value, place, "o", color=_colour(one), markersize=5)
    axes.axvline(1, color=DARK, linewidth=1, zorder=0)
    names = [textwrap.shorten(f"{kind}: {one.name}", 34, placeholder=" …") for kind, one in slices]
    name_rows(axes, [f"{name} ({one.leads:,})" for name, (_, one) in zip(names, slices, strict=True)])
    axes.tick_params(axis="y", labelsize=9)
    axes.set_ylim(len(slices) - 0.4, -0.6)
    axes.set_xlabel("observed / expected")
    _scale_ratio(axes, axes.xaxis, [one for _, one in slices], vertical=False)


def _colour(one: Slice) -> str:
    return ORANGE if one.off else BLUE


def _scale_ratio(axes: Axes, axis: XAxis | YAxis, slices: Sequence[Slice], *, vertical: bool) -> None:
    """Lay ratios on a logarithmic scale with all values, and never less than 0.7 to 1.4; long intervals run out."""
    from matplotlib.ticker import FixedLocator, NullLocator

    values = [v for one in slices for v in (one.ratio.value, one.pooled.value) if v > 0]
    low, high = (float(np.clip(v, 0.2, 5.0)) for v in (min([0.7, *values]) / 1.15, max([1.4, *values]) * 1.15))
    (axes.set_yscale if vertical else axes.set_xscale)("log")
    (axes.set_ylim if vertical else axes.set_xlim)(low, high)
    axis.set_major_locator(FixedLocator([tick for tick in _RATIO_TICKS if low <= tick <= high]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(lambda ratio, _: f"{ratio:.4g}")


@as_svg
def delay_figure(figure: Figure, curve: DelayTable) -> None:
    """Draw the share of the conversions within the horizon that came by a day, with its interval."""
    axes = figure.subplots()
    axes.fill_between(curve.days, curve.low, curve.high, color=BLUE, alpha=0.2, linewidth=0)
    axes.plot(curve.days, curve.share, color=BLUE, linewidth=2)
    half = curve.days_until(0.5)
    axes.plot([half, half, 0], [0, 0.5, 0.5], "-o", color=ORANGE, linewidth=1, markevery=[1])
    axes.annotate(f"half within {half:.3g} days", (half + 0.025 * curve.horizon_days, 0.44), color=ORANGE)
    axes.set(xlim=(0, curve.horizon_days), ylim=(0, 1.02), xlabel="days since the lead came in")
    axes.set_ylabel("conversions within the horizon")
    write_percent(axes.yaxis)
