"""`leads score` as users and batch jobs meet it."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pandas as pd
import pytest

from conftest import FIXED, run_leads
from serving.score import COLUMNS, MORE_COLUMNS


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


@pytest.mark.parametrize("damage", ["truncate", "flip", "manifest", "delete"])
def test_a_damaged_model_is_refused_with_code_6(own_demo: Path, damage: str, tmp_path: Path) -> None:
    (folder,) = (own_demo / "state" / "models").glob("model-*")
    estimator = min(folder.glob("estimator*"))
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


def test_a_column_taken_out_of_the_settings_is_schema_drift(own_demo: Path) -> None:
    settings = own_demo / "leads.toml"
    text = settings.read_text("utf-8").replace('country = "category"\n', "", 1)
    settings.write_text(text, encoding="utf-8")
    ran = run_leads("score", "-p", own_demo)
    assert ran.exit_code == 5
    assert "country" in ran.output
