"""A backtest as one HTML page with one figure; it asks nothing of the network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from project.pages import open_templates
from training.backtest.judgement import Backtest, Reached, say_count
from training.report.svg import BLUE, DARK, GREY, ORANGE, as_svg, put_inline

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from training.promotion.resampling import Bounds

__all__ = ["pick_lines", "render_backtest", "say_between", "say_share", "wins_by_week_figure"]

_OTHERS = ("#009e73", "#cc79a7", "#8a6d00", "#56b4e9", DARK)
_MOST_LINES = 8


def render_backtest(backtest: Backtest, *, tested_at: str) -> str:
    """Return a backtest as one self-contained page.

    Parameters
    ----------
    tested_at
        As it shall be read.
    """
    environment = open_templates(Path(__file__).parents[1] / "report" / "templates")
    environment.filters |= {"count": say_count, "between": say_between, "share": say_share}
    drawn = wins_by_week_figure(backtest)
    figure = put_inline(drawn, label="Wins reached, added up week by week, one line for each way of choosing")
    return environment.get_template("backtest.html.j2").render(backtest=backtest, tested_at=tested_at, figure=figure)


def pick_lines(backtest: Backtest) -> list[Reached]:
    """Return what the figure shows, most wins first: ours, and of each rival the better order; at most eight."""
    shown: dict[str, Reached] = {}
    for one in backtest.rivals:
        shown.setdefault(f"{one.policy.kind} {one.policy.name}", one)
    first = [one for one in shown.values() if one.policy.present]
    others = [one for one in shown.values() if not one.policy.present]
    return sorted([backtest.ours, *first, *others][:_MOST_LINES], key=lambda one: -one.by_week[-1])


@as_svg
def wins_by_week_figure(figure: Figure, backtest: Backtest) -> None:
    """Draw the wins that each policy had reached by the end of each week's calls."""
    figure.set_size_inches(7.2, 4.2)
    axes = figure.subplots()
    colours = iter(_OTHERS)
    for one in pick_lines(backtest):
        colour = BLUE if one.policy.kind == "ours" else ORANGE if one.policy.present else next(colours, GREY)
        ours = one.policy.kind == "ours"
        told = (", newest first" if one.policy.fresh else "") + (" (in use today)" if one.policy.present else "")
        name = f"{one.by_week[-1]:,}  {_shorten(one.policy.name)}{told}"
        axes.plot(
            np.array(backtest.weeks, dtype="datetime64[s]"),
            one.by_week,
            "-o" if ours else "-",
            color=colour,
            linewidth=2.6 if ours else 1.5,
            markersize=4,
            label=name,
            zorder=3 if ours else 2,
        )
    axes.set_ylim(bottom=0)
    axes.set_ylabel("wins reached so far")
    axes.set_xlabel("week of the call")
    axes.legend(loc="upper left", frameon=False, fontsize=9)


def _shorten(text: str, most: int = 38) -> str:
    """Cut a long name.

    >>> _shorten("Готов к продаже", most=6)
    'Готов…'
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"


def say_between(bounds: Bounds, *, signed: bool = False) -> str:
    """Write a value with its interval; nothing for none."""
    low, high = (say_count(bound, signed=signed) for bound in (bounds.low, bounds.high))
    return f"{say_count(bounds.value, signed=signed)} [{low}, {high}]"


def say_share(bounds: Bounds) -> str:
    """Write a share with its interval."""

    def write(share: float) -> str:
        return f"{share:.1%}" if share == share else "–"

    return f"{write(bounds.value)} [{write(bounds.low)}, {write(bounds.high)}]"
