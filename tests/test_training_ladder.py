from __future__ import annotations

import numpy as np

from training.fitting.ladder import Forward, Plan, Rung, climb, supported_rungs


def said(losses: dict[Rung, np.ndarray]) -> dict[Rung, Forward]:
    rows = np.arange(len(next(iter(losses.values()))))
    return {rung: Forward(Plan(rung), rows, np.zeros(len(rows))) for rung in losses}


def test_a_step_up_must_be_worth_more_than_a_standard_error() -> None:
    chance = np.random.default_rng(0)
    base = chance.normal(0.4, 0.1, 400)
    noise = chance.normal(0.0, 0.1, 400)
    noise -= noise.mean()
    losses: dict[Rung, np.ndarray] = {"base_rate": base, "logistic": base - 0.02, "lightgbm": base - 0.022 + noise}
    steps = climb(said(losses), losses, losses, groups=np.arange(400))
    assert [step.held for step in steps] == [True, True, False]
    assert steps[2].gain > 0
    assert abs(steps[2].error - 0.005) < 0.0006
    # the same gain is taken where it is sure
    losses["lightgbm"] = base - 0.022 + noise / 20
    assert climb(said(losses), losses, losses, groups=np.arange(400))[2].held


def test_rows_of_one_account_are_not_several_pieces_of_evidence() -> None:
    chance = np.random.default_rng(1)
    gain = np.repeat(chance.normal(0.005, 0.05, 100), 6)
    losses: dict[Rung, np.ndarray] = {"base_rate": np.full(600, 0.4), "logistic": 0.4 - gain}
    alone = climb(said(losses), losses, losses, groups=np.arange(600))[1].error
    together = climb(said(losses), losses, losses, groups=np.repeat(np.arange(100), 6))[1].error
    assert together / alone > 2.3


def test_what_is_held_is_compared_with_what_was_held() -> None:
    flat = np.full(50, 0.4)
    losses: dict[Rung, np.ndarray] = {"base_rate": flat, "naive_bayes": flat + 0.1, "logistic": flat - 0.01}
    steps = climb(said(losses), losses, losses, groups=np.arange(50))
    assert [step.held for step in steps] == [True, False, True]
    assert abs(steps[2].gain - 0.01) < 1e-12


def test_few_conversions_support_the_lower_rungs_and_the_note_says_what_is_missing() -> None:
    assert supported_rungs(0)[0] == ("base_rate",)
    rungs, note = supported_rungs(150)
    assert rungs == ("base_rate", "naive_bayes", "logistic")
    assert note is not None
    assert "lightgbm needs 50 more conversions" in note
    assert supported_rungs(200) == (("base_rate", "naive_bayes", "logistic", "lightgbm", "blend"), None)


def test_beside_the_base_rate_a_rung_is_taken_half_way_to_it() -> None:
    flat = np.full(50, 0.4)
    losses: dict[Rung, np.ndarray] = {"base_rate": flat, "logistic": flat + 0.01, "lightgbm": flat + 0.005}
    cautious: dict[Rung, np.ndarray] = {"base_rate": flat, "logistic": flat - 0.002, "lightgbm": flat - 0.001}
    steps = climb(said(losses), losses, cautious, groups=np.arange(50))
    assert [step.held for step in steps] == [True, True, True]
    assert [round(step.gain, 9) for step in steps] == [0.0, 0.002, 0.005]


def test_half_way_is_in_log_odds() -> None:
    rows = np.arange(2)
    one, base = (
        Forward(Plan("logistic"), rows, np.array([2.0, -3.0])),
        Forward(Plan("base_rate"), rows, np.full(2, -1.0)),
    )
    assert one.half_way(base).log_odds.tolist() == [0.5, -2.0]


def test_naive_bayes_is_chosen_only_where_trees_are_not_supported() -> None:
    flat = np.full(50, 0.4)
    losses: dict[Rung, np.ndarray] = {"base_rate": flat, "naive_bayes": flat - 0.1, "logistic": flat - 0.05}
    assert [step.held for step in climb(said(losses), losses, losses, groups=np.arange(50))] == [True, True, False]
    losses["lightgbm"] = flat - 0.04
    assert [step.held for step in climb(said(losses), losses, losses, groups=np.arange(50))] == [
        True, False, True, False,
    ]  # fmt: skip
