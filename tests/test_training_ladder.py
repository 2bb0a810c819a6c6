from __future__ import annotations

import numpy as np

from small_models import make_data
from training.fitting.ladder import Forward, Plan, Rung, climb, fit_naive_bayes, supported_rungs


def said(losses: dict[Rung, np.ndarray]) -> dict[Rung, Forward]:
    rows = np.arange(len(next(iter(losses.values()))))
    return {rung: Forward(Plan(rung), rows, np.zeros(len(rows))) for rung in losses}


def test_a_step_up_must_be_worth_more_than_a_standard_error() -> None:
    chance = np.random.default_rng(0)
    base = chance.normal(0.4, 0.1, 400)
    noise = chance.normal(0.0, 0.1, 400)
    noise -= noise.mean()
    losses: dict[Rung, np.ndarray] = {"base_rate": base, "logistic": base - 0.02, "lightgbm": base - 0.022 + noise}
    steps = climb(said(losses), losses, groups=np.arange(400))
    assert [step.held for step in steps] == [True, True, False]
    assert steps[2].gain > 0
    assert abs(steps[2].error - 0.005) < 0.0006
    # the same gain is taken where it is sure
    losses["lightgbm"] = base - 0.022 + noise / 20
    assert climb(said(losses), losses, groups=np.arange(400))[2].held


def test_rows_of_one_account_are_not_several_pieces_of_evidence() -> None:
    chance = np.random.default_rng(1)
    gain = np.repeat(chance.normal(0.005, 0.05, 100), 6)
    losses: dict[Rung, np.ndarray] = {"base_rate": np.full(600, 0.4), "logistic": 0.4 - gain}
    alone = climb(said(losses), losses, groups=np.arange(600))[1].error
    together = climb(said(losses), losses, groups=np.repeat(np.arange(100), 6))[1].error
    assert together / alone > 2.3


def test_what_is_held_is_compared_with_what_was_held() -> None:
    flat = np.full(50, 0.4)
    losses: dict[Rung, np.ndarray] = {"base_rate": flat, "naive_bayes": flat + 0.1, "logistic": flat - 0.01}
    steps = climb(said(losses), losses, groups=np.arange(50))
    assert [step.held for step in steps] == [True, False, True]
    assert abs(steps[2].gain - 0.01) < 1e-12


def test_few_conversions_support_the_lower_rungs_and_the_note_says_what_is_missing() -> None:
    assert supported_rungs(0)[0] == ("base_rate",)
    rungs, note = supported_rungs(150)
    assert rungs == ("base_rate", "naive_bayes", "logistic")
    assert note is not None
    assert "lightgbm needs 50 more conversions" in note
    assert supported_rungs(200) == (("base_rate", "naive_bayes", "logistic", "lightgbm", "blend"), None)


def test_naive_bayes_adds_up_the_log_odds_of_levels() -> None:
    data = make_data(2_000, seed=1)
    model = fit_naive_bayes(data)
    shares, base = model.contributions(data.matrix)
    assert np.array_equal(shares[:, :3], np.zeros((2_000, 3)))
    np.testing.assert_allclose(shares.sum(axis=1) + base, model.log_odds(data.matrix), atol=1e-12)
    rate = data.target.mean()
    ads = data.matrix[:, 3] == 1
    told = (data.target[ads].sum() + 20 * rate) / (ads.sum() + 20)
    step = np.log(told / (1 - told)) - np.log(rate / (1 - rate))
    mean = model.terms[3].mean
    np.testing.assert_allclose(shares[ads, 3], step - mean, atol=1e-12)
