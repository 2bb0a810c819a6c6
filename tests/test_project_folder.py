"""Finding a project and its leads.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from project.errors import SettingsError, StorageError
from project.folder import find_project, read_settings
from worlds import SMALLEST_TOML, write_settings


def test_the_project_is_found_from_a_folder_below_it(tmp_path: Path) -> None:
    write_settings(tmp_path, SMALLEST_TOML)
    below = tmp_path / "state" / "runs" / "1"
    below.mkdir(parents=True)
    project = find_project(below)
    assert project.folder == tmp_path.resolve()
    assert project.state == tmp_path.resolve() / "state"
    assert project.settings == read_settings(tmp_path / "leads.toml")


def test_the_nearest_project_is_taken(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    write_settings(tmp_path, SMALLEST_TOML)
    write_settings(inner, SMALLEST_TOML.replace("leads.csv", "inner.csv"))
    assert find_project(inner).settings.leads.file == "inner.csv"


def test_without_a_project_the_cure_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no leads\.toml here or above\. Make one: leads init"):
        find_project(tmp_path)


def test_a_project_file_in_another_encoding_is_a_settings_error(tmp_path: Path) -> None:
    path = tmp_path / "leads.toml"
    path.write_bytes(SMALLEST_TOML.replace("bought", "купил").encode("cp1251"))
    with pytest.raises(SettingsError, match="not valid TOML"):
        read_settings(path)


def test_a_project_file_that_is_not_there_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be read"):
        read_settings(tmp_path / "leads.toml")
