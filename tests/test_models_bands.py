from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.bands import BANDS, BandPolicy, Rule
from project.errors import SettingsError

RANK = {"nurture": 0, "MQL": 1, "SQL": 2}
CUSTOMER = Rule("present customer", "status", ("Customer", "partner"), "disqualified")
VIP = Rule("asked for a call", "status", ("call me", "partner"), "SQL")
POLICY = BandPolicy(0.3, 0.1, rules=(CUSTOMER, VIP))

probabilities = st.floats(0, 1)
thresholds = st.tuples(st.floats(1e-4, 1), st.floats(1e-4, 1)).map(sorted)


def assign_all(policy: BandPolicy, probability: list[float], status: list[object]) -> tuple[list[str], list[str]]:
    return policy.assign_with_rules(np.array(probability), pd.DataFrame({"status": status}))


@settings(deadline=None, derandomize=True)
@given(thresholds, st.lists(probabilities, min_size=1, max_size=40))
def test_every_probability_has_one_band_and_a_higher_one_never_a_lower_band(
    edges: list[float], probability: list[float]
) -> None:
    bands = BandPolicy(sql=edges[1], mql=edges[0]).assign(np.sort(np.array(probability))).tolist()
    assert len(bands) == len(probability)
    ranks = [RANK[band] for band in bands]
    assert ranks == sorted(ranks)


@settings(deadline=None, derandomize=True)
@given(thresholds)
def test_a_probability_equal_to_a_threshold_is_in_the_higher_band(edges: list[float]) -> None:
    mql, sql = edges
    below = np.nextafter([sql, mql], 0.0)
    bands = BandPolicy(sql=sql, mql=mql).assign(np.array([sql, mql, *below])).tolist()
    assert bands[0] == "SQL"
    assert bands[1] == ("SQL" if mql == sql else "MQL")
    assert bands[2] == ("nurture" if mql == sql else "MQL")
    assert bands[3] == "nurture"


def test_no_probability_is_low_enough_to_disqualify() -> None:
    bands, _ = assign_all(POLICY, [0.0, 1e-12, 0.0999], ["new", None, "old"])
    assert bands == ["nurture"] * 3


@pytest.mark.parametrize(
    ("sql", "mql"), [(0.1, 0.3), (0.3, 0.0), (0.3, -0.1), (float("nan"), 0.1), (0.3, float("nan"))]
)
def test_thresholds_out_of_order_are_refused(sql: float, mql: float) -> None:
    with pytest.raises(SettingsError, match="0 < MQL <= SQL"):
        BandPolicy(sql=sql, mql=mql)


def test_a_rule_decides_whatever_the_probability_and_is_named() -> None:
    bands, why = assign_all(POLICY, [0.9, 0.0, 0.2, 0.2], ["customer", "call me", "customer", "new"])
    assert bands == ["disqualified", "SQL", "disqualified", "MQL"]
    assert why == ["present customer", "asked for a call", "present customer", "0.1 <= probability < 0.3"]


def test_of_two_rules_that_fit_the_first_decides() -> None:
    assert assign_all(POLICY, [0.2], ["partner"]) == (["disqualified"], ["present customer"])
    swapped = BandPolicy(0.3, 0.1, rules=(VIP, CUSTOMER))
    assert assign_all(swapped, [0.2], ["partner"]) == (["SQL"], ["asked for a call"])


@pytest.mark.parametrize("cell", ["customer", "CUSTOMER", "  Customer\t", "cUsToMeR\u00a0"])
def test_letter_case_and_outer_blanks_do_not_hide_a_lead_from_a_rule(cell: str) -> None:
    assert assign_all(POLICY, [0.5], [cell])[0] == ["disqualified"]


def test_letter_case_and_outer_blanks_in_the_rule_itself_do_not_matter_either() -> None:
    rule = Rule("ours", "status", (" НАШ Клиент ",), "disqualified")
    policy = BandPolicy(0.3, 0.1, rules=(rule,))
    assert assign_all(policy, [0.5, 0.5], ["наш клиент", "не наш клиент"])[0] == ["disqualified", "SQL"]


@pytest.mark.parametrize("cell", [None, float("nan"), "", "customers", "custo mer", "new"])
def test_a_missing_or_other_value_fits_no_rule(cell: object) -> None:
    odd = Rule("odd words", "status", ("nan", "None", "<NA>"), "disqualified")
    policy = BandPolicy(0.3, 0.1, rules=(CUSTOMER, odd))
    assert assign_all(policy, [0.5], [cell])[0] == ["SQL"]


def test_a_company_called_none_can_still_be_named_by_a_rule() -> None:
    policy = BandPolicy(0.3, 0.1, rules=(Rule("that company", "status", ("None",), "disqualified"),))
    assert assign_all(policy, [0.5, 0.5], ["none", None])[0] == ["disqualified", "SQL"]


def test_what_decided_is_said_with_the_thresholds() -> None:
    _, why = assign_all(BandPolicy(0.123456789, 0.05), [0.5, 0.1, 0.01], ["", "", ""])
    assert why == ["probability >= 0.1235", "0.05 <= probability < 0.1235", "probability < 0.05"]


