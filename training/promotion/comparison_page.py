"""The comparison of two models as one HTML page with one figure; it asks nothing of the network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from project.pages import open_templates
from training.promotion.verdict import Comparison, say_bounds, say_number
from training.report.svg import DARK, GREY, as_svg, put_inline

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["gains_by_slice_figure", "render_comparison"]

_BLUE, _ORANGE = "#0072b2", "#b84e00"
_MOST_SLICES = 18


def render_comparison(comparison: Comparison, *, project: str, compared_at: str) -> str:
    """Return a comparison as one self-contained page.

    Parameters
    ----------
    compared_at
        As it shall be read.
    """
    environment = open_templates(Path(__file__).parents[1] / "report" / "templates")
    environment.filters |= {"number": say_number, "bounds": say_bounds}
    figure = None
    if comparison.lines:
        drawn = gains_by_slice_figure(comparison)
        figure = put_inline(drawn, label="Gain in log loss per lead: all leads and every slice")
    return environment.get_template("comparison.html.j2").render(
        comparison=comparison, project=project, compared_at=compared_at, figure=figure
    )


@as_svg
def gains_by_slice_figure(figure: Figure, comparison: Comparison) -> None:
    """Draw the mean gain in log loss per lead with its bounds: of all leads, and of the slices with most leads."""
    gain = comparison.line("log_loss").difference
    assert gain is not None
    largest = sorted(comparison.slices, key=lambda one: -one.leads)[:_MOST_SLICES]
    shown = sorted(
        largest, key=lambda one: (one.kind != "month", one.kind, one.level if one.kind == "month" else -one.leads)
    )
    rows = [(f"all {comparison.ground['leads']:,} leads", gain, _BLUE)]
    rows += [
        (f"{_shorten(f'{one.kind}: {one.level}')} ({one.leads:,})", one.gain, _ORANGE if one.worse else GREY)
        for one in shown
    ]
    figure.set_size_inches(7.0, 1.3 + 0.3 * len(rows))
    axes = figure.subplots()
    for place, (_, bounds, colour) in enumerate(rows):
        axes.plot([bounds.low, bounds.value, bounds.high], [place] * 3, "-o", color=colour, markersize=6, markevery=[1])
    axes.axvline(0, color=DARK, linewidth=1, zorder=0)
    axes.set_yticks(np.arange(len(rows)), [name for name, _, _ in rows])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel(
        "log loss per lead, of champion minus challenger\n"
        "\N{LEFTWARDS ARROW} challenger worse | challenger better \N{RIGHTWARDS ARROW}"
    )


def _shorten(text: str, most: int = 34) -> str:
    """Cut a long name.

    >>> _shorten("campaign: spring", most=12)
    'campaign: s…'
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"
