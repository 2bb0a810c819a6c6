"""A threshold is picked by what it means, and what thresholds bring is told in a table, in JSON and on a page."""

from __future__ import annotations

import json

import numpy as np
import pytest

from invented_ground import POLICY, by_hand, draw, settings_of
from models.bands import BandPolicy
from project.errors import NotEnoughDataError, QualityGateError, SettingsError
from project.files import canonical_json
from project.settings import CapacitySettings, Settings
from training.banding.page import render_bands
from training.banding.pick import compare_bands, pick_bands
from training.banding.run import describe
from training.banding.solve import Solution, solve
from training.banding.words import pick_lines, say_line

MONEY = CapacitySettings(leads_per_week=10, calls_per_rep=5, cost_per_call=20, value_per_win=100, currency="₽")


def solved(capacity: CapacitySettings, *, leads: int = 2_000) -> tuple[Solution, Settings]:
    return solve(draw(7, leads=leads), POLICY, capacity, seed=0, draws=20), settings_of(capacity)


def test_a_threshold_is_picked_by_what_it_means() -> None:
    capacity = CapacitySettings(leads_per_week=9, cost_per_call=20, value_per_win=100, currency="EUR", precision=0.3)
    found, settings = solved(capacity)
    for mark in ("capacity", "break-even", "margin", "promise"):
        line = found.find(mark)  # type: ignore[arg-type]
        assert line is not None
        picked = pick_bands(found, POLICY, settings, mark=mark)  # type: ignore[arg-type]
        assert (picked.sql, picked.mql) == (line.threshold, 0.1)
        assert (picked.cost_per_call, picked.value_per_win, picked.currency) == (20, 100, "EUR")
        assert picked.hysteresis == 0.15
    assert pick_bands(found, POLICY, settings, sql=0.25, mql=0.2).mql == 0.2


def test_mql_follows_a_threshold_that_falls_below_it() -> None:
    money, settings = solved(CapacitySettings(cost_per_call=1, value_per_win=50))
    assert pick_bands(money, POLICY, settings, sql=0.08).mql == 0.02  # break-even
    plain, settings = solved(CapacitySettings())
    assert pick_bands(plain, POLICY, settings, sql=0.08).mql == 0.04


@pytest.mark.parametrize(("sql", "mql"), [(0.0, None), (1.2, None), (0.3, 0.4), (0.3, 0.0), (float("nan"), None)])
def test_thresholds_that_are_none_are_refused(sql: float, mql: float | None) -> None:
    found, settings = solved(CapacitySettings())
    with pytest.raises(SettingsError, match="0 < MQL <= SQL <= 1"):
        pick_bands(found, POLICY, settings, sql=sql, mql=mql)


@pytest.mark.parametrize(
    ("mark", "key"),
    [("capacity", "leads_per_week"), ("break-even", "cost_per_call"), ("margin", "value_per_win"),
     ("promise", "capacity.precision")],
)  # fmt: skip
def test_what_leads_toml_does_not_tell_cannot_be_picked_and_the_key_is_named(mark: str, key: str) -> None:
    found, settings = solved(CapacitySettings())
    with pytest.raises(SettingsError, match=key):
        pick_bands(found, POLICY, settings, mark=mark)  # type: ignore[arg-type]


def test_an_unproved_precision_cannot_be_picked() -> None:
    few, settings = solved(CapacitySettings(precision=0.45), leads=250)
    with pytest.raises(NotEnoughDataError, match="more leads"):
        pick_bands(few, POLICY, settings, mark="promise")
    never, settings = solved(CapacitySettings(precision=0.99))
    with pytest.raises(QualityGateError, match="Ask for less"):
        pick_bands(never, POLICY, settings, mark="promise")


def test_who_changes_band_is_counted_by_hand() -> None:
    found = solve(by_hand(), POLICY, CapacitySettings(), seed=0, draws=5)
    change = compare_bands(found, POLICY, BandPolicy(0.5, 0.25))
    assert change.moved == {"SQL to MQL": 10, "MQL to nurture": 10}
    assert (change.changed, change.leads) == (20, 40)
    assert compare_bands(found, POLICY, BandPolicy(0.3, 0.1)).moved == {}


def test_the_table_has_a_dozen_lines_with_every_mark() -> None:
    capacity = CapacitySettings(leads_per_week=9, cost_per_call=10, value_per_win=100, precision=0.3)
    found = solve(draw(1), POLICY, capacity, seed=0, draws=20)
    shown = pick_lines(found)
    assert len(shown) == 12
    marks = {mark for line in shown for mark in line.marks}
    assert marks == {"present", "capacity", "break-even", "margin", "promise"}
    calls = [line.calls.value for line in shown]
    assert calls == sorted(calls)
    assert max(np.diff(np.sqrt(calls))) < 0.25 * np.sqrt(calls[-1])
    assert all(len(say_line(line, "€")) == 7 for line in shown)


def test_the_same_leads_give_the_same_answer_and_it_is_json() -> None:
    one, two = (describe(solve(draw(4), POLICY, MONEY, seed=1)) for _ in range(2))
    assert canonical_json(one) == canonical_json(two)
    assert json.loads(canonical_json(one))["one_more_rep"]["calls"] > 0


def test_the_page_stands_alone_and_copes_with_any_name() -> None:
    page = render_bands(draw_solution(), MONEY, project="Отдел <продаж>", model_id="model-1", asked_at="2025-06-01")
    assert "Отдел &lt;продаж&gt;: bands that fit the team" in page
    assert "src=" not in page
    assert 'href="http' not in page
    assert page.count("<svg role=") == 1
    assert "wins a week" in page and "margin a week, ₽" in page
    again = render_bands(draw_solution(), MONEY, project="Отдел <продаж>", model_id="model-1", asked_at="2025-06-01")
    assert again == page
    bare = solve(draw(4), POLICY, CapacitySettings(), seed=1, draws=20)
    plain = render_bands(bare, CapacitySettings(), project="p", model_id="m", asked_at="t")
    assert "margin a week, " not in plain
    assert "set capacity.cost_per_call" in plain


def draw_solution() -> Solution:
    return solve(draw(4), POLICY, MONEY, seed=1, draws=20)
