from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.naive_bayes import CategoricalNB

from training.evaluation.rivals import OdooNaiveBayes, fit_odoo_naive_bayes

# The check of MODELLING.md: 42 leads won and 105 lost; every count starts at 0.1. A lead may carry two tags, which all
# share one table: two fields with that same table say the same, as both divide by the sums over all tags.
TAGS = {"blue": (33.1, 65.1), "red": (23.1, 75.1)}
ODOO = OdooNaiveBayes(42.1, 105.1, {"first_tag": TAGS, "second_tag": TAGS})


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (None, None, 28.60),
        ("blue", None, 33.69),
        (None, "blue", 33.69),
        ("red", None, 23.51),
        ("blue", "red", 28.05),
        ("red", "blue", 28.05),
        ("green", "никогда", 28.60),
    ],
)
def test_the_check_numbers_of_odoo(first: str | None, second: str | None, expected: float) -> None:
    frame = pd.DataFrame({"first_tag": [first], "second_tag": [second]})
    assert 100 * ODOO.probability(frame)[0] == pytest.approx(expected, abs=0.005)


def test_rows_do_not_touch_each_other() -> None:
    frame = pd.DataFrame({"first_tag": ["blue", None, "red", np.nan], "second_tag": [None, "red", "blue", "green"]})
    together = ODOO.probability(frame)
    alone = [ODOO.probability(frame.iloc[[row]])[0] for row in range(4)]
    np.testing.assert_array_equal(together, alone)
    assert together[3] == pytest.approx(42.1 / 147.2)
    assert ODOO.probability(frame.iloc[:0]).shape == (0,)


@pytest.mark.parametrize(("won", "lost", "expected"), [(1e6, 0.1, 0.9999), (0.1, 1e6, 0.0001)])
def test_probabilities_stay_between_a_hundredth_of_a_percent_and_its_mirror(
    won: float, lost: float, expected: float
) -> None:
    frame = pd.DataFrame({"anything": ["x"]})
    assert OdooNaiveBayes(won, lost, {}).probability(frame).tolist() == [expected]


@pytest.mark.parametrize("side", [0, 1])
def test_overwhelming_evidence_of_many_fields_ends_at_the_clamp(side: int) -> None:
    strong = {"yes": (1e5, 0.1), "no": (0.1, 1e5)} if side == 0 else {"yes": (0.1, 1e5), "no": (1e5, 0.1)}
    fields = {f"field {number}": strong for number in range(60)}
    frame = pd.DataFrame({name: ["yes"] for name in fields})
    assert OdooNaiveBayes(1.0, 1.0, fields).probability(frame).tolist() == [0.9999 if side == 0 else 0.0001]


def test_counts_are_those_of_the_rows_and_start_at_a_tenth() -> None:
    frame = pd.DataFrame(
        {
            "country": pd.Series(["RU", "RU", "DE", None, "DE"], dtype="str"),
            "visits": [1.0, 2.0, 3.0, 4.0, 5.0],
            "source": pd.Series(["web", None, None, None, "ads"], dtype=object),
        }
    )
    model = fit_odoo_naive_bayes(frame, np.array([True, False, False, True, False]))
    assert (model.won, model.lost) == (2.1, 3.1)
    assert set(model.counts) == {"country", "source"}
    assert model.counts["country"] == {"RU": (1.1, 1.1), "DE": (0.1, 2.1)}
    assert model.counts["source"] == {"web": (1.1, 0.1), "ads": (0.1, 1.1)}


def test_a_field_that_is_always_missing_says_nothing() -> None:
    frame = pd.DataFrame({"country": pd.Series([None] * 4, dtype="str")})
    model = fit_odoo_naive_bayes(frame, np.array([True, False, False, False]))
    np.testing.assert_allclose(model.probability(frame), 1.1 / 4.2, rtol=1e-12)


def test_without_missing_values_it_is_scikit_learns_naive_bayes() -> None:
    random = np.random.default_rng(0)
    codes = np.column_stack([np.arange(400) % 3, random.integers(0, 4, 400)])
    converted = random.random(400) < np.where(codes[:, 0] == 1, 0.5, 0.2)
    frame = pd.DataFrame({"a": codes[:, 0].astype(str), "b": codes[:, 1].astype(str)})
    prior = np.array([(~converted).sum() + 0.1, converted.sum() + 0.1])
    bayes = CategoricalNB(alpha=0.1, class_prior=prior / prior.sum()).fit(codes, converted)
    found = fit_odoo_naive_bayes(frame, converted).probability(frame)
    np.testing.assert_allclose(found, bayes.predict_proba(codes)[:, 1], rtol=1e-9)
