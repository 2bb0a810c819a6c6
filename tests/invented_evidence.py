"""What a training might have found, invented, and the page that tells of it, taken apart into words and tags."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from html.parser import HTMLParser

import numpy as np
import pandas as pd

from features.tables import TableCount
from models.columns import ModelColumn
from training.evaluation.delay_table import tabulate_delays
from training.evaluation.evaluate import Interval
from training.evaluation.evidence import BandRow, Evidence, judge
from training.evaluation.examine import examine
from training.evaluation.slices import Partition
from training.report.page import render_report
from training.split import Origin, Period, Split

NASTY = 'pages <b>&" of $10 in $20 💥'
COLUMNS = (
    ModelColumn("visits", "number", "visits in the last 30 days", "визиты"),
    ModelColumn("source", "category", NASTY, "источник", frequent=("Сайт", "<b>ads</b>"), rare=("fair",)),
    ModelColumn("idle", "number", "days since the last event", "дни", unknown_en="never"),
    ModelColumn("unused", "number", "never seen at all", "нет"),
)
DAY = datetime(2025, 1, 1)


def make_evidence(
    *, rows: int = 300, dated: bool = True, chosen: str = "lightgbm", skill: bool = True, seed: int = 0
) -> Evidence:
    """Invent what a training on `rows` test snapshots found; `idle` is missing for a third, `unused` for all."""
    random = np.random.default_rng(seed)
    visits = random.poisson(2.0, rows).astype(np.float64)
    margin = -2.0 + 0.6 * visits
    converted = random.random(rows) < 1 / (1 + np.exp(-margin))
    converted[:2] = [True, False]
    probabilities = {
        "base_rate": np.full(rows, 0.3),
        "logistic": 1 / (1 + np.exp(-0.7 * margin)),
        "lightgbm": 1 / (1 + np.exp(-margin)),
        "odoo_naive_bayes": np.clip(random.random(rows), 0.01, 0.99),
    }
    sample = pd.DataFrame(
        {
            "visits": visits,
            "source": random.choice(np.array(["Сайт", "<b>ads</b>", "fair", "new", None], dtype=object), rows),
            "idle": np.where(random.random(rows) < 0.3, np.nan, random.exponential(9.0, rows)),
            "unused": np.full(rows, np.nan),
        }
    )
    contributions = np.column_stack([0.6 * visits - 1, random.normal(0, [0.4, 0.1], (rows, 2)), np.full(rows, 0.01)])
    return Evidence(
        project="Воронка & Co",
        chosen=chosen,
        skill=skill,
        horizon="45d",
        split=make_split(dated=dated),
        judged=judge(probabilities, converted, chosen=chosen, groups=np.arange(rows), seed=1),
        probability=probabilities[chosen],
        raw_probability=np.clip(1.3 * probabilities[chosen], 0.0, 0.99),
        converted=converted,
        base_rate_by_month=make_months(12) if dated else [],
        by_age=[{"age_days": 7.0, "n": 1234.0, "base_rate": 0.3, "log_loss": 0.51, "log_loss_base": 0.6, "auc": np.nan}]
        if dated
        else [],
        bands=[
            BandRow("SQL", 0.4, 1.0, 12.5 if dated else None, 0.2, 60, Interval(0.51, 0.4, 0.62)),
            BandRow("MQL", 0.1, 0.4, 20.0 if dated else None, 0.5, 150, Interval(0.2, 0.1, 0.3)),
            BandRow("nurture", 0.0, 0.1, 0.0 if dated else None, 0.3, 0, None),
        ],
        sample=sample,
        contributions=np.zeros_like(contributions) if chosen == "base_rate" else contributions,
        columns=COLUMNS,
        counts={"leads": TableCount(12_345, 12_340, 5, {"no <date>": 3, "twice": 2})},
        immature=90,
        immature_leads=41 if dated else 0,
        warnings=["The history is <short>."],
        examined=examine(
            probabilities[chosen],
            converted,
            leads=np.arange(rows) // 2,
            groups=np.arange(rows) // 4,
            partitions=make_partitions(rows, dated=dated),
            capacity=0.2 if dated else None,
            seed=seed,
        ),
        delay=tabulate_delays(random.exponential(12.0, 90), 45) if dated else None,
    )


def make_partitions(rows: int, *, dated: bool) -> list[Partition]:
    source = Partition(NASTY, ("Сайт", "<b>ads</b>", "$10 in $20"), np.arange(rows) % 3)
    months = Partition("Month", ("2025-10", "2025-11", "2025-12"), np.arange(rows) * 3 // rows)
    return [months, source] if dated else [source]


def make_split(*, dated: bool) -> Split:
    def period(name: str, start: int, days: int) -> Period:
        first, last = (DAY + timedelta(days=start), DAY + timedelta(days=start + days)) if dated else (None, None)
        return Period(name, first, last, 2_000, 3_000, 300, 120)  # type: ignore[arg-type]

    periods = {"fit": period("fit", 0, 260), "forward": period("forward", 150, 110), "test": period("test", 270, 80)}
    kind = "time" if dated else "row_order"
    nobody = np.array([], dtype=np.intp)
    final = Origin(DAY + timedelta(days=270) if dated else None, nobody, nobody)
    aside = {"label window (embargo)": 17, "nothing": 0}
    return Split(kind, np.array([]), final, (), nobody.astype(bool), periods, aside, ())  # type: ignore[arg-type]


def make_months(count: int) -> list[dict[str, object]]:
    return [
        {"month": f"2025-{month:02d}", "leads": 100 + month, "rate": 0.1, "low": 0.05, "high": 0.17}
        for month in range(1, count + 1)
    ]


def render(evidence: Evidence, figures: dict[str, str] | None = None) -> str:
    return render_report(evidence, figures or {}, model_id="20260101-abc", trained_at="2026-01-01 10:00 UTC")


class Page(HTMLParser):
    """The visible words of a page in order, and every attribute."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self._hidden = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self._hidden = tag in {"style", "title"}

    def handle_data(self, data: str) -> None:
        if data.strip() and not self._hidden:
            self.words.append(" ".join(data.split()))
        self._hidden = False

    @property
    def text(self) -> str:
        return " ".join(self.words)
