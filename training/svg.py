"""How a figure becomes SVG text: the same bytes every time, words kept as words."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DARK", "GREY", "as_svg"]

Inputs = ParamSpec("Inputs")
GREY, DARK = "#666666", "#222222"


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
