from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.artefact import load_model, save_model
from models.columns import ModelColumn, encode_frame, find_flags, input_owners, own_contributions
from models.lead_model import LeadModel
from project.errors import SchemaError
from small_models import COLUMNS, KINDS, POLICY, make_data, make_frame, mark, small_model
from training.fitting.boost import fit_trees
from training.fitting.fit import fit_logistic

SOURCE = ModelColumn("source", "category", "Source", "Источник", frequent=("web", "ads"), rare=("fax", "tv"))
AMOUNT = ModelColumn("amount", "number", "Amount", "Сумма")
ODD_NAMES = ('say "hi"', "бюджет, ₽", "💥", '{"a": [1, null]}', "back\\slash\tand\nnewline")


def test_levels_become_codes_rare_ones_share_the_last_and_the_rest_is_missing() -> None:
    frame = pd.DataFrame({"source": ["ads", "web", "fax", "tv", "radio", None, "WEB"]})
    codes = encode_frame(frame, [SOURCE])[:, 0]
    np.testing.assert_array_equal(codes, [1.0, 0.0, 2.0, 2.0, np.nan, np.nan, np.nan])


def test_only_levels_never_seen_are_flagged_not_rare_nor_missing_ones() -> None:
    frame = pd.DataFrame({"source": ["ads", "fax", "radio", None, np.nan]})
    assert find_flags(frame, [SOURCE]) == ["", "", "unseen:source", "", ""]


def test_infinite_numbers_are_scored_as_missing_and_flagged() -> None:
    frame = pd.DataFrame({"amount": [1.5, np.inf, -np.inf, np.nan]})
    np.testing.assert_array_equal(encode_frame(frame, [AMOUNT])[:, 0], [1.5, np.nan, np.nan, np.nan])
    assert find_flags(frame, [AMOUNT]) == ["", "infinite:amount", "infinite:amount", ""]


