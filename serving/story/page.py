"""The story of one lead as a page that stands alone: readable on a phone, in English or in Russian."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from models.bands import Band
from models.reasons import Reason
from project.files import hash_bytes, write_atomically
from project.language import Words, speak
from project.pages import open_templates
from serving.ledger.changes import Change
from serving.story.explain import Explanation
from serving.story.within import say_within

__all__ = [
    "Bar",
    "build_bars",
    "find_pages",
    "name_band",
    "pages_folder",
    "render_page",
    "say_plan",
    "say_rule",
    "write_page",
]

_TEMPLATES = Path(__file__).with_name("templates")
_MOST_FOR, _MOST_AGAINST = 5, 4
_THRESHOLDS = re.compile(
    r"(?:kept (?P<kept>\w+): )?(?:(?P<low>[\d.e-]+) <= )?probability (?:>= (?P<from>[\d.e-]+)|< (?P<high>[\d.e-]+))"
)


@dataclass(frozen=True)
class Bar:
    """One step of the waterfall, from where the one before ended.

    Attributes
    ----------
    left, width
        In percent of the drawing's width.
    kind
        `start`, `up`, `down`, `rest` or `end`.
    """

    title: str
    sentence: str
    evidence: str
    points: str
    left: float
    width: float
    kind: str


def pages_folder(state: Path) -> Path:
    """Return where pages about leads are kept: in one place, so that a person can be forgotten."""
    return state / "stories"


def find_pages(state: Path, lead_id: str) -> list[Path]:
    """Return the pages about a lead, by the mark that each bears of whom it is about."""
    mark = _mark(lead_id).encode()
    return [path for path in sorted(pages_folder(state).glob("*.html")) if mark in path.read_bytes()]


def _mark(lead_id: str) -> str:
    return hash_bytes(f"about {lead_id}".encode())


def write_page(explanation: Explanation, state: Path) -> Path:
    """Write the page, whole or not at all, and return where it is."""
    name = re.sub(r"[^\w-]+", "_", explanation.lead_id)[:40]
    digest = hash_bytes(f"{explanation.lead_id}\0{explanation.as_of}\0{explanation.language}".encode())[:8]
    path = pages_folder(state) / f"{name}-{digest}.html"
    with write_atomically(path) as temporary:
        temporary.write_text(render_page(explanation), encoding="utf-8")
    return path


def render_page(explanation: Explanation) -> str:
    """Return the page; it loads nothing and links nowhere."""
    words = speak(explanation.language)
    days = [
        (words.date(day), [(one.what, one.times) for one in happenings])
        for day, happenings in groupby(explanation.timeline, key=lambda one: one.day)
    ]
    return (
        open_templates(_TEMPLATES)
        .get_template("story.html.j2")
        .render(
            e=explanation,
            mark=_mark(explanation.lead_id),
            words=words,
            labels=_label(explanation, words),
            bars=build_bars(explanation, words),
            sooner=say_within(explanation.sooner, words),
            days=days,
            change=_lay_out_change(explanation.change, words),
            steps=[
                _say_step(step.words, step.probability, step.interval, step.band, words) for step in explanation.steps
            ],
        )
    )


def build_bars(explanation: Explanation, words: Words) -> list[Bar]:
    """Lay the waterfall out: a typical lead, reasons for, reasons against, everything else, this lead.

    The points of all bars between the first and the last add up to their difference.
    """
    told = [*explanation.arguments_for[:_MOST_FOR], *explanation.arguments_against[:_MOST_AGAINST]]
    rest = explanation.probability - explanation.start - sum(reason.points for reason in told)
    steps = list(_steps(told, rest, words))
    places = [explanation.start]
    for _, points, _ in steps:
        places.append(places[-1] + points)
    low, high = min(0.0, *places), max(*places, explanation.probability)
    scale = 100 / (high - low)

    def bar(title: str, sentence: str, evidence: str, points: str, start: float, end: float, kind: str) -> Bar:
        left, right = sorted((start, end))
        return Bar(title, sentence, evidence, points, (left - low) * scale, max((right - left) * scale, 0.6), kind)

    start, end = explanation.start, explanation.probability
    first = bar(words.text("A typical lead"), "", "", words.percent(start), 0.0, start, "start")
    middle = [
        bar(
            *_head(reason, words), reason.evidence if reason else "", words.points(points),
            places[place], places[place + 1], kind,
        )
        for place, (reason, points, kind) in enumerate(steps)
    ]  # fmt: skip
    return [first, *middle, bar(words.text("This lead"), "", "", words.percent(end), 0.0, end, "end")]


def _head(reason: Reason | None, words: Words) -> tuple[str, str]:
    """Return title and sentence; a sentence that begins with its title needs none."""
    if reason is None:
        return words.text("Everything else"), ""
    return (reason.sentence, "") if reason.sentence.startswith(f"{reason.title}: ") else (reason.title, reason.sentence)


def _steps(told: list[Reason], rest: float, words: Words) -> Iterator[tuple[Reason | None, float, str]]:
    for reason in told:
        yield reason, reason.points, "up" if reason.points >= 0 else "down"
    if abs(rest) >= 5e-4:
        yield None, rest, "rest"


def name_band(band: str, words: Words) -> str:
    """Say a band and what to do with it."""
    names: dict[Band, str] = {
        "SQL": words.text("SQL: call now"),
        "MQL": words.text("MQL: warm up, call if there is time"),
        "nurture": words.text("Nurture: keep in touch, come back later"),
        "disqualified": words.text("Disqualified: not for sales"),
    }
    return names[band]  # type: ignore[index]


def say_rule(rule: str, words: Words) -> str:
    r"""Say what decided a band: thresholds and hygiene in the reader's language, a rule of the user's by its name.

    >>> from project.language import speak
    >>> say_rule("0.0625 <= probability < 0.178", speak("ru"))
    'вероятность от 6,2\xa0% до 18\xa0%'
    >>> say_rule("kept SQL: 0.2 <= probability < 0.3", speak("en"))
    'kept in SQL: probability from 20\xa0% to 30\xa0%'
    """
    found = _THRESHOLDS.fullmatch(rule)
    if found is None:
        twin = rule.removeprefix("duplicate of ")
        return words.text("duplicate of {lead}", lead=twin) if twin != rule else rule
    low, high = (words.percent(float(one)) if one else "" for one in (found["low"] or found["from"], found["high"]))
    if low and high:
        said = words.text("probability from {low} to {high}", low=low, high=high)
    elif low:
        said = words.text("probability of {low} or more", low=low)
    else:
        said = words.text("probability below {high}", high=high)
    return words.text("kept in {band}: {rule}", band=found["kept"], rule=said) if found["kept"] else said


def _label(explanation: Explanation, words: Words) -> dict[str, str]:
    labels = {
        "odds": words.odds(explanation.probability),
        "band": name_band(explanation.band, words),
        "rule": words.text("decided by: {rule}", rule=say_rule(explanation.band_rule, words)),
        "why": words.text("Why"),
        "points": words.text("points of probability"),
        "changed": words.text("What changed"),
        "raise": words.text("What would raise it"),
        "no_promise": words.text("What the model says of a lead like this one. Not a promise of cause."),
        "did": words.text("What it did"),
        "nothing": words.text("Nothing is known yet."),
        "verify": words.text("Check before you act"),
        "as_of": words.text("As of {moment}", moment=words.moment(explanation.as_of, explanation.zone))
        if explanation.as_of
        else "",
        "came_in": words.text("Came in on {day}", day=words.date(explanation.created_at))
        if explanation.created_at
        else "",
        "note": words.text("Reasons are associations found in earlier leads, not causes."),
        "model": words.text("Model {name}", name=explanation.model_id),
        "within": "",
        "similar": "",
        "plan": say_plan(explanation, words),
    }
    if explanation.days is not None and explanation.rate is not None:
        labels["within"] = words.text(
            "probability to buy within {days}; of all leads {rate} did",
            days=words.plural("{n} day", "{n} days", explanation.days), rate=words.percent(explanation.rate),
        )  # fmt: skip
    if explanation.interval is not None:
        low, high = (words.percent(end) for end in explanation.interval)
        labels["similar"] = words.text("of similarly scored leads {low} to {high} bought", low=low, high=high)
    return labels


def say_plan(explanation: Explanation, words: Words) -> str:
    """Say by when it is to be called or when it comes back; nothing where there is no clock."""
    if explanation.due_at is not None:
        return words.text("Call by {moment}", moment=words.moment(explanation.due_at, explanation.zone))
    if explanation.come_back_because:
        return words.text("Back from nurture: {cause}", cause=explanation.come_back_because)
    if explanation.come_back_at is not None:
        return words.text("Come back on {day}", day=words.date(explanation.come_back_at))
    return ""


def _lay_out_change(change: Change | None, words: Words) -> dict[str, object] | None:
    if change is None:
        return None
    names = {
        "did": words.text("What it did since"),
        "time": words.text("Time alone"),
        "model": words.text("The model is another"),
        "threshold": words.text("The threshold of SQL moved"),
    }
    rows = [
        {
            "name": names[part.kind],
            "points": "" if part.points is None else words.points(part.points),
            "log_odds": words.points(part.log_odds / 100),
            "causes": part.causes,
        }
        for part in change.parts
        if abs(part.log_odds) >= 5e-3
    ]
    return {
        "head": words.text(
            "{before} on {day}, {after} now", before=words.percent(change.before), after=words.percent(change.after),
            day=words.day_of(change.since),
        ),
        "rows": rows,
        "none": words.text("Nothing worth telling."),
        "unit": words.text("log-odds"),
    }  # fmt: skip


def _say_step(
    said: str, probability: float, interval: tuple[float, float] | None, band: str, words: Words
) -> tuple[str, str]:
    reached = words.text("{probability}, band {band}", probability=words.percent(probability), band=band)
    if interval is not None:
        low, high = (words.percent(end) for end in interval)
        reached += "; " + words.text("of similarly scored leads {low} to {high} bought", low=low, high=high)
    return said, reached
