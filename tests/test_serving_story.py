from __future__ import annotations

import re
import shutil
from dataclasses import replace
from datetime import date, datetime
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from conftest import run_leads
from features.ingest import read_tables
from project.folder import find_project
from project.language import Language, speak
from serving.load import load_named_model
from serving.story.explain import Explanation, explain_lead
from serving.story.page import build_bars, render_page, write_page
from serving.story.steps import next_threshold
from serving.story.timeline import read_timeline
from serving.story.within import say_within

FAR = datetime(2030, 1, 1)


@pytest.fixture(scope="module")
def scored(demo: Path) -> pd.DataFrame:
    return pd.read_csv(demo / "scored.csv", dtype={"lead_id": "str"}, keep_default_na=False)


def explained(folder: Path, lead: str, language: Language = "en") -> Explanation:
    return explain_lead(find_project(folder), lead, model_name="champion", as_of=None, not_after=FAR, language=language)


@pytest.fixture(scope="module")
def top(demo: Path, scored: pd.DataFrame) -> Explanation:
    return explained(demo, scored["lead_id"].iloc[0])


class Page(HTMLParser):
    """Collects the tags and what they load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value or "" for name, value in attrs if name in {"src", "href"}]
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)


def test_the_story_agrees_with_the_scored_file(top: Explanation, scored: pd.DataFrame) -> None:
    row = scored.iloc[0]
    assert (top.probability, top.log_odds, top.band) == (row["probability"], row["log_odds"], row["band"])
    assert [reason.text for reason in top.arguments_for[:3]] == [row[f"reason_for_{place}"] for place in (1, 2, 3)]
    assert sum(top.contributions.values()) + top.base == pytest.approx(top.log_odds, abs=1e-9)
    assert (top.trust, top.flags) == (row["trust"], row["flags"])


def test_bars_run_from_a_typical_lead_to_this_one_without_a_gap(top: Explanation) -> None:
    bars = build_bars(top, speak("en"))
    assert [bars[0].kind, bars[-1].kind] == ["start", "end"]
    ends = bars[0].left + bars[0].width
    for bar in bars[1:-1]:
        near, far = (bar.left, bar.left + bar.width) if bar.kind == "up" else (bar.left + bar.width, bar.left)
        if bar.kind == "rest" and near != pytest.approx(ends, abs=0.7):
            near, far = far, near
        assert near == pytest.approx(ends, abs=0.7)
        ends = far
    assert ends == pytest.approx(bars[-1].left + bars[-1].width, abs=0.7)
    assert all(0 <= bar.left <= bar.left + bar.width <= 100.7 for bar in bars)


def test_reasons_for_come_first_then_those_against_each_in_order(top: Explanation) -> None:
    rising = [reason.contribution for reason in top.arguments_for]
    falling = [reason.contribution for reason in top.arguments_against]
    assert rising == sorted(rising, reverse=True)
    assert falling == sorted(falling)
    assert falling
    assert min(rising) > 0 > max(falling)


@pytest.mark.parametrize("language", ["en", "ru"])
def test_the_page_stands_alone_and_is_in_one_language(demo: Path, scored: pd.DataFrame, language: Language) -> None:
    for lead in scored["lead_id"].iloc[[0, 30, -1]]:
        told = explained(demo, lead, language)
        text = render_page(told)
        page = Page(text)
        assert page.loads == []
        assert not page.open
        assert {"script", "img", "link", "iframe"}.isdisjoint(page.tags)
        assert page.tags.count("svg") == len(build_bars(told, speak(language)))
        assert f'<html lang="{language}">' in text
        names = {column.name for column in load_named_model(find_project(demo))[0].columns if "_" in column.name}
        assert not [name for name in names if re.search(rf"(?<![\w]){name}(?![\w])", text)]
        if language == "ru":
            body = re.sub(r"<style>.*?</style>|<[^>]+>", " ", text, flags=re.DOTALL)
            assert {"Почему", "Типичный", "Этот"} <= set(re.findall(r"\w+", body))
            assert not re.search(r"\b(the|days|leads|Why|bought)\b", body)


@pytest.mark.parametrize(
    ("language", "said"), [("en", "of 100 like this buy"), ("ru", "из 100 таких покупают за 30 дней")]
)
def test_the_page_and_the_terminal_say_how_many_buy_sooner(
    demo: Path, scored: pd.DataFrame, language: Language, said: str
) -> None:
    lead = scored["lead_id"].iloc[0]
    told = explained(demo, lead, language)
    assert told.sooner == {"30d": pytest.approx(float(scored["probability_30d"].iloc[0]))}
    words = f"{round(100 * told.sooner['30d'])} {said}"
    assert words in render_page(told)
    assert words in run_leads("explain", lead, "-p", demo, "--language", language).output


def test_a_model_without_sooner_horizons_says_nothing_of_them(top: Explanation) -> None:
    assert "like this" not in render_page(replace(top, sooner={}))


@pytest.mark.parametrize(
    ("probability", "english", "russian"),
    [
        (0.072, "7 of 100 like this buy within 30 days", "7 из 100 таких покупают за 30 дней"),
        (0.21, "21 of 100 like this buy within 30 days", "21 из 100 таких покупает за 30 дней"),
        (0.00995, "1 of 100 like this buys within 30 days", "1 из 100 таких покупает за 30 дней"),
        (0.0049, "5 of 1,000 like this buy within 30 days", "5 из 1\xa0000 таких покупают за 30 дней"),
        (0.0, "fewer than 1 of 1,000 like this buys within 30 days", "меньше 1 из 1\xa0000 таких покупает за 30 дней"),
    ],
)
def test_a_probability_is_said_as_so_many_of_a_hundred(probability: float, english: str, russian: str) -> None:
    assert say_within({"30d": probability}, speak("en")) == [english]
    assert say_within({"30d": probability}, speak("ru")) == [russian]


def test_what_a_person_typed_cannot_become_code(top: Explanation) -> None:
    reason = replace(top.arguments_for[0], sentence="<script>alert(1)</script>", title="<b>")
    text = render_page(replace(top, lead_id='<img src="x">', arguments_for=(reason,)))
    assert "script" not in Page(text).tags
    assert "img" not in Page(text).tags


def test_the_page_is_kept_where_a_person_can_be_forgotten(top: Explanation, tmp_path: Path) -> None:
    path = write_page(replace(top, lead_id="../../Лид 7"), tmp_path / "state")
    assert path.parent == tmp_path / "state" / "stories"
    assert path.name.startswith("_Лид_7-")


def test_the_timeline_shows_what_was_known_then_latest_first(demo: Path) -> None:
    project = find_project(demo)
    tables = read_tables(project)
    _, catalogue = load_named_model(project)
    ((lead, first, last),) = tables.connection.execute(
        "SELECT lead_id, min(occurred_at), max(recorded_at) FROM events GROUP BY lead_id ORDER BY count(*) DESC LIMIT 1"
    ).fetchall()
    told = read_timeline(tables, catalogue, str(lead), last, speak("ru"))
    days = [one.day for one in told]
    assert days == sorted(days, reverse=True)
    assert len(set(days)) <= 14
    total = tables.connection.execute(
        "SELECT count(*) FROM events WHERE lead_id = ? AND recorded_at < ? AND CAST(occurred_at AS DATE) >= ?",
        [lead, last, min(days)],
    ).fetchall()
    assert sum(one.times for one in told) == total[0][0]
    assert all(re.search("[а-я]", one.what) for one in told)
    assert read_timeline(tables, catalogue, str(lead), first, speak("ru")) == ()
    assert isinstance(days[0], date)


@pytest.fixture(scope="module")
def near(demo: Path, scored: pd.DataFrame) -> Explanation:
    """A lead just below a threshold, for whom something can be done."""
    for lead in scored.loc[scored["band"] == "MQL", "lead_id"].head(8):
        told = explained(demo, lead)
        if told.steps:
            return told
    raise AssertionError("no step helps any of them")


def test_steps_are_told_near_a_threshold_only_and_each_raises_the_probability(
    demo: Path, near: Explanation, scored: pd.DataFrame
) -> None:
    model, _ = load_named_model(find_project(demo))
    assert near.threshold == next_threshold(near.probability, model)
    assert 1 <= len(near.steps) <= 3
    reached = [step.probability for step in near.steps]
    assert reached == sorted(reached, reverse=True)
    assert min(reached) >= near.probability + 0.01
    assert all(step.interval is not None for step in near.steps)
    assert next_threshold(model.policy.mql / 3, model) is None
    assert next_threshold(model.policy.sql, model) is None
    assert next_threshold(model.policy.mql * 0.9, model) == model.policy.mql
    assert "Not a promise of cause" in render_page(near)
    assert explained(demo, scored["lead_id"].iloc[0]).steps == ()


def test_a_step_is_what_the_model_says_of_the_changed_lead(demo: Path, scored: pd.DataFrame, tmp_path: Path) -> None:
    """The event is written into the file itself; the probability must be the one that was promised."""
    told = (explained(demo, lead) for lead in scored.loc[scored["band"].isin(["MQL", "nurture"]), "lead_id"])
    near, step = next((one, step) for one in told for step in one.steps if step.words.startswith("once more"))
    assert near.as_of is not None
    folder = tmp_path / "crm"
    shutil.copytree(demo, folder)
    kind = {"Webinars attended": "webinar", "Downloads": "download"}[step.words.removeprefix("once more: ")]
    events = pd.read_csv(folder / "data" / "events.csv.gz", dtype="str")
    at = (near.as_of - pd.Timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    more = {"lead_id": near.lead_id, "occurred_at": at, "recorded_at": at, "kind": kind}
    pd.concat([events, pd.DataFrame([more])]).to_csv(folder / "data" / "events.csv.gz", index=False)
    again = explain_lead(
        find_project(folder), near.lead_id, model_name="champion", as_of=near.as_of, not_after=FAR, language="en"
    )
    assert again.probability == step.probability


def test_what_cannot_be_changed_is_a_settings_error(demo: Path, near: Explanation, tmp_path: Path) -> None:
    folder = tmp_path / "crm"
    shutil.copytree(demo, folder)
    settings = folder / "leads.toml"
    settings.write_text(settings.read_text("utf-8").replace('"webinar", "download"', '"webinars"'), encoding="utf-8")
    ran = run_leads("explain", near.lead_id, "-p", folder)
    assert ran.exit_code == 2
    assert "reasons.actionable names 'webinars'" in " ".join(ran.output.split())


def test_a_lead_with_a_missing_key_field_is_to_be_verified_and_says_what_to_fill_in(
    demo: Path, scored: pd.DataFrame
) -> None:
    odd = scored.loc[scored["flags"].str.contains("missing:")]
    assert len(odd) > 3
    assert (odd["trust"] == "verify").all()
    assert (scored.loc[scored["flags"] == "", "trust"] == "ok").all()
    told = explained(demo, odd["lead_id"].iloc[0], "ru")
    assert any("Заполните" in line for line in told.to_verify)
    assert told.to_verify[0] in render_page(told)


def test_old_data_are_flagged(demo: Path, scored: pd.DataFrame) -> None:
    told = explain_lead(
        find_project(demo), scored["lead_id"].iloc[0], model_name="champion", as_of=datetime(2026, 2, 1),
        not_after=FAR, language="en",
    )  # fmt: skip
    assert "stale_data" in told.flags
    assert told.trust == "verify"


def test_the_command_writes_the_page_and_answers_with_points(demo: Path, scored: pd.DataFrame, tmp_path: Path) -> None:
    folder = tmp_path / "crm"
    shutil.copytree(demo, folder)
    lead = scored["lead_id"].iloc[0]
    ran = run_leads("explain", lead, "-p", folder, "--page", "--language", "ru", "--json")
    assert ran.exit_code == 0, ran.output
    assert Path(ran.answer["page"]).read_text("utf-8").startswith("<!DOCTYPE html>")
    assert ran.answer["start"] + sum(ran.answer["points"].values()) <= 1.0
    assert "Типичн" in run_leads("explain", lead, "-p", folder, "--language", "ru").output or "типичн" in ran.output
