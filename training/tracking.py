"""The mirror in MLflow: one run a training, the artefact as a registered model, and the aliases.

This is the only module of the room that imports mlflow. Nothing here decides anything: what happened already stands
under `state/`, and a tracking server that does not answer costs seconds, not the training.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.words import slug
from models.reasons import reason_columns
from models.registry import read_aliases
from project.files import lock_folder
from training.promotion.tracked import name_metrics, name_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from project.folder import Project
    from training.pipeline import Trained
    from training.promotion.verdict import Comparison

__all__ = ["log_comparison", "log_training", "mirror_aliases", "store_address"]

_REQUIREMENTS = ("lightgbm", "mlflow", "numpy", "pandas", "scikit-learn", "scipy")
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "MLFLOW_LOG_UV_FILES": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


def store_address(project: Project) -> str:
    """Return the tracking URI: the project's own SQLite file unless `training.tracking_uri` names a server."""
    return project.settings.training.tracking_uri or f"sqlite:///{project.state / 'mlflow.db'}"


def registered_name(project: Project) -> str:
    """Return the name under which MLflow registers the project's models."""
    return slug(project.settings.project.name).replace("_", "-")


@contextmanager
def _store(project: Project) -> Iterator[MlflowClient]:
    """Connect to the store, made once under a lock: several processes opening a fresh SQLite store would collide."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    import logging
    import warnings

    with warnings.catch_warnings():
        # MLflow meets deprecations of its own libraries; they are its to mend.
        warnings.simplefilter("ignore")
        import mlflow

        # MLflow and Alembic tell every migration step and uv detail on stderr; only failures matter here.
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.ERROR)
        address = store_address(project)
        mlflow.set_tracking_uri(address)
        mlflow.set_registry_uri(address)
        with lock_folder(project.state / "mlflow", wait_seconds=120):
            client = mlflow.MlflowClient(tracking_uri=address, registry_uri=address)
            if client.get_experiment_by_name(_experiment(project)) is None:
                own = None if project.settings.training.tracking_uri else (project.state / "mlflow").as_uri()
                client.create_experiment(_experiment(project), artifact_location=own)
        yield client


def _experiment(project: Project) -> str:
    return project.settings.project.name


def log_training(project: Project, trained: Trained, *, run_folder: Path) -> str:
    """Log one training and register its model.

    Parameters
    ----------
    run_folder
        Holds the report and the figures; they are logged as they are.

    Returns
    -------
    str
        The id of the MLflow run.
    """
    import mlflow

    with _store(project) as client:
        mlflow.set_experiment(_experiment(project))
        with mlflow.start_run(run_name=trained.model.model_id) as run:
            mlflow.log_params(_parameters(trained))
            mlflow.log_metrics(_metrics(trained))
            mlflow.set_tags({"model_id": trained.model.model_id, "skill": str(trained.evidence.skill).lower()})
            mlflow.log_artifacts(str(run_folder), artifact_path="report")
            logged = _log_model(project, trained)
        client.set_model_version_tag(
            registered_name(project), str(logged.registered_model_version), "model_id", trained.model.model_id
        )
        return str(run.info.run_id)


def _parameters(trained: Trained) -> dict[str, object]:
    manifest = trained.model.manifest
    return {
        "chosen": trained.evidence.chosen,
        "horizon": trained.evidence.horizon,
        "features": len(trained.model.columns),
        "seed": manifest["seed"],
        "sql_threshold": trained.model.policy.sql,
        "mql_threshold": trained.model.policy.mql,
        "calibrator": json.dumps(manifest["calibrator"]),
        "data_hash": manifest["data_hash"],
        "settings_hash": manifest["settings_hash"],
        "code_hash": manifest["code_hash"],
    }


def _metrics(trained: Trained) -> dict[str, float]:
    numbers = {}
    for name, judged in trained.evidence.judged.items():
        for metric, value in judged.metrics.to_json().items():
            if value is not None:
                numbers[f"{name}.{metric}"] = float(value)
                if name == trained.evidence.chosen:
                    numbers[f"test.{metric}"] = float(value)
        numbers[f"{name}.log_loss_against_base_high"] = judged.against_base.high
        numbers[f"{name}.log_loss_against_base_low"] = judged.against_base.low
    if trained.evidence.weighted is not None:
        numbers["weighted.effective"] = trained.evidence.weighted.effective
        for name, one in trained.evidence.weighted.figures.items():
            ends = {"": one.weighted.value, "_low": one.weighted.low, "_high": one.weighted.high}
            numbers |= {f"weighted.{name}{end}": value for end, value in ends.items() if math.isfinite(value)}
    for table in trained.evidence.sooner:
        numbers[f"test.{table.horizon}.log_loss"] = table.whole.log_loss
        numbers[f"test.{table.horizon}.observed_over_expected"] = table.whole.ratio.value
    return numbers


def _log_model(project: Project, trained: Trained) -> Any:
    import mlflow
    from mlflow.models.signature import ModelSignature
    from mlflow.types.schema import ColSpec, Schema

    kinds = {"number": "double", "category": "string"}
    inputs = Schema([ColSpec(kinds[column.kind], column.name, required=False) for column in trained.model.columns])
    numbers = ("probability", "probability_low", "probability_high", "log_odds")
    answers = {**dict.fromkeys(numbers, "double"), "band": "string"}
    answers |= dict.fromkeys(reason_columns([]), "string")
    answers |= dict.fromkeys(trained.model.sooner_columns, "double")
    outputs = Schema([ColSpec(kind, name) for name, kind in answers.items()])
    root = Path(__file__).parents[1]
    return mlflow.pyfunc.log_model(
        name="model",
        python_model=str(root / "serving" / "mlflow_model.py"),
        artifacts={"artefact": str(trained.folder)},
        code_paths=[str(root / "models"), str(root / "project")],
        signature=ModelSignature(inputs=inputs, outputs=outputs),
        input_example=_example(trained),
        pip_requirements=[f"{name}=={metadata.version(name)}" for name in _REQUIREMENTS],
        registered_model_name=registered_name(project),
    )


def _example(trained: Trained) -> Any:
    """Return the canary's features: invented leads, so that no real one stands in the registry."""
    from training.canary import build_canary_frame

    canary: Mapping[str, Any] = json.loads((trained.folder / "canary.json").read_bytes())
    frame = build_canary_frame(canary, trained.examples.catalogue).tail(3).reset_index(drop=True)
    texts = {column.name: "object" for column in trained.model.columns if column.kind == "category"}
    return frame.astype(texts)


