"""The section of `leads.toml` that tells how probabilities are explained."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from project.source_settings import Duration, Section

__all__ = ["GroupSettings", "ReasonsSettings"]


class GroupSettings(Section):
    """`[reasons.groups.<name>]`: features that are told as one reason; `features` holds names or patterns with `*`."""

    en: str
    ru: str
    features: tuple[str, ...] = Field(min_length=1)


class ReasonsSettings(Section):
    """`[reasons]`: how probabilities are explained.

    `actionable` names what somebody can change: columns of the leads, or kinds and groups of events that can be asked
    for. `hidden` names features (or patterns) whose reasons are not shown. `key_fields` names columns without which a
    lead is to be verified; not given, they are learnt. A lead is to be verified, too, where the newest row of all
    tables is older than `stale_after`.
    """

    groups: dict[str, GroupSettings] = Field(default_factory=dict)
    actionable: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    key_fields: tuple[str, ...] | None = None
    stale_after: Duration = timedelta(days=7)