def test_several_flags_of_a_row_stand_in_the_order_of_the_columns() -> None:
    frame = pd.DataFrame({"amount": [np.inf], "source": ["radio"]})
    assert find_flags(frame, [SOURCE, AMOUNT]) == ["unseen:source;infinite:amount"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_infinite_number_scores_like_a_missing_one(kind: str) -> None:
    model, frame = small_model(kind), make_frame(30, seed=4)
    missing, infinite = frame.copy(), frame.copy()
    missing["budget"], infinite["budget"] = np.nan, np.where(np.arange(30) % 2, np.inf, -np.inf)
    np.testing.assert_array_equal(model.probability(infinite), model.probability(missing))


@pytest.mark.parametrize("kind", KINDS)
def test_an_unseen_level_scores_like_a_missing_one(kind: str) -> None:
    model, frame = small_model(kind), make_frame(30, seed=4)
    np.testing.assert_array_equal(
        model.probability(frame.assign(source="carrier pigeon")),
        model.probability(frame.assign(source=pd.Series([None] * 30, dtype="str"))),
    )


@pytest.mark.parametrize("dtype", ["int64", "float32", "bool", "Int64", "object"])
def test_numbers_of_any_dtype_become_the_same_floats(dtype: str) -> None:
    frame = pd.DataFrame({"amount": pd.Series([0, 1, 1], dtype=dtype)})
    assert encode_frame(frame, [AMOUNT]).tolist() == [[0.0], [1.0], [1.0]]


@pytest.mark.parametrize("kind", KINDS)
def test_columns_go_by_name_so_their_order_in_the_frame_and_strangers_do_not_matter(kind: str) -> None:
    model, frame = small_model(kind), make_frame(60, seed=6)
    swapped = frame[["weekday", "budget", "visits", "source", "idle_days"]].assign(stranger=1.0)
    np.testing.assert_array_equal(model.log_odds(swapped), model.log_odds(frame))
    np.testing.assert_array_equal(model.contributions(swapped)[0], model.contributions(frame)[0])
    assert model.reasons(swapped, language="ru") == model.reasons(frame, language="ru")
    assert model.flags(swapped) == model.flags(frame)


def test_the_index_of_the_frame_does_not_matter() -> None:
    model, frame = small_model("logistic"), make_frame(40, seed=6)
    odd = frame.set_index(pd.Index([7] * 40))
    np.testing.assert_array_equal(model.probability(odd), model.probability(frame))
    assert model.flags(odd) == model.flags(frame)
    assert model.reasons(odd, language="en") == model.reasons(frame, language="en")


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_column_is_an_error_that_names_it(kind: str) -> None:
    frame = make_frame(3, seed=0).drop(columns=["idle_days", "source"])
    with pytest.raises(SchemaError, match="idle_days, source") as caught:
        small_model(kind).probability(frame)
    assert "visits" not in str(caught.value)


def test_scoring_leaves_the_frame_as_it_was() -> None:
    frame = make_frame(30, seed=1).assign(visits=np.inf)
    before = frame.copy(deep=True)
    small_model("lightgbm").probability(frame)
    small_model("lightgbm").flags(frame)
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize("kind", ["logistic", "lightgbm"])
def test_odd_column_names_and_levels_survive_fit_save_and_load(kind: str, tmp_path: Path) -> None:
    names = dict(zip([column.name for column in COLUMNS], ODD_NAMES, strict=True))
    levels = ('"', "\\", "выставка 💥")
    columns = tuple(replace(column, name=names[column.name]) for column in COLUMNS)
    columns = (*columns[:3], replace(columns[3], frequent=levels), columns[4])
    data = make_data(400, seed=1)
    data = replace(data, columns=columns)
    estimator = fit_logistic(data, strength=0.1) if kind == "logistic" else fit_trees(data, rounds=60, seed=0)
    model = LeadModel(columns, estimator, small_model(kind).calibrator, POLICY, {})
    frame = make_frame(50, seed=2)
    frame["source"] = np.resize(np.array([*levels, "fax", None], dtype=object), 50)
    frame = frame.rename(columns=names)

    saved = save_model(model, tmp_path, canary={"expected": []}, facts={})
    folder = tmp_path / saved.model_id
    loaded = load_model(folder, verified=mark(folder, tmp_path))

    assert loaded.columns == columns
    np.testing.assert_array_equal(loaded.probability(frame), model.probability(frame))
    assert len(np.unique(loaded.probability(frame))) > 10
    assert loaded.flags(frame) == [""] * 50
    assert loaded.flags(frame.assign(**{ODD_NAMES[3]: "unheard of"})) == [f"unseen:{ODD_NAMES[3]}"] * 50
    with pytest.raises(SchemaError, match="💥"):
        loaded.probability(frame.drop(columns="💥"))


def test_a_column_is_the_same_after_its_readable_form() -> None:
    told = replace(COLUMNS[3], rates={"web": 0.25, "Выставка": -1.5}, missing_rate=0.125)
    for column in (*COLUMNS, told):
        assert ModelColumn.from_json(column.to_json()) == column


def test_a_category_told_by_rates_has_one_more_input_at_the_end() -> None:
    columns = (COLUMNS[0], replace(COLUMNS[3], rates={"web": 0.25, "fax": -1.5}, missing_rate=0.125), COLUMNS[1])
    frame = pd.DataFrame(
        {"visits": [1.0] * 4, "idle_days": [2.0] * 4, "source": pd.Series(["web", "fax", None, "new"], dtype="str")}
    )
    matrix = encode_frame(frame, columns)
    np.testing.assert_array_equal(matrix[:, 3], [0.25, -1.5, 0.125, 0.0])
    np.testing.assert_array_equal(matrix[:, :3], encode_frame(frame, tuple(replace(c, rates={}) for c in columns)))
    assert input_owners(columns) == [(0,), (1,), (2,), (1,)]
    shares = np.arange(8.0).reshape(2, 4)
    np.testing.assert_array_equal(own_contributions(shares, columns), [[0.0, 4.0, 2.0], [4.0, 12.0, 6.0]])


def test_some_rows_are_encoded_as_if_they_had_been_taken_first() -> None:
    crossed = {"role": {"web": {"boss": 0.5}}}
    columns = (
        COLUMNS[0],
        ModelColumn("source", "category", "S", "И", frequent=("web",), rates={"web": 0.25}, crossed=crossed),
        ModelColumn("role", "category", "R", "Р", frequent=("boss",)),
    )
    frame = pd.DataFrame({"visits": [1.0, np.nan, 3.0, np.inf]}).assign(
        source=pd.Series(["web", None, "fax", "web"], dtype="str"),
        role=pd.Series(["boss", "boss", None, "x"], dtype="str"),
    )
    rows = np.array([3, 0, 0, 2])
    np.testing.assert_array_equal(encode_frame(frame, columns, rows=rows), encode_frame(frame.iloc[rows], columns))


def test_a_pair_has_one_more_input_and_its_contribution_belongs_half_and_half_to_both() -> None:
    crossed = {"role": {"web": {"boss": 0.5}, "": {"boss": -0.25}}}
    columns = (
        ModelColumn("source", "category", "Source", "Источник", frequent=("web",), crossed=crossed),
        ModelColumn("role", "category", "Role", "Роль", frequent=("boss",)),
    )
    assert [ModelColumn.from_json(column.to_json()) for column in columns] == list(columns)
    frame = pd.DataFrame({"source": ["web", None, "web", "fax"], "role": ["boss", "boss", None, "boss"]}, dtype="str")
    assert encode_frame(frame, columns)[:, 2].tolist() == [0.5, -0.25, 0.0, 0.0]
    assert input_owners(columns) == [(0,), (1,), (0, 1)]
    shares = np.array([[1.0, 2.0, 0.5]])
    assert own_contributions(shares, columns).tolist() == [[1.25, 2.25]]
    with pytest.raises(SchemaError, match="role"):
        encode_frame(frame.drop(columns="role"), columns[:1])
