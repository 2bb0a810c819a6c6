"""Pick thresholds, see which leads would change band, and make a copy of the champion with them the champion."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from features.catalogue import Catalogue
from models.artefact import answer_canary, load_model, save_model
from models.registry import find_model, models_folder, move_alias
from project.errors import NotEnoughDataError, QualityGateError, SettingsError
from training.banding.solve import Mark, Solution
from training.bands import choose_mql, find_break_even
from training.canary import build_canary_frame

if TYPE_CHECKING:
    from models.bands import BandPolicy
    from project.folder import Project
    from project.settings import Settings

__all__ = ["Change", "apply_bands", "compare_bands", "pick_bands"]


@dataclass(frozen=True)
class Change:
    """What other thresholds would do to the leads that were asked about.

    Attributes
    ----------
    moved
        How many leads go from one band to another: `SQL to MQL` and the like, without zeros.
    """

    sql: float
    mql: float
    sql_before: float
    mql_before: float
    leads: int
    moved: dict[str, int]

    @property
    def changed(self) -> int:
        """How many leads change band."""
        return sum(self.moved.values())

    def to_json(self) -> dict[str, object]:
        """Return what `leads bands --json` prints."""
        return {**asdict(self), "changed": self.changed}


def pick_bands(
    solution: Solution,
    policy: BandPolicy,
    settings: Settings,
    *,
    sql: float | None = None,
    mql: float | None = None,
    mark: Mark | None = None,
) -> BandPolicy:
    """Return the policy with other thresholds, and with the money and the hysteresis that leads.toml now names.

    Parameters
    ----------
    sql, mark
        One of them: the threshold, or what it shall be picked by.
    mql
        Null: as it is if that is still below SQL, else at break-even or at half of SQL.

    Raises
    ------
    SettingsError
        Thresholds that are none, or a mark that leads.toml does not tell enough for.
    NotEnoughDataError, QualityGateError
        The precision wanted is not proved.
    """
    chosen = sql if sql is not None else _threshold_of(solution, mark)
    if not 0 < chosen <= 1 or (mql is not None and not 0 < mql <= chosen):
        raise SettingsError(
            f"Thresholds are probabilities with 0 < MQL <= SQL <= 1; found SQL {chosen:.4g}"
            + (f", MQL {mql:.4g}." if mql is not None else ".")
        )
    if mql is None:
        mql = policy.mql if policy.mql < chosen else choose_mql(chosen, find_break_even(settings.capacity))
    return replace(
        policy,
        sql=chosen,
        mql=mql,
        cost_per_call=settings.capacity.cost_per_call,
        value_per_win=settings.capacity.value_per_win,
        value_column=settings.capacity.value_column or "",
        currency=settings.capacity.currency,
        hysteresis=settings.bands.hysteresis,
    )


def _threshold_of(solution: Solution, mark: Mark | None) -> float:
    line = solution.find(mark) if mark is not None else None
    if line is not None:
        return line.threshold
    if mark == "promise" and solution.promise is not None:
        needed = solution.promise.needed
        if needed is None:
            raise QualityGateError(
                f"At no threshold do more than {solution.promise.target:.0%} of the leads convert. Ask for less: "
                "capacity.precision"
            )
        raise NotEnoughDataError(
            f"A precision of {solution.promise.target:.0%} is not proved yet: it takes about {needed:,} more leads "
            "with known outcomes. Wait, or ask for less: capacity.precision"
        )
    cure = {
        "capacity": "capacity.leads_per_week, or capacity.reps and capacity.calls_per_rep",
        "break-even": "capacity.cost_per_call and capacity.value_per_win",
        "margin": "capacity.cost_per_call and capacity.value_per_win",
        "promise": "capacity.precision",
    }
    raise SettingsError(f"Nothing tells where {mark!r} is. Set {cure[str(mark)]} in leads.toml, or give --sql.")


def compare_bands(solution: Solution, before: BandPolicy, after: BandPolicy) -> Change:
    """Count the leads that change band, each by the highest probability it reached."""
    best = solution.ground.best
    pairs = np.stack([before.assign(best), after.assign(best)], axis=1)
    moved, counts = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0, return_counts=True)
    words = {f"{one} to {other}": int(n) for (one, other), n in zip(moved.tolist(), counts.tolist(), strict=True)}
    return Change(after.sql, after.mql, before.sql, before.mql, solution.ground.leads, words)


def apply_bands(project: Project, policy: BandPolicy, *, champion: str, now: datetime) -> str:
    """Save the champion with another policy, and make that the champion; `leads rollback` undoes it.

    Returns
    -------
    str
        The id of the new model.

    Raises
    ------
    QualityGateError
        The policy is the present one; or the champion is another by now.
    """
    folder = find_model(project.state, champion)
    model = load_model(folder, verified=project.state / "verified")
    if model.policy == policy:
        raise QualityGateError("These are the present bands: there is nothing to apply.")
    changed = replace(model, policy=policy)
    catalogue = Catalogue.from_json(model.manifest["catalogue"])  # type: ignore[arg-type]
    canary = json.loads((folder / "canary.json").read_bytes())
    canary["expected"] = answer_canary(changed, build_canary_frame(canary, catalogue))
    facts = {key: value for key, value in model.manifest.items() if key != "model_id"}
    saved = save_model(changed, models_folder(project.state), canary=canary, facts=facts)
    before = model.policy
    why = f"bands: SQL from {policy.sql:.4g} (was {before.sql:.4g}), MQL from {policy.mql:.4g} (was {before.mql:.4g})"
    move_alias(project.state, "champion", saved.model_id, expected=champion, why=why, now=now)
    return saved.model_id
