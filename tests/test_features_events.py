"""Late, corrected and grouped events: what counts as of a moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.catalogue import Catalogue, Feature, Statistic, Subject
from features.engine import build_features
from features.ingest import read_tables
from features.listing import build_catalogue
from features.tables import Tables
from project.errors import SettingsError
from project.folder import Project
from worlds import ask, lines, make_project, rows_of, utc

TOML = """
[leads]
file = "leads.csv"
id = "id"
created_at = "created"

[events]
file = "events.csv"
lead = "lead"
at = "at"
kind = "kind"
%s

[stages]
file = "stages.csv"
lead = "lead"
at = "at"

[outcome]
"""
LEADS = "id,created\n1,2024-01-01T00:00:00Z\n"


def project_of(folder: Path, events: str, *, settings: str = "", more: str = "", **files: str) -> Project:
    named = {f"{name}.csv": lines(text) for name, text in files.items()}
    return make_project(
        folder,
        TOML % settings + more,
        {"leads.csv": LEADS, "events.csv": lines(events), "stages.csv": "lead,at\n", **named},
    )


def tables_of(folder: Path, events: str, *, settings: str = "") -> Tables:
    return read_tables(project_of(folder, events, settings=settings))


def measure(
    tables: Tables, as_of: str, *, kinds: tuple[str, ...] = ("visit",), statistic: Statistic = "count"
) -> float:
    feature = Feature("f", "number", "behaviour", "s", statistic, 86_400 * 30, "", "", "")
    catalogue = Catalogue((feature,), (Subject("s", kinds, "", ""),))
    return float(build_features(ask(("1", utc(as_of))), tables, catalogue)["f"].iloc[0])


VERSIONS = """lead,at,kind,recorded,event
    1,2024-05-01T10:00:00Z,visit,2024-05-01T10:00:00Z,e1
    1,2024-05-01T10:00:00Z,call,2024-05-03T12:00:00Z,e1
    1,2024-05-01T10:00:00Z,visit,2024-05-06T12:00:00Z,e1
    1,2024-05-02T10:00:00Z,visit,,e2"""


@pytest.mark.parametrize(
    ("as_of", "visits", "calls", "should"),
    [
        ("2024-05-01 10:00:00", 0, 0, "nothing has happened yet"),
        ("2024-05-01 10:00:01", 1, 0, "the first version is known"),
        ("2024-05-03 12:00:00", 2, 0, "a correction recorded at as_of is not known"),
        ("2024-05-03 12:00:00.000001", 1, 1, "a microsecond later it replaces the first"),
        ("2024-05-06 12:00:00.000001", 2, 0, "the latest recording wins"),
    ],
)
def test_of_several_versions_of_an_event_the_latest_known_by_then_counts(
    tmp_path: Path, as_of: str, visits: float, calls: float, should: str
) -> None:
    tables = tables_of(tmp_path, VERSIONS, settings='recorded_at = "recorded"\nid = "event"')
    assert (measure(tables, as_of), measure(tables, as_of, kinds=("call",))) == (visits, calls), should


def test_without_an_id_every_row_is_an_event_of_its_own(tmp_path: Path) -> None:
    tables = tables_of(tmp_path, VERSIONS, settings='recorded_at = "recorded"')
    assert measure(tables, "2024-05-20", kinds=("visit", "call")) == 4


def test_of_two_versions_recorded_at_one_moment_the_last_row_counts(tmp_path: Path) -> None:
    events = """lead,at,kind,recorded,event
        1,2024-05-01T10:00:00Z,visit,2024-05-02T00:00:00Z,e1
        1,2024-05-01T10:00:00Z,call,2024-05-02T00:00:00Z,e1"""
    tables = tables_of(tmp_path, events, settings='recorded_at = "recorded"\nid = "event"')
    assert (measure(tables, "2024-05-03"), measure(tables, "2024-05-03", kinds=("call",))) == (0, 1)


def test_rows_without_an_id_replace_nothing(tmp_path: Path) -> None:
    events = """lead,at,kind,event
        1,2024-05-01T10:00:00Z,visit,
        1,2024-05-02T10:00:00Z,visit,"""
    assert measure(tables_of(tmp_path, events, settings='id = "event"'), "2024-05-03") == 2


def test_a_backfill_is_not_known_before_it_was_loaded(tmp_path: Path) -> None:
    events = """lead,at,kind,recorded
        1,2024-05-01T10:00:00Z,visit,2024-06-01T00:00:00Z
        1,2024-05-02T10:00:00Z,visit,2024-06-01T00:00:00Z
        1,2024-05-03T10:00:00Z,visit,"""
    tables = tables_of(tmp_path, events, settings='recorded_at = "recorded"')
    assert [measure(tables, moment) for moment in ("2024-05-04", "2024-06-01", "2024-06-01 00:00:01")] == [1, 1, 2]


def test_a_correction_may_move_an_event_to_another_time(tmp_path: Path) -> None:
    events = """lead,at,kind,recorded,event
        1,2024-05-20T10:00:00Z,visit,2024-05-20T10:00:00Z,e1
        1,2024-01-20T10:00:00Z,visit,2024-05-21T00:00:00Z,e1"""
    tables = tables_of(tmp_path, events, settings='recorded_at = "recorded"\nid = "event"')
    assert [measure(tables, moment) for moment in ("2024-05-20 12:00:00", "2024-05-22")] == [1, 0]


SESSIONS = """lead,at,kind,recorded
    1,2024-05-01T10:00:00Z,visit,
    1,2024-05-01T10:29:59Z,visit,
    1,2024-05-01T10:59:58Z,visit,
    1,2024-05-01T11:29:58Z,visit,
    1,2024-05-01T11:29:58Z,visit,"""


def test_a_session_ends_after_its_gap_without_an_event(tmp_path: Path) -> None:
    tables = tables_of(tmp_path, SESSIONS)
    assert measure(tables, "2024-05-02", statistic="session_count") == 2
    longer = tables_of(tmp_path / "longer", SESSIONS, settings='session_gap = "31m"')
    assert measure(longer, "2024-05-02", statistic="session_count") == 1


def test_an_event_not_known_yet_joins_no_sessions(tmp_path: Path) -> None:
    bridge = SESSIONS.replace("10:29:59Z,visit,", "10:29:59Z,visit,2024-05-05T00:00:00Z")
    tables = tables_of(tmp_path, bridge, settings='recorded_at = "recorded"')
    assert measure(tables, "2024-05-02", statistic="session_count") == 3
    assert measure(tables, "2024-05-06", statistic="session_count") == 2


def test_ignored_kinds_hold_no_session_together(tmp_path: Path) -> None:
    events = """lead,at,kind
        1,2024-05-01T10:00:00Z,visit
        1,2024-05-01T10:20:00Z,robot
        1,2024-05-01T10:40:00Z,visit"""
    tables = tables_of(tmp_path, events, settings='ignore = ["robot"]')
    assert measure(tables, "2024-05-02", statistic="session_count") == 2
    assert measure(tables, "2024-05-02", kinds=("robot",), statistic="session_count") == 0


PAGES = """lead,at,kind,address
    1,2024-05-01T10:00:00Z,visit,https://x.example/Pricing?from=mail
    1,2024-05-01T10:10:00Z,visit,https://x.example/цены/опт
    1,2024-05-01T10:20:00Z,visit,https://x.example/blog/pricing_in_100%
    1,2024-05-01T10:30:00Z,visit,
    1,2024-05-01T10:40:00Z,click,https://x.example/pricing"""
