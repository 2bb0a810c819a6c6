"""Take one lead apart: its probability, its band, every reason, what it did, what changed and what would raise it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.engine import build_features
from features.ingest import read_tables
from features.rule_columns import read_rule_columns
from features.snapshots import build_open_snapshots, default_as_of
from models.reasons import Reason
from models.trust import Trust, say_flags, trust_of
from project.errors import SettingsError
from project.language import Language, speak
from serving.check_tables import check_sources
from serving.ledger.changes import Change
from serving.ledger.ledger import last_decisions, previous_bands
from serving.ledger.tell import changes_since
from serving.load import load_named_model
from serving.plan import plan_leads
from serving.score import is_stale, too_old
from serving.story.steps import Step, find_steps, next_threshold
from serving.story.timeline import Happening, read_timeline

if TYPE_CHECKING:
    from models.lead_model import LeadModel
    from project.folder import Project

__all__ = ["Explanation", "explain_lead"]


@dataclass(frozen=True)
class Explanation:
    """One lead at one moment.

    Attributes
    ----------
    start
        The calibrated probability of a typical lead; it and the points of all groups add up to `probability`.
    interval
        What share of similarly scored leads converted, at the model's level; null in models without a table.
    base
        Log-odds before any feature; base plus all contributions is `log_odds`.
    arguments_for, arguments_against
        Every reason worth telling, largest first.
    sooner
        Horizon shorter than the model's → probability within it; empty in models without them, or if nothing is told.
    threshold
        The next one up, if it is near; `steps` are told only then.
    rate, days
        Share of all leads that converted, within how many days; null in models without evidence.
    due_at, come_back_at
        By when it is to be called, and when it comes back from nurture, UTC.
    zone
        On whose clock times are told.
    """

    lead_id: str
    as_of: datetime | None
    created_at: datetime | None
    model_id: str
    language: Language
    probability: float
    interval: tuple[float, float] | None
    sooner: dict[str, float]
    log_odds: float
    base: float
    start: float
    band: str
    band_rule: str
    sql: float
    mql: float
    arguments_for: tuple[Reason, ...]
    arguments_against: tuple[Reason, ...]
    contributions: dict[str, float]
    flags: str
    trust: Trust
    to_verify: tuple[str, ...]
    timeline: tuple[Happening, ...]
    change: Change | None
    threshold: float | None
    steps: tuple[Step, ...]
    rate: float | None
    days: float | None
    due_at: datetime | None
    come_back_at: datetime | None
    come_back_because: str
    zone: str

    def to_json(self) -> dict[str, object]:
        """Return what `leads explain --json` prints."""
        return {
            **{name: value for name, value in asdict(self).items() if not name.startswith("arguments")},
            "as_of": _iso(self.as_of),
            "created_at": _iso(self.created_at),
            "interval": self.interval,
            "due_at": _iso(self.due_at),
            "come_back_at": _iso(self.come_back_at),
            "reasons_for": [reason.text for reason in self.arguments_for],
            "reasons_against": [reason.text for reason in self.arguments_against],
            "points": {reason.group: reason.points for reason in (*self.arguments_for, *self.arguments_against)},
            "timeline": [{**asdict(one), "day": one.day.isoformat()} for one in self.timeline],
        }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() + "Z" if moment is not None else None


def _moment_of(moment: np.datetime64) -> datetime | None:
    found: datetime | None = moment.astype("datetime64[us]").item()
    return found


def _within(model: LeadModel, frame: pd.DataFrame, log_odds: NDArray[np.float64]) -> dict[str, float]:
    if model.sooner is None or not model.sooner.known:
        return {}
    said = model.within(frame, log_odds).values()
    return {name: float(one[0]) for name, one in zip(model.sooner.horizons, said, strict=True)}


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
    apart = model.take_apart(frame)
    probability = model.calibrator.probability(apart.log_odds)
    low, high = model.bounds(probability)
    earlier = last_decisions(project.state, [lead_id], before=moment) if moment is not None else {}
    bands, why = model.policy.assign_with_rules(
        probability,
        read_rule_columns(tables, snapshots, model.policy.rules),
        set_apart=snapshots["flag"].to_list(),
        leads=[lead_id],
        previous=previous_bands(earlier, [lead_id]),
    )
    every = max(1, len(model.columns))
    ((arguments_for, against),) = model.tell(apart, frame, language=language, most_for=every, most_against=every)
    words = speak(language)
    stale = is_stale(tables.data_until, moment, project.settings.reasons.stale_after)
    flags = ";".join(
        filter(None, [*model.flags(frame, spread=apart.spread), *too_old(snapshots, model), "stale_data" * stale])
    )
    changes = changes_since(project, earlier, snapshots, frame, tables, model, language=language)
    asked = pd.DataFrame(
        {"lead_id": [lead_id], "band": bands, "band_rule": why, "probability": probability, "log_odds": apart.log_odds}
    ).assign(expected_value=np.nan)
    agenda = plan_leads(project, asked, tables, moment=moment, language=language)
    threshold = next_threshold(float(probability[0]), model)
    steps: tuple[Step, ...] = ()
    if threshold is not None:
        steps = find_steps(
            project.settings.reasons.actionable, snapshots, frame, tables, model, catalogue,
            probability=float(probability[0]), words=words,
        )  # fmt: skip
    created = snapshots["created_at"].iloc[0]
    return Explanation(
        lead_id=lead_id,
        as_of=moment,
        created_at=None if created is None or created != created else created.to_pydatetime(),
        model_id=model.model_id,
        language=language,
        probability=float(probability[0]),
        interval=None if np.isnan(low[0]) else (float(low[0]), float(high[0])),
        sooner=_within(model, frame, apart.log_odds),
        log_odds=float(apart.log_odds[0]),
        base=apart.base,
        start=apart.points(model.calibrator)[1],
        band=bands[0],
        band_rule=why[0],
        sql=model.policy.sql,
        mql=model.policy.mql,
        arguments_for=tuple(arguments_for),
        arguments_against=tuple(against),
        contributions=dict(zip([one.name for one in model.columns], apart.contributions[0].tolist(), strict=True)),
        flags=flags,
        trust=trust_of(flags),
        to_verify=tuple(say_flags(flags, model.columns, words)),
        timeline=read_timeline(
            tables,
            catalogue,
            lead_id,
            moment,
            words,
            ignore=project.settings.events.ignore if project.settings.events is not None else (),
        ),
        change=changes.get(lead_id),
        threshold=threshold,
        steps=steps,
        rate=None if model.evidence is None else model.evidence.rate,
        days=None if model.evidence is None else model.evidence.days,
        due_at=_moment_of(agenda.due[0]),
        come_back_at=_moment_of(agenda.back[0]),
        come_back_because=agenda.because[0],
        zone=project.settings.project.timezone or "UTC",
    )
