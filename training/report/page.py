"""The report of one training: a single HTML file that asks nothing of the network."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from project.duration import format_duration
from project.pages import open_templates
from training.evaluation.evidence import BASE, BandRow, Evidence
from training.report.figures import CONTENDER_NAMES
from training.report.recency_words import say_recency
from training.report.selection_words import WEIGHTED_NAMES, say_selection, say_uplift, say_weighted
from training.report.sentences import (
    UNKNOWN,
    say_compared,
    say_delay,
    say_features,
    say_level,
    say_line,
    say_miscalibration,
    say_months,
    say_parts,
    say_promise_else,
    say_promises,
    say_reached,
    say_slices,
    say_smooth_error,
    write_count,
    write_expected,
    write_fixed,
    write_percent,
    write_range,
    write_signed,
)
from training.report.sooner_words import say_rival, say_sooner
from training.report.svg import put_inline

if TYPE_CHECKING:
    from jinja2 import Environment

    from features.tables import TableCount

__all__ = ["render_report"]

_MOST_REASONS = 3
_FIGURE_LABELS = {
    "base_rate": "Share of leads that converted, by month",
    "comparison": "Log loss of each contender minus that of the base rate",
    "reliability": "Reliability: probability said against share seen",
    "gains": "Cumulative gains: share of conversions among the leads with the highest probability",
    "months": "Conversions over expected ones, by month",
    "slices": "Conversions over expected ones, by slice",
    "delay": "Share of conversions that came by a day",
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
            examined=evidence.examined,
            leading=leading,
            figures={name: put_inline(svg, name=name, label=labels.get(name, name)) for name, svg in figures.items()},
            model_id=model_id,
            trained_at=trained_at,
        )
    )


def _environment() -> Environment:
    environment = open_templates(Path(__file__).parent / "templates")
    environment.filters |= {
        "age": _say_age,
        "contender": lambda name: CONTENDER_NAMES.get(name, name),
        "count": write_count,
        "expected": write_expected,
        "day": _say_day,
        "fixed": write_fixed,
        "percent": write_percent,
        "promise_else": say_promise_else,
        "range": write_range,
        "reasons": _say_reasons,
        "say_compared": say_compared,
        "say_delay": say_delay,
        "say_features": say_features,
        "say_level": say_level,
        "say_line": say_line,
        "say_miscalibration": say_miscalibration,
        "say_months": say_months,
        "say_parts": say_parts,
        "say_promises": say_promises,
        "say_reached": say_reached,
        "say_recency": say_recency,
        "say_selection": say_selection,
        "say_rival": say_rival,
        "say_slices": say_slices,
        "say_smooth_error": say_smooth_error,
        "say_sooner": say_sooner,
        "say_uplift": say_uplift,
        "say_weighted": say_weighted,
        "signed": write_signed,
        "thresholds": _say_thresholds,
        "weighted_name": lambda name: WEIGHTED_NAMES[name],
    }
    return environment


def _say_day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else UNKNOWN


def _say_age(days: float) -> str:
    """Write an age in its largest unit.

    >>> _say_age(0), _say_age(1 / 24), _say_age(7)
    ('on arrival', '1h', '7d')
    """
    return format_duration(timedelta(days=days)) if days else "on arrival"


def _say_reasons(count: TableCount) -> str:
    """Write the most frequent reasons of rejection with their counts."""
    ordered = sorted(count.reasons.items(), key=lambda entry: (-entry[1], entry[0]))
    shown = [f"{reason}: {write_count(rows)}" for reason, rows in ordered[:_MOST_REASONS]]
    rest = len(ordered) - len(shown)
    return "; ".join([*shown, f"and {rest} more"] if rest else shown) or UNKNOWN


def _say_thresholds(row: BandRow) -> str:
    """Write the half-open interval of a band's probabilities.

    >>> _say_thresholds(BandRow("MQL", 0.05, 0.1, None, 0.2, 10, None))
    '5.00% to under 10.00%'
    """
    if row.high >= 1:
        return f"{write_percent(row.low, 2)} and more"
    below = f"under {write_percent(row.high, 2)}"
    return f"{write_percent(row.low, 2)} to {below}" if row.low > 0 else below
