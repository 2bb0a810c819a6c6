"""What is to be done with each scored lead and by when, as columns of the scored file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from features.rule_columns import count_new_events
from models.bands import EXPLORATION, BandPolicy
from project.language import Language, speak
from serving.agenda import come_back_at, due_at, is_back, plan_today
from serving.ledger.ledger import band_since

if TYPE_CHECKING:
    from features.tables import Tables
    from project.folder import Project

__all__ = ["PLAN_COLUMNS", "Agenda", "plan_leads"]

PLAN_COLUMNS = ("today", "due_at", "come_back_at", "come_back_because")


@dataclass(frozen=True)
class Agenda:
    """What is to be done with leads, one entry a row.

    Attributes
    ----------
    since
        When each came into its band, by the ledger; the moment that is looked from for those that are new in it.
    today
        Place on today's list of SQL leads, `overflow` beyond the daily cap, nothing for other bands.
    due, back
        By when it has to be called, and when it comes back from nurture: UTC, NaT where there is none.
    because
        Why it comes back before that, in words; nothing if it does not.
    """

    since: np.ndarray[tuple[int], np.dtype[np.datetime64]]
    today: list[str]
    due: np.ndarray[tuple[int], np.dtype[np.datetime64]]
    back: np.ndarray[tuple[int], np.dtype[np.datetime64]]
    because: list[str]

    def columns(self) -> Mapping[str, list[str]]:
        """Return the columns of `PLAN_COLUMNS`; times are ISO, UTC, empty where there is none."""
        return dict(zip(PLAN_COLUMNS, (self.today, _write(self.due), _write(self.back), self.because), strict=True))


def plan_leads(
    project: Project, scored: pd.DataFrame, tables: Tables, *, moment: datetime | None, language: Language
) -> Agenda:
    """Work out today's list, by when each lead is to be called, and which leads come back from nurture.

    A clock runs from the decision that put the lead into its band. Without dates there are no clocks.

    Parameters
    ----------
    scored
        `lead_id`, `band`, `band_rule`, `probability`, `log_odds`, `expected_value`; one row a lead, in any order.
    """
    settings = project.settings
    leads, bands = scored["lead_id"].to_list(), scored["band"].to_list()
    today = plan_today(
        bands,
        scored["probability"].to_numpy(dtype=np.float64),
        scored["log_odds"].to_numpy(dtype=np.float64),
        scored["expected_value"].to_numpy(dtype=np.float64),
        leads,
        settings.bands.cap_of_a_day(settings.capacity),
        # a rule that sends a lead straight to sales is not to be outranked by a probability
        first=[not BandPolicy.says(rule) and rule != EXPLORATION for rule in scored["band_rule"]],
    ).words
    if moment is None:
        nothing = np.full(len(leads), np.datetime64("NaT"), dtype="datetime64[us]")
        return Agenda(nothing, today, nothing, nothing, [""] * len(leads))
    known = band_since(project.state, dict(zip(leads, bands, strict=True)), before=moment)
    since = np.array([known.get(lead, moment) for lead in leads], dtype="datetime64[us]")
    due = due_at(since, bands, settings.sla, settings.project.timezone)
    back = come_back_at(since, bands, settings.bands)
    waiting = np.flatnonzero(~np.isnat(back) & (since < np.datetime64(moment)))
    because = [""] * len(leads)
    if len(waiting):
        asked = pd.DataFrame({"lead_id": [leads[row] for row in waiting], "decided_at": since[waiting]})
        ignored = settings.events.ignore if settings.events is not None else ()
        new = count_new_events(tables, asked.assign(as_of=np.datetime64(moment, "us")), ignore=ignored)
        words = speak(language)
        for row, events in zip(waiting, new.tolist(), strict=True):
            sent = since[row].astype("datetime64[us]").item()
            because[row] = is_back(sent, moment, events, settings.bands, words)
    return Agenda(since, today, due, back, because)


def _write(moments: np.ndarray[tuple[int], np.dtype[np.datetime64]]) -> list[str]:
    return ["" if np.isnat(one) else f"{one.astype('datetime64[s]')}Z" for one in moments]
