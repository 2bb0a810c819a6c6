"""What a lead did, day by day, as it was known at a moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from features.tables import PAGE_MARK, TOUCH
from project.language import Words

if TYPE_CHECKING:
    from features.catalogue import Catalogue
    from features.tables import Tables

__all__ = ["Happening", "read_timeline"]

_MOST_DAYS = 14


@dataclass(frozen=True)
class Happening:
    """A day on which a lead did something of one kind, and how often."""

    day: date
    what: str
    times: int


def read_timeline(
    tables: Tables,
    catalogue: Catalogue,
    lead_id: str,
    as_of: datetime | None,
    words: Words,
    *,
    ignore: Sequence[str] = (),
) -> tuple[Happening, ...]:
    """Return the latest 14 days with events, latest first, each kind once a day; nothing recorded after `as_of`.

    Kinds in `ignore` are left out.
    """
    if as_of is None:
        return ()
    rows = tables.connection.execute(
        "SELECT CAST(occurred_at AS DATE) AS day, kind, count(*) FROM events WHERE lead_id = ? AND occurred_at < ? "
        "AND recorded_at < ? AND (superseded_at IS NULL OR superseded_at >= ?) GROUP BY ALL "
        "ORDER BY day DESC, count(*) DESC, kind",
        [lead_id, as_of, as_of, as_of],
    ).fetchall()
    rows = [row for row in rows if row[1].partition(PAGE_MARK)[0] not in ignore]
    days = sorted({day for day, _, _ in rows}, reverse=True)[:_MOST_DAYS]
    names = _names(catalogue, words)
    found: dict[tuple[date, str], int] = {}
    for day, kind, times in rows:
        if day in days:
            what = names.get(kind) or kind.removeprefix(TOUCH).partition(PAGE_MARK)[0].replace("_", " ")
            found[(day, what)] = found.get((day, what), 0) + int(times)
    return tuple(Happening(day, what, times) for (day, what), times in found.items())


def _names(catalogue: Catalogue, words: Words) -> dict[str, str]:
    """Call a kind as the narrowest subject does that it belongs to."""
    narrowest = sorted(catalogue.subjects, key=lambda subject: -len(subject.kinds))
    return {kind: words.pick(subject.en, subject.ru) for subject in narrowest for kind in subject.kinds}
