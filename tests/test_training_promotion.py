"""Challenges between models that were really trained, through the commands."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from conftest import Ran, run_leads
from models.registry import find_model, models_folder, move_alias, read_aliases, read_moves
from project.folder import find_project
from promotion_world import ONE, challenge_with, write_history, write_settings
from small_models import reseal
from training.promotion.contest import compare_models


@pytest.fixture(scope="module")
def poor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose champion knows one column of three. Do not change it: copy it."""
    folder = tmp_path_factory.mktemp("poor")
    write_history(folder)
    write_settings(folder, columns=ONE)
    assert run_leads("train", "-p", folder).exit_code == 0
    return folder


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose champion knows all columns. Do not change it: copy it."""
    folder = tmp_path_factory.mktemp("rich")
    write_history(folder)
    write_settings(folder)
    assert run_leads("train", "-p", folder).exit_code == 0
    return folder


def _copy(folder: Path, to: Path) -> Path:
    return Path(shutil.copytree(folder, to / "own"))


def _line(answer: dict[str, Any], key: str) -> dict[str, Any]:
    return next(line for line in answer["comparison"]["lines"] if line["key"] == key)


def _scores(folder: Path, out: Path) -> bytes:
    assert run_leads("score", "-p", folder, "-o", out, "--all", "--scored-at", "2026-01-02T00:00:00Z").exit_code == 0
    return out.read_bytes()


def test_a_clearly_better_challenger_is_promoted_and_one_command_undoes_it_to_the_last_bit(
    poor: Path, tmp_path: Path
) -> None:
    own = _copy(poor, tmp_path)
    before, first = _scores(own, tmp_path / "before.csv"), read_aliases(own / "state")["champion"]
    write_settings(own)
    ran = run_leads("train", "-p", own, "--promote-if-better", "--json")
    assert ran.exit_code == 0, ran.output
    answer = ran.answer["promotion"]
    assert answer["promoted"] is True, answer["comparison"]["lines"]
    assert read_aliases(own / "state") == {"champion": ran.answer["model_id"]}
    loss = _line(answer, "log_loss")
    assert loss["outcome"] == "passed"
    assert (
        0
        < loss["difference"]["low"]
        < loss["difference"]["value"]
        == pytest.approx(loss["champion"] - loss["challenger"])
    )
    assert _line(answer, "lift")["challenger"] > _line(answer, "lift")["champion"]
    assert answer["comparison"]["power"]["smallest_gain"] < loss["difference"]["value"]
    assert "Promoted" in ran.output
    (move,) = [
        move
        for move in read_moves(own / "state")
        if move["to"] == ran.answer["model_id"] and move["alias"] == "champion"
    ]
    assert f"comparisons/{ran.answer['model_id']}-vs-{first}.json" in move["why"]
    assert _scores(own, tmp_path / "after.csv") != before
    assert run_leads("rollback", "-p", own).exit_code == 0
    assert _scores(own, tmp_path / "again.csv") == before


@pytest.fixture(scope="module")
def retrained(rich: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    """The rich project trained again with another seed, and how the challenge ended."""
    own = Path(shutil.copytree(rich, tmp_path_factory.mktemp("retrained") / "own"))
    write_settings(own, seed=1)
    assert run_leads("train", "-p", own).exit_code == 0
    return own, run_leads("promote", "-p", own, "--json")


def test_the_same_data_with_another_seed_is_no_better_model(retrained: tuple[Path, Ran]) -> None:
    own, ran = retrained
    champion = read_aliases(own / "state")["champion"]
    assert ran.exit_code == 4
    assert ran.answer["promoted"] is False
    assert _line(ran.answer, "log_loss")["outcome"] != "passed"
    assert _line(ran.answer, "log_loss")["difference"]["value"] != 0
    assert ran.answer["sentence"].startswith(f"Kept {champion}")
    assert "would have shown a gain of" in ran.answer["sentence"]
    assert ran.answer["champion"] == ran.answer["before"] == champion
    assert 0 <= _line(ran.answer, "bands_moved")["challenger"] < 0.5
    assert _line(ran.answer, "reasons")["challenger"] > 0.5


def test_a_person_can_promote_against_the_evidence_and_the_reason_is_kept(rich: Path, tmp_path: Path) -> None:
    own = _copy(rich, tmp_path)
    challenge_with(own, shift=0.0001)
    assert run_leads("promote", "-p", own, "--reason", "  ").exit_code == 2
    ran = run_leads("promote", "-p", own, "--reason", "the team asked", "--json")
    assert ran.exit_code == 0
    assert "not on the evidence" in ran.answer["sentence"]
    assert json.loads(Path(ran.answer["file"]).read_text("utf-8"))["reason"] == "the team asked"
    assert any("the team asked" in move["why"] for move in read_moves(own / "state"))


def test_a_challenger_with_a_shifted_level_is_refused(rich: Path, tmp_path: Path) -> None:
    own = _copy(rich, tmp_path)
    challenge_with(own, shift=1.0)
    ran = run_leads("promote", "-p", own, "--json")
    assert ran.exit_code == 4
    assert _line(ran.answer, "log_loss")["outcome"] == "failed"
    assert _line(ran.answer, "observed_expected")["outcome"] == "failed"
    assert _line(ran.answer, "slope")["outcome"] == "passed"
    assert _line(ran.answer, "lift")["difference"]["value"] == 0
    assert _line(ran.answer, "reasons")["challenger"] == 1


def test_the_comparison_is_kept_and_names_no_lead(retrained: tuple[Path, Ran]) -> None:
    _, ran = retrained
    file, page = Path(ran.answer["file"]), Path(ran.answer["page"])
    assert json.loads(file.read_text("utf-8"))["sentence"] == ran.answer["sentence"]
    text = page.read_text("utf-8")
    assert text.count("<svg") == 1
    assert "http" not in text.replace("http://www.w3.org", "")
    assert ran.answer["sentence"] in text
    assert "lead-" not in text + file.read_text("utf-8")


def _read_run(folder: Path, model_id: str) -> tuple[Any, set[str]]:
    """Read a model's run back through MLflow, and the names of the files of its comparison."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow

        address = f"sqlite:///{folder / 'state' / 'mlflow.db'}"
        client = mlflow.MlflowClient(address, address)
        version = next(v for v in client.search_model_versions("name='pair'") if v.tags["model_id"] == model_id)
        logged = {Path(entry.path).name for entry in client.list_artifacts(version.run_id, "comparison")}
        return client.get_run(version.run_id).data, logged


