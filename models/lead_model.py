"""`LeadModel`: the estimator, its calibrator, the band policy and the manifest, as one frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.bands import BandPolicy
from models.breakdown import Breakdown, take_apart
from models.calibration import Calibrator
from models.columns import ModelColumn, encode_frame, find_flags
from models.estimators import Blend, Estimator
from models.evidence import EvidenceTable
from models.interval import IntervalTable
from models.reasons import Reason, find_reasons
from models.sooner import Sooner, column_of
from project.language import Language

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LeadModel"]


@dataclass(frozen=True)
class LeadModel:
    """A model that scores feature frames; nothing in it changes after it was made.

    Attributes
    ----------
    manifest
        The readable half of the artefact; empty until the model is saved.
    interval
        What similarly scored leads did; null in models that were saved before there was one.
    unusual_from
        Log-odds by which the parts of a blend differ in one of a hundred leads of the past; null for other models.
    evidence
        What became of earlier leads by their values; null in models that were saved before there was any.
    sooner
        When those that convert do so; null if nobody asked for horizons shorter than the model's.
    """

    columns: tuple[ModelColumn, ...]
    estimator: Estimator
    calibrator: Calibrator
    policy: BandPolicy
    manifest: Mapping[str, object]
    interval: IntervalTable | None = None
    unusual_from: float | None = None
    evidence: EvidenceTable | None = None
    sooner: Sooner | None = None

    def log_odds(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Return log-odds before calibration, shape (rows,)."""
        return self.estimator.log_odds(encode_frame(frame, self.columns))

    def probability(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Return calibrated probabilities, shape (rows,)."""
        return self.calibrator.probability(self.log_odds(frame))

    def bounds(self, probability: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the interval for the conversion of leads scored alike, low and high; NaN without a table."""
        if self.interval is None:
            nowhere = np.full(len(probability), np.nan)
            return nowhere, nowhere
        return self.interval.bounds(probability)

    @property
    def sooner_columns(self) -> tuple[str, ...]:
        """The scored columns of the horizons shorter than the model's, rising; none if nobody asked for any."""
        return () if self.sooner is None else tuple(map(column_of, self.sooner.horizons))

    def within(self, frame: pd.DataFrame, log_odds: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Return the probability to convert within each shorter horizon, by the column that it is told in.

        It is at most that of the next longer one, and NaN where too few conversions were known to tell.

        Parameters
        ----------
        log_odds
            Of the frame, before calibration.
        """
        if self.sooner is None:
            return {}
        age = frame[self.sooner.age_column].to_numpy(dtype=np.float64) if self.sooner.age_column else None
        share = self.sooner.share(self.calibrator.calibrated(log_odds), age)
        probability = self.calibrator.probability(log_odds)
        return {name: probability * share[:, place] for place, name in enumerate(self.sooner_columns)}

    def contributions(self, frame: pd.DataFrame) -> tuple[NDArray[np.float64], float]:
        """Return contributions in log-odds before calibration, shape (rows, columns), and the base they add to."""
        apart = self.take_apart(frame)
        return apart.contributions, apart.base

    def take_apart(self, frame: pd.DataFrame) -> Breakdown:
        """Return the log-odds of a frame and everything that they are made of."""
        return take_apart(self.estimator, encode_frame(frame, self.columns), self.columns)

    def reasons(self, frame: pd.DataFrame, *, language: Language) -> list[tuple[list[Reason], list[Reason]]]:
        """Return the leading reasons for and against of every row."""
        return self.tell(self.take_apart(frame), frame, language=language)

    def tell(
        self,
        apart: Breakdown,
        frame: pd.DataFrame,
        *,
        language: Language,
        most_for: int = 3,
        most_against: int = 2,
    ) -> list[tuple[list[Reason], list[Reason]]]:
        """Return the leading reasons of rows that were taken apart."""
        points, _ = apart.points(self.calibrator)
        return find_reasons(
            apart,
            frame,
            self.columns,
            language=language,
            points=points,
            evidence=self.evidence,
            most_for=most_for,
            most_against=most_against,
        )

    def flags(self, frame: pd.DataFrame, *, spread: NDArray[np.float64] | None = None) -> list[str]:
        """Return for every row what is to be verified before one acts on it, `;` between; empty where all is well.

        Parameters
        ----------
        spread
            Of the parts of a blend, if it was measured already; see `Breakdown`.
        """
        noted = find_flags(frame, self.columns)
        if self.unusual_from is None or not isinstance(self.estimator, Blend) or not len(frame):
            return noted
        if spread is None:
            spread = self.estimator.spread(encode_frame(frame, self.columns))
        return [
            ";".join(filter(None, [note, "unusual" * bool(odd)]))
            for note, odd in zip(noted, spread > self.unusual_from, strict=True)
        ]

    @property
    def model_id(self) -> str:
        """The name under which the artefact is kept; empty until saved."""
        return str(self.manifest.get("model_id", ""))
