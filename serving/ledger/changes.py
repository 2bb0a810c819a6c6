"""What changed since a lead was scored last: what it did, the time that passed, another model, another threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from features.engine import build_features
from features.what_if import without_news
from models.breakdown import Breakdown
from models.reasons import Reason, find_reasons
from project.language import Language, Words
from serving.ledger.ledger import Decision, to_frame

if TYPE_CHECKING:
    from features.catalogue import Catalogue
    from features.tables import Tables
    from models.lead_model import LeadModel

__all__ = ["Change", "Part", "find_changes", "say_change"]

_AS_IT_WAS = {"lead", "account"}
_MOST_CAUSES = 2


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
    # this frame holds what the earlier model reads, too, unless that read something else
    now = frame if set(was.columns) <= set(frame.columns) else build_features(snapshots, tables, catalogue)
    quiet = now[list(was.columns)].copy()
    if tables.dated:
        with without_news(tables, leads, datetime.fromisoformat(decisions[0].as_of.removesuffix("Z"))):
            quiet = build_features(snapshots, tables, catalogue)[list(was.columns)]
    for feature in catalogue.features:
        if feature.origin in _AS_IT_WAS and feature.name in was.columns:
            quiet[feature.name] = was[feature.name].to_numpy(dtype=object if feature.kind == "category" else np.float64)
    apart = [first.take_apart(rows) for rows in (was, quiet, now)]
    said = [first.calibrator.calibrated(one.log_odds) for one in apart]
    latest = model.take_apart(frame)
    after = model.calibrator.calibrated(latest.log_odds)
    thresholds = np.array([[_logit(one.sql), _logit(model.policy.sql)] for one in decisions])
    probability = model.calibrator.probability(latest.log_odds)
    found = {}
    for row, (lead, one) in enumerate(zip(leads, decisions, strict=True)):
        time, did = said[1][row] - said[0][row], said[2][row] - said[1][row]
        other, moved = after[row] - said[2][row], thresholds[row, 0] - thresholds[row, 1]
        whole = time + did + other
        rate = (probability[row] - one.probability) / whole if abs(whole) > 1e-9 else 0.0
        parts = (
            Part("did", float(did), float(did * rate), _lead(apart[1], apart[2], row, now, first, language)),
            Part("time", float(time), float(time * rate), _lead(apart[0], apart[1], row, quiet, first, language)),
            Part("model", float(other), float(other * rate), ()),
            Part("threshold", float(moved), None, ()),
        )
        total = float(after[row] - said[0][row] + moved)
        found[lead] = Change(one.as_of, one.probability, float(probability[row]), one.band, total, parts)
    return found


def _logit(probability: float) -> float:
    return float(special.logit(min(max(probability, 1e-9), 1 - 1e-9)))


def _lead(
    before: Breakdown, after: Breakdown, row: int, frame: pd.DataFrame, model: LeadModel, language: Language
) -> tuple[str, ...]:
    """Say which groups moved most between two states of one row, as the lead is in the second."""
    moved = _only(after, after.contributions[[row]] - before.contributions[[row]])
    ((risen, fallen),) = find_reasons(
        moved, frame.iloc[[row]], model.columns, language=language, most_for=_MOST_CAUSES, most_against=_MOST_CAUSES
    )
    by_size: Sequence[Reason] = sorted([*risen, *fallen], key=lambda reason: -abs(reason.contribution))
    return tuple(reason.sentence for reason in by_size[:_MOST_CAUSES])


def _only(apart: Breakdown, moved: NDArray[np.float64]) -> Breakdown:
    agreed = np.ones((1, len(apart.places)), dtype=np.bool_)
    return Breakdown(moved.sum(axis=1), 0.0, moved, apart.places, np.zeros(1), agreed)


def say_change(change: Change, words: Words) -> str:
    """Say in one sentence how far the probability moved since the last time, and what moved it most."""
    points, day = words.points(change.after - change.before), words.day_of(change.since)
    moved = words.text("{points} points since {day}", points=points, day=day)
    largest = max(change.parts[:3], key=lambda part: abs(part.log_odds))
    cause = "; ".join(largest.causes[:1])
    match largest.kind:
        case "did":
            why = words.text("something new is known of it")
        case "time":
            why = words.text("time passed without news")
        case _:
            why = words.text("the model is another")
    return f"{moved}: {why}" + (f" ({cause})" if cause else "")
