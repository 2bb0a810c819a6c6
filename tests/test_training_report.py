from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from features.tables import TableCount
from models.columns import ModelColumn
from training.evaluation.delay_table import tabulate_delays
from training.evaluation.evaluate import Interval
from training.evaluation.evidence import BandRow, Evidence, judge
from training.evaluation.examine import examine
from training.evaluation.skill import Together
from training.evaluation.slices import Partition
from training.evaluation.sooner import SoonerRow, SoonerTable
from training.fitting.ladder import Step
from training.fitting.recency import RecencyTrial
from training.report.figures import CONTENDER_NAMES, build_figures
from training.report.page import render_report
from training.report.sentences import say_compared, say_delay, say_reached, say_smooth_error
from training.report.sooner_words import say_rival, say_sooner
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


@pytest.fixture(scope="module")
def figures() -> dict[str, str]:
    """All figures of the dated evidence."""
    return build_figures(make_evidence())


def test_every_figure_is_drawn_and_small(figures: dict[str, str]) -> None:
    dependence = {"dependence_1", "dependence_2", "dependence_3"}
    checks = {"reliability", "gains", "months", "slices", "delay"}
    assert set(figures) == {"base_rate", "comparison", "beeswarm"} | checks | dependence
    for svg in figures.values():
        assert ElementTree.fromstring(svg).tag.endswith("svg")
        assert len(svg.encode()) < 150_000


def test_figures_are_the_same_bytes_every_time_and_leave_the_global_chance_alone(figures: dict[str, str]) -> None:
    before = np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002
    assert build_figures(make_evidence()) == figures
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index]  # noqa: NPY002


def test_words_in_figures_stay_words(figures: dict[str, str]) -> None:
    assert "Сайт" in figures["dependence_2"]
    assert "Odoo naive" in figures["comparison"]
    assert "the top 20% holds" in figures["gains"]
    assert "never (" in figures["dependence_3"]
    assert "<b>" not in "".join(figures.values())


@pytest.mark.parametrize(
    ("evidence", "absent"),
    [
        pytest.param(make_evidence(dated=False), {"base_rate", "months", "delay"}, id="undated"),
        pytest.param(
            make_evidence(chosen="base_rate", skill=False),
            {"beeswarm", "dependence_1", "dependence_2", "dependence_3"},
            id="base-rate",
        ),
        pytest.param(make_evidence(rows=4), set(), id="four-rows"),
        pytest.param(replace(make_evidence(), base_rate_by_month=make_months(1)), set(), id="one-month"),
        pytest.param(replace(make_evidence(), bands=[]), set(), id="no-bands"),
        pytest.param(
            replace(make_evidence(), examined=None, delay=None),
            {"reliability", "gains", "months", "slices", "delay"},
            id="no-close-look",
        ),
    ],
)
def test_figures_are_drawn_from_what_there_is(evidence: Evidence, absent: set[str], figures: dict[str, str]) -> None:
    assert set(build_figures(evidence)) == set(figures) - absent


def test_page_asks_nothing_of_the_network(figures: dict[str, str]) -> None:
    text = render(make_evidence(), figures)
    page = Page(text)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "img", "object", "base"}
    for _, attributes in page.tags:
        assert "src" not in attributes
        for name in ("href", "xlink:href"):
            assert attributes.get(name, "#").startswith(("#", "data:image/png;base64,"))
        assert re.findall(r"url\((?!#)", attributes.get("style", "") + attributes.get("clip-path", "")) == []
    style = text[text.index("<style>") : text.index("</style>")]
    assert "@import" not in style
    assert "url(" not in style


def test_every_figure_has_a_name_of_its_own_and_ids_are_unique(figures: dict[str, str]) -> None:
    page = Page(render(make_evidence(), figures))
    labels = [attributes["aria-label"] for tag, attributes in page.tags if tag == "svg" and attributes["role"] == "img"]
    assert len(labels) == len(set(labels)) == len(figures)
    assert f"Value against contribution: {NASTY}" in labels
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.tags:
        link = attributes.get("xlink:href", "")
        assert not link.startswith("#") or link[1:] in ids


