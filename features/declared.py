"""Which cells of each declared source are read, and what they become."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from features.cells import Cell, CellKind
from features.identity import identity_headers
from features.tables import Attribute

if TYPE_CHECKING:
    from project.settings import Settings
    from project.source_settings import SourceSettings

__all__ = ["list_sources"]


def list_sources(
    settings: Settings, lead_attributes: Sequence[Attribute], account_attributes: Sequence[Attribute]
) -> list[tuple[str, SourceSettings, list[Cell]]]:
    """Return every declared table with where it comes from and the cells to read."""
    sources: list[tuple[str, SourceSettings, list[Cell]]] = [
        ("leads", settings.leads, _lead_cells(settings, lead_attributes))
    ]
    if settings.events is not None:
        sources.append(("events", settings.events, _event_cells(settings)))
    if settings.touches is not None:
        sources.append(("touches", settings.touches, _touch_cells(settings)))
    if settings.stages is not None:
        sources.append(("stages", settings.stages, _stage_cells(settings)))
    if settings.accounts is not None:
        sources.append(("accounts", settings.accounts, _account_cells(settings, account_attributes)))
    return sources


def _lead_cells(settings: Settings, attributes: Sequence[Attribute]) -> list[Cell]:
    leads, outcome = settings.leads, settings.outcome
    cells = [Cell("lead_id", leads.id, "id", True)]
    optional: list[tuple[str, str | None, CellKind, bool]] = [
        ("created_at", leads.created_at, "time", True),
        ("account_id", leads.account, "id", False),
        ("sequence", leads.order, "number", False),
        ("outcome", outcome.column, "text", False),
        ("won_at", outcome.won_at, "time", False),
        ("lost_at", outcome.lost_at, "time", False),
        ("closed_at", outcome.closed_at, "time", False),
        ("reason", outcome.reason, "text", False),
    ]
    cells += [Cell(target, header, kind, must) for target, header, kind, must in optional if header is not None]
    cells += [
        Cell(f"identity_{part}", header, "text", False, private=True)
        for part, header in identity_headers(settings).items()
    ]
    return cells + _attribute_cells(attributes)


def _attribute_cells(attributes: Sequence[Attribute]) -> list[Cell]:
    return [
        Cell(attribute.column, attribute.header, "number" if attribute.kind == "number" else "text", False)
        for attribute in attributes
    ]


def _event_cells(settings: Settings) -> list[Cell]:
    events = settings.events
    assert events is not None
    cells = [
        Cell("lead_id", events.lead, "id", True),
        Cell("occurred_at", events.at, "time", True),
        Cell("kind", events.kind, "text", True),
    ]
    optional: list[tuple[str, str | None, CellKind]] = [
        ("value", events.value, "amount"),
        ("recorded_at", events.recorded_at, "time"),
        ("id", events.id, "id"),
        ("page", events.page, "text"),
    ]
    return cells + [Cell(target, header, kind, False) for target, header, kind in optional if header is not None]


def _touch_cells(settings: Settings) -> list[Cell]:
    touches = settings.touches
    assert touches is not None
    cells = [
        Cell("lead_id", touches.lead, "id", True),
        Cell("occurred_at", touches.at, "time", True),
        Cell("kind", touches.kind, "text", True),
    ]
    return cells + ([Cell("outcome", touches.outcome, "text", False)] if touches.outcome is not None else [])


def _stage_cells(settings: Settings) -> list[Cell]:
    stages = settings.stages
    assert stages is not None
    cells = [Cell("lead_id", stages.lead, "id", True), Cell("changed_at", stages.at, "time", True)]
    if stages.stage is not None:
        cells.append(Cell("stage", stages.stage, "text", True))
    if stages.reason is not None:
        cells.append(Cell("reason", stages.reason, "text", False))
    return cells


def _account_cells(settings: Settings, attributes: Sequence[Attribute]) -> list[Cell]:
    accounts = settings.accounts
    assert accounts is not None
    cells = [Cell("account_id", accounts.id, "id", True)]
    if accounts.valid_from is not None:
        cells.append(Cell("valid_from", accounts.valid_from, "time", True))
    return cells + _attribute_cells(attributes)
