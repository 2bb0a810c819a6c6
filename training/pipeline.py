"""One training, from the project's files to a saved model with its evidence."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from features.ingest import read_tables
from models.artefact import load_model, save_model
from models.columns import encode_frame
from models.lead_model import LeadModel
from models.registry import models_folder
from project.duration import format_duration
from project.files import hash_bytes, hash_file
from training.bands import choose_policy, describe_bands, make_rules
from training.canary import build_canary_frame, invent_canary
from training.contenders import Contest, hold_contest
from training.evaluate import Metrics
from training.evidence import BASE, Evidence, judge, rate_by_age, rate_by_month
from training.examine import examine_period
from training.examples import Examples, build_examples
from training.hygiene import report_hygiene
from training.leak_court import judge_project, refuse_leaks
from training.rivals import fit_odoo_naive_bayes

if TYPE_CHECKING:
    from features.tables import Tables
    from project.folder import Project

__all__ = ["Trained", "train_model"]

Progress = Callable[[str], None]
_SAMPLE_ROWS = 1_500
_LIBRARIES = ("duckdb", "lightgbm", "numpy", "pandas", "pyarrow", "scikit-learn", "scipy")


@dataclass(frozen=True)
class Trained:
    """A saved model and what was found while making it."""

    model: LeadModel
    folder: Path
    evidence: Evidence
    examples: Examples
    contest: Contest


def train_model(project: Project, *, progress: Progress) -> Trained:
    """Read, label, split, try, choose, fit, calibrate, judge, and save under `state/models`.

    Nothing is promoted and nothing is tracked here: the saved directory stands for itself.

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
    contest = hold_contest(examples, horizon=settings.outcome.horizon, seed=settings.training.seed, progress=progress)
    chosen, rows = contest.chosen, contest.rows
    policy, band_notes = choose_policy(
        examples.snapshots.iloc[rows],
        chosen.forward_probability,
        capacity=settings.capacity,
        rules=rules,
        coverage=examples.coverage(rows),
    )
    model = LeadModel(contest.columns, chosen.estimator, chosen.calibrator, policy, {})
    progress("Judging all of them on the test period")
    warnings = [*examples.split.warnings, *examples.warnings, *contest.notes, *band_notes, *trial.notes()]
    evidence = replace(_gather(project, tables, examples, contest, model, warnings), leaks=trial.of_interest())
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


def _gather(
    project: Project,
    tables: Tables,
    examples: Examples,
    contest: Contest,
    model: LeadModel,
    warnings: list[str],
) -> Evidence:
    seed = project.settings.training.seed
    test = examples.split.rows("test")
    converted, groups = examples.converted[test], examples.groups[test]
    snapshots = examples.snapshots.iloc[test]
    matrix = encode_frame(examples.frame.iloc[test], contest.columns)
    probabilities = {contender.name: contender.probability(matrix) for contender in contest.contenders}
    probabilities["odoo_naive_bayes"] = _ask_odoo(examples, test)
    name = contest.chosen.name
    judged = judge(probabilities, converted, chosen=name, groups=groups, seed=seed)
    skill = name != BASE and judged[name].against_base.high < 0
    raw = model.estimator.log_odds(matrix)
    sample = test[np.random.default_rng(seed).permutation(len(test))[:_SAMPLE_ROWS]]
    if not skill:
        warnings = ["No skill: probabilities are no better than quoting the base rate.", *warnings]
    else:
        warnings = [*warnings, *_compare_with_hindsight(judged[name].metrics)]
    return Evidence(
        project=project.settings.project.name,
        chosen=name,
        skill=skill,
        horizon=format_duration(project.settings.outcome.horizon),
        split=examples.split,
        judged=judged,
        probability=probabilities[name],
        raw_probability=1 / (1 + np.exp(-raw)),
        converted=converted,
        base_rate_by_month=rate_by_month(examples.snapshots),
        by_age=rate_by_age(snapshots, probabilities[name], probabilities[BASE]),
        bands=describe_bands(
            model.policy, snapshots, probabilities[name], groups=groups, seed=seed, coverage=examples.coverage(test)
        ),
        sample=examples.frame.iloc[sample].reset_index(drop=True),
        contributions=model.contributions(examples.frame.iloc[sample])[0],
        columns=model.columns,
        counts=tables.counts,
        immature=examples.immature,
        immature_leads=examples.immature_leads,
        warnings=warnings,
        examined=examine_period(examples, test, probabilities[name], capacity=project.settings.capacity, seed=seed),
    )


def _compare_with_hindsight(metrics: Metrics) -> list[str]:
    """Warn if the base rate moved so far that its value in hindsight would have beaten the model."""
    rate = metrics.base_rate
    hindsight = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    if metrics.log_loss < hindsight:
        return []
    return [
        f"The base rate moved to {rate:.1%} in the test period. Known in hindsight it would have had a log loss of "
        f"{hindsight:.4f}, better than the model's {metrics.log_loss:.4f}: ranks are useful, levels are off."
    ]


def _ask_odoo(examples: Examples, test: NDArray[np.intp]) -> NDArray[np.float64]:
    """Train the rival as its product would: once a lead, on everything before the test period."""
    before = np.flatnonzero(examples.split.mature)
    first = ~examples.snapshots["lead_id"].iloc[before].duplicated().to_numpy()
    rows = before[first]
    return fit_odoo_naive_bayes(examples.frame.iloc[rows], examples.converted[rows]).probability(
        examples.frame.iloc[test]
    )


def _facts(
    project: Project, tables: Tables, examples: Examples, contest: Contest, evidence: Evidence
) -> dict[str, Any]:
    settings = project.settings
    split = examples.split
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
        "young_leads_used": contest.young,
        "calibration": _tell_calibration(contest),
        "skill": evidence.skill,
        "headline": evidence.headline,
        "test": evidence.judged[evidence.chosen].metrics.to_json(),
        "rivals": {name: judged.metrics.to_json() for name, judged in evidence.judged.items()},
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


def _hash_code() -> str:
    root = Path(__file__).parents[1]
    files = sorted(path for room in ("features", "models", "training") for path in (root / room).rglob("*.py"))
    return hash_bytes("".join(hash_file(path) for path in files).encode())
