from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from training.monitoring.cusum import LevelTrack, track_level

START = np.datetime64("2025-01-06")


def watch(weeks: int, *, shift: float, seed: int, leads_a_week: int = 60) -> LevelTrack:
    """A model that says `margin` of leads whose true log-odds are `margin + shift`; the last eight weeks are young."""
    random = np.random.default_rng(seed)
    count = weeks * leads_a_week
    margin = random.normal(-2.0, 0.8, count)
    age = np.repeat(np.arange(weeks)[::-1], leads_a_week) / 8.0
    seen = np.minimum(age, 1.0)
    converted = (random.random(count) < expit(margin + shift)) & (random.random(count) < seen)
    as_of = START + np.repeat(np.arange(weeks) * np.timedelta64(7, "D"), leads_a_week)
    return track_level(as_of, expit(margin), seen, converted, np.arange(count).astype(str))


def test_a_model_that_is_right_raises_few_alarms_in_a_year() -> None:
    alarms = [watch(52, shift=0.0, seed=seed).alarm is not None for seed in range(200)]
    assert np.mean(alarms) < 0.1


@pytest.mark.parametrize(("shift", "word"), [(0.6, "more"), (-0.6, "fewer")])
def test_a_level_that_is_off_is_found_and_named(shift: float, word: str) -> None:
    tracks = [watch(40, shift=shift, seed=seed) for seed in range(20)]
    assert all(track.alarm == word for track in tracks)


def test_what_the_young_cannot_have_shown_is_not_expected_of_them() -> None:
    track = watch(30, shift=0.0, seed=1)
    assert track.expected[-2] < 0.3 * track.expected[0]
    assert track.observed.sum() == pytest.approx(track.expected.sum(), rel=0.2)


def test_a_lead_counts_once_however_often_it_was_looked_at() -> None:
    random = np.random.default_rng(3)
    leads = np.repeat(np.arange(500).astype(str), 6)
    as_of = np.tile(START + np.arange(6) * np.timedelta64(7, "D"), 500)
    said = np.full(3_000, 0.2)
    won = np.repeat(random.random(500) < 0.2, 6)
    track = track_level(as_of, said, np.ones(3_000), won, leads)
    assert track.expected.sum() == pytest.approx(100.0)
    assert track.observed.sum() == won.reshape(500, 6)[:, 0].sum()


def test_no_leads_at_all_are_no_alarm() -> None:
    empty = np.empty(0)
    track = track_level(np.empty(0, dtype="datetime64[us]"), empty, empty, empty.astype(bool), empty.astype(str))
    assert (track.alarm, track.weeks) == (None, ())
