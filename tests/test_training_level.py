from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize
from scipy.special import expit

from models.calibration import AffineCalibrator, Calibrator, QuadraticCalibrator
from training.calibration.level import LevelShift, shift_level

AS_SAID = AffineCalibrator(0.0, 1.0)
HORIZON, DELAY = 90.0, 30.0


def draw(leads: int, *, shock: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Leads of the last 90 days: log-odds, whether they converted so far, and the share F(age) seen by now.

    Delays are exponential within the horizon. The true log-odds are the log-odds plus the shock.
    """
    random = np.random.default_rng(seed)
    log_odds = random.normal(-2.6, 1.0, leads)
    age = random.uniform(2.0, HORIZON, leads)
    whole = 1 - np.exp(-HORIZON / DELAY)
    converts = random.random(leads) < expit(log_odds + shock)
    delay = -DELAY * np.log(1 - random.random(leads) * whole)
    return log_odds, converts & (delay < age), (1 - np.exp(-age / DELAY)) / whole


def shift_rows(
    log_odds: np.ndarray, observed: np.ndarray, seen_share: np.ndarray, *, calibrator: Calibrator = AS_SAID
) -> LevelShift:
    leads = np.arange(len(log_odds)).astype(str)
    return shift_level(calibrator, log_odds, observed=observed, seen_share=seen_share, leads=leads)


def excess_loss(calibrator: Calibrator, *, shock: float) -> float:
    """Log loss above the truth, exactly, in nats a lead."""
    log_odds = np.random.default_rng(99).normal(-2.6, 1.0, 20_000)
    truth, said = log_odds + shock, calibrator.calibrated(log_odds)
    loss = expit(truth) * (truth - said) - np.logaddexp(0, truth) + np.logaddexp(0, said)
    return float(loss.mean())


def test_in_calm_times_the_level_is_left_alone_and_nothing_is_lost() -> None:
    found = [shift_rows(*draw(2_000, shock=0.0, seed=seed)) for seed in range(400)]
    assert np.mean([shift.applied for shift in found]) < 0.06
    assert np.mean([excess_loss(shift.calibrator, shock=0.0) for shift in found]) < 1 / (2 * 2_000)


@pytest.mark.parametrize("shock", [-0.4, 0.4, -0.8])
def test_after_a_shock_most_of_the_loss_is_won_back_before_the_outcomes_are_in(shock: float) -> None:
    found = [shift_rows(*draw(5_000, shock=shock, seed=seed)) for seed in range(20)]
    assert all(shift.applied for shift in found)
    corrected = np.mean([excess_loss(shift.calibrator, shock=shock) for shift in found])
    assert corrected < 0.15 * excess_loss(AS_SAID, shock=shock)


def test_taking_the_unseen_for_lost_would_have_seen_a_shock_where_there_is_none() -> None:
    log_odds, observed, seen_share = draw(5_000, shock=0.0, seed=1)
    naive = shift_rows(log_odds, observed, np.ones(5_000))
    assert naive.applied
    assert naive.shift < -0.3
    assert not shift_rows(log_odds, observed, seen_share).applied


@pytest.mark.parametrize(("shock", "sd"), [(0.3, 0.25), (1.2, 1.0)])
def test_with_all_outcomes_known_it_is_the_posterior_mode_of_the_level(shock: float, sd: float) -> None:
    log_odds, _, _ = draw(800, shock=0.0, seed=2)
    converted = np.random.default_rng(3).random(800) < expit(log_odds - shock)

    def loss(shift: float) -> float:
        margin = np.where(converted, log_odds + shift, -log_odds - shift)
        return float(np.log1p(np.exp(-margin)).sum() + shift**2 / (2 * sd**2))

    best = optimize.minimize_scalar(loss, bounds=(-3, 3), options={"xatol": 1e-9}).x
    found = shift_rows(log_odds, converted, np.ones(800))
    assert found.shift == pytest.approx(best, abs=1e-5)
    curvature = (loss(best + 1e-3) - 2 * loss(best) + loss(best - 1e-3)) / 1e-6
    assert found.error == pytest.approx(curvature**-0.5, rel=1e-3)


def test_the_error_is_how_far_the_shift_is_from_the_truth() -> None:
    random = np.random.default_rng(4)
    misses = []
    for seed in range(300):
        shock = float(random.normal(0.0, 0.25))
        found = shift_rows(*draw(1_000, shock=shock, seed=seed))
        misses.append((found.shift - shock) / found.error)
    assert np.std(misses) == pytest.approx(1.0, abs=0.12)
    assert np.mean(misses) == pytest.approx(0.0, abs=0.2)


@pytest.mark.parametrize("conversions", [0, 3, 40])
def test_a_handful_of_leads_moves_little(conversions: int) -> None:
    observed = np.arange(40) < conversions
    found = shift_rows(np.full(40, -2.0), observed, np.full(40, 0.5))
    assert abs(found.shift) < 2.0
    assert found.error < 0.25
    assert found.shift == pytest.approx(0.0, abs=0.15) or conversions == 40


def test_no_leads_at_all_leave_the_calibrator_as_it_is() -> None:
    assert shift_rows(np.empty(0), np.empty(0, dtype=bool), np.empty(0)) == LevelShift(AS_SAID, 0.0, 0.25, False)


def test_looking_at_every_lead_six_times_says_no_more_than_looking_once() -> None:
    log_odds, observed, seen_share = draw(1_500, shock=-0.5, seed=5)
    once = shift_rows(log_odds, observed, seen_share)
    often = shift_level(
        AS_SAID,
        np.tile(log_odds, 6),
        observed=np.tile(observed, 6),
        seen_share=np.tile(seen_share, 6),
        leads=np.tile(np.arange(1_500).astype(str), 6),
    )
    assert (often.shift, often.error) == pytest.approx((once.shift, once.error), rel=1e-6)


def test_the_shift_is_added_to_the_log_odds_of_any_calibrator() -> None:
    bent = QuadraticCalibrator(-0.2, 0.9, 0.05, low=-6.0, high=1.0)
    log_odds, observed, seen_share = draw(5_000, shock=-0.8, seed=6)
    found = shift_rows(log_odds, observed, seen_share, calibrator=bent)
    assert found.applied
    places = np.linspace(-8, 3, 50)
    np.testing.assert_allclose(
        found.calibrator.calibrated(places), bent.calibrated(places) + found.shift, rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1, np.nan])
def test_a_share_that_none_can_have_seen_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="in \\(0, 1\\]"):
        shift_rows(np.zeros(2), np.zeros(2, dtype=bool), np.array([0.5, share]))


def test_what_levels_have_missed_before_is_not_followed_and_a_shock_beyond_it_is() -> None:
    log_odds, observed, seen_share = draw(5_000, shock=-0.4, seed=7)
    leads = np.arange(5_000).astype(str)
    known = {"observed": observed, "seen_share": seen_share, "leads": leads}
    sure = shift_level(AS_SAID, log_odds, **known)
    doubtful = shift_level(AS_SAID, log_odds, **known, miss=0.3)
    assert (sure.applied, doubtful.applied) == (True, False)
    assert doubtful.error == pytest.approx(np.hypot(sure.error, 0.3))
    log_odds, observed, seen_share = draw(5_000, shock=-1.2, seed=8)
    shocked = shift_level(AS_SAID, log_odds, observed=observed, seen_share=seen_share, leads=leads, miss=0.3)
    assert shocked.applied
    assert -1.25 < shocked.shift < -0.9


def test_where_earlier_moments_tell_how_far_levels_move_a_small_shift_is_followed_in_part() -> None:
    log_odds, observed, seen_share = draw(5_000, shock=-0.3, seed=9)
    known = {"observed": observed, "seen_share": seen_share, "leads": np.arange(5_000).astype(str), "miss": 0.25}
    kept, followed = shift_level(AS_SAID, log_odds, **known), shift_level(AS_SAID, log_odds, **known, follow=True)
    assert (kept.applied, followed.applied) == (False, True)
    assert followed.shift == pytest.approx(kept.shift / 2)
    assert followed.calibrator.calibrated(np.zeros(1))[0] == pytest.approx(followed.shift)
