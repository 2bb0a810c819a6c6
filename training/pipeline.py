"""One training, from the project's files to a saved model with its evidence."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.ingest import read_tables
from models.artefact import load_model, save_model
from models.lead_model import LeadModel
from models.registry import models_folder
from project.duration import format_duration
from project.files import hash_bytes, hash_file
from training.bands import choose_policy, make_rules
from training.calibration.similar import build_interval_table
from training.calibration.sooner import learn_sooner, note_sooner
from training.calibration.unusual import find_unusual
from training.canary import build_canary_frame, invent_canary
from training.evaluation.evidence import Evidence
from training.evaluation.gather import gather_evidence
from training.examples import Examples, build_examples
from training.fitting.contenders import Contest, hold_contest
from training.fitting.tune import Tuning
from training.hygiene import report_hygiene
from training.leaks.court import judge_project, refuse_leaks
from training.telling import collect_evidence, word_columns

if TYPE_CHECKING:
    from features.tables import Tables
    from project.folder import Project

__all__ = ["Trained", "train_model"]

Progress = Callable[[str], None]
_LIBRARIES = ("duckdb", "lightgbm", "numpy", "pandas", "pyarrow", "scikit-learn", "scipy")


@dataclass(frozen=True)
class Trained:
    """A saved model and what was found while making it."""

    model: LeadModel
    folder: Path
    evidence: Evidence
    examples: Examples
    contest: Contest


def train_model(
    project: Project, *, progress: Progress, tune_seconds: float | None = None, clock: Callable[[], float] | None = None
) -> Trained:
    """Read, label, split, try, choose, fit, calibrate, judge, and save under `state/models`.

    Nothing is promoted and nothing is tracked here: the saved directory stands for itself.

    Parameters
    ----------
    tune_seconds, clock
        How long to search for better parameters of the trees, by which clock; null: not at all.

    Raises
    ------
    NotEnoughDataError
        Too few leads or outcomes.
    QualityGateError
        A declared column or a feature is judged a leak, and nobody allowed it.
    SchemaError, SettingsError, StorageError
        As the readers raise them.
    """
    settings = project.settings
    progress("Reading the tables")
    tables = read_tables(project)
    progress("Building snapshots, labels and features as they were known then")
    rules = make_rules(settings.rules)
    examples = build_examples(tables, settings, rules=rules)
    report_hygiene(project, tables, rules=rules)
    trial = judge_project(project, tables, examples, progress=progress, thorough=False)
    refuse_leaks(trial)
    tuning = None
    if tune_seconds is not None and clock is not None:
        name = hash_bytes(f"{tables.data_hash} {settings.hash}".encode())[:16]
        tuning = Tuning(tune_seconds, project.state / "tuning.db", name, clock)
    contest = hold_contest(
        examples, horizon=settings.outcome.horizon, seed=settings.training.seed, progress=progress, tuning=tuning
    )
    chosen, rows = contest.chosen, contest.rows
    policy, band_notes = choose_policy(
        examples.snapshots.iloc[rows],
        chosen.forward_probability,
        capacity=settings.capacity,
        rules=rules,
        coverage=examples.coverage(rows),
        weight=examples.weigh(rows),
        hysteresis=settings.bands.hysteresis,
    )
    interval = build_interval_table(chosen.forward_probability, examples.converted[rows], leads=examples.leads[rows])
    model = LeadModel(
        word_columns(contest.columns, examples, chosen.estimator, settings.reasons),
        chosen.estimator, chosen.calibrator, policy, {}, interval,
        find_unusual(chosen.estimator, contest.columns, examples),
        collect_evidence(examples, contest.columns, settings.outcome.horizon),
        learn_sooner(contest, examples, horizon=settings.outcome.horizon, sooner=settings.outcome.sooner),
    )  # fmt: skip
    progress("Judging all of them on the test period")
    warnings = [
        *examples.split.warnings,
        *examples.warnings,
        *contest.notes,
        *band_notes,
        *note_sooner(model.sooner),
        *trial.notes(),
    ]
    evidence = replace(gather_evidence(project, tables, examples, contest, model, warnings), leaks=trial.of_interest())
    progress("Saving the model and loading it back")
    saved = save_model(
        model,
        models_folder(project.state),
        canary=invent_canary(
            model, examples.catalogue, examples.frame.iloc[examples.split.rows("fit")], dated=tables.dated
        ),
        facts=_facts(project, tables, examples, contest, evidence),
    )
    folder = models_folder(project.state) / saved.model_id
    load_model(
        folder,
        build_canary=lambda canary: build_canary_frame(canary, examples.catalogue),
        verified=project.state / "verified",
    )
    return Trained(saved, folder, evidence, examples, contest)


def _facts(
    project: Project, tables: Tables, examples: Examples, contest: Contest, evidence: Evidence
) -> dict[str, Any]:
    settings = project.settings
    split = examples.split
    pairs, recency = contest.telling.pairs, contest.telling.recency
    return {
        "project": settings.project.name,
        "outcome": settings.outcome.model_dump(mode="json"),
        "ages": [format_duration(age) for age in settings.snapshots.ages],
        "dated": tables.dated,
        "observed": {
            "from": tables.observed_from.isoformat() if tables.observed_from else None,
            "until": tables.observed_until.isoformat() if tables.observed_until else None,
        },
        "split": {"kind": split.kind, **{name: period.to_json() for name, period in split.periods.items()}},
        "known_until": split.final.at.isoformat() if split.final.at is not None else None,
        "immature": examples.immature,
        "catalogue": examples.catalogue.to_json(),
        "chosen": evidence.chosen,
        "ladder": [asdict(step) for step in contest.steps],
        "young_leads_used": contest.telling.young,
        "level_miss": contest.telling.miss,
        "tuned": dict(contest.tuned),
        "repair": _tell_repair(contest),
        "pairs": None if pairs is None else {**asdict(pairs), "taken": bool(pairs.taken)},
        "recency": None if recency is None else {**asdict(recency), "taken": recency.taken},
        "calibration": _tell_calibration(contest),
        "skill": evidence.skill,
        "with_forward_leads": evidence.together.to_json() if evidence.together is not None else None,
        "headline": evidence.headline,
        "test": evidence.judged[evidence.chosen].metrics.to_json(),
        "rivals": {name: judged.metrics.to_json() for name, judged in evidence.judged.items()},
        "sooner_test": [table.to_json() for table in evidence.sooner],
        "warnings": list(evidence.warnings),
        "forbidden_columns": dict(settings.leads.forbidden),
        "leaks_allowed": dict(settings.training.leaks_allowed),
        "leaks": [verdict.to_json() for verdict in evidence.leaks],
        "seed": settings.training.seed,
        "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in _LIBRARIES}},
        "data_hash": tables.data_hash,
        "settings_hash": settings.hash,
        "code_hash": _hash_code(),
    }


def _tell_calibration(contest: Contest) -> dict[str, Any]:
    chosen = contest.chosen
    told = {name: value for name, value in asdict(chosen.calibration).items() if name != "calibrator"}
    if chosen.level is not None:
        told["level"] = {"shift": chosen.level.shift, "error": chosen.level.error, "applied": chosen.level.applied}
    return told


def _tell_repair(contest: Contest) -> dict[str, Any] | None:
    repair = contest.chosen.repair
    if repair is None:
        return None
    column = contest.columns[repair.place]
    offsets = dict(zip(column.frequent, repair.offsets, strict=True))
    return {"column": column.name, "offsets": offsets, "gain": repair.gain, "error": repair.error}


def _hash_code() -> str:
    root = Path(__file__).parents[1]
    files = sorted(path for room in ("features", "models", "training") for path in (root / room).rglob("*.py"))
    return hash_bytes("".join(hash_file(path) for path in files).encode())
