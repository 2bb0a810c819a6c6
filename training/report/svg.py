"""How a figure becomes SVG text: the same bytes every time, words kept as words."""

from __future__ import annotations

import io
import re
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes
    from matplotlib.axis import XAxis, YAxis
    from matplotlib.figure import Figure

__all__ = ["BLUE", "DARK", "GREY", "ORANGE", "as_svg", "name_rows", "put_inline", "wrap", "write_percent"]

Inputs = ParamSpec("Inputs")
GREY, DARK, BLUE, ORANGE = "#666666", "#222222", "#0072b2", "#b84e00"
_MOST_TICKS = 6


def as_svg(draw: Callable[Concatenate[Figure, Inputs], None]) -> Callable[Inputs, str]:
    """Turn what draws on a figure into a function from values to SVG text."""

    @wraps(draw)
    def paint(*inputs: Inputs.args, **named: Inputs.kwargs) -> str:
        from matplotlib.figure import Figure

        with _settled():
            figure = Figure(figsize=(5.0, 3.4), layout="constrained")
            draw(figure, *inputs, **named)
            page = io.StringIO()
            figure.savefig(page, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
        return page.getvalue()

    return paint


@contextmanager
def _settled() -> Iterator[None]:
    import matplotlib as mpl

    words = {"font.family": ["DejaVu Sans"], "font.size": 11, "text.parse_math": False, "axes.labelcolor": DARK}
    lines = {"axes.edgecolor": GREY, "axes.spines.right": False, "axes.spines.top": False, "date.converter": "concise"}
    svg = {"svg.fonttype": "none", "svg.hashsalt": "leads", "savefig.dpi": 180}
    with mpl.rc_context({**words, **lines, **svg}), warnings.catch_warnings():  # type: ignore[dict-item]
        # The browser draws the words with fonts of its own; matplotlib's need not know every letter.
        warnings.filterwarnings("ignore", message=r"(?s)Glyph .* missing from", category=UserWarning)
        # shap 0.51 still calls Colormap.set_bad and its like, which matplotlib 3.11 is about to deprecate.
        warnings.filterwarnings("ignore", message=r"The set_\w+ function", category=PendingDeprecationWarning)
        # In a notebook tqdm, which shap imports, asks for widgets that nothing here needs.
        warnings.filterwarnings("ignore", message="IProgress not found")
        yield


def put_inline(svg: str, *, label: str, name: str = "figure") -> Markup:
    """Return the SVG element alone, with a label for those who cannot see it and ids that no other figure has."""
    from markupsafe import Markup, escape

    ids = re.compile(r'(\bid="|href="#|url\(#)')
    element = re.sub(r"<[^>]+>", lambda tag: ids.sub(rf"\g<1>{name}-", tag[0]), svg[svg.index("<svg") :])
    return Markup(element.strip().replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1))


def wrap(text: str, *, width: int) -> str:
    """Break words for people into at most two lines."""
    return "\n".join(textwrap.wrap(text, width=width, max_lines=2, placeholder=" …"))


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Name the rows of a figure, the first one at height 0, and take the axis away."""
    axes.set_yticks(range(len(names)), names, fontsize=10)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=5)


def write_percent(*every: XAxis | YAxis) -> None:
    """Write the numbers of axes in percent."""
    from matplotlib.ticker import MaxNLocator

    for axis in every:
        axis.set_major_locator(MaxNLocator(_MOST_TICKS))
        axis.set_major_formatter(lambda share, _: f"{100 * share:.4g}%")