def test_undated_page_begins_with_the_warning() -> None:
    assert (
        Page(render(make_evidence(dated=False))).words[0].startswith("No dates: the order of the rows stood for time")
    )
    assert Page(render(make_evidence())).words[0] == "Воронка & Co"


def test_no_skill_is_said_in_another_colour() -> None:
    none, some = (
        Page(render(make_evidence(chosen=name, skill=skill)))
        for name, skill in (("base_rate", False), ("lightgbm", True))
    )
    assert "No skill: on the test period" in none.text
    assert "No skill" not in some.text
    assert ("p", {"class": "box noskill"}) in none.tags
    assert ("p", {"class": "box skill"}) in some.tags
    assert "What the model looks at" not in none.text


def test_skill_that_rests_on_earlier_leads_too_says_so() -> None:
    evidence = make_evidence()
    sure = evidence.judged["lightgbm"]
    unsure = replace(sure, against_base=Interval(sure.against_base.value, 2 * sure.against_base.value, 0.001))
    both = Together(Interval(0.63, 0.56, 0.7), forward_leads=1_430)
    rests = (
        "On the test period alone chance cannot be ruled out; by the order of those and of 1,430 leads of the earlier"
    )
    faint = replace(evidence, judged={**evidence.judged, "lightgbm": unsure}, together=both)
    assert rests in Page(render(faint)).text
    assert f"{sure.metrics.log_loss:.4f} against" in faint.headline
    assert "chance" not in replace(evidence, together=both).headline


@pytest.mark.parametrize(
    ("low", "words"),
    [
        (0.49, ", nor does the order of these and of 1,430 leads of the earlier forward periods show it"),
        (0.51, "; the order of these and of 1,430 leads of the earlier forward periods is better than chance, but"),
    ],
)
def test_no_skill_says_what_earlier_leads_add(low: float, words: str) -> None:
    both = Together(Interval(0.6, low, 0.7), forward_leads=1_430)
    headline = replace(make_evidence(skill=False), together=both).headline
    assert headline.startswith("No skill: on the test period")
    assert words in headline


def test_numbers_of_all_contenders_are_shown() -> None:
    evidence = make_evidence()
    text = Page(render(evidence)).text
    for name, judged in evidence.judged.items():
        assert CONTENDER_NAMES[name] in text
        assert f"{judged.metrics.log_loss:.4f} [{judged.log_loss.low:.4f}, {judged.log_loss.high:.4f}]" in text
        assert f"{judged.auc.value:.3f} [{judged.auc.low:.3f}, {judged.auc.high:.3f}]".replace("nan", "–") in text
        assert f"{judged.metrics.brier:.4f} [{judged.brier.low:.4f}, {judged.brier.high:.4f}]" in text
        if name != "base_rate":
            assert f"{judged.against_base.value:+.4f}".replace("-", "−") in text
    assert text.count("chosen") >= 1
    assert "nan" not in text.lower().split()


def test_what_was_left_out_is_counted() -> None:
    text = Page(render(make_evidence())).text
    assert "41 leads are too young to know; they were left out, not counted as lost" in text
    assert "17: label window (embargo)" in text
    assert ": nothing" not in text
    assert "leads 12,345 12,340 5 no <date>: 3; twice: 2" in text
    assert "nurture under 10.00% 0.0 30.0% 0 –" in text


def test_words_from_the_data_are_escaped(figures: dict[str, str]) -> None:
    text = render(make_evidence(), figures)
    assert "<b>" not in text
    assert "<short>" not in text
    assert NASTY in Page(text).text


def test_each_conclusion_stands_above_its_figure(figures: dict[str, str]) -> None:
    evidence = make_evidence()
    page = render(evidence, figures)
    conclusions = [
        ("reliability", say_smooth_error(evidence.examined.calibration)),  # type: ignore[union-attr]
        ("gains", say_reached(evidence.examined.reached)),  # type: ignore[union-attr]
        ("slices", "slices of 2 kinds"),
        ("comparison", say_compared(evidence.judged["lightgbm"])),
        ("beeswarm", "Most weight have: visits in the last 30 days"),
        ("delay", say_delay(evidence.delay)),  # type: ignore[arg-type]
        ("base_rate", "By month between 10.0%"),
    ]
    places = [place for name, words in conclusions for place in (page.index(words), page.index(f'id="{name}-'))]
    assert places == sorted(places)


