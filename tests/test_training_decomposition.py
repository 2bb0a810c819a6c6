from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression

from training.evaluation.decomposition import decompose, recalibrate


def draw(seed: int, rows: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Over-confident probabilities with ties, and outcomes."""
    random = np.random.default_rng(seed)
    truth = random.normal(-1.5, 1.0, rows)
    return np.round(expit(0.3 + 1.6 * truth), 2).clip(0.01, 0.99), random.random(rows) < expit(truth)


@pytest.mark.parametrize("seed", range(5))
def test_the_recalibration_is_the_isotonic_fit_with_ties_together(seed: int) -> None:
    probability, converted = draw(seed)
    levels = np.unique(probability)
    rate = np.array([converted[probability == level].mean() for level in levels])
    rows = np.array([(probability == level).sum() for level in levels])
    expected = IsotonicRegression().fit(levels, rate, sample_weight=rows).predict(probability)
    np.testing.assert_allclose(recalibrate(probability, converted), expected, atol=1e-12)


def test_a_decomposition_by_hand() -> None:
    # 0.2: one of four converted; 0.6: one of two. The isotonic fit says 1/4 and 1/2, the base rate is 1/3.
    probability = np.array([0.2] * 4 + [0.6] * 2)
    converted = np.array([True, False, False, False, True, False])
    brier = decompose(probability, converted, score="brier")
    assert brier.loss == pytest.approx((0.64 + 3 * 0.04 + 0.16 + 0.36) / 6, abs=1e-14)
    recalibrated = (9 / 16 + 3 / 16 + 1 / 4 + 1 / 4) / 6
    assert brier.miscalibration == pytest.approx(brier.loss - recalibrated, abs=1e-14)
    assert brier.uncertainty == pytest.approx(2 / 9, abs=1e-14)
    assert brier.discrimination == pytest.approx(2 / 9 - recalibrated, abs=1e-14)
    log_loss = decompose(probability, converted, score="log_loss")
    recalibrated = -(math.log(1 / 4) + 3 * math.log(3 / 4) + 2 * math.log(1 / 2)) / 6
    assert log_loss.uncertainty == pytest.approx(-(math.log(1 / 3) + 2 * math.log(2 / 3)) / 3, abs=1e-12)
    assert log_loss.discrimination == pytest.approx(log_loss.uncertainty - recalibrated, abs=1e-12)


@pytest.mark.parametrize("score", ["log_loss", "brier"])
@pytest.mark.parametrize("seed", range(5))
def test_the_parts_add_up_to_the_loss_and_are_not_negative(seed: int, score: str) -> None:
    probability, converted = draw(seed)
    parts = decompose(probability, converted, score=score)  # type: ignore[arg-type]
    chosen = np.where(converted, probability, 1 - probability)
    direct = np.mean((1 - chosen) ** 2) if score == "brier" else -np.mean(np.log(chosen))
    assert parts.loss == pytest.approx(direct, abs=1e-12)
    assert parts.miscalibration - parts.discrimination + parts.uncertainty == pytest.approx(direct, abs=1e-12)
    assert parts.miscalibration > 0
    assert parts.discrimination > 0


def test_a_distortion_that_keeps_the_order_moves_miscalibration_only() -> None:
    probability, converted = draw(1, rows=4_000)
    bent = probability**2
    before, after = (decompose(said, converted, score="log_loss") for said in (probability, bent))
    assert after.discrimination == pytest.approx(before.discrimination, abs=1e-12)
    assert after.uncertainty == before.uncertainty
    assert after.miscalibration - before.miscalibration == pytest.approx(after.loss - before.loss, abs=1e-12)


def test_a_constant_discriminates_nothing_and_the_true_rate_is_not_miscalibrated() -> None:
    converted = np.arange(40) < 10
    parts = decompose(np.full(40, 0.25), converted, score="brier")
    assert (parts.miscalibration, parts.discrimination) == (0.0, 0.0)
    assert parts.loss == parts.uncertainty == pytest.approx(0.1875)


@pytest.mark.parametrize("everybody", [True, False])
def test_outcomes_of_one_kind_have_no_uncertainty(everybody: bool) -> None:
    parts = decompose(np.linspace(0.1, 0.9, 20), np.full(20, everybody), score="log_loss")
    assert parts.uncertainty == pytest.approx(0.0, abs=1e-9)
    assert parts.miscalibration == pytest.approx(parts.loss, abs=1e-9)
