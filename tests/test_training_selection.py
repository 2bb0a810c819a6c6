"""Worked leads only: who is learnt from, with which weight, and what is said of the others."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.tables import Tables
from project.errors import SchemaError
from project.settings import SelectionSettings
from training.report.selection_words import say_selection, say_uplift
from training.selection import read_uplift, select_worked

SETTINGS = SelectionSettings(worked="worked", propensity="chance")


@pytest.fixture
def columns(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[object]]:
    """The cells of ten leads; two snapshots each."""
    cells: dict[str, list[object]] = {"worked": ["yes", "no"] * 5, "chance": ["1", "0.1"] * 4 + ["0.25", "0.25"]}

    def read(_: Tables, lead_ids: list[str], headers: list[str]) -> pd.DataFrame:
        places = [int(lead) for lead in lead_ids]
        return pd.DataFrame({header: [cells[header][place] for place in places] for header in headers})

    monkeypatch.setattr("training.selection.read_lead_columns", read)
    return cells


def snapshots() -> pd.DataFrame:
    return pd.DataFrame({"lead_id": [str(n) for n in range(10) for _ in range(2)], "converted": [False] * 20})


TABLES: Tables = None  # type: ignore[assignment]  # the columns come from the fixture


def test_only_worked_leads_are_kept_and_weighed_by_one_over_their_chance(columns: dict[str, list[object]]) -> None:
    kept, selection, notes = select_worked(snapshots(), TABLES, SETTINGS)
    assert kept["lead_id"].unique().tolist() == ["0", "2", "4", "6", "8"]
    assert selection is not None
    assert selection.weight.tolist() == [1.0] * 8 + [4.0] * 2
    assert (selection.leads, selection.worked, selection.corrected) == (10, 5, True)
    assert selection.effective == pytest.approx(64 / 20)
    assert "5 of 10 leads were worked" in notes[0]


def test_weights_have_an_end_and_who_is_beyond_it_is_counted(columns: dict[str, list[object]]) -> None:
    columns["chance"] = ["0.01", "0.01"] * 5
    _, selection, notes = select_worked(snapshots(), TABLES, SETTINGS)
    assert selection is not None
    assert set(selection.weight) == {20.0}
    assert selection.out_of_reach == 1.0
    assert "nothing is known of them" in notes[1]
    assert "nothing is known of 100.0%" in say_selection(selection)


def test_without_chances_it_is_said_that_nothing_can_be_corrected(columns: dict[str, list[object]]) -> None:
    kept, selection, notes = select_worked(snapshots(), TABLES, SelectionSettings(worked="worked"))
    assert len(kept) == 10
    assert selection is not None
    assert set(selection.weight) == {1.0}
    assert "cannot be corrected" in notes[1]
    assert "not logged" in say_selection(selection)


def test_nothing_is_changed_without_the_section(columns: dict[str, list[object]]) -> None:
    asked = snapshots()
    assert select_worked(asked, TABLES, None) == (asked, None, [])


@pytest.mark.parametrize("cell", ["0", "1.5", "", "unknown", None])
def test_a_worked_lead_must_have_had_a_chance(cell: object, columns: dict[str, list[object]]) -> None:
    columns["chance"] = [cell, "0.1"] * 5
    with pytest.raises(SchemaError, match="above 0 and at most 1"):
        select_worked(snapshots(), TABLES, SETTINGS)


def test_nobody_worked_is_an_error_with_a_cure(columns: dict[str, list[object]]) -> None:
    columns["worked"] = ["never"] * 10
    with pytest.raises(SchemaError, match="is one of yes, true, 1, да"):
        select_worked(snapshots(), TABLES, SETTINGS)


def test_the_uplift_is_what_being_worked_changes_and_its_interval_covers_it() -> None:
    inside = []
    for seed in range(200):
        random = np.random.default_rng(seed)
        chance = random.choice([0.2, 0.5, 1.0], 3_000)
        worked = random.random(3_000) < chance
        rate = np.where(chance == 0.2, 0.1, 0.3) + 0.08 * worked
        found = read_uplift(pd.DataFrame({"converted": random.random(3_000) < rate}), worked, chance)
        assert found is not None
        inside.append(found.low < 0.08 < found.high)
    assert 0.9 < np.mean(inside) < 0.99
    assert "being worked changes their conversion by" in say_uplift(found)


def test_too_few_on_either_side_are_no_uplift() -> None:
    leads = pd.DataFrame({"converted": [True, False] * 50})
    assert read_uplift(leads, np.ones(100, dtype=bool), np.ones(100)) is None
    assert read_uplift(leads, np.arange(100) < 10, np.full(100, 0.1)) is None