def test_every_number_and_word_of_the_contract_stands_in_the_challengers_run(retrained: tuple[Path, Ran]) -> None:
    own, ran = retrained
    comparison = ran.answer["comparison"]
    data, logged = _read_run(own, comparison["challenger"])
    assert logged == {Path(ran.answer["file"]).name, Path(ran.answer["page"]).name}
    keys = [
        "log_loss",
        "base_rate",
        "observed_expected",
        "slope",
        "lift",
        "slices",
        "bands_moved",
        "evicted",
        "reasons",
    ]
    keys += ["seconds_1", "seconds_1000"]
    assert data.tags["promotion.lines"] == ",".join(keys)
    for key in keys:
        line, name = _line(ran.answer, key), f"promotion.{key}"
        assert data.metrics[f"{name}.challenger"] == pytest.approx(line["challenger"]), key
        assert (data.tags[f"{name}.outcome"], data.tags[f"{name}.note"]) == (line["outcome"], line["note"])
        for part, suffix in (("value", ""), ("low", "_low"), ("high", "_high"), ("error", "_error")):
            if line["difference"] is not None:
                found = data.metrics.get(f"{name}.difference{suffix}")
                assert found == pytest.approx(line["difference"][part]), (key, part)
    power, ground = comparison["power"], comparison["ground"]
    assert data.metrics["promotion.smallest_gain"] == pytest.approx(power["smallest_gain"])
    assert data.metrics.get("promotion.leads_needed") == power["leads_needed"]
    for name in ("leads", "snapshots", "converted", "blocks", "share_called"):
        assert data.metrics[f"promotion.{name}"] == pytest.approx(ground[name])
    worst = comparison["slices"][0]
    assert data.tags["promotion.slices.worst"] == f"{worst['kind']}: {worst['level']}"
    assert data.metrics["promotion.slices.judged"] == len(comparison["slices"])
    assert data.metrics["promotion.slices.worse"] == sum(one["worse"] for one in comparison["slices"])
    assert data.metrics["promotion.promoted"] == 0
    assert data.tags["promotion.verdict"] == ran.answer["sentence"]
    assert data.tags["promotion.champion"] == data.tags["promotion.compared_with"] == comparison["champion"]


