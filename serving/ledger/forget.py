"""Erase a person everywhere under `state`, and leave a receipt that does not name them."""

from __future__ import annotations

import csv
import html
import json
import re
import secrets
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from project.errors import SettingsError
from project.files import canonical_json, hash_bytes, remove_file, write_atomically
from serving.ledger.ledger import ledger_file, open_ledger
from serving.story.page import find_pages

if TYPE_CHECKING:
    from project.folder import Project

__all__ = ["Receipt", "forget_lead"]

_CHUNK = 1 << 20
_LARGEST_CELL = 1 << 30


@dataclass(frozen=True)
class Receipt:
    """What was erased of one lead.

    Attributes
    ----------
    person
        SHA-256 of a salt and the lead's id: whoever knows the id can check that the receipt is its, nobody can read it.
    decisions
        How many lines of the ledger were erased: its own, and those of its duplicates.
    lines
        Tables under `state` that had lines about the lead: file → how many were erased.
    pages
        How many pages about the lead were removed.
    look_at
        Other files under `state` that hold the same letters as a word. Nothing writes ids there; for a short id, such
        as a number, it means nothing.
    """

    receipt: str
    forgotten_at: str
    salt: str
    person: str
    decisions: int
    lines: dict[str, int]
    pages: int
    look_at: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """Return what is kept and printed."""
        return {**asdict(self), "look_at": list(self.look_at)}


def forget_lead(project: Project, lead_id: str, *, now: datetime) -> Receipt:
    """Erase a lead from the ledger, from tables of rejected rows and from pages, and write the receipt.

    Models, reports and the tracking store hold no ids. The sources are the CRM's own: the lead has to be erased there,
    too, or it comes back with the next scoring.

    Raises
    ------
    SettingsError
        The id is empty.
    """
    if not lead_id.strip():
        raise SettingsError("No lead is named. Write its id: leads forget L0001234")
    state = project.state
    csv.field_size_limit(_LARGEST_CELL)
    settings = project.settings
    beside = (settings.events, settings.stages, settings.touches)
    ids = {"lead_id", settings.leads.id, *(source.lead for source in beside if source is not None)}
    decisions = _forget_decisions(state, lead_id)
    lines: dict[str, int] = {}
    for path in sorted(state.rglob("*.csv")):
        dropped = _drop_lines(path, lead_id, ids)
        if dropped:
            lines[path.relative_to(state).as_posix()] = dropped
    pages = find_pages(state, lead_id)
    for path in pages:
        remove_file(path)
    left = [path for path in sorted(state.rglob("*")) if path.is_file() and _holds(path, lead_id)]
    salt = secrets.token_hex(16)
    receipt = Receipt(
        f"forgotten-{now:%Y%m%dT%H%M%S}-{salt[:8]}", now.isoformat(), salt, hash_bytes(f"{salt}{lead_id}".encode()),
        decisions, lines, len(pages), tuple(path.relative_to(state).as_posix() for path in left),
    )  # fmt: skip
    with write_atomically(state / "forgotten" / f"{receipt.receipt}.json") as temporary:
        temporary.write_text(canonical_json(receipt.to_json()), encoding="utf-8")
    return receipt


def _forget_decisions(state: Path, lead_id: str) -> int:
    if not ledger_file(state).is_file():
        return 0
    with open_ledger(state) as connection:
        with connection:
            # a duplicate's decision says of whom it is one, and is most likely the same person
            erased = connection.execute(
                "DELETE FROM decisions WHERE lead_id = ? OR band_rule = ?", [lead_id, f"duplicate of {lead_id}"]
            ).rowcount
        connection.execute("VACUUM")  # pages that were set free keep nothing
    return int(erased)


def _drop_lines(path: Path, lead_id: str, ids: set[str]) -> int:
    """Rewrite a table without the rows about the lead; untouched if there is none.

    A row is about it if a column of ids holds it, or if `flag` or `evidence` say that somebody is a duplicate "of" it
    or has the same address "as" it. Other cells may hold the same letters: they mean something else. A line that could
    not be read is kept whole, as one cell: it is about the lead if it holds the id anywhere.
    """
    named = re.compile(rf".* (?:of|as) {re.escape(lead_id)}(?:, .*)?", re.DOTALL)

    def about(cell: str, header: str) -> bool:
        return (header in ids and cell.strip() == lead_id) or (
            header in {"flag", "evidence"} and named.fullmatch(cell.strip()) is not None
        )

    with path.open(encoding="utf-8", newline="") as content:
        rows = list(csv.reader(content))
    headers = rows[0] if rows else []
    whole = re.compile(rf"(?<![\w-]){re.escape(lead_id)}(?![\w-])")
    kept = [
        row
        for row in rows[1:]
        if not any(map(about, row, headers)) and not (len(row) != len(headers) and whole.search(row[-1]))
    ]
    if len(kept) < len(rows) - 1:
        with write_atomically(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as rest:
            csv.writer(rest, lineterminator="\n").writerows([headers, *kept])
        return len(rows) - 1 - len(kept)
    return 0


def _holds(path: Path, lead_id: str) -> bool:
    """Tell whether a file holds the id as a word of its own, as text, in JSON or in HTML."""
    forms = {lead_id, json.dumps(lead_id)[1:-1], html.escape(lead_id), lead_id.replace('"', '""')}
    around = re.compile("|".join(rf"(?<![\w-]){re.escape(form)}(?![\w-])" for form in sorted(forms)))
    keep, before = max(map(len, forms)) + 1, ""
    with path.open(encoding="utf-8", errors="replace", newline="") as content:
        while chunk := content.read(_CHUNK):
            text = before + chunk
            found = around.search(text)
            # a word that touches the end of what was read so far may go on
            if found is not None and (found.end() < len(text) or not content.read(1)):
                return True
            before = text[-keep:]
    return False
