from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.registry import find_model, models_folder, move_alias, read_aliases, read_moves
from project.errors import ArtefactError, NotEnoughDataError, QualityGateError, SettingsError, StorageError

MONDAY = datetime(2025, 3, 3, 9, 0, tzinfo=UTC)
TUESDAY = datetime(2025, 3, 4, 9, 0, tzinfo=UTC)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder with two models, `model-a` and `model-b`, and no alias."""
    for name in ("model-a", "model-b"):
        (models_folder(tmp_path) / name).mkdir(parents=True)
    return tmp_path


def test_a_fresh_state_has_no_aliases_and_no_moves(tmp_path: Path) -> None:
    assert read_aliases(tmp_path) == {}
    assert read_moves(tmp_path) == []


def test_an_alias_leads_to_the_folder_of_its_model(state: Path) -> None:
    move_alias(state, "champion", "model-a", expected=None, why="first", now=MONDAY)
    assert find_model(state) == state / "models" / "model-a"
    assert find_model(state, "champion") == state / "models" / "model-a"
    assert find_model(state, "model-b") == state / "models" / "model-b"


def test_every_move_leaves_a_line_and_earlier_lines_stay(state: Path) -> None:
    move_alias(state, "champion", "model-a", expected=None, why="первый «лид»", now=MONDAY)
    first = (state / "promotions.jsonl").read_bytes()
    move_alias(state, "champion", "model-b", expected="model-a", why="better", now=TUESDAY)
    assert (state / "promotions.jsonl").read_bytes().startswith(first)
    lines = (state / "promotions.jsonl").read_text(encoding="utf-8").splitlines()
    expected = [
        {
            "at": "2025-03-03T09:00:00+00:00",
            "alias": "champion",
            "from": None,
            "to": "model-a",
            "why": "первый «лид»",
        },
        {"at": "2025-03-04T09:00:00+00:00", "alias": "champion", "from": "model-a", "to": "model-b", "why": "better"},
    ]
    assert [json.loads(line) for line in lines] == expected
    assert read_moves(state) == expected
    assert "первый" in lines[0]


def test_moving_one_alias_leaves_the_other(state: Path) -> None:
    move_alias(state, "champion", "model-a", expected=None, why="", now=MONDAY)
    move_alias(state, "challenger", "model-b", expected=None, why="", now=MONDAY)
    assert read_aliases(state) == {"champion": "model-a", "challenger": "model-b"}
    move_alias(state, "challenger", None, expected="model-b", why="retired", now=TUESDAY)
    assert read_aliases(state) == {"champion": "model-a"}
    assert read_moves(state)[-1]["to"] is None


@pytest.mark.parametrize("expected", [None, "model-b", ""])
def test_an_alias_that_somebody_else_moved_is_not_moved_and_nothing_is_written(
    state: Path, expected: str | None
) -> None:
    move_alias(state, "champion", "model-a", expected=None, why="first", now=MONDAY)
    before = {path.name: path.read_bytes() for path in state.iterdir() if path.is_file()}
    with pytest.raises(QualityGateError, match="champion is model-a by now"):
        move_alias(state, "champion", "model-b", expected=expected, why="late", now=TUESDAY)
    assert {path.name: path.read_bytes() for path in state.iterdir() if path.is_file()} == before


def test_an_alias_believed_to_be_set_is_not_made_from_nothing(state: Path) -> None:
    with pytest.raises(QualityGateError):
        move_alias(state, "champion", "model-b", expected="model-a", why="", now=MONDAY)
    assert read_aliases(state) == {}
    assert read_moves(state) == []


def test_an_unknown_name_is_an_error_that_lists_the_known_ones(state: Path) -> None:
    move_alias(state, "champion", "model-a", expected=None, why="", now=MONDAY)
    with pytest.raises(SettingsError, match=r"'model-z'. Known: champion, model-a, model-b\."):
        find_model(state, "model-z")


def test_an_unknown_name_is_told_from_no_training_at_all_even_before_the_first_promotion(state: Path) -> None:
    with pytest.raises(SettingsError, match=r"Known: model-a, model-b\."):
        find_model(state, "model-z")


@pytest.mark.parametrize("name", ["", ".", "..", "../models/model-a", "model-a/..", "/"])
def test_a_path_is_not_the_name_of_a_model(state: Path, name: str) -> None:
    move_alias(state, "champion", "model-a", expected=None, why="", now=MONDAY)
    with pytest.raises(SettingsError):
        find_model(state, name)


def test_before_the_first_training_the_cure_is_to_train(tmp_path: Path) -> None:
    with pytest.raises(NotEnoughDataError, match="leads train"):
        find_model(tmp_path)


def test_an_alias_whose_model_is_gone_is_an_error(state: Path) -> None:
    move_alias(state, "champion", "model-a", expected=None, why="", now=MONDAY)
    (state / "models" / "model-a").rmdir()
    with pytest.raises(ArtefactError, match="the champion is gone"):
        find_model(state)


@pytest.mark.parametrize("content", ["[]", "null", '"x"', '{"champion": ["a"]}'])
def test_aliases_that_name_no_models_are_a_storage_error(state: Path, content: str) -> None:
    (state / "aliases.json").write_text(content, encoding="utf-8")
    with pytest.raises(StorageError, match="does not name a model for each alias"):
        read_aliases(state)


def test_damaged_aliases_are_a_storage_error_with_a_cure(state: Path) -> None:
    (state / "aliases.json").write_text('{"champion": ', encoding="utf-8")
    with pytest.raises(StorageError, match="promote"):
        read_aliases(state)