def test_a_second_comparison_of_the_same_challenger_replaces_the_first_in_its_run(
    retrained: tuple[Path, Ran], tmp_path: Path
) -> None:
    first, _ = retrained
    own = _copy(first, tmp_path)
    ran = run_leads("promote", "-p", own, "--reason", "agreed with sales", "--json")
    data, _ = _read_run(own, ran.answer["comparison"]["challenger"])
    assert data.metrics["promotion.promoted"] == 1
    assert data.tags["promotion.reason"] == "agreed with sales"
    assert data.tags["promotion.verdict"] == ran.answer["sentence"]


def test_the_same_challenge_ends_in_the_same_numbers(rich: Path, tmp_path: Path) -> None:
    own = _copy(rich, tmp_path)
    challenger, champion = challenge_with(own, shift=0.3), read_aliases(own / "state")["champion"]
    project = find_project(own)
    first, second = (compare_models(project, challenger, champion, progress=lambda _: None) for _ in range(2))
    timed = {"seconds_1", "seconds_1000"}
    assert {line.key for line in first.lines} > timed
    settled = [replace(one, lines=[line for line in one.lines if line.key not in timed]) for one in (first, second)]
    assert settled[0] == settled[1]


def test_a_champion_of_another_protocol_is_left_out_and_the_challenger_judged_alone(rich: Path, tmp_path: Path) -> None:
    own = _copy(rich, tmp_path)
    challenge_with(own, shift=0.0001)
    champion = read_aliases(own / "state")["champion"]
    reseal(find_model(own / "state"), lambda manifest: manifest.update(protocol=99))
    ran = run_leads("promote", "-p", own, "--json")
    assert ran.exit_code == 0, ran.output
    assert "protocol 99" in ran.answer["comparison"]["champion_trouble"]
    assert ran.answer["comparison"]["compared_with"] == "the base rate"
    assert ran.answer["before"] == champion
    assert "cannot be asked" in ran.output


def test_a_champion_whose_column_is_gone_is_left_out(poor: Path, rich: Path, tmp_path: Path) -> None:
    own = _copy(rich, tmp_path)
    challenger = find_model(poor / "state")
    shutil.copytree(challenger, models_folder(own / "state") / challenger.name)
    move_alias(own / "state", "challenger", challenger.name, expected=None, why="test", now=datetime.now(UTC))
    write_settings(own, columns=ONE)
    ran = run_leads("promote", "-p", own, "--json")
    assert "'source'" in ran.answer["comparison"]["champion_trouble"]
    assert ran.answer["comparison"]["compared_with"] == "the base rate"
    assert "MLflow did not answer (LookupError: it holds no version of" in ran.output


def test_too_few_leads_are_said_with_how_many_it_takes_and_only_a_person_decides(rich: Path, tmp_path: Path) -> None:
    own = _copy(rich, tmp_path)
    challenge_with(own, shift=0.5)
    until = json.loads((find_model(own / "state") / "manifest.json").read_bytes())["split"]["test"]["from"]
    write_settings(own, until=(datetime.fromisoformat(until) + timedelta(days=40)).isoformat())
    ran = run_leads("promote", "-p", own, "--json")
    assert ran.exit_code == 4
    assert ran.answer["comparison"]["lines"] == []
    assert "needs 200 leads, 20 conversions and 8 weeks" in ran.answer["sentence"]
    assert run_leads("promote", "-p", own, "--reason", "we know", "--json").answer["promoted"] is True


def test_a_challenger_that_was_asked_another_question_is_a_usage_error(rich: Path, tmp_path: Path) -> None:
    own = _copy(rich, tmp_path)
    challenge_with(own, shift=0.5)
    settings = own / "leads.toml"
    settings.write_text(settings.read_text("utf-8").replace('horizon = "20d"', 'horizon = "15d"'), "utf-8")
    ran = run_leads("promote", "-p", own)
    assert ran.exit_code == 2
    assert "another outcome" in ran.output


def test_a_champion_trained_again_has_nothing_to_prove(rich: Path, tmp_path: Path) -> None:
    own = _copy(rich, tmp_path)
    ran = run_leads("train", "-p", own, "--promote-if-better", "--json")
    assert ran.exit_code == 0
    assert ran.answer["promotion"] is None
    assert "nothing to compare" in ran.output
