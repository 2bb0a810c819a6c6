from __future__ import annotations

import numpy as np

from training.fitting.delays import known_at, learn_delays, still_to_come

DAY = 86_400


def invent(leads: int, *, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Leads asked about at once and at a week: conversions come within the horizon, later ones more slowly."""
    chance = np.random.default_rng(seed)
    age = np.where(np.arange(leads) % 2 == 0, 0, 7 * DAY)
    delay = np.where(age == 0, chance.beta(1, 4, leads), chance.beta(2, 2, leads))
    return age, delay, np.arange(leads).astype(str)


def test_the_curve_is_the_share_of_conversions_that_came_by_then() -> None:
    age, delay, leads = invent(20_000, seed=1)
    curve = learn_delays(age, delay, leads)
    assert curve is not None
    for kind in (0, 7 * DAY):
        watched = np.array([0.0, 0.1, 0.3, 0.5, 1.0])
        truth = [(delay[age == kind] < share).mean() for share in watched]
        np.testing.assert_allclose(curve.seen(np.full(5, kind), watched), truth, atol=0.02)
    assert curve.conversions == 20_000


def test_an_age_that_never_occurred_is_told_by_all() -> None:
    curve = learn_delays(*invent(2_000, seed=2))
    assert curve is not None
    np.testing.assert_allclose(curve.seen(np.array([99]), np.array([0.5])), np.interp(0.5, curve.edges, curve.pooled))


def test_few_conversions_tell_no_curve() -> None:
    age, delay, leads = invent(99, seed=3)
    assert learn_delays(age, delay, leads) is None
    assert learn_delays(np.repeat(age, 6), np.repeat(delay, 6), np.repeat(leads, 6)) is None


def test_of_young_leads_only_what_has_come_is_known() -> None:
    curve = learn_delays(*invent(2_000, seed=4))
    age, delay = np.zeros(4, dtype=np.int64), np.array([0.1, 0.6, np.nan, 0.6])
    known = known_at(age, delay, np.array([0.5, 0.5, 0.5, 1.7]), curve)
    assert known.converted.tolist() == [True, False, False, True]
    assert known.seen[3] == 1.0
    assert (known.seen[:3] < 1.0).all()
    assert known_at(age, delay, np.array([0.5, 0.5, 0.5, 1.7]), None).seen.tolist() == [0.0, 0.0, 0.0, 1.0]


def test_what_has_come_and_what_is_still_to_come_make_the_whole() -> None:
    chance = np.random.default_rng(5)
    probability = chance.uniform(0.02, 0.6, 200_000)
    age, delay, leads = np.zeros(200_000, dtype=np.int64), chance.beta(1, 3, 200_000), np.arange(200_000).astype(str)
    curve = learn_delays(age, delay, leads)
    converts = chance.random(200_000) < probability
    known = known_at(age, np.where(converts, delay, np.nan), chance.uniform(0, 1, 200_000), curve)
    target = np.where(known.converted, 1.0, still_to_come(probability, known.seen))
    assert abs(target.mean() - probability.mean()) < 0.003
    assert known.converted.mean() < 0.8 * probability.mean()
