"""Challenger against champion: the same recent, matured leads for both, every number with what chance allows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from features.engine import read_lead_columns
from features.ingest import read_tables
from training.bands import make_rules
from training.promotion.entrant import Entrant, Said, ask, load_entrant, time_scores
from training.promotion.forward import Forward, find_forward
from training.promotion.judgement import describe_ground, judge_said
from training.promotion.lines import compare_cost
from training.promotion.verdict import Comparison

if TYPE_CHECKING:
    import pandas as pd

    from features.tables import Tables
    from project.folder import Project

__all__ = ["compare_models", "comparisons_folder"]

Manifest = Mapping[str, Any]
Progress = Callable[[str], None]


def comparisons_folder(state: Path) -> Path:
    """Return where comparisons are kept."""
    return state / "comparisons"


def compare_models(project: Project, challenger: str, champion: str | None, *, progress: Progress) -> Comparison:
    """Compare two saved models on leads that neither has learnt from; nothing is written or moved.

    A champion that cannot be loaded or asked any more is left out, with the trouble told; the challenger is then
    compared with the base rate.

    Parameters
    ----------
    challenger, champion
        Model ids; a null champion is none.

    Raises
    ------
    ArtefactError, SchemaError, SettingsError
        The challenger itself cannot be asked.
    """
    progress("Reading the tables")
    tables = read_tables(project)
    progress("Loading and verifying the models")
    ours = load_entrant(project, challenger, tables)
    theirs, trouble = _load_champion(project, champion, tables)
    progress("Asking both about the leads that neither has learnt from")
    try:
        forward = _find(project, tables, ours, theirs)
    except ValueError as error:
        # two models of different files without dates: nothing tells what the champion knows
        if theirs is None or tables.dated:
            raise
        theirs, trouble = None, str(error)
        forward = _find(project, tables, ours, None)
    if forward.shortage is not None:
        return Comparison(challenger, champion, trouble, describe_ground(forward), forward.shortage)
    said, frame = ask(ours, forward, tables)
    rival: Said | None = None
    rival_frame = frame
    if theirs is not None:
        try:
            rival, rival_frame = ask(theirs, forward, tables)
        except ValueError as error:
            theirs, trouble = None, str(error)
            # what the champion knew need not be left out any more, so there may be more leads
            forward = _find(project, tables, ours, None)
            said, frame = ask(ours, forward, tables)
    progress("Resampling weeks and accounts; timing both")
    timed = [(ours, frame)] if theirs is None else [(theirs, rival_frame), (ours, frame)]
    cost = compare_cost(time_scores(timed, rows=1), time_scores(timed, rows=1_000))
    comparison = judge_said(
        forward,
        said,
        rival,
        base_rate=_base_rate(ours.model.manifest),
        attributes=_read_slices(tables, forward, ours),
        seed=project.settings.training.seed,
    )
    return replace(
        comparison,
        champion=champion,
        champion_trouble=trouble,
        lines=[*comparison.lines, *cost],
        notes=[*_count_earlier(project, challenger, champion), *comparison.notes],
    )


def _load_champion(project: Project, champion: str | None, tables: Tables) -> tuple[Entrant | None, str | None]:
    if champion is None:
        return None, None
    try:
        return load_entrant(project, champion, tables), None
    except (KeyError, TypeError, ValueError) as error:
        # a model of another time can be broken in any of these ways; each of them means that it cannot be asked
        return None, str(error)


def _find(project: Project, tables: Tables, ours: Entrant, theirs: Entrant | None) -> Forward:
    manifests = [entrant.model.manifest for entrant in (ours, theirs) if entrant is not None]
    return find_forward(tables, project.settings, manifests, rules=make_rules(project.settings.rules))


def _base_rate(manifest: Manifest) -> float:
    """Return the share of snapshots that converted in the latest period the challenger learnt from."""
    periods = manifest["split"]
    period = periods.get("calibrate") or periods["fit"]
    return float(np.clip(period["positives"] / period["snapshots"], 1e-6, 1 - 1e-6))


def _read_slices(tables: Tables, forward: Forward, entrant: Entrant) -> pd.DataFrame:
    """Return the categories of the leads that the challenger reads, one row a lead, as they stand."""
    headers = [one.subject for one in entrant.catalogue.features if one.origin == "lead" and one.kind == "category"]
    leads = forward.snapshots["lead_id"].drop_duplicates().to_list()
    return read_lead_columns(tables, leads, headers)


def _count_earlier(project: Project, challenger: str, champion: str | None) -> list[str]:
    """Say how many others were tried against this champion: luck gets as many chances."""
    rivals = set()
    for path in comparisons_folder(project.state).glob(f"*-vs-{champion}.json"):
        try:
            rivals.add(json.loads(path.read_text(encoding="utf-8"))["challenger"])
        except (ValueError, KeyError, OSError):
            continue  # a file that somebody damaged says nothing; it decides nothing either
    many = len(rivals - {challenger})
    if many == 0:
        return []
    return [f"{many} other challenger{'s were' if many > 1 else ' was'} judged against this champion before: where the "
            "leads are the same, each gives luck another chance of 5 %."]  # fmt: skip
