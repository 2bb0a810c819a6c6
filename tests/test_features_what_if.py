from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from features.catalogue import Catalogue
from features.engine import build_features
from features.listing import build_catalogue
from features.tables import Tables
from features.what_if import with_event, with_value, without_news
from project.folder import find_project
from worlds import ask, make_tables, rows_of, utc

LEADS = "id,created,size,source\nL1,2026-01-01T00:00:00Z,10,web\nL2,2026-01-01T00:00:00Z,20,ads\n"
EVENTS = """no,lead,at,known,kind
1,L1,2026-01-02T00:00:00Z,2026-01-02T00:00:00Z,visit
2,L1,2026-01-05T00:00:00Z,2026-01-05T00:00:00Z,visit
3,L1,2026-01-03T00:00:00Z,2026-01-08T00:00:00Z,chat
1,L1,2026-01-02T00:00:00Z,2026-01-09T00:00:00Z,chat
4,L2,2026-01-06T00:00:00Z,2026-01-06T00:00:00Z,visit
"""
STAGES = "lead,at,stage\nL2,2026-03-09T00:00:00Z,won\n"
TOML = """
[leads]
file = "leads.csv"
id = "id"
created_at = "created"
[leads.columns]
size = "number"
source = "category"
[events]
file = "events.csv"
id = "no"
lead = "lead"
at = "at"
recorded_at = "known"
kind = "kind"
windows = ["30d"]
[stages]
file = "stages.csv"
lead = "lead"
at = "at"
stage = "stage"
[outcome]
won = ["won"]
"""
NOW = datetime(2026, 1, 10)


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return make_tables(tmp_path, TOML, {"leads.csv": LEADS, "events.csv": EVENTS, "stages.csv": STAGES})


@pytest.fixture
def catalogue(tables: Tables, tmp_path: Path) -> Catalogue:
    return build_catalogue(tables, find_project(tmp_path).settings)


def counts(tables: Tables, catalogue: Catalogue) -> dict[str, list[float]]:
    frame = build_features(ask(("L1", utc("2026-01-10")), ("L2", utc("2026-01-10"))), tables, catalogue)
    return {name: frame[name].tolist() for name in ("visit_count_30d", "chat_count_30d", "size")}


def everything(tables: Tables) -> list[tuple[object, ...]]:
    return rows_of(tables, "SELECT * FROM events ORDER BY ALL") + rows_of(tables, "SELECT * FROM leads ORDER BY ALL")


def test_a_lead_without_news_is_as_it_was_known_then_but_looked_at_now(tables: Tables, catalogue: Catalogue) -> None:
    assert counts(tables, catalogue) == {
        "visit_count_30d": [1.0, 1.0],
        "chat_count_30d": [2.0, 0.0],
        "size": [10.0, 20.0],
    }
    with without_news(tables, ["L1"], utc("2026-01-04")):
        # neither the later visit, nor the chat recorded late, nor the correction of the first visit is known
        assert counts(tables, catalogue)["visit_count_30d"] == [1.0, 1.0]
        assert counts(tables, catalogue)["chat_count_30d"] == [0.0, 0.0]
    with without_news(tables, ["L1"], utc("2026-01-09")):
        # what was recorded exactly then is news
        assert counts(tables, catalogue)["visit_count_30d"] == [2.0, 1.0]
        assert counts(tables, catalogue)["chat_count_30d"] == [1.0, 0.0]
    with without_news(tables, ["L2"], utc("2026-01-06")):
        assert counts(tables, catalogue)["visit_count_30d"] == [1.0, 0.0]


def test_one_more_event_and_another_value_are_seen_by_every_feature(tables: Tables, catalogue: Catalogue) -> None:
    with with_event(tables, "L2", "visit", NOW):
        assert counts(tables, catalogue)["visit_count_30d"] == [1.0, 2.0]
    with with_value(tables, "L1", "size", 77.0):
        assert counts(tables, catalogue)["size"] == [77.0, 20.0]


def test_nothing_that_was_pretended_stays_not_even_after_an_error(tables: Tables) -> None:
    before = everything(tables)
    for pretended in (
        without_news(tables, ["L1"], utc("2026-01-01T12:00:00")),
        with_event(tables, "L1", "visit", NOW),
        with_value(tables, "L1", "source", "tv"),
    ):
        with pytest.raises(KeyError), pretended:
            assert everything(tables) != before
            raise KeyError("anything")
        assert everything(tables) == before
