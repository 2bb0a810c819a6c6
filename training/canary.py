"""The canary: invented leads that travel with a model and must get the same answer wherever it is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from features.catalogue import Catalogue
from features.rows import build_features_of_rows
from models.artefact import answer_canary

if TYPE_CHECKING:
    import pandas as pd

    from models.lead_model import LeadModel

__all__ = ["build_canary_frame", "invent_canary"]

_LEADS = 8
_AS_OF = datetime.fromisoformat("2020-01-15T12:00:00")
_AGES_IN_HOURS = (0, 1, 20, 75, 170, 340, 720, 2_000)


def invent_canary(model: LeadModel, catalogue: Catalogue, frame: pd.DataFrame, *, dated: bool) -> dict[str, Any]:
    """Invent leads with events for every subject, and write down what the model says of them.

    Numbers are round figures between the 5 % and 95 % quantiles of the fit period, categories are its frequent levels,
    and the last lead has a level that never was: nothing here belongs to a real lead.

    Parameters
    ----------
    frame
        The fit period's features, for the range of numbers.
    """
    random = np.random.default_rng(7)
    declared = {origin: _declare(catalogue, origin) for origin in ("lead", "account")}
    ranges = _ranges(model, catalogue, frame)

    def attributes(origin: str, place: int) -> dict[str, Any]:
        return {
            header: _invent_value(kind, ranges.get((origin, header), ()), place, random)
            for header, kind in sorted(declared[origin].items())
        }

    created = [_AS_OF - timedelta(hours=hours) if dated else None for hours in _AGES_IN_HOURS]
    tables = {
        "dated": dated,
        "lead_columns": declared["lead"],
        "account_columns": declared["account"],
        "leads": [
            {
                "lead_id": f"canary-{place}",
                "created_at": moment.isoformat() if moment else None,
                "account_id": f"canary-account-{place - place % 2}",
                **attributes("lead", place),
            }
            for place, moment in enumerate(created)
        ],
        "events": _invent_events(catalogue, random) if dated else [],
        "accounts": [
            {"account_id": f"canary-account-{place}", "valid_from": None, **attributes("account", place)}
            for place in range(_LEADS)
        ],
        "outcomes": [{"lead_id": "canary-6", "won_at": created[3].isoformat()}] if created[3] else [],
        "matured": _invent_track_record(catalogue),
    }
    moment = _AS_OF.isoformat() if dated else None
    canary = {
        "tables": tables,
        "snapshots": [{"lead_id": f"canary-{place}", "as_of": moment} for place in range(_LEADS)],
    }
    expected = answer_canary(model, build_canary_frame(canary, catalogue))
    return {**canary, "expected": expected}


def build_canary_frame(canary: Mapping[str, Any], catalogue: Catalogue) -> pd.DataFrame:
    """Return the canary's feature frame, built like any other."""
    return build_features_of_rows(canary["tables"], canary["snapshots"], catalogue)


def _declare(catalogue: Catalogue, origin: str) -> dict[str, str]:
    """Return the columns of a table that any feature reads, with their kinds."""
    declared = {feature.subject: str(feature.kind) for feature in catalogue.features if feature.origin == origin}
    origins = {feature.origin for feature in catalogue.features}
    if origin == "lead":
        records = (feature.subject for feature in catalogue.features if feature.origin == "track_record")
        declared |= dict.fromkeys(records, "category")
    if "ideal_customer" in origins:
        criteria = (criterion for criterion in catalogue.ideal_customer if criterion.origin == origin)
        declared |= {one.subject: "category" if one.levels else "number" for one in criteria}
    return declared


def _ranges(model: LeadModel, catalogue: Catalogue, frame: pd.DataFrame) -> dict[tuple[str, str], Sequence[object]]:
    """Return what an attribute may hold: the frequent levels, or the 5 % and 95 % quantiles."""
    columns = {column.name: column for column in model.columns}
    ranges: dict[tuple[str, str], Sequence[object]] = {}
    for feature in catalogue.features:
        if feature.origin in {"lead", "account"}:
            values = frame[feature.name]
            if feature.kind == "category":
                ranges[feature.origin, feature.subject] = columns[feature.name].frequent
            elif not (known := values[np.isfinite(values.to_numpy())]).empty:
                ranges[feature.origin, feature.subject] = np.quantile(known, [0.05, 0.95]).tolist()
    return ranges


def _invent_value(kind: str, among: Sequence[Any], place: int, random: np.random.Generator) -> object:
    if place == 0:
        return None
    if kind == "category":
        levels = among or ("some",)
        return "never seen before" if place == _LEADS - 1 else levels[place % len(levels)]
    return float(f"{random.uniform(*among):.2g}") if among else None


def _invent_track_record(catalogue: Catalogue) -> list[dict[str, Any]]:
    if not any(feature.origin == "track_record" for feature in catalogue.features):
        return []
    return [
        {"lead_id": f"canary-{place}", "known_at": (_AS_OF - timedelta(days=place)).isoformat(), "converted": place % 2}
        for place in range(_LEADS)
    ]


def _invent_events(catalogue: Catalogue, random: np.random.Generator) -> list[dict[str, Any]]:
    kinds = sorted({kind for subject in catalogue.subjects for kind in subject.kinds})
    events = []
    for place in range(1, _LEADS):
        for kind in kinds:
            for _ in range(int(random.integers(0, 4))):
                moment = _AS_OF - timedelta(minutes=int(random.integers(-600, 100_000)))
                events.append(
                    {
                        "lead_id": f"canary-{place}",
                        "occurred_at": moment.isoformat(),
                        "recorded_at": moment.isoformat(),
                        "kind": kind,
                        "value": int(random.integers(1, 100)),
                    }
                )
    return events
