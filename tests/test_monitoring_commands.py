"""`leads monitor` and `leads recalibrate` on a trained project."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from conftest import run_leads
from features.catalogue import Catalogue
from models.artefact import answer_canary, load_model, save_model
from models.registry import find_model, models_folder, move_alias, read_aliases, read_moves
from training.canary import build_canary_frame


def _shift_champion(folder: Path, by: float) -> str:
    """Make a champion whose level is off."""
    state = folder / "state"
    model = load_model(find_model(state), verified=state / "verified")
    shifted = replace(model, calibrator=model.calibrator.shifted(by))
    catalogue = Catalogue.from_json(model.manifest["catalogue"])  # type: ignore[arg-type]
    canary = json.loads((find_model(state) / "canary.json").read_bytes())
    canary["expected"] = answer_canary(shifted, build_canary_frame(canary, catalogue))
    facts = {key: value for key, value in model.manifest.items() if key != "model_id"}
    saved = save_model(shifted, models_folder(state), canary=canary, facts=facts)
    move_alias(
        state, "champion", saved.model_id, expected=read_aliases(state)["champion"], why="test", now=datetime.now(UTC)
    )
    return saved.model_id


@pytest.fixture(scope="module")
def off(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo with a champion that promises far too much. Do not change it: copy it."""
    own = Path(shutil.copytree(demo, tmp_path_factory.mktemp("off") / "own"))
    _shift_champion(own, 1.5)
    return own


def test_a_healthy_model_needs_nothing_and_what_was_found_is_kept(demo: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(demo, tmp_path / "own"))
    ran = run_leads("monitor", "-p", own, "--json")
    assert ran.exit_code == 0, ran.output
    assert ran.answer["action"] == "nothing"
    verdicts = {check["name"]: check["verdict"] for check in ran.answer["checks"]}
    assert set(verdicts) == {"level", "order", "scores", "columns", "levels", "mix", "delays", "expected"}
    assert "alarm" not in verdicts.values()
    (kept,) = (own / "state" / "monitoring").iterdir()
    assert json.loads(kept.read_text("utf-8")) == ran.answer


def test_a_level_that_is_off_is_an_alarm_with_an_exit_code_of_its_own(off: Path, tmp_path: Path) -> None:
    ran = run_leads("monitor", "-p", Path(shutil.copytree(off, tmp_path / "own")), "--json")
    assert ran.exit_code == 4
    assert ran.answer["action"] == "recalibrate"
    (level,) = [check for check in ran.answer["checks"] if check["name"] == "level"]
    assert level["verdict"] == "alarm"
    assert "fewer than expected" in level["words"]
    assert "leads recalibrate" in ran.output


def test_a_proposal_changes_nothing_and_is_logged(off: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(off, tmp_path / "own"))
    before = read_aliases(own / "state")
    ran = run_leads("recalibrate", "-p", own, "--json")
    assert ran.exit_code == 0, ran.output
    assert ran.answer["needed"] is True
    assert ran.answer["applied"] is None
    assert ran.answer["shift"] == pytest.approx(-1.5, abs=0.5)
    assert ran.answer["conversions"] < ran.answer["expected"]
    assert ran.answer["after"] < ran.answer["before"]
    assert read_aliases(own / "state") == before
    (kept,) = (own / "state" / "recalibrations").iterdir()
    assert json.loads(kept.read_text("utf-8"))["shift"] == ran.answer["shift"]


def test_an_applied_shift_is_a_new_champion_that_one_command_undoes(off: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(off, tmp_path / "own"))
    before = read_aliases(own / "state")["champion"]
    ran = run_leads("recalibrate", "-p", own, "--apply", "--json")
    assert ran.exit_code == 0, ran.output
    after = read_aliases(own / "state")["champion"]
    assert after == ran.answer["applied"] != before
    assert "level shifted by" in read_moves(own / "state")[-1]["why"]
    old, new = (load_model(find_model(own / "state", name)) for name in (before, after))
    frame = build_canary_frame(
        json.loads((find_model(own / "state", after) / "canary.json").read_bytes()),
        Catalogue.from_json(new.manifest["catalogue"]),  # type: ignore[arg-type]
    )
    margins = [model.calibrator.calibrated(model.log_odds(frame)) for model in (old, new)]
    assert margins[1] - margins[0] == pytest.approx(ran.answer["shift"], abs=1e-9)
    shares = [
        model.within(frame, model.log_odds(frame))["probability_30d"] / model.probability(frame) for model in (old, new)
    ]
    assert shares[1] == pytest.approx(shares[0], rel=1e-9)
    assert run_leads("monitor", "-p", own, "--json").exit_code == 0
    assert run_leads("rollback", "-p", own).exit_code == 0
    assert read_aliases(own / "state")["champion"] == before


def test_a_shift_that_nothing_asks_for_is_not_applied(demo: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(demo, tmp_path / "own"))
    ran = run_leads("recalibrate", "-p", own, "--apply")
    assert ran.exit_code == 4
    assert "nothing shows that the level is off" in " ".join(ran.output.split())
