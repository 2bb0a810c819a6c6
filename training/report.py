"""The report of one training: a single HTML file that asks nothing of the network."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from project.duration import format_duration
from training.evaluate import Interval
from training.evidence import BASE, BandRow, Evidence
from training.figures import CONTENDER_NAMES

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

    from features.tables import TableCount

__all__ = ["render_report"]

_UNKNOWN = "–"
_MINUS = "\N{MINUS SIGN}"
_MOST_REASONS = 3
_FIGURE_LABELS = {
    "base_rate": "Share of leads that converted, by month",
    "comparison": "Log loss of each contender minus that of the base rate",
    "reliability": "Reliability: probability said against share seen",
    "gains": "Cumulative gains: share of conversions among the leads with the highest probability",
    "beeswarm": "Contributions of the leading features, one dot a snapshot",
}


def render_report(evidence: Evidence, figures: Mapping[str, str], *, model_id: str, trained_at: str) -> str:
    """Return the report as one self-contained HTML page.

    Parameters
    ----------
    figures
        Name to SVG, from `build_figures`; a figure that is not there is left out.
    trained_at
        As it shall be read; shown in the footer.
    """
    leading = evidence.leading_features()
    labels = _FIGURE_LABELS | {
        f"dependence_{number}": f"Value against contribution: {column.en}"
        for number, (column, _) in enumerate(leading, start=1)
    }
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            evidence=evidence,
            base=evidence.judged[BASE],
            best=evidence.judged[evidence.chosen],
            leading=leading,
            figures={name: _inline(svg, name=name, label=labels.get(name, name)) for name, svg in figures.items()},
            model_id=model_id,
            trained_at=trained_at,
        )
    )


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "age": _say_age,
        "contender": lambda name: CONTENDER_NAMES.get(name, name),
        "count": _count,
        "day": _say_day,
        "fixed": _fixed,
        "percent": _percent,
        "range": _say_range,
        "reasons": _say_reasons,
        "signed": _signed,
        "thresholds": _say_thresholds,
    }
    return environment


def _inline(svg: str, *, name: str, label: str) -> Markup:
    """Return the SVG element alone, with a name for those who cannot see it and ids that no other figure has."""
    from markupsafe import Markup, escape

    ids = re.compile(r'(\bid="|href="#|url\(#)')
    element = re.sub(r"<[^>]+>", lambda tag: ids.sub(rf"\g<1>{name}-", tag[0]), svg[svg.index("<svg") :])
    return Markup(element.strip().replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1))


def _fixed(value: float | None, digits: int = 4) -> str:
    """Write a number with a fixed count of digits.

    >>> _fixed(0.12345), _fixed(-1.5, 2), _fixed(-0.001, 2), _fixed(float("nan")), _fixed(None)
    ('0.1235', '−1.50', '0.00', '–', '–')
    """
    if value is None or not math.isfinite(value):
        return _UNKNOWN
    return f"{value:z.{digits}f}".replace("-", _MINUS)


def _signed(value: float, digits: int = 4) -> str:
    """Write a difference with its sign.

    >>> _signed(0.0123), _signed(-0.0123)
    ('+0.0123', '−0.0123')
    """
    return ("+" if value > 0 else "") + _fixed(value, digits)


def _percent(value: float | None, digits: int = 1) -> str:
    """Write a share in percent.

    >>> _percent(0.1234), _percent(None), _percent(0.00071, 2)
    ('12.3%', '–', '0.07%')
    """
    return _UNKNOWN if value is None or not math.isfinite(value) else f"{_fixed(100 * value, digits)}%"


def _count(value: float | None) -> str:
    """Write a whole number with separators.

    >>> _count(1234567), _count(None)
    ('1,234,567', '–')
    """
    return _UNKNOWN if value is None or not math.isfinite(value) else f"{value:,.0f}".replace("-", _MINUS)


def _say_range(interval: Interval, kind: str = "fixed") -> str:
    """Write the two ends of an interval.

    >>> _say_range(Interval(0.2, 0.1, 0.3), "percent"), _say_range(Interval(0.0, -0.1, 0.1))
    ('[10.0%, 30.0%]', '[−0.1000, 0.1000]')
    """
    write = _percent if kind == "percent" else _fixed
    return f"[{write(interval.low)}, {write(interval.high)}]"


def _say_day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else _UNKNOWN


def _say_age(days: float) -> str:
    """Write an age in its largest unit.

    >>> _say_age(0), _say_age(1 / 24), _say_age(7)
    ('on arrival', '1h', '7d')
    """
    return format_duration(timedelta(days=days)) if days else "on arrival"


def _say_reasons(count: TableCount) -> str:
    """Write the most frequent reasons of rejection with their counts."""
    ordered = sorted(count.reasons.items(), key=lambda entry: (-entry[1], entry[0]))
    shown = [f"{reason}: {_count(rows)}" for reason, rows in ordered[:_MOST_REASONS]]
    rest = len(ordered) - len(shown)
    return "; ".join([*shown, f"and {rest} more"] if rest else shown) or _UNKNOWN


def _say_thresholds(row: BandRow) -> str:
    """Write the half-open interval of a band's probabilities.

    >>> _say_thresholds(BandRow("MQL", 0.05, 0.1, None, 0.2, 10, None))
    '5.00% to under 10.00%'
    """
    if row.high >= 1:
        return f"{_percent(row.low, 2)} and more"
    return (
        f"{_percent(row.low, 2)} to under {_percent(row.high, 2)}" if row.low > 0 else f"under {_percent(row.high, 2)}"
    )