def log_comparison(project: Project, comparison: Comparison, *, files: Sequence[Path], now: datetime) -> None:
    """Log a comparison to the run of its challenger: numbers and words as `promotion.…`, the files as they are.

    Raises
    ------
    LookupError
        The store holds no version of the challenger.
    """
    from mlflow.entities import Metric, RunTag

    name = registered_name(project)
    with _store(project) as client:
        versions = client.search_model_versions(f"name='{name}'")
        runs = [version.run_id for version in versions if version.tags.get("model_id") == comparison.challenger]
        if not runs:
            raise LookupError(f"it holds no version of {comparison.challenger}; train again to register it")
        numbers, words = name_metrics(comparison), name_tags(comparison)
        metrics = [Metric(name, value, round(1_000 * now.timestamp()), 0) for name, value in numbers.items()]
        client.log_batch(runs[0], metrics, tags=[RunTag(name, text) for name, text in words.items()])
        for file in files:
            client.log_artifact(runs[0], str(file), artifact_path="comparison")


def mirror_aliases(project: Project) -> None:
    """Set MLflow's aliases to what `state/aliases.json` says."""
    name = registered_name(project)
    with _store(project) as client:
        versions = {version.tags.get("model_id"): version for version in client.search_model_versions(f"name='{name}'")}
        aliases = read_aliases(project.state)
        for alias in ("champion", "challenger"):
            version = versions.get(aliases.get(alias))
            if version is not None:
                client.set_registered_model_alias(name, alias, version.version)
            elif alias in aliases:
                raise LookupError(f"it holds no version of {aliases[alias]}; train again to register it")
            elif versions:
                client.delete_registered_model_alias(name, alias)
