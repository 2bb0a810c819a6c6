"""Each column of the leads is judged: what may be learned from, what tells the outcome, what is none."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from proposed import WON, flat_world, settle
from training.proposal.propose import propose_project


def test_evidence_forbids_what_tells_the_outcome(tmp_path: Path) -> None:
    chance = random.Random(4)
    columns = {
        "verdict": ["hot" if w == (chance.random() < 0.97) else "cold" for w in WON],
        "minutes": [str(round(chance.gauss(60 if w else 10, 10), 1)) for w in WON],
        "budget": ["12" if chance.random() < (0.9 if w else 0.3) else "" for w in WON],
        "hint": ["a" if chance.random() < (0.6 if w else 0.4) else "b" for w in WON],
        "size": [str(chance.randrange(500)) for _ in WON],
    }
    settings = settle(tmp_path, propose_project(tmp_path, leads=flat_world(tmp_path, columns)))
    assert settings.leads.columns == {"hint": "category", "size": "number"}
    assert "alone it tells the outcome (AUC 0.9" in settings.leads.forbidden["verdict"]
    assert "alone it tells the outcome" in settings.leads.forbidden["minutes"]
    assert "whether it is filled tells the outcome" in settings.leads.forbidden["budget"]


@pytest.mark.parametrize(
    ("header", "cells", "should"),
    [
        pytest.param("E-mail", [f"a{n}@b.c" for n in range(400)], "identity", id="addresses"),
        pytest.param("phone", [str(79_000_000 + n) for n in range(400)], "identity", id="phones"),
        pytest.param("remark", [f"said {n}" for n in range(400)], "free text", id="free text"),
        pytest.param("external_uuid", [f"{n:08x}" for n in range(400)], "an identifier", id="another id"),
        pytest.param("Do Not Email", ["yes", "no"] * 200, "category", id="a flag about mail"),
        pytest.param("campaign name", [f"c{n % 30}" for n in range(400)], "category", id="campaigns"),
        pytest.param("Lead Stage", ["a", "b"] * 200, "after the outcome", id="a stage"),
        pytest.param("статус", ["a", "b"] * 200, "after the outcome", id="a Russian status"),
        pytest.param("marital_status", ["a", "b"] * 200, "category", id="not every status"),
        pytest.param("region", ["EU"] * 400, "always the same value", id="constant"),
        pytest.param("birthday", [f"19{n % 9 + 91}-05-01" for n in range(400)], "a time", id="another date"),
        pytest.param("spam_check", ["pass"] * 390 + ["fail"] * 10, "rule", id="a flag for rules"),
        pytest.param("owner_id", [str(n % 12) for n in range(400)], "category", id="a code is no number"),
    ],
)
def test_each_column_is_judged(tmp_path: Path, header: str, cells: list[str], should: str) -> None:
    leads = settle(tmp_path, propose_project(tmp_path, leads=flat_world(tmp_path, {header: cells}))).leads
    assert should in {**leads.columns, **leads.forbidden}[header]


def test_a_flag_becomes_the_example_of_a_rule(tmp_path: Path) -> None:
    text = propose_project(tmp_path, leads=flat_world(tmp_path, {"is_test": ["no"] * 399 + ["yes"]})).text
    assert '# [[rules]]\n# name = "is_test"\n# column = "is_test"\n# equals = ["yes"]' in text
