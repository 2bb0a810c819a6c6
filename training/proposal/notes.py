"""What a proposal says around the tables: project, an example of a rule, and notes on what was guessed and why."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from features.presets import NO_PRESET, Preset
from project.errors import name_some
from training.proposal.inspection import InspectedFile, spell
from training.proposal.text import Choice, Keys, Part, describe_source, write_value

__all__ = ["describe_project", "describe_rule", "note", "note_preset"]

_RULE = r"\b(spam|спам|duplicate|дубл\w*|test (lead|flag)|is test|тестов\w*)\b"
_FLAG = rf"{_RULE}|\btest\b|\bdo not (contact|call|e ?mail)\b|\bopt(ed)? out\b|\b(customer|клиент)\b"
_YES = {"1", "1.0", "yes", "true", "y", "да"}
_CHECKED = ("horizon", "observed_from", "won", "column")


def describe_rule(choices: Sequence[Choice]) -> Part:
    """Show how a rule is written, with a flag of the user's own where there is one."""
    flags = [choice for choice in choices if choice.kind and re.search(_FLAG, spell(choice.column.header))]
    flag = min((f for f in flags if 1 < f.column.levels <= 5), key=lambda found: found.kind != "rule", default=None)
    name, values = (flag.column.header, flag.column.listed) if flag else ("is_test", ("yes",))
    equals = [value for value in values if value.casefold() in _YES] or values[-1:]
    keys = {"name": name, "column": name, "equals": equals, "band": "disqualified"}
    lines = ("[[rules]]", *(f"{key} = {write_value(value)}" for key, value in keys.items()))
    why = "Rules come before the model: a lead whose column holds one of these goes to the band."
    return Part("[[rules]]", why, examples=lines)


def describe_project(name: str, parts: Sequence[Part], *, naive: bool) -> Part:
    """Name the project, its language and, where times stand without one, its zone."""
    headers = "".join(key for part in parts if part.quoted for key in part.keys)
    russian = len(re.findall(r"[а-яё]", headers, re.IGNORECASE)) > len(headers) / 3
    keys: Keys = {"name": (name or "leads", "")}
    if naive:
        keys["timezone"] = ("UTC", "some times are written without a zone: correct it to yours, such as Europe/Moscow")
    if russian:
        keys["language"] = ("ru", "the language of reasons and reports")
    return Part("project", "", keys)


def note(files: Mapping[str, InspectedFile], parts: Sequence[Part], *, naive: bool) -> tuple[str, ...]:
    """Say in short sentences what was guessed and what to check."""
    keys = {part.name: part.keys for part in parts}
    notes = [describe_source(file)[0] for file in files.values()]
    for section, names in (
        ("leads", ("id", "created_at", "order")),
        ("outcome", ("column", "won_at", "closed_at", "won", "lost")),
    ):
        found = [f"{name} = {write_value(keys[section][name][0])}" for name in names if name in keys[section]]
        notes.append(f"{section}: {', '.join(found) or 'every row of the stages is a win'}.")
    notes += [f"Check {name}: {why}." for name, (_, why) in keys["outcome"].items() if name in _CHECKED and why]
    if naive:
        notes.append("Times without a zone are taken as UTC: correct timezone if they are not.")
    if "leads.forbidden" in keys:
        notes.append(f"Kept away from the model: {name_some(keys['leads.forbidden'], most=8)}; reasons in the file.")
    unused = [f"{file.path.name}: {name_some(map(repr, file.unusable))}" for file in files.values() if file.unusable]
    return (*notes, *(f"Columns without a header of their own are left out: {one}." for one in unused))


def note_preset(preset: Preset, doubts: Sequence[str], *, chosen: bool) -> tuple[str, ...]:
    """Say which CRM the export is read as, what to know of it, and which stages its preset does not know."""
    if preset == NO_PRESET:
        return ()
    off = "" if chosen else " If it is not one, say --crm none."
    notes = [f"Read as an export of {preset.title}.{off} {preset.advice} Not confirmed: {preset.unconfirmed}."]
    if doubts:
        notes.append(
            f"Stages that are not {preset.title}'s own, judged by their words: {name_some(map(repr, doubts), most=12)}."
        )
    return tuple(notes)
