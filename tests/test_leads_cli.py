"""The commands as users and batch jobs meet them."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from conftest import run_leads
from serving.score import COLUMNS, MORE_COLUMNS

METRICS = set(
    "n positives base_rate log_loss brier auc lift_at_10 calibration_slope calibration_intercept".split()  # noqa: SIM905
)
COMMANDS = ("init", "check", "train", "score", "explain", "info", "promote", "rollback", "demo")
FIXED = ("--scored-at", "2026-01-02T00:00:00Z")


@pytest.fixture
def own_demo(demo: Path, tmp_path: Path) -> Path:
    """A copy of the trained demo that a test may change."""
    return Path(shutil.copytree(demo, tmp_path / "demo"))


def test_help_answers_fast_because_it_imports_nothing_heavy() -> None:
    code = "import sys, leads; leads.app(['--help'], standalone_mode=False); print(*sys.modules, file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in ran.stderr.split()}
    heavy = {
        "pandas",
        "numpy",
        "sklearn",
        "scipy",
        "lightgbm",
        "mlflow",
        "shap",
        "duckdb",
        "pyarrow",
        "matplotlib",
        "pydantic",
    }
    assert not loaded & heavy
    for command in COMMANDS:
        assert command in ran.stdout


@pytest.mark.parametrize(
    "command", ["init", "check", "train", "score", "explain", "info", "promote", "rollback", "demo"]
)
def test_every_command_shows_an_example(command: str) -> None:
    assert f"Example: leads {command}" in " ".join(run_leads(command, "--help").output.split())


def test_train_answers_with_the_documented_document(demo: Path) -> None:
    answer = json.loads((demo / "answer.json").read_text("utf-8"))
    assert {"model_id", "run_id", "chosen", "skill", "split", "test", "rivals", "immature", "warnings"} <= set(answer)
    (within,) = answer["sooner"]
    assert within["horizon"] == "30d"
    assert 0 < within["whole"]["observed"] < answer["test"]["positives"]
    assert [row["age_days"] for row in within["by_age"]] == [0.0, 1.0, 3.0, 7.0, 14.0, 30.0]
    assert sum(row["observed"] for row in within["by_age"]) == within["whole"]["observed"]
    assert set(answer["split"]) == {"kind", "fit", "forward", "test"}
    assert answer["split"]["kind"] == "time"
    assert set(answer["test"]) == METRICS
    rungs = {"base_rate", "naive_bayes", "logistic", "lightgbm", "blend"}
    assert set(answer["rivals"]) == {*rungs, "odoo_naive_bayes"}
    assert all(set(numbers) == METRICS for numbers in answer["rivals"].values())
    assert answer["test"] == answer["rivals"][answer["chosen"]]
    assert answer["immature"] > 0
    assert 0 < answer["with_forward_leads"]["forward_leads"] <= answer["split"]["forward"]["leads"]


def test_scores_have_the_documented_columns_in_order_and_are_ranked(demo: Path, tmp_path: Path) -> None:
    out = tmp_path / "scored.csv"
    ran = run_leads("score", "-p", demo, "-o", out, "--json")
    assert ran.exit_code == 0, ran.output
    scored = pd.read_csv(out)
    assert tuple(scored.columns) == (*COLUMNS, "probability_30d", *MORE_COLUMNS)
    assert scored["probability_30d"].between(0, scored["probability"]).all()
    assert 0.3 < scored["probability_30d"].sum() / scored["probability"].sum() < 0.95
    assert ran.answer["leads"] == len(scored) > 100
    order = scored["band"].map(["SQL", "MQL", "nurture", "disqualified"].index)
    assert order.is_monotonic_increasing
    for _, band in scored.groupby("band"):
        assert band["probability"].is_monotonic_decreasing
    assert scored["probability"].between(0, 1).all()
    open_leads = scored.loc[scored["band"] != "disqualified"]
    assert (open_leads["reason_for_1"].notna() | open_leads["reason_against_1"].notna()).all()


def test_rules_come_first_and_are_named(demo: Path, tmp_path: Path) -> None:
    out = tmp_path / "scored.csv"
    run_leads("score", "-p", demo, "-o", out)
    scored = pd.read_csv(out, dtype={"lead_id": "str"}).set_index("lead_id")
    leads = pd.read_csv(demo / "data" / "leads.csv", dtype="str").set_index("lead_id").loc[scored.index]
    spam, customer = leads["spam_check"] == "failed", leads["present_customer"] == "yes"
    copies = scored["band_rule"].str.startswith("duplicate of L")
    assert copies.any()
    assert set(scored.loc[spam | customer | copies, "band"]) == {"disqualified"}
    assert set(scored.loc[spam & ~copies, "band_rule"]) == {"failed the spam check"}
    assert "disqualified" not in set(scored.loc[~(spam | customer | copies), "band"])


def test_a_duplicate_is_set_apart_although_the_model_gives_it_a_probability(demo: Path, tmp_path: Path) -> None:
    out = tmp_path / "scored.csv"
    run_leads("score", "-p", demo, "-o", out, *FIXED)
    scored = pd.read_csv(out, dtype={"lead_id": "str"})
    copies = scored.loc[scored["band_rule"].str.startswith("duplicate of L")]
    assert copies["probability"].between(0, 1, inclusive="neither").all()
    lead = copies["lead_id"].iloc[0]
    explained = run_leads("explain", lead, "-p", demo, "--json").answer
    assert (explained["band"], explained["band_rule"]) == ("disqualified", copies["band_rule"].iloc[0])


def test_the_hygiene_report_counts_and_names_leads_but_nobody(demo: Path) -> None:
    found = {entry["what"]: entry for entry in run_leads("check", "-p", demo, "--json").answer["hygiene"]}
    assert set(found) == {
        "duplicate: same e-mail",
        "rule: failed the spam check",
        "rule: present customer",
        "lost for a reason that tells nothing: no negative",
        "lost as junk: nothing is learnt from it",
    }
    assert found["duplicate: same e-mail"]["leads"] == 60  # 2 % of 3,000
    assert all(1 <= len(entry["examples"]) <= 3 for entry in found.values())
    report = (demo / "state" / "reports" / "hygiene.csv").read_text("utf-8")
    assert report.splitlines()[0] == "lead_id,flag,evidence"
    assert report.count("duplicate of L") == 60
    assert "@" not in report
    assert "+7" not in report


def test_no_address_phone_or_name_of_a_lead_is_kept_with_the_model(demo: Path) -> None:
    leads = pd.read_csv(demo / "data" / "leads.csv", dtype="str")
    words = {*leads["email"], *leads["phone"], *leads["contact_name"]}
    for file in (demo / "state" / "models").rglob("*"):
        text = file.read_text("utf-8") if file.is_file() else ""
        assert not [word for word in words if word in text], file.name


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_same_inputs_give_the_same_bytes(demo: Path, tmp_path: Path, suffix: str) -> None:
    outs = [tmp_path / f"{name}.{suffix}" for name in ("first", "second")]
    for out in outs:
        assert run_leads("score", "-p", demo, "-o", out, *FIXED).exit_code == 0
    first, second = (hashlib.sha256(out.read_bytes()).hexdigest() for out in outs)
    assert first == second


def test_parquet_and_csv_say_the_same(demo: Path, tmp_path: Path) -> None:
    for name in ("scored.csv", "scored.parquet"):
        run_leads("score", "-p", demo, "-o", tmp_path / name, *FIXED)
    from_csv = pd.read_csv(tmp_path / "scored.csv", keep_default_na=False, dtype={"probability": "str"})
    from_parquet = pd.read_parquet(tmp_path / "scored.parquet")
    assert [float(text) for text in from_csv["probability"]] == from_parquet["probability"].tolist()
    assert from_csv["reason_for_1"].tolist() == from_parquet["reason_for_1"].tolist()


def test_a_lead_scored_alone_equals_the_lead_in_the_batch(demo: Path, tmp_path: Path) -> None:
    run_leads("score", "-p", demo, "-o", tmp_path / "all.csv", *FIXED, "--as-of", "2026-01-01T00:00:00Z")
    lines = (demo / "data" / "leads.csv").read_text("utf-8").splitlines()
    together = (tmp_path / "all.csv").read_text("utf-8").splitlines()
    by_id = {line.split(",")[0].strip('"'): line for line in together[1:]}
    chosen = [line for line in lines[1:] if line.split(",")[0].strip('"') in by_id][::97]
    alone = tmp_path / "alone.csv"
    for line in chosen:
        alone.write_text(f"{lines[0]}\n{line}\n", encoding="utf-8")
        out = tmp_path / "one.csv"
        run_leads("score", "-p", demo, "--leads", alone, "-o", out, *FIXED, "--as-of", "2026-01-01T00:00:00Z")
        assert out.read_text("utf-8").splitlines()[1] == by_id[line.split(",")[0].strip('"')]
    reversed_file = tmp_path / "reversed.csv"
    reversed_file.write_text("\n".join([lines[0], *reversed(lines[1:])]) + "\n", encoding="utf-8")
    out = tmp_path / "reversed_out.csv"
    run_leads("score", "-p", demo, "--leads", reversed_file, "-o", out, *FIXED, "--as-of", "2026-01-01T00:00:00Z")
    assert out.read_bytes() == (tmp_path / "all.csv").read_bytes()


def test_a_killed_score_leaves_nothing_or_the_whole_file(demo: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole.csv"
    run_leads("score", "-p", demo, "-o", whole, *FIXED)
    seen = set()
    for wait in (0.5, 1.5, 2.5, 3.0, 3.5, 4.0, 5.0, 8.0):
        out = tmp_path / f"killed_{wait}.csv"
        command = [sys.executable, "-m", "leads", "score", "-p", str(demo), "-o", str(out), *FIXED]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
        seen.add(out.exists())
        if out.exists():
            assert out.read_bytes() == whole.read_bytes()
    assert False in seen


def test_a_kill_between_writing_and_renaming_leaves_the_old_file(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("old", encoding="utf-8")
    code = (
        "import os, signal, sys; from pathlib import Path; from project.files import write_atomically\n"
        "with write_atomically(Path(sys.argv[1])) as path:\n"
        "    path.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(out)], check=False)
    assert ran.returncode == -signal.SIGKILL
    assert out.read_text("utf-8") == "old"


@pytest.mark.parametrize("damage", ["truncate", "flip", "manifest", "delete"])
def test_a_damaged_model_is_refused_with_code_6(own_demo: Path, damage: str, tmp_path: Path) -> None:
    (folder,) = (own_demo / "state" / "models").glob("model-*")
    (estimator,) = folder.glob("estimator.*")
    content = estimator.read_bytes()
    middle = len(content) // 2
    if damage == "truncate":
        estimator.write_bytes(content[:middle])
    elif damage == "flip":
        estimator.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    elif damage == "manifest":
        manifest = folder / "manifest.json"
        manifest.write_text(manifest.read_text("utf-8").replace('"slope"', '"slope" ', 1), "utf-8")
    else:
        estimator.unlink()
    ran = run_leads("score", "-p", own_demo, "-o", tmp_path / "scored.csv", "--json")
    assert ran.exit_code == 6
    assert ran.answer["exit_code"] == 6
    assert not (tmp_path / "scored.csv").exists()
    assert run_leads("info", "-p", own_demo).exit_code == 6


def test_explain_tells_the_leads_own_values_in_both_languages(demo: Path, tmp_path: Path) -> None:
    run_leads("score", "-p", demo, "-o", tmp_path / "scored.csv")
    top = pd.read_csv(tmp_path / "scored.csv").iloc[0]
    english = run_leads("explain", top["lead_id"], "-p", demo, "--json")
    assert english.answer["reasons_for"][0] == top["reason_for_1"]
    assert abs(sum(english.answer["contributions"].values()) + english.answer["base"] - top["log_odds"]) < 1e-9
    russian = run_leads("explain", top["lead_id"], "-p", demo, "--language", "ru")
    assert "За:" in russian.output
    assert "%" in russian.output


def test_explain_of_an_unknown_lead_is_a_usage_error(demo: Path) -> None:
    ran = run_leads("explain", "nobody", "-p", demo)
    assert ran.exit_code == 2
    assert "nobody" in ran.output


def test_info_tells_periods_metrics_bands_and_hashes(demo: Path) -> None:
    ran = run_leads("info", "-p", demo, "--json")
    assert ran.exit_code == 0
    answer = ran.answer
    assert answer["aliases"]["champion"] == answer["model_id"]
    assert answer["policy"]["mql"] <= answer["policy"]["sql"]
    assert len(answer["data_hash"]) == len(answer["settings_hash"]) == len(answer["code_hash"]) == 64
    assert answer["test"]["n"] > 0


def test_check_counts_rows_and_young_leads_and_shows_the_base_rate(demo: Path) -> None:
    ran = run_leads("check", "-p", demo, "--json")
    assert ran.exit_code == 0
    assert ran.answer["tables"]["leads"]["kept"] == 3_000
    assert ran.answer["immature_leads"] > 0
    assert len(ran.answer["base_rate_over_time"]) >= 12


def test_a_second_training_challenges_and_can_be_promoted_and_rolled_back(own_demo: Path) -> None:
    first = run_leads("info", "-p", own_demo, "--json").answer["model_id"]
    settings = own_demo / "leads.toml"
    settings.write_text(settings.read_text("utf-8").replace("leads_per_week = ", "leads_per_week = 1"), "utf-8")
    second = run_leads("train", "-p", own_demo, "--json").answer["model_id"]
    assert second != first
    aliases = run_leads("info", "-p", own_demo, "--json").answer["aliases"]
    assert aliases == {"champion": first, "challenger": second}
    kept = run_leads("promote", "-p", own_demo, "--json")
    assert kept.exit_code == 4
    assert kept.answer["champion"] == first
    promoted = run_leads("promote", "-p", own_demo, "--reason", "the team has grown", "--json")
    assert (promoted.answer["champion"], promoted.answer["before"]) == (second, first)
    assert run_leads("promote", "-p", own_demo).exit_code == 4
    rolled = run_leads("rollback", "-p", own_demo, "--json")
    assert rolled.answer == {"champion": first, "before": second}
    moves = run_leads("info", "-p", own_demo, "--json").answer["moves"]
    assert [move["why"] for move in moves if move["alias"] == "champion"] == [
        "the first model",
        f"the team has grown (state/comparisons/{second}-vs-{first}.json)",
        "rolled back",
    ]


def test_training_twice_on_the_same_data_gives_the_same_model(own_demo: Path) -> None:
    first = run_leads("info", "-p", own_demo, "--json").answer["model_id"]
    assert run_leads("train", "-p", own_demo, "--json").answer["model_id"] == first


def test_too_many_rejected_rows_end_with_code_1_and_are_written_beside_the_output(
    own_demo: Path, tmp_path: Path
) -> None:
    path = own_demo / "data" / "leads.csv"
    lines = path.read_text("utf-8").splitlines()
    created = (
        lines[0].split(",").index('"created_at"')
        if '"created_at"' in lines[0]
        else lines[0].split(",").index("created_at")
    )
    for place in range(1, len(lines), 10):
        cells = lines[place].split(",")
        cells[created] = "yesterday"
        lines[place] = ",".join(cells)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    out = tmp_path / "scored.csv"
    ran = run_leads("score", "-p", own_demo, "-o", out, "--json")
    assert ran.exit_code == 1
    assert ran.answer["rejected"]["leads"] == 300
    rejects = pd.read_csv(tmp_path / "scored.rejects.csv")
    assert rejects["row"].tolist()[:3] == [2, 12, 22]
    assert rejects["reason"].str.contains("yesterday").all()
    assert out.exists()


def test_no_project_no_model_and_wrong_words_are_told_apart(tmp_path: Path, own_demo: Path) -> None:
    assert run_leads("train", "-p", tmp_path).exit_code == 2
    shutil.rmtree(own_demo / "state")
    assert run_leads("score", "-p", own_demo).exit_code == 3
    assert run_leads("score", "-p", own_demo, "--model", "nobody").exit_code == 3
    (own_demo / "leads.toml").write_text("[leads]\nfle = 'x'\n", encoding="utf-8")
    ran = run_leads("check", "-p", own_demo)
    assert ran.exit_code == 2
    assert "did you mean 'file'" in ran.output


def test_rolling_back_twice_never_goes_forward(own_demo: Path) -> None:
    settings = own_demo / "leads.toml"
    settings.write_text(settings.read_text("utf-8").replace("leads_per_week = ", "leads_per_week = 1"), "utf-8")
    run_leads("train", "-p", own_demo)
    run_leads("promote", "-p", own_demo, "--reason", "the team has grown")
    assert run_leads("rollback", "-p", own_demo).exit_code == 0
    assert run_leads("rollback", "-p", own_demo).exit_code == 4


def test_a_source_that_is_gone_is_refused_and_not_scored_as_silence(own_demo: Path) -> None:
    settings = own_demo / "leads.toml"
    text = settings.read_text("utf-8")
    settings.write_text(text[: text.index("[events]")] + text[text.index("[stages]") :], "utf-8")
    assert run_leads("score", "-p", own_demo).exit_code == 5
    settings.write_text(text, "utf-8")
    events = own_demo / "data" / "events.csv.gz"
    renamed = gzip.decompress(events.read_bytes())
    for kind in (b"page_view", b"pricing_view", b"email", b"form_submit", b"webinar", b"download", b"chat"):
        renamed = renamed.replace(kind, b"new_" + kind)
    events.write_bytes(gzip.compress(renamed))
    ran = run_leads("score", "-p", own_demo)
    assert ran.exit_code == 5
    assert "renamed" in ran.output


def test_scores_are_not_written_over_what_is_read(own_demo: Path) -> None:
    before = (own_demo / "data" / "leads.csv").read_bytes()
    assert run_leads("score", "-p", own_demo, "-o", own_demo / "data" / "leads.csv").exit_code == 2
    assert (own_demo / "data" / "leads.csv").read_bytes() == before
    assert run_leads("score", "-p", own_demo, "-o", own_demo / "scored.xls").exit_code == 2


def test_the_demo_does_not_overwrite_a_project(tmp_path: Path) -> None:
    (tmp_path / "leads.toml").write_text("# mine\n", encoding="utf-8")
    assert run_leads("demo", tmp_path, "--leads", "1000").exit_code == 2
    assert (tmp_path / "leads.toml").read_text("utf-8") == "# mine\n"


def test_people_in_a_category_are_refused_with_code_4_and_never_named(own_demo: Path) -> None:
    settings = own_demo / "leads.toml"
    text = settings.read_text("utf-8").replace('email = "identifies a person"\n', "")
    text = text.replace('email = "email"\n', "")  # not declared as identity either
    settings.write_text(text.replace("[leads.columns]\n", '[leads.columns]\nemail = "category"\n'), "utf-8")
    ran = run_leads("train", "-p", own_demo)
    assert ran.exit_code == 4
    assert "'email'" in ran.output
    assert "@" not in ran.output


def test_rejected_cells_are_not_told_outside_the_rejects_file(own_demo: Path) -> None:
    path = own_demo / "data" / "leads.csv"
    lines = path.read_text("utf-8").splitlines()
    head = next(csv.reader([lines[0]]))
    cells = next(csv.reader([lines[5]]))
    cells[head.index("company_size_answer")] = "David Keller"
    lines[5] = ",".join(f'"{cell}"' for cell in cells)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    ran = run_leads("check", "-p", own_demo, "--json")
    assert "David" not in ran.output
    assert ran.answer["tables"]["leads"]["reasons"] == {
        "company_size_answer: not a finite number; correct it, or set decimal, missing or another kind": 1
    }
    assert "David Keller" in (own_demo / "state" / "rejects" / "leads.csv").read_text("utf-8")


def test_the_model_does_not_depend_on_the_number_of_threads(own_demo: Path) -> None:
    ids = set()
    for threads in ("1", "2"):
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        command = [sys.executable, "-m", "leads", "train", "-p", str(own_demo), "--json"]
        ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
        ids.add(json.loads(ran.stdout.splitlines()[-1])["model_id"])
    assert len(ids) == 1


def test_ctrl_c_ends_with_code_130_and_leaves_nothing_half_written(demo: Path, tmp_path: Path) -> None:
    codes = []
    for wait in (0.6, 1.2, 1.8):
        out = tmp_path / f"{wait}.csv"
        command = [sys.executable, "-m", "leads", "score", "-p", str(demo), "-o", str(out), "--all"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        time.sleep(wait)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate()
        codes.append(process.returncode)
        assert "Traceback" not in told
    # -2 is what a shell calls 130: Python ends by the signal itself if it came while a C extension was being imported
    assert set(codes) <= {0, 130, -signal.SIGINT}
    assert not list(tmp_path.glob(".*"))


def test_a_project_in_use_is_refused_with_code_7(own_demo: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from project.files import lock_folder\n"
        "with lock_folder(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(own_demo / "state")], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == "held"
        assert run_leads("train", "-p", own_demo).exit_code == 7
    finally:
        holder.kill()
        holder.communicate()


def test_a_column_taken_out_of_the_settings_is_schema_drift(own_demo: Path) -> None:
    settings = own_demo / "leads.toml"
    text = settings.read_text("utf-8").replace('country = "category"\n', "", 1)
    settings.write_text(text, encoding="utf-8")
    ran = run_leads("score", "-p", own_demo)
    assert ran.exit_code == 5
    assert "country" in ran.output
