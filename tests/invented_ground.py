"""Leads with a probability and a known fate, invented: the ground that thresholds are judged on."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np

from models.bands import BandPolicy
from project.settings import CapacitySettings, Settings
from training.banding.ground import Ground

POLICY = BandPolicy(0.3, 0.1)


def make_ground(
    best: np.ndarray,
    won: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    weeks: float = 10,
    arrived: int | None = None,
) -> Ground:
    since = datetime(2025, 1, 1)
    own = np.arange(len(best)) if groups is None else groups
    return Ground(best, won, own, arrived or len(best), since, since + timedelta(weeks=weeks))


def draw(seed: int, leads: int = 2_000) -> Ground:
    """Draw leads whose probabilities are right."""
    random = np.random.default_rng(seed)
    best = random.beta(0.8, 5.0, leads)
    return make_ground(best, random.random(leads) < best, weeks=20)


def by_hand() -> Ground:
    """40 leads in ten weeks, four a week: 10 of each probability, of which 8, 4, 2 and 0 converted."""
    best = np.repeat([0.8, 0.4, 0.2, 0.05], 10)
    won = np.concatenate([np.arange(10) < wins for wins in (8, 4, 2, 0)])
    return make_ground(best, won)


def settings_of(capacity: CapacitySettings) -> Settings:
    content = {"leads": {"file": "x.csv", "id": "id"}, "outcome": {"column": "won", "won": ["yes"]}}
    return Settings.model_validate({**content, "capacity": capacity.model_dump(exclude_none=True)})