@settings(deadline=None, derandomize=True)
@given(thresholds)
def test_thresholds_survive_save_and_load_to_the_last_bit(edges: list[float]) -> None:
    policy = BandPolicy(edges[1], edges[0], (CUSTOMER, VIP), cost_per_call=0.1 + 0.2, value_per_win=1 / 3, currency="₽")
    loaded = BandPolicy.from_json(json.loads(json.dumps(policy.to_json())))
    assert loaded == policy
    assert (loaded.sql.hex(), loaded.mql.hex()) == (edges[1].hex(), edges[0].hex())


def test_expected_value_is_what_a_win_brings_less_the_call() -> None:
    policy = BandPolicy(0.3, 0.1, cost_per_call=20.0, value_per_win=500.0)
    np.testing.assert_allclose(policy.expected_value(np.array([0.0, 0.04, 0.5])), [-20.0, 0.0, 230.0], atol=1e-12)


def test_expected_value_without_a_cost_is_what_a_win_brings() -> None:
    assert BandPolicy(0.3, 0.1, value_per_win=500.0).expected_value(np.array([0.5])).tolist() == [250.0]


@pytest.mark.parametrize("cost", [None, 20.0])
def test_without_a_value_of_a_win_there_is_no_expected_value(cost: float | None) -> None:
    found = BandPolicy(0.3, 0.1, cost_per_call=cost).expected_value(np.array([0.1, 0.9]))
    assert found.shape == (2,)
    assert np.isnan(found).all()


def test_only_these_bands_exist() -> None:
    assert BANDS == ("SQL", "MQL", "nurture", "disqualified")


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        (Rule("r", "status", (), "disqualified", contains=("Student",)), ["a STUDENT of law", "students"]),
        (Rule("r", "status", (), "disqualified", matches=r"^(intern|trainee)\b"), ["Intern", "trainee (summer)"]),
        (Rule("r", "status", ("x",), "disqualified", ("студент",), r"\d{3}"), ["X", "Студентка", "room 101"]),
    ],
)
def test_a_rule_may_ask_for_a_part_or_a_pattern(rule: Rule, fits: list[object]) -> None:
    policy = BandPolicy(0.3, 0.1, rules=(rule,))
    others: list[object] = ["an intern 12", "stud", None, float("nan"), ""]
    bands, why = assign_all(policy, [0.5] * (len(fits) + len(others)), [*fits, *others])
    assert bands == ["disqualified"] * len(fits) + ["SQL"] * len(others)
    assert why[0] == "r"
    assert BandPolicy.from_json(json.loads(json.dumps(policy.to_json()))) == policy


def test_a_lead_set_apart_comes_before_every_rule() -> None:
    attributes = pd.DataFrame({"status": ["call me", "call me", "new"]})
    bands, why = POLICY.assign_with_rules(
        np.array([0.9, 0.9, 0.9]), attributes, set_apart=["duplicate of 7", float("nan"), None]
    )
    assert bands == ["disqualified", "SQL", "SQL"]
    assert why == ["duplicate of 7", "asked for a call", "probability >= 0.3"]


def test_rules_of_older_models_are_read_and_written_as_they_were() -> None:
    rules = [
        {"name": "present customer", "column": "status", "equals": ["Customer", "partner"], "band": "disqualified"},
        {"name": "asked for a call", "column": "status", "equals": ["call me", "partner"], "band": "SQL"},
    ]
    written = POLICY.to_json()
    assert written["rules"] == rules
    assert BandPolicy.from_json(written) == POLICY


def test_a_rule_about_an_event_is_read_as_it_was_written() -> None:
    rule = Rule("asked for a demo", "event demo within 7d", ("yes",), "SQL", event="demo", within=604_800)
    policy = BandPolicy(0.3, 0.1, rules=(rule,))
    assert BandPolicy.from_json(json.loads(json.dumps(policy.to_json()))) == policy
    bands, why = policy.assign_with_rules(np.array([0.01, 0.01]), pd.DataFrame({rule.column: ["yes", None]}))
    assert bands == ["SQL", "nurture"]
    assert why[0] == "asked for a demo"
    assert np.isnan(policy.propensity(np.array([0.01]), why[:1])).all()


def test_a_lead_may_have_a_value_of_its_own_and_the_policy_keeps_the_name_of_its_column() -> None:
    policy = BandPolicy(0.3, 0.1, cost_per_call=10.0, value_per_win=100.0, value_column="Сумма")
    deals = pd.DataFrame({"Сумма": ["1 000", None, "?", "0", "250,5"]})
    said = np.full(5, 0.2)
    np.testing.assert_allclose(policy.expected_value(said, deals), [190.0, 10.0, 10.0, 10.0, 40.1])
    np.testing.assert_allclose(policy.expected_value(said), np.full(5, 10.0))
    bare = BandPolicy(0.3, 0.1, value_column="Сумма")
    np.testing.assert_array_equal(bare.expected_value(said[:2], deals[:2]), [200.0, np.nan])
    assert BandPolicy.from_json(json.loads(json.dumps(policy.to_json()))) == policy
    assert "value_column" not in BandPolicy(0.3, 0.1).to_json()
