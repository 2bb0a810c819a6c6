"""The canary: invented leads that travel with a model and must get the same answer wherever it is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from features.catalogue import Catalogue
from features.rows import build_features_of_rows
from models.artefact import answer_canary
from models.columns import ModelColumn

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
    columns = {column.name: column for column in model.columns}
    random = np.random.default_rng(7)
    used = {(feature.origin, feature.subject): feature for feature in catalogue.features}

    def attributes(origin: str, place: int) -> dict[str, Any]:
        return {
            header: _invent_value(columns[feature.name], frame[feature.name], place, random)
            for (kind, header), feature in sorted(used.items())
            if kind == origin
        }

    def declared(origin: str) -> dict[str, str]:
        return {header: feature.kind for (kind, header), feature in sorted(used.items()) if kind == origin}

    created = [_AS_OF - timedelta(hours=hours) if dated else None for hours in _AGES_IN_HOURS]
    tables = {
        "dated": dated,
        "lead_columns": declared("lead"),
        "account_columns": declared("account"),
        "leads": [
            {
                "lead_id": f"canary-{place}",
                "created_at": moment.isoformat() if moment else None,
                "account_id": f"canary-account-{place}",
                **attributes("lead", place),
            }
            for place, moment in enumerate(created)
        ],
        "events": _invent_events(catalogue, random) if dated else [],
        "accounts": [
            {"account_id": f"canary-account-{place}", "valid_from": None, **attributes("account", place)}
            for place in range(_LEADS)
        ],
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


def _invent_value(column: ModelColumn, values: pd.Series, place: int, random: np.random.Generator) -> object:
    if place == 0:
        return None
    if column.kind == "category":
        levels = column.frequent or ("some",)
        return "never seen before" if place == _LEADS - 1 else levels[place % len(levels)]
    known = values[np.isfinite(values.to_numpy())]
    if known.empty:
        return None
    low, high = np.quantile(known, [0.05, 0.95])
    return float(f"{random.uniform(low, high):.2g}")


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
