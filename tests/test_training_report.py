from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from invented_evidence import NASTY, Page, make_evidence, make_months, render
from training.evaluation.evaluate import Interval
from training.evaluation.evidence import Evidence
from training.evaluation.skill import Together
from training.evaluation.sooner import SoonerRow, SoonerTable
from training.fitting.ladder import Step
from training.fitting.recency import RecencyTrial
from training.report.figures import CONTENDER_NAMES, build_figures
from training.report.sentences import say_compared, say_delay, say_reached, say_smooth_error
from training.report.sooner_words import say_rival, say_sooner


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
    assert "7d 120 40 52.5 0.70 [0.55, 0.85]" in page.text
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
