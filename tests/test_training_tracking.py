"""The mirror in MLflow answers like the artefact itself."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conftest import run_leads
from features.rows import build_features_of_rows
from project.folder import find_project
from serving.load import load_named_model


@pytest.fixture(scope="module")
def mlflow_client(demo: Path) -> Iterator[Any]:
    """A client of the demo's own store; MLflow's warnings about its own libraries are left to it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow

        address = f"sqlite:///{demo / 'state' / 'mlflow.db'}"
        mlflow.set_tracking_uri(address)
        mlflow.set_registry_uri(address)
        yield mlflow.MlflowClient(address, address)


def _canary_frame(demo: Path) -> tuple[pd.DataFrame, list[float]]:
    _, catalogue = load_named_model(find_project(demo))
    (folder,) = (demo / "state" / "models").glob("model-*")
    canary = json.loads((folder / "canary.json").read_bytes())
    frame = build_features_of_rows(canary["tables"], canary["snapshots"], catalogue)
    return frame, [entry["probability"] for entry in canary["expected"]]


def test_a_run_holds_parameters_metrics_report_and_figures(demo: Path, mlflow_client: Any) -> None:
    answer = json.loads((demo / "answer.json").read_text("utf-8"))
    run = mlflow_client.get_run(answer["run_id"])
    assert run.data.params["chosen"] == answer["chosen"]
    assert run.data.metrics["test.log_loss"] == pytest.approx(answer["test"]["log_loss"])
    assert run.data.metrics["odoo_naive_bayes.auc"] == pytest.approx(answer["rivals"]["odoo_naive_bayes"]["auc"])
    assert run.data.metrics["test.30d.log_loss"] == pytest.approx(answer["sooner"][0]["whole"]["log_loss"])
    logged = {entry.path for entry in mlflow_client.list_artifacts(answer["run_id"], "report")}
    assert {"report/report.html", "report/figures", "report/metrics.json"} <= logged


def test_nothing_in_the_store_names_a_lead_or_a_person(demo: Path) -> None:
    leads = pd.read_csv(demo / "data" / "leads.csv", dtype="str")

    def some(*columns: str) -> list[bytes]:
        return [text.encode() for column in columns for text in leads[column].dropna().unique()[::50]]

    people, ids = some("email", "phone", "contact_name"), some("lead_id")
    files = [path for path in (demo / "state").rglob("*") if path.is_file() and "predictions" not in path.parts]
    for path in files:
        content = path.read_bytes()
        # the hygiene report and the ledger are lists of leads for their owner; they are not logged anywhere
        secrets = people if path.name in {"hygiene.csv", "ledger.db"} else [*people, *ids]
        assert not [secret for secret in secrets if secret in content], path


def test_the_champion_alias_loads_and_answers_like_the_artefact(demo: Path, mlflow_client: Any) -> None:
    import mlflow

    loaded = mlflow.pyfunc.load_model("models:/demo@champion")
    frame, expected = _canary_frame(demo)
    answers = loaded.predict(frame.astype(dict.fromkeys(frame.select_dtypes("str").columns, "object")))
    assert answers["probability"].tolist() == expected
    assert set(answers["band"]) <= {"SQL", "MQL", "nurture"}
    model, _ = load_named_model(find_project(demo))
    within = model.within(frame, answers["log_odds"].to_numpy())["probability_30d"]
    assert answers["probability_30d"].tolist() == within.tolist()


def test_the_registered_model_has_a_signature_of_texts_and_doubles_and_an_invented_example(
    demo: Path, mlflow_client: Any
) -> None:
    import mlflow

    found = mlflow.models.get_model_info("models:/demo@champion")
    kinds = {str(column.type.name) for column in found.signature.inputs.inputs}
    assert kinds <= {"double", "string"}
    answers = {column.name: column.type.name for column in found.signature.outputs.inputs}
    assert answers["probability_30d"] == "double"
    assert found.saved_input_example_info is not None


def test_no_pickle_is_logged_and_none_is_needed(demo: Path, tmp_path: Path) -> None:
    stored = [path for path in (demo / "state" / "mlflow").rglob("*") if path.is_file()]
    assert stored
    assert not [path for path in stored if path.suffix in {".pkl", ".pickle", ".joblib", ".skops"}]
    code = (
        "import mlflow; mlflow.set_tracking_uri(__import__('sys').argv[1]); "
        "mlflow.pyfunc.load_model('models:/demo@champion'); print('loaded')"
    )
    environment = {**os.environ, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    address = f"sqlite:///{demo / 'state' / 'mlflow.db'}"
    ran = subprocess.run(
        [sys.executable, "-c", code, address],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        check=False,
    )
    assert "loaded" in ran.stdout, ran.stderr


def test_mlflow_serves_the_champion_over_http(demo: Path, tmp_path: Path) -> None:
    frame, expected = _canary_frame(demo)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # as in an activated environment: MLflow starts `uvicorn` by its name
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "MLFLOW_TRACKING_URI": f"sqlite:///{demo / 'state' / 'mlflow.db'}"}
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "models",
        "serve",
        "-m",
        "models:/demo@champion",
        "--env-manager",
        "local",
    ]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [*command, "-p", str(port), "-h", "127.0.0.1"], stdout=log, stderr=log, env=environment, cwd=tmp_path,
            start_new_session=True,
        )  # fmt: skip
        try:
            _wait_for(f"http://127.0.0.1:{port}/ping", seconds=120)
            body = frame.replace({np.nan: None}).astype("object").where(frame.notna(), None)
            split = json.dumps({"dataframe_split": body.to_dict(orient="split", index=False)}).encode()
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/invocations", split, {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=60) as response:
                answers = json.load(response)["predictions"]
        finally:
            os.killpg(server.pid, 9)
            server.wait()
    assert [answer["probability"] for answer in answers] == pytest.approx(expected, rel=1e-12)


def _wait_for(url: str, *, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                if response.status == 200:
                    return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"{url} did not answer within {seconds} s")


def test_an_unreachable_tracking_server_costs_seconds_and_not_the_training(demo: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(demo, tmp_path / "demo"))
    settings = own / "leads.toml"
    text = settings.read_text("utf-8") + '\n[training]\ntracking_uri = "http://127.0.0.1:9"\n'
    settings.write_text(text, encoding="utf-8")
    started = time.monotonic()
    ran = run_leads("train", "-p", own, "--json")
    assert ran.exit_code == 0
    assert ran.answer["run_id"] is None
    assert "MLflow did not answer" in ran.output
    assert time.monotonic() - started < 90
