"""Explain one lead: its probability, its band, and every contribution that made it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from features.engine import build_features, read_lead_columns
from features.ingest import read_tables
from features.snapshots import build_open_snapshots, default_as_of
from models.reasons import Language, Reason, find_reasons
from project.errors import SettingsError
from serving.score import check_sources, load_named_model

if TYPE_CHECKING:
    from project.folder import Project

__all__ = ["Explanation", "explain_lead", "say_odds"]


@dataclass(frozen=True)
class Explanation:
    """One lead at one moment.

    Attributes
    ----------
    interval
        What share of similarly scored leads converted, at the model's level; null in models without a table.
    base
        Log-odds before any feature; base plus all contributions is `log_odds`.
    arguments_for, arguments_against
        Every contribution worth telling, largest first.
    """

    lead_id: str
    as_of: datetime | None
    model_id: str
    probability: float
    interval: tuple[float, float] | None
    log_odds: float
    base: float
    band: str
    band_rule: str
    arguments_for: tuple[Reason, ...]
    arguments_against: tuple[Reason, ...]
    contributions: dict[str, float]
    flags: str


def explain_lead(
    project: Project, lead_id: str, *, model_name: str, as_of: datetime | None, not_after: datetime, language: Language
) -> Explanation:
    """Build the lead's features as of a moment and take its probability apart.

    Raises
    ------
    SettingsError
        There is no such lead at that moment.
    """
    model, catalogue = load_named_model(project, model_name)
    tables = read_tables(project)
    check_sources(tables, model, catalogue)
    moment = as_of or default_as_of(tables, not_after=not_after)
    snapshots = build_open_snapshots(tables, moment, closed_too=True)
    snapshots = snapshots.loc[snapshots["lead_id"] == lead_id].reset_index(drop=True)
    if snapshots.empty:
        when = f" that had come in by {moment:%Y-%m-%d %H:%M}" if moment else ""
        raise SettingsError(f"There is no lead {lead_id!r}{when}. Look the id up in the leads table.")
    frame = build_features(snapshots, tables, catalogue)
    contributions, base = model.contributions(frame)
    log_odds = model.log_odds(frame)
    probability = model.calibrator.probability(log_odds)
    low, high = model.bounds(probability)
    rules = sorted({rule.column for rule in model.policy.rules})
    bands, why = model.policy.assign_with_rules(
        probability, read_lead_columns(tables, [lead_id], rules), set_apart=snapshots["flag"].to_list(), leads=[lead_id]
    )
    every = len(model.columns)
    ((arguments_for, against),) = find_reasons(
        contributions, frame, model.columns, language=language, most_for=every, most_against=every
    )
    return Explanation(
        lead_id,
        moment,
        model.model_id,
        float(probability[0]),
        None if model.interval is None else (float(low[0]), float(high[0])),
        float(log_odds[0]),
        base,
        bands[0],
        why[0],
        tuple(arguments_for),
        tuple(against),
        dict(zip([column.name for column in model.columns], contributions[0].tolist(), strict=True)),
        model.flags(frame)[0],
    )


def say_odds(probability: float, *, language: Language) -> str:
    """Say a probability as one in so many.

    >>> say_odds(0.21, language="en"), say_odds(0.0004, language="ru")
    ('about 1 in 5', 'примерно 1 из 2500')
    """
    if probability > 0.95:
        return "almost certain" if language == "en" else "почти наверняка"
    if probability >= 0.4:
        of_ten = round(10 * probability)
        return f"about {of_ten} in 10" if language == "en" else f"примерно {of_ten} из 10"
    number = round(1 / max(probability, 1e-6))
    return f"about 1 in {number}" if language == "en" else f"примерно 1 из {number}"
