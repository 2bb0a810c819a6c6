"""Exports of six CRMs, as they are written: `leads init` knows them and `leads check` counts outcomes."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import run_leads
from crm_exports import EXPORTS, LOST, WON, Export, N, bitrix_codes, bitrix_russian, made, odoo, pick, write_export
from project.folder import read_settings
from project.settings import Settings
from worlds import csv_text


def init(folder: Path, *words: str | Path) -> tuple[Settings, str]:
    ran = run_leads("init", folder, "--force", *words)
    assert ran.exit_code == 0, ran.output
    return read_settings(folder / "leads.toml"), " ".join(ran.output.split())


@pytest.mark.parametrize("export", EXPORTS.values(), ids=EXPORTS)
def test_an_export_is_understood_and_counted(tmp_path: Path, export: Export) -> None:
    leads = write_export(tmp_path, export.row)
    settings, notes = init(tmp_path, "--leads", leads)
    assert init(tmp_path, "--leads", leads, "--crm", export.crm)[0] == settings
    assert "Read as an export of" in notes
    identity, outcome = settings.leads.identity, settings.outcome
    assert (identity.email, identity.phone, identity.name, identity.company) == export.identity
    assert (outcome.column, outcome.won_at, outcome.closed_at) == export.outcome
    assert dict(settings.leads.columns) == export.columns
    assert set(export.forbidden) <= set(settings.leads.forbidden)
    assert outcome.reasons == export.reasons
    assert settings.leads.account == export.identity[3]
    checked = run_leads("check", "--project", tmp_path, "--json")
    assert checked.exit_code == 0, checked.output
    assert (checked.answer["converted"], checked.answer["lost"]) == (len(WON), export.lost)
    assert not [note for note in checked.answer["notes"] if "does not mention" in note]


def test_a_stage_of_the_users_own_is_judged_by_its_words_and_named(tmp_path: Path) -> None:
    settings, notes = init(tmp_path, "--leads", write_export(tmp_path, bitrix_russian))
    assert settings.outcome.won == ("Качественный лид",)
    assert set(settings.outcome.lost) == {"Некачественный лид", "Отказ клиента"}
    assert "judged by their words: 'Отказ клиента'" in notes


def test_none_switches_the_preset_off(tmp_path: Path) -> None:
    settings, notes = init(tmp_path, "--leads", write_export(tmp_path, bitrix_codes), "--crm", "none")
    assert "Read as an export" not in notes
    assert settings.leads.identity.email is None
    assert settings.outcome.closed_at is None


def test_an_unknown_crm_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    ran = run_leads("init", tmp_path, "--leads", write_export(tmp_path, odoo), "--crm", "sugar")
    assert ran.exit_code == 2
    assert "amocrm, bitrix24, dynamics, hubspot, odoo, salesforce, or none" in " ".join(ran.output.split())
    assert not (tmp_path / "leads.toml").exists()


def test_a_history_of_stages_and_activities_is_read_by_the_preset(tmp_path: Path) -> None:
    history = [("ID", "TYPE_ID", "OWNER_ID", "CREATED_TIME", "STATUS_ID")]
    calls = [("ID", "OWNER_ID", "TYPE_ID", "START_TIME", "CREATED")]
    for n in range(N):
        history.append((f"{500 + n}", "1", f"{n + 1}", made("%Y-%m-%dT%H:%M:%SZ", n), "NEW"))
        end = pick(n, won="CONVERTED", lost="JUNK", other="PROCESSED")
        history.append((f"{900 + n}", "3", f"{n + 1}", made("%Y-%m-%dT%H:%M:%SZ", n + 4), end))
        calls.append(
            (f"{n}", f"{n + 1}", "12"[n % 2], made("%Y-%m-%dT%H:%M:%SZ", n), made("%Y-%m-%dT%H:%M:%SZ", n + 1))
        )
    for name, rows in (("stages.csv", history), ("calls.csv", calls)):
        (tmp_path / name).write_text(csv_text(rows), encoding="utf-8")
    files = ("--stages", tmp_path / "stages.csv", "--events", tmp_path / "calls.csv")
    settings, _ = init(tmp_path, "--leads", write_export(tmp_path, bitrix_codes), *files)
    stages, events = settings.stages, settings.events
    assert stages is not None
    assert events is not None
    assert (stages.lead, stages.at, stages.stage) == ("OWNER_ID", "CREATED_TIME", "STATUS_ID")
    assert (events.lead, events.at, events.kind, events.recorded_at) == ("OWNER_ID", "START_TIME", "TYPE_ID", "CREATED")
    assert (settings.outcome.won, settings.outcome.lost) == (("CONVERTED",), ("JUNK",))
    answer = run_leads("check", "--project", tmp_path, "--json").answer
    assert (answer["converted"], answer["lost"]) == (len(WON), len(LOST))
