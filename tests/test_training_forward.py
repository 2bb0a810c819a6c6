"""Which leads count when two models are compared."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from features.ingest import read_tables
from features.tables import Tables
from models.bands import Rule
from project.errors import SchemaError
from project.folder import Project
from project.settings import Settings
from training.examples import build_examples
from training.promotion.forward import Forward, find_forward, learnt_until
from worlds import BASIC_TOML, csv_text, make_project

START = datetime(2024, 1, 1)
ACCOUNTS = """
account = "account"
columns = { spam = "rule" }
"""


def _world(folder: Path, leads: list[tuple[str, int, str]]) -> tuple[Tables, Settings]:
    """Make a project of leads (id, day it came in, account); every third one wins five days later, the others lose."""
    rows = [[lead, f"{START + timedelta(days=day):%Y-%m-%d}T00:00:00Z", account, ""] for lead, day, account in leads]
    ends = [
        [lead, f"{START + timedelta(days=day + 5):%Y-%m-%d}T00:00:00Z", "lost" if place % 3 else "won"]
        for place, (lead, day, _) in enumerate(leads)
    ]
    text = BASIC_TOML.replace('created_at = "created"', 'created_at = "created"' + ACCOUNTS)
    text += 'observed_until = 2025-01-01T00:00:00Z\n[snapshots]\nages = ["0d", "3d"]\n'
    files = {
        "leads.csv": csv_text([["id", "created", "account", "spam"], *rows]),
        "stages.csv": csv_text([["id", "at", "stage"], *ends]),
    }
    project = make_project(folder, text, files)
    return read_tables(project), project.settings


def _manifest(until: int, *, horizon: str = "10d") -> dict[str, Any]:
    """Make what a model says of its periods: its last snapshot was taken `until` days after the start."""
    first, last = (START + timedelta(days=day) for day in (0, until))
    period = {"from": first.isoformat(), "to": last.isoformat()}
    test = {"from": None, "to": (START + timedelta(days=300)).isoformat()}
    early = {"from": None, "to": (START + timedelta(days=until - 7)).isoformat()}
    return {
        "model_id": "model-x",
        "outcome": {"horizon": horizon},
        "split": {"kind": "time", "fit": early, "calibrate": period, "test": test},
    }


def _counted(forward: Forward) -> list[tuple[str, int]]:
    moments = forward.snapshots["as_of"]
    return list(zip(forward.snapshots["lead_id"], [(m - START).days for m in moments], strict=True))


def test_a_model_has_learnt_until_the_last_label_of_every_period_but_the_test() -> None:
    assert learnt_until(_manifest(20)) == (START + timedelta(days=20), START + timedelta(days=30))


def test_leads_count_from_the_end_of_what_the_newer_model_learnt_from(tmp_path: Path) -> None:
    leads = [("old", 15, "a"), ("on-the-last-day", 20, "b"), ("between", 28, "c"), ("new", 30, "d"), ("late", 60, "e")]
    tables, settings = _world(tmp_path, leads)
    forward = find_forward(tables, settings, [_manifest(20), _manifest(5)], rules=())
    # the lead between was asked about by no model, but a label that one learnt from had not ended when it came in
    assert _counted(forward) == [("between", 31), ("new", 30), ("new", 33), ("late", 60), ("late", 63)]
    assert forward.since == START + timedelta(days=30)
    assert forward.lead.tolist() == [0, 1, 1, 2, 2]
    assert forward.block.tolist() == [-1, 0, 4]


def test_the_order_of_the_models_and_their_age_do_not_matter(tmp_path: Path) -> None:
    tables, settings = _world(tmp_path, [(f"l{day}", day, f"a{day}") for day in range(100)])
    one, other = (find_forward(tables, settings, pair, rules=()) for pair in (
        [_manifest(20), _manifest(50)], [_manifest(50), _manifest(20)]
    ))  # fmt: skip
    assert _counted(one) == _counted(other)


def test_a_lead_of_an_account_that_a_model_may_know_does_not_count(tmp_path: Path) -> None:
    tables, settings = _world(tmp_path, [("old", 15, "a"), ("again", 40, "a"), ("new", 41, "b"), ("new-2", 70, "b")])
    forward = find_forward(tables, settings, [_manifest(20)], rules=())
    assert {lead for lead, _ in _counted(forward)} == {"new", "new-2"}
    assert forward.block.tolist() == [1, 1]  # one account, one block


def test_leads_too_young_to_know_and_leads_a_rule_disqualifies_do_not_count(tmp_path: Path) -> None:
    tables, settings = _world(tmp_path, [("new", 40, "a"), ("young", 360, "b"), ("spam", 50, "c")])
    tables.connection.execute("UPDATE leads SET a0 = 'yes' WHERE lead_id = 'spam'")
    rules = [Rule("spam", "spam", ("yes",), "disqualified")]
    forward = find_forward(tables, settings, [_manifest(20)], rules=rules)
    assert {lead for lead, _ in _counted(forward)} == {"new"}


def test_the_share_that_is_called_is_capacity_over_all_leads_that_come_in(tmp_path: Path) -> None:
    old = [("old", 1, "known")]
    leads = old + [(f"l{day}", day, f"a{day}" if day % 2 else "known") for day in range(40, 110)]
    tables, settings = _world(tmp_path, leads)
    assert not find_forward(tables, settings, [_manifest(20)], rules=()).by_capacity
    limited = settings.model_copy(update={"capacity": settings.capacity.model_copy(update={"leads_per_week": 1.4})})
    forward = find_forward(tables, limited, [_manifest(20)], rules=())
    assert forward.by_capacity
    assert forward.share == pytest.approx(0.2, abs=0.01)  # of seven a week


def test_leads_whose_fate_tells_nothing_are_called_all_the_same(tmp_path: Path) -> None:
    leads = [(f"l{day}", day, f"a{day}") for day in range(40, 110)]
    tables, settings = _world(tmp_path, leads)
    tables.connection.execute(
        "UPDATE outcomes SET lost_at = (SELECT created_at + INTERVAL 1 DAY FROM leads WHERE leads.lead_id = "
        "outcomes.lead_id), lost_as = 'junk', won_at = NULL WHERE CAST(substr(lead_id, 2) AS INTEGER) % 2 = 0"
    )
    limited = settings.model_copy(update={"capacity": settings.capacity.model_copy(update={"leads_per_week": 1.4})})
    forward = find_forward(tables, limited, [_manifest(20)], rules=())
    assert forward.leads == 35
    assert forward.share == pytest.approx(0.2, abs=0.01)  # of seven a week, half of which are judged


def test_too_few_leads_say_what_is_missing(tmp_path: Path) -> None:
    tables, settings = _world(tmp_path, [(f"l{day}", day, f"a{day}") for day in range(100)])
    shortage = find_forward(tables, settings, [_manifest(20)], rules=()).shortage
    assert shortage is not None
    assert "needs 200 leads, 20 conversions and 8 weeks" in shortage
    nobody = find_forward(tables, settings, [_manifest(200)], rules=())
    assert nobody.leads == 0
    assert "Only 0 leads" in str(nobody.shortage)
    many = [(f"l{n}", 40 + n % 100, f"a{n}") for n in range(400)]
    tables, settings = _world(tmp_path / "many", many)
    assert find_forward(tables, settings, [_manifest(20)], rules=()).shortage is None


FLAT = """
[leads]
file = "leads.csv"
id = "id"
columns = { size = "number" }
[outcome]
column = "end"
won = ["won"]
lost = ["lost"]
[training]
seed = 1
split = "random"
"""


def _flat(folder: Path, toml: str = FLAT) -> tuple[Project, Tables]:
    rows = [[f"l{n}", n % 7, "lost" if n % 3 else "won"] for n in range(300)]
    project = make_project(folder, toml, {"leads.csv": csv_text([["id", "size", "end"], *rows])})
    return project, read_tables(project)


def _flat_manifest(project: Project, tables: Tables) -> dict[str, Any]:
    split = build_examples(tables, project.settings, rules=()).split
    periods = {name: period.to_json() for name, period in split.periods.items()}
    seed = project.settings.training.seed
    return {
        "model_id": "model-x",
        "data_hash": tables.data_hash,
        "seed": seed,
        "split": {"kind": split.kind, **periods},
    }


def test_without_dates_the_test_part_of_a_shared_split_counts_and_nothing_else(tmp_path: Path) -> None:
    project, tables = _flat(tmp_path)
    manifest = _flat_manifest(project, tables)
    forward = find_forward(tables, project.settings, [manifest, manifest], rules=())
    examples = build_examples(tables, project.settings, rules=())
    expected = examples.snapshots["lead_id"].iloc[examples.split.rows("test")]
    assert forward.snapshots["lead_id"].tolist() == expected.tolist()
    assert forward.since is None
    for change in ({"seed": 2}, {"data_hash": "another"}):
        with pytest.raises(SchemaError, match="Train both on one file"):
            find_forward(tables, project.settings, [manifest, {**manifest, **change}], rules=())
