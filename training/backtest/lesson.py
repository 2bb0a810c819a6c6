"""What could be learnt at an earlier moment: a model and a rival, from tables made of what was known then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from features.ingest import read_tables
from features.listing import build_catalogue
from models.columns import ModelColumn, encode_frame
from training.bands import make_rules
from training.evaluation.rivals import OdooNaiveBayes, fit_odoo_naive_bayes
from training.examples import Examples, build_examples
from training.fitting.contenders import Contender, hold_contest

if TYPE_CHECKING:
    import pandas as pd

    from features.catalogue import Catalogue
    from features.tables import Tables
    from project.folder import Project
    from project.settings import Settings

__all__ = ["Lesson", "learn_by"]

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Lesson:
    """What `leads train` would have come to at a moment, without its report.

    Attributes
    ----------
    at
        UTC; nothing that happened at or after it had any part in this.
    catalogue
        The features that the model and the rival read.
    leads, converted
        How many leads with a known fate there were then.
    """

    at: datetime
    catalogue: Catalogue
    columns: tuple[ModelColumn, ...]
    contender: Contender
    odoo: OdooNaiveBayes
    leads: int
    converted: int

    @property
    def rung(self) -> str:
        """Which kind of model was chosen."""
        return self.contender.name

    def score(self, frame: pd.DataFrame) -> tuple[Vector, Vector]:
        """Return calibrated probabilities and log-odds before calibration, each of shape (rows,)."""
        log_odds = self.contender.estimator.log_odds(encode_frame(frame, self.columns))
        return self.contender.calibrator.probability(log_odds), log_odds


def learn_by(project: Project, at: datetime) -> Lesson:
    """Learn all that could be learnt at a moment; the sources are read anew, and what came later is forgotten.

    Raises
    ------
    NotEnoughDataError
        There was too little to learn from then.
    """
    tables = read_tables(project, known_until=at)
    settings = _forbid_what_there_is(project.settings, tables)
    try:
        examples = build_examples(tables, settings, rules=make_rules(settings.rules))
    finally:
        tables.connection.close()
    contest = hold_contest(
        examples, horizon=settings.outcome.horizon, seed=settings.training.seed, progress=lambda _: None
    )
    first = _first_rows(examples)
    return Lesson(
        at,
        examples.catalogue,
        contest.columns,
        contest.chosen,
        fit_odoo_naive_bayes(examples.frame.iloc[first], examples.converted[first]),
        len(first),
        len(np.unique(examples.leads[examples.converted])),
    )


def _forbid_what_there_is(settings: Settings, tables: Tables) -> Settings:
    """Drop from `features.forbidden` what was no feature yet; the whole history was checked for wrong names before."""
    if not settings.features.forbidden:
        return settings
    free = settings.model_copy(update={"features": settings.features.model_copy(update={"forbidden": {}})})
    names = set(build_catalogue(tables, free).names)
    forbidden = {name: why for name, why in settings.features.forbidden.items() if name in names}
    return free.model_copy(update={"features": free.features.model_copy(update={"forbidden": forbidden})})


def _first_rows(examples: Examples) -> NDArray[np.intp]:
    """Return the first snapshot of every lead: the rival counts a lead once, all of them that are known."""
    return np.flatnonzero(~examples.snapshots["lead_id"].duplicated().to_numpy())
