"""What changed since a lead was scored last: what it did, the time that passed, another model, another threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import special

from features.engine import build_features
from features.what_if import without_news
from models.breakdown import Breakdown
from models.reasons import find_reasons
from project.language import Language, Words, speak
from serving.ledger.ledger import Decision, to_frame

if TYPE_CHECKING:
    from features.catalogue import Catalogue
    from features.tables import Tables
    from models.lead_model import LeadModel

__all__ = ["Change", "Part", "find_changes", "say_change"]

_AS_IT_WAS = {"lead", "account"}
_MOST_CAUSES = 2
_WORTH_TELLING = 0.02  # log-odds, as for reasons
_SMALLEST = 1e-6  # log-odds; less is rounding


@dataclass(frozen=True)
class Part:
    """One of the four parts of a change.

    Attributes
    ----------
    log_odds
        Of calibrated log-odds above the threshold of SQL.
    points
        Of probability; null for the threshold, which does not move it.
    causes
        What led it, most first.
    """

    kind: str
    log_odds: float
    points: float | None
    causes: tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """How far a lead's log-odds above the threshold of SQL moved between two decisions.

    Attributes
    ----------
    total
        The sum of the parts: calibrated log-odds less logit of the threshold, now minus then.
    parts
        `did` (the lead or its company did something, or something new became known of it), `time` (nothing but time
        passed), `model` (another model or level) and `threshold`, in this order.
    """

    since: str
    before: float
    after: float
    band_before: str
    total: float
    parts: tuple[Part, ...]


def find_changes(
    earlier: Mapping[str, Decision],
    snapshots: pd.DataFrame,
    frame: pd.DataFrame,
    tables: Tables,
    *,
    model: LeadModel,
    then: tuple[LeadModel, Catalogue],
    language: Language,
) -> dict[str, Change]:
    """Split what changed for leads whose earlier decision was made by one model.

    With f₀ and f₁ the calibrated log-odds of the earlier model and of this one, x₀ the lead as it was, x₁ as it is now,
    and x as it would be now had neither it nor its company done anything since: time is f₀(x) − f₀(x₀), did is
    f₀(x₁) − f₀(x), the model is f₁(x₁) − f₀(x₁), and the threshold is logit(t₀) − logit(t₁). They telescope, so they
    add up.

    Parameters
    ----------
    earlier
        lead → its earlier decision.
    snapshots, frame
        Row by row: the leads of `earlier`, looked at now, and their features for `model`.
    then
        The earlier model and its catalogue.

    Returns
    -------
    dict
        lead → what changed.
    """
    found: dict[str, Change] = {}
    moments = [earlier[lead].as_of for lead in snapshots["lead_id"]]
    # one moment at a time: what is new of a company depends on since when
    for moment in sorted(set(moments)):
        rows = [place for place, own in enumerate(moments) if own == moment]
        found |= _find_since(
            earlier, snapshots.iloc[rows].reset_index(drop=True), frame.iloc[rows].reset_index(drop=True), tables,
            model=model, then=then, language=language,
        )  # fmt: skip
    return found


def _find_since(
    earlier: Mapping[str, Decision],
    snapshots: pd.DataFrame,
    frame: pd.DataFrame,
    tables: Tables,
    *,
    model: LeadModel,
    then: tuple[LeadModel, Catalogue],
    language: Language,
) -> dict[str, Change]:
    """Split what changed for leads whose earlier decisions are of one moment."""
    leads = snapshots["lead_id"].to_list()
    decisions = [earlier[lead] for lead in leads]
    first, catalogue = then
    was = to_frame(decisions, first)
    same = first.manifest.get("catalogue") == model.manifest.get("catalogue")
    now = frame if same else build_features(snapshots, tables, catalogue)
    quiet = now[list(was.columns)].copy()
    if tables.dated:
        with without_news(tables, leads, datetime.fromisoformat(decisions[0].as_of.removesuffix("Z"))):
            quiet = build_features(snapshots, tables, catalogue)[list(was.columns)]
    for feature in catalogue.features:
        if feature.origin in _AS_IT_WAS and feature.name in was.columns:
            quiet[feature.name] = was[feature.name].to_numpy(dtype=object if feature.kind == "category" else np.float64)
    apart = [first.take_apart(rows) for rows in (was, quiet, now)]
    said = [first.calibrator.calibrated(one.log_odds) for one in apart]
    log_odds = model.log_odds(frame)
    after = model.calibrator.calibrated(log_odds)
    thresholds = np.array([[_logit(one.sql), _logit(model.policy.sql)] for one in decisions])
    probability = model.calibrator.probability(log_odds)
    did_for = _lead(apart[1], apart[2], now, first, language)
    time_for = _lead(apart[0], apart[1], quiet, first, language)
    model_for = _compare(apart[2], first, model, frame, language)
    words = speak(language)
    found = {}
    for row, (lead, one) in enumerate(zip(leads, decisions, strict=True)):
        time, did = said[1][row] - said[0][row], said[2][row] - said[1][row]
        other, moved = after[row] - said[2][row], thresholds[row, 0] - thresholds[row, 1]
        whole = time + did + other
        rate = (probability[row] - one.probability) / whole if abs(whole) > 1e-9 else 0.0
        parts = (
            Part("did", float(did), float(did * rate), did_for[row]),
            Part("time", float(time), float(time * rate), time_for[row]),
            Part("model", float(other), float(other * rate), model_for[row]),
            Part("threshold", float(moved), None, _say_threshold(one.sql, model.policy.sql, words)),
        )
        total = float(after[row] - said[0][row] + moved)
        found[lead] = Change(one.as_of, one.probability, float(probability[row]), one.band, total, parts)
    return found


def _logit(probability: float) -> float:
    return float(special.logit(min(max(probability, 1e-9), 1 - 1e-9)))


def _lead(
    before: Breakdown, after: Breakdown, frame: pd.DataFrame, model: LeadModel, language: Language
) -> list[tuple[str, ...]]:
    """Say for each row which groups moved most between two states of it, as the lead is in the second."""
    moved = after.contributions - before.contributions
    agreed = np.ones((len(moved), len(after.places)), dtype=np.bool_)
    apart = Breakdown(moved.sum(axis=1), 0.0, moved, after.places, np.zeros(len(moved)), agreed)
    pairs = find_reasons(
        apart, frame, model.columns, language=language, most_for=_MOST_CAUSES, most_against=_MOST_CAUSES
    )
    ordered = [sorted([*risen, *fallen], key=lambda reason: -abs(reason.contribution)) for risen, fallen in pairs]
    return [tuple(reason.sentence for reason in reasons[:_MOST_CAUSES]) for reasons in ordered]


def _compare(
    before: Breakdown, first: LeadModel, second: LeadModel, frame: pd.DataFrame, language: Language
) -> list[tuple[str, ...]]:
    """Say for each row which groups two models weigh most differently."""
    words = speak(language)
    if first.model_id == second.model_id:
        return [()] * len(frame)
    after = second.take_apart(frame)
    titles = {**_titles(first, words), **_titles(second, words)}
    names = [list(_titles(one, words)) for one in (first, second)]
    told = []
    for old, new in zip(before.by_group, after.by_group, strict=True):
        then, now = dict(zip(names[0], old, strict=True)), dict(zip(names[1], new, strict=True))
        moved = {name: float(now.get(name, 0.0) - then.get(name, 0.0)) for name in titles}
        largest = sorted(moved, key=lambda name: -abs(moved[name]))[:_MOST_CAUSES]
        told.append(
            tuple(
                words.text("{what} speaks more for it", what=titles[name])
                if moved[name] > 0
                else words.text("{what} speaks more against it", what=titles[name])
                for name in largest
                if abs(moved[name]) >= _WORTH_TELLING
            )
        )
    return told


def _titles(model: LeadModel, words: Words) -> dict[str, str]:
    """Return what the groups of a model are called, in the order of their places."""
    titles: dict[str, str] = {}
    for column in model.columns:
        wording = column.wording
        own = (column.en, column.ru) if wording is None else (wording.group_en, wording.group_ru)
        titles.setdefault(column.group, words.pick(*own))
    return titles


def _say_threshold(before: float, after: float, words: Words) -> tuple[str, ...]:
    if before == after:
        return ()
    return (words.text("from {before} to {after}", before=words.percent(before), after=words.percent(after)),)


def say_change(change: Change, words: Words) -> str:
    """Say in one sentence how far the probability moved since the last time, and what moved it most.

    The threshold counts, too: it moves no probability, but it can move a lead into another band.
    """
    points, day = words.points(change.after - change.before), words.day_of(change.since)
    moved = words.text("{points} points since {day}", points=points, day=day)
    largest = max(change.parts, key=lambda part: abs(part.log_odds))
    if abs(largest.log_odds) < _SMALLEST:
        return moved + ": " + words.text("nothing worth telling")
    why = {
        "did": words.text("something new is known of it"),
        "time": words.text("time passed without news"),
        "model": words.text("the model is another"),
        "threshold": words.text("the threshold of SQL moved"),
    }[largest.kind]
    cause = "; ".join(largest.causes[:1])
    return f"{moved}: {why}" + (f" ({cause})" if cause else "")