def test_details_are_folded_and_closed() -> None:
    page = Page(render(make_evidence()))
    folded = [attributes for tag, attributes in page.tags if tag == "details"]
    assert len(folded) >= 5
    assert not any("open" in attributes for attributes in folded)
    assert [tag for tag, _ in page.tags].count("summary") == len(folded)


@pytest.mark.parametrize(
    ("gap", "says"),
    [
        (
            Interval(-0.002, -0.003, -0.001),
            "One share for all leads (0.2620) is worse within 30d: 0.0020 [0.0010, 0.0030] more",
        ),
        (
            Interval(0.002, 0.001, 0.003),
            "One share for all leads (0.2620) is better within 30d: 0.0020 [0.0010, 0.0030] less",
        ),
        (Interval(0.001, -0.001, 0.003), "is as good within 30d: the difference may be chance [−0.0010, 0.0030]."),
    ],
)
def test_a_sooner_horizon_is_told_beside_its_rival(gap: Interval, says: str) -> None:
    page = Page(render(replace(make_evidence(), sooner=[make_sooner(gap)])))
    assert "How soon?" in page.text
    assert (
        "Within 30d 140 snapshots converted and 152.5 were expected (0.92 [0.80, 1.04]: the level is right)."
        in page.text
    )
    assert "Log loss 0.2610, less than the base rate's 0.2830." in page.text
    assert says in page.text
    assert "7d 100 120 40 52.5 0.70 [0.55, 0.85]" in page.text
    assert "nan" not in page.text.lower().split()


def test_a_level_within_a_sooner_horizon_that_is_off_is_said_to_be() -> None:
    table = make_sooner(Interval(0.0, -0.1, 0.1))
    low = replace(table, whole=replace(table.whole, ratio=Interval(0.7, 0.55, 0.85), log_loss=0.3))
    assert "(0.70 [0.55, 0.85]: fewer than chance allows). Log loss 0.3000, not less than" in say_sooner(low)
    assert "the same share of their probability" in say_rival(replace(table, shared=True))


def test_a_handful_of_conversions_within_a_sooner_horizon_says_nothing_of_the_level() -> None:
    table = make_sooner(Interval(0.0, -0.1, 0.1))
    none = replace(table, whole=replace(table.whole, observed=0, expected=1.2, ratio=Interval(0.0, 0.0, 0.0)))
    assert "(0.00 [0.00, 0.00]: too few to tell whether the level is right)" in say_sooner(none)


def test_a_page_of_a_model_without_sooner_horizons_has_no_such_section() -> None:
    assert "How soon?" not in Page(render(make_evidence())).text


def make_sooner(gap: Interval) -> SoonerTable:
    ratio, off = Interval(0.92, 0.8, 1.04), Interval(0.7, 0.55, 0.85)
    whole = SoonerRow(None, 800, 1_500, 140, 152.5, ratio, ratio, 0.261, 0.262, 0.283, gap)
    young = SoonerRow(0.0, 800, 1_380, 100, 100.0, ratio, ratio, 0.26, 0.26, 0.28, gap)
    return SoonerTable(
        "30d", False, whole, (young, SoonerRow(7.0, 100, 120, 40, 52.5, off, off, 0.27, 0.28, 0.29, gap))
    )


def test_a_page_without_a_close_look_leaves_its_sections_out() -> None:
    text = Page(render(replace(make_evidence(), examined=None, delay=None))).text
    assert "Can the probabilities be believed?" not in text
    assert "Half of the conversions" not in text
    assert "too young to know" in text


@pytest.mark.parametrize(("gain", "says"), [(0.01, "so old leads count less"), (0.001, "so all leads count alike")])
def test_the_trial_of_old_leads_is_told_with_the_ladder(gain: float, says: str) -> None:
    steps = [Step("base_rate", 0.5, 0.0, 0.0, True), Step("lightgbm", 0.4, 0.1, 0.01, True)]
    evidence = replace(make_evidence(), steps=steps, recency=RecencyTrial(gain, 0.002))
    assert says in " ".join(Page(render(evidence)).words)
    assert "each year of its age" not in render(replace(evidence, recency=None))
