"""`leads forget`: one person, nobody else, and a receipt."""

from __future__ import annotations

import hashlib
import html
import json
import shutil
from datetime import datetime
from pathlib import Path

import pytest

from conftest import Ran, read_scored, run_leads
from project.errors import SettingsError
from serving.ledger.forget import forget_lead
from serving.ledger.ledger import last_decisions
from worlds import make_project


@pytest.fixture(scope="module")
def forgotten(scored_twice: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Ran]:
    folder = tmp_path_factory.mktemp("forgotten") / "crm"
    shutil.copytree(scored_twice, folder)
    hygiene = (folder / "state" / "reports" / "hygiene.csv").read_text("utf-8")
    predicted = next((folder / "state" / "predictions").glob("*.csv")).read_text("utf-8")
    scored = read_scored(folder / "b.csv")["lead_id"]
    lead = (
        next(one for one in scored if f"of {one}," in hygiene)
        if any(f"of {one}," in hygiene for one in scored)
        else scored[0]
    )
    assert run_leads("explain", lead, "-p", folder, "--page").exit_code == 0
    (folder / "state" / "rejects").mkdir(exist_ok=True)
    (folder / "state" / "rejects" / "events.csv").write_text(
        f"row,reason,lead_id\n7,bad date,{lead}\n8,bad date,{lead}0\n", encoding="utf-8"
    )
    assert lead in hygiene + predicted + str(scored.to_list())
    return folder, str(lead), run_leads("forget", lead, "-p", folder, "--json")


def test_a_person_that_is_forgotten_leaves_no_byte_under_state(forgotten: tuple[Path, str, Ran]) -> None:
    folder, lead, ran = forgotten
    assert ran.exit_code == 0, ran.output
    for path in sorted((folder / "state").rglob("*")):
        if path.is_file():
            content = path.read_bytes().replace(f"{lead}0".encode(), b"")
            assert lead.encode() not in content, path
    assert ran.answer["decisions"] >= 2
    assert ran.answer["pages"] == 1
    assert ran.answer["lines"]["rejects/events.csv"] == 1
    assert ran.answer["look_at"] == []


def test_nobody_else_is_forgotten_with_them(forgotten: tuple[Path, str, Ran], scored_twice: Path) -> None:
    folder, lead, _ = forgotten
    scored = read_scored(scored_twice / "b.csv")
    others = scored.loc[
        (scored["lead_id"] != lead) & (scored["band_rule"] != f"duplicate of {lead}"), "lead_id"
    ].to_list()
    assert last_decisions(folder / "state", others, before=None).keys() == set(others)
    assert f"8,bad date,{lead}0" in (folder / "state" / "rejects" / "events.csv").read_text("utf-8")
    assert run_leads("info", "-p", folder).exit_code == 0


def test_the_receipt_proves_who_was_forgotten_to_those_who_know_the_id_only(forgotten: tuple[Path, str, Ran]) -> None:
    folder, lead, ran = forgotten
    (kept,) = (folder / "state" / "forgotten").glob("*.json")
    receipt = json.loads(kept.read_text("utf-8"))
    assert receipt["receipt"] == ran.answer["receipt"]
    assert receipt["person"] == hashlib.sha256(f"{receipt['salt']}{lead}".encode()).hexdigest()
    again = run_leads("forget", lead, "-p", folder, "--json")
    assert (again.exit_code, again.answer["decisions"], again.answer["lines"]) == (0, 0, {})


NUMBERS = """
[leads]
file = "leads.csv"
id = "№"
[leads.columns]
size = "number"
[outcome]
column = "sold"
won = ["1"]
lost = ["0"]
"""


def test_short_ids_and_ids_with_signs_are_forgotten_and_nobody_else(tmp_path: Path) -> None:
    project = make_project(tmp_path, NUMBERS, {"leads.csv": "№,size,sold\n1,2,0\n"})
    rejects = project.state / "rejects" / "leads.csv"
    stories = project.state / "stories"
    hygiene = project.state / "reports" / "hygiene.csv"
    for folder in (rejects.parent, stories, hygiene.parent):
        folder.mkdir(parents=True)
    kept = 'row,reason,№,size\r\n1,bad,44,1\r\n44,bad,7,x\r\n3,"short line","1;44;9"\r\n4,bad,Иванов,44\r\n'
    rejects.write_text(kept, encoding="utf-8")
    hygiene.write_text(
        'lead_id,flag,evidence\n5,duplicate of 44,"same phone as 44, 2 days later"\n6,duplicate of 4,a\n',
        encoding="utf-8",
    )
    for lead in ("44", "7", "<i>&", "Иванов", "Иванов-Петров"):
        mark = hashlib.sha256(f"about {lead}".encode()).hexdigest()
        (stories / f"{mark[:9]}.html").write_text(
            f'<meta name="about" content="{mark}"> {html.escape(lead)}: 44 times in the last 7 days', encoding="utf-8"
        )
    gone = forget_lead(project, "44", now=datetime(2026, 1, 1))
    assert (gone.lines, gone.pages) == ({"rejects/leads.csv": 2, "reports/hygiene.csv": 1}, 1)
    assert rejects.read_text("utf-8").splitlines()[1:] == ["44,bad,7,x", "4,bad,Иванов,44"]
    assert forget_lead(project, "<i>&", now=datetime(2026, 1, 1)).pages == 1
    assert forget_lead(project, "Иванов", now=datetime(2026, 1, 1)).pages == 1
    assert len(list(stories.iterdir())) == 2
    with pytest.raises(SettingsError, match="No lead is named"):
        forget_lead(project, " ", now=datetime(2026, 1, 1))


def test_a_huge_cell_does_not_stop_forgetting(tmp_path: Path) -> None:
    project = make_project(tmp_path, NUMBERS, {"leads.csv": "№,size,sold\n1,2,0\n"})
    table = project.state / "rejects" / "events.csv"
    table.parent.mkdir(parents=True)
    table.write_text(f"row,reason,№\n1,{'x' * 200_000},L1\n2,bad,L2\n", encoding="utf-8")
    assert forget_lead(project, "L1", now=datetime(2026, 1, 1)).lines == {"rejects/events.csv": 1}