GROUPS = 'page = "address"\npage_groups = { prices = ["*/pricing*", "*/цены*"], blog = ["*/blog/*"], odd = ["*100%*"] }'


def test_pages_count_for_their_group_and_for_their_kind(tmp_path: Path) -> None:
    project = project_of(tmp_path, PAGES, settings=GROUPS)
    tables = read_tables(project)
    frame = build_features(ask(("1", utc("2024-05-02"))), tables, build_catalogue(tables, project.settings))
    counts = {name.removesuffix("_count_30d"): value for name, value in frame.filter(like="_count_30d").iloc[0].items()}
    days = {name: counts.pop(name) for name in list(counts) if "day" in name or "session" in name}
    assert counts == {"any_event": 5, "prices": 4, "visit": 4, "click": 1}
    assert days["prices_day"] == 1


def test_the_first_group_of_pages_that_fits_decides(tmp_path: Path) -> None:
    turned = 'page = "address"\npage_groups = { blog = ["*/BLOG/*"], prices = ["*/pricing*", "*/цены*"] }'
    tables = tables_of(tmp_path, PAGES, settings=turned)
    kinds = rows_of(tables, "SELECT kind, count(*) FROM events GROUP BY 1 ORDER BY 1")
    assert kinds == [("click @ prices", 1), ("visit", 1), ("visit @ blog", 1), ("visit @ prices", 2)]


TOUCHES = """
[touches]
file = "touches.csv"
lead = "lead"
at = "at"
kind = "what"
%s
"""
CALLS = """lead,at,what
    1,2024-05-01T10:05:00Z,visit
    1,2024-05-01T11:00:00Z,call
    1,2024-05-01T12:00:00Z,call"""
VISITS = """lead,at,kind
    1,2024-05-01T10:00:00Z,visit
    1,2024-05-01T10:10:00Z,click"""


def touched(folder: Path, settings: str) -> dict[str, float]:
    project = project_of(folder, VISITS, more=TOUCHES % settings, touches=CALLS)
    tables = read_tables(project)
    frame = build_features(ask(("1", utc("2024-05-02"))), tables, build_catalogue(tables, project.settings))
    return {str(name): float(value) for name, value in frame.select_dtypes("number").iloc[0].items()}


def test_what_sales_did_is_no_feature_unless_the_user_says_so(tmp_path: Path) -> None:
    kept_out = touched(tmp_path / "out", "")
    let_in = touched(tmp_path / "in", "as_features = true")
    assert not [name for name in kept_out if "touch" in name]
    assert let_in["touch_call_count_30d"] == 2
    assert let_in["days_since_last_touch_call"] == 0.5
    # a call by sales is no activity of the lead: nothing else changes
    assert {name: value for name, value in let_in.items() if "touch" not in name} == pytest.approx(
        kept_out, nan_ok=True
    )


def test_a_forbidden_feature_is_left_out_and_an_unknown_one_is_an_error(tmp_path: Path) -> None:
    project = project_of(
        tmp_path, VISITS, more='[features]\nforbidden = { visit_count_7d = "counts a form of sales" }\n'
    )
    tables = read_tables(project)
    names = build_catalogue(tables, project.settings).names
    assert "visit_count_7d" not in names
    assert "visit_count_30d" in names
    wrong = project_of(tmp_path / "wrong", VISITS, more='[features]\nforbidden = { visits_count_7d = "why" }\n')
    with pytest.raises(SettingsError, match="Did you mean 'visit_count_7d'"):
        build_catalogue(tables, wrong.settings)
