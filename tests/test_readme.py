"""What README says is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conftest import run_leads
from project.errors import EXIT_CODES
from project.settings import Settings
from project.source_settings import SourceSettings
from serving.score import COLUMNS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = "\n".join(re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL))


@pytest.mark.parametrize("line", re.findall(r"^leads .*$", BLOCKS, flags=re.MULTILINE))
def test_every_command_and_option_shown_exists(line: str) -> None:
    words = line.split()
    shown = run_leads(words[1], "--help").output
    for option in (word for word in words if word.startswith("--")):
        assert option in shown


@pytest.mark.parametrize("target", re.findall(r"^make (\w+)", BLOCKS, flags=re.MULTILINE))
def test_every_make_target_shown_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), flags=re.MULTILINE)


def test_the_exit_codes_are_the_ones_in_the_code() -> None:
    table = {int(code): words for code, words in re.findall(r"^\| (\d+) \| (.+) \|$", README, flags=re.MULTILINE)}
    assert table == EXIT_CODES


def test_every_setting_is_named() -> None:
    table = README[README.index("### leads.toml") : README.index("## What it promises")]
    shared = set(SourceSettings.model_fields)
    common = next(line for line in table.splitlines() if line.startswith("| every source |"))
    assert all(f"`{key}`" in common for key in shared)
    for section, field in Settings.model_fields.items():
        row = next(line for line in table.splitlines() if f"`[{section}]`" in line or f"`[[{section}]]`" in line)
        models = [kind for kind in _classes(field.annotation) if hasattr(kind, "model_fields")]
        assert len(models) == 1
        for key in set(models[0].model_fields) - (shared if "source keys" in row else set()):
            assert f"`{key}`" in row, f"[{section}] {key}"


def _classes(annotation: object) -> list[type]:
    inner = [kind for part in getattr(annotation, "__args__", ()) for kind in _classes(part)]
    return inner or ([annotation] if isinstance(annotation, type) else [])


def test_the_scored_columns_are_the_ones_in_the_code() -> None:
    listed = README[README.index("## The scored file") :].split("`")[1]
    names = []
    for name in listed.split(", "):
        stem, _, last = name.partition("…")
        names += [stem] if not last else [f"{stem[:-1]}{number}" for number in range(int(stem[-1]), int(last) + 1)]
    assert tuple(names) == COLUMNS


@pytest.mark.parametrize(
    "room", re.findall(r"^\| `([\w./]+)` \|", README[README.index("## Where things are") :], re.MULTILINE)
)
def test_every_room_named_is_there(room: str) -> None:
    assert (ROOT / room).exists()
