"""What thresholds would bring as one HTML page with one figure; it asks nothing of the network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from project.pages import open_templates
from training.banding.solve import Line, Mark, Solution
from training.banding.words import HEADER, say_ground, say_line, say_solution
from training.report.svg import BLUE, DARK, GREY, ORANGE, as_svg, put_inline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from project.settings import CapacitySettings
    from training.evaluation.evaluate import Interval

__all__ = ["bands_figure", "render_bands"]

_LABELS: dict[Mark, str] = {
    "present": "now",
    "capacity": "capacity",
    "break-even": "break-even",
    "margin": "best margin",
    "promise": "precision proved",
}
_STYLES: dict[Mark, tuple[str, str]] = {
    "present": (DARK, "-"),
    "capacity": (ORANGE, "--"),
    "break-even": (GREY, ":"),
    "promise": ("#1a7f37", "-."),
}


def render_bands(solution: Solution, capacity: CapacitySettings, *, project: str, model_id: str, asked_at: str) -> str:
    """Return what thresholds would bring as one self-contained page.

    Parameters
    ----------
    asked_at
        As it shall be read.
    """
    environment = open_templates(Path(__file__).parents[1] / "report" / "templates")
    drawn = bands_figure(solution, capacity.currency)
    return environment.get_template("bands.html.j2").render(
        project=project,
        model_id=model_id,
        asked_at=asked_at,
        figure=put_inline(drawn, label="Wins and margin a week against calls a week"),
        words=say_solution(solution, capacity),
        ground=say_ground(solution),
        header=HEADER,
        lines=[(line.marks, say_line(line, capacity.currency)) for line in _told_apart(solution)],
    )


def _told_apart(solution: Solution) -> list[Line]:
    """Return the lines that have leads, without those that hold the same leads as the stricter one before them."""
    before = [0.0, *(line.calls.value for line in solution.lines)]
    return [
        line
        for line, earlier in zip(solution.lines, before[:-1], strict=True)
        if line.marks or line.calls.value > earlier
    ]


@as_svg
def bands_figure(figure: Figure, solution: Solution, currency: str) -> None:
    """Draw wins, and margin where money is known, against calls a week, with lines where thresholds mean something."""
    lines = [line for line in solution.lines if line.calls.value > 0]
    calls = [line.calls.value for line in lines]
    margins = [line.margin for line in lines if line.margin is not None]
    panels = 2 if margins else 1
    figure.set_size_inches(7.0, 0.6 + 2.9 * panels)
    axes = figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
    _draw(axes[0], calls, [line.wins for line in lines], "wins a week")
    if margins:
        _draw(axes[1], calls, margins, f"margin a week{f', {currency}' if currency else ''}")
        axes[1].axhline(0, color=GREY, linewidth=0.8, zorder=0)
    for mark, (colour, style) in _STYLES.items():
        line = solution.find(mark)
        for number, panel in enumerate(axes if line is not None and line.calls.value > 0 else ()):
            name = _LABELS[mark] if number == 0 else None
            panel.axvline(line.calls.value, color=colour, linestyle=style, linewidth=1.5, label=name)  # type: ignore[union-attr]
    best = solution.find("margin")
    if best is not None and best.margin is not None:
        axes[1].plot([best.calls.value], [best.margin.value], "o", color=ORANGE, label=_LABELS["margin"])
        axes[1].legend(framealpha=1.0, edgecolor="none", fontsize=10, loc="lower right")
    axes[0].legend(framealpha=1.0, edgecolor="none", fontsize=10, loc="lower right")
    axes[-1].set_xlabel("calls a week (SQLs)")


def _draw(axes: Axes, calls: list[float], found: list[Interval], label: str) -> None:
    axes.fill_between(
        calls, [one.low for one in found], [one.high for one in found], color=BLUE, alpha=0.15, linewidth=0
    )
    axes.plot(calls, [one.value for one in found], color=BLUE, linewidth=1.8)
    axes.set_ylabel(label)
