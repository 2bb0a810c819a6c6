from __future__ import annotations

import json
from pathlib import Path

import pytest

from features.catalogue import Catalogue
from features.engine import build_features
from features.ingest import read_tables
from features.listing import build_catalogue
from features.tables import Tables
from features.words import describe_window_en, describe_window_ru, slug
from project.duration import parse_duration
from project.errors import SettingsError
from project.folder import find_project
from worlds import ask, lines, make_project, utc

TOML = """
[leads]
file = "leads.csv"
id = "id"
created_at = "created"
columns = { "Source" = "category", "Pages seen" = "number", "Ours?" = "rule" }
labels = { "Source" = { en = "where from", ru = "откуда" } }

[events]
file = "events.csv"
lead = "lead"
at = "at"
kind = "kind"
value = "value"
windows = ["30d", "6h", "7d"]
%s

[stages]
file = "stages.csv"
lead = "lead"
at = "at"

[outcome]
"""
LEADS = lines(
    """id,created,Source,Pages seen,Ours?
    1,2024-05-01T00:00:00Z,web,3,no"""
)
AS_OF = utc("2024-05-20")


def world(folder: Path, events: str, *, settings: str = "", leads: str = LEADS) -> tuple[Tables, Catalogue]:
    rows = "".join(f"1,2024-05-1{place % 9}T00:00:00Z,{row}\n" for place, row in enumerate(events.split()))
    files = {"leads.csv": leads, "events.csv": "lead,at,kind,value\n" + rows, "stages.csv": "lead,at\n"}
    project = make_project(folder, TOML % settings, files)
    tables = read_tables(project)
    return tables, build_catalogue(tables, project.settings)


def answer(tables: Tables, catalogue: Catalogue) -> dict[str, object]:
    row: dict[str, object] = build_features(ask(("1", AS_OF)), tables, catalogue).iloc[0].to_dict()
    return row


def test_the_catalogue_lists_columns_clock_and_behaviour(tmp_path: Path) -> None:
    _, catalogue = world(tmp_path, "visit, visit, pay,5.5")
    wanted = """
        pages_seen source age_days created_hour created_weekday
        any_event_count_6h any_event_count_7d any_event_count_30d any_event_day_count_7d any_event_session_count_7d
        any_event_trend_7d days_since_last_any_event days_since_first_any_event days_span_any_event
        visit_count_6h visit_count_7d visit_count_30d visit_day_count_7d visit_trend_7d visit_share_30d
        days_since_last_visit days_since_first_visit
        pay_count_6h pay_count_7d pay_count_30d pay_day_count_7d pay_trend_7d pay_share_30d pay_sum_7d
        days_since_last_pay days_since_first_pay
    """
    assert catalogue.names == wanted.split()


def test_a_feature_says_what_it_is_in_both_languages(tmp_path: Path) -> None:
    _, catalogue = world(tmp_path, "visit, pay,1", settings='labels = { visit = { en = "Visits", ru = "Визиты" } }')
    words = {feature.name: (feature.en, feature.ru) for feature in catalogue.features}
    assert words["source"] == ("where from", "откуда")
    assert words["pages_seen"] == ("Pages seen", "Pages seen")
    assert words["visit_count_6h"] == ("Visits in the last 6 hours", "Визиты за последние 6 часов")
    assert words["visit_share_30d"] == (
        "Visits: share of all activity in the last 30 days",
        "Визиты: доля всей активности за последние 30 дней",
    )
    assert words["pay_count_7d"] == ("“pay” events in the last 7 days", "События «pay» за последние 7 дней")
    assert all(en.strip() and ru.strip() for en, ru in words.values())
    assert len({en for en, _ in words.values()}) == len(words)
    assert len({ru for _, ru in words.values()}) == len(words)


def test_every_feature_says_why_it_was_known(tmp_path: Path) -> None:
    _, catalogue = world(tmp_path, "visit,")
    assert all(feature.known_by_then for feature in catalogue.features)


def test_windows_are_seconds_and_attributes_have_none(tmp_path: Path) -> None:
    _, catalogue = world(tmp_path, "visit, pay,")
    windows = {feature.name: feature.window for feature in catalogue.features}
    assert (windows["visit_count_6h"], windows["visit_share_30d"]) == (21_600, 2_592_000)
    assert windows["source"] is windows["days_since_last_visit"] is windows["age_days"] is None


def test_a_catalogue_survives_json(tmp_path: Path) -> None:
    _, catalogue = world(tmp_path, "визит, pay,1 💥,2", settings='groups = { "Все 💥" = ["💥", "визит"] }')
    again = Catalogue.from_json(json.loads(json.dumps(catalogue.to_json())))
    assert again == catalogue


def test_kept_features_stay_in_the_order_of_the_catalogue(tmp_path: Path) -> None:
    tables, catalogue = world(tmp_path, "visit, pay,1")
    kept = catalogue.keep(["pay_sum_7d", "visit_count_6h", "source", "not there"])
    assert kept.names == ["source", "pay_sum_7d", "visit_count_6h"]
    whole = answer(tables, catalogue)
    assert answer(tables, kept) == {name: whole[name] for name in kept.names}


def test_only_the_most_frequent_kinds_have_features_of_their_own(tmp_path: Path) -> None:
    tables, catalogue = world(tmp_path, "a, b, b, c, c, c,", settings="max_kinds = 2")
    assert [subject.name for subject in catalogue.subjects] == ["any_event", "c", "b"]
    assert answer(tables, catalogue)["any_event_count_30d"] == 6.0


def test_one_kind_only_needs_no_sum_of_all_kinds(tmp_path: Path) -> None:
    _, catalogue = world(tmp_path, "visit, visit,")
    assert [subject.name for subject in catalogue.subjects] == ["visit"]


def test_groups_take_kinds_by_name_or_by_beginning(tmp_path: Path) -> None:
    tables, catalogue = world(
        tmp_path,
        "email_open, email_click, mail, letter, emai,",
        settings='groups = { "Post!" = ["email_*", "letter"], none = ["fax*"] }',
    )
    members = {subject.name: set(subject.kinds) for subject in catalogue.subjects}
    assert members["post"] == {"email_open", "email_click", "letter"}
    assert "none" not in members
    assert answer(tables, catalogue)["post_count_30d"] == 3.0


def test_ignored_kinds_have_no_feature_and_are_in_no_other(tmp_path: Path) -> None:
    tables, catalogue = world(tmp_path, "visit, pay, invoice, invoice,", settings='ignore = ["invoice"]')
    assert not [name for name in catalogue.names if "invoice" in name]
    row = answer(tables, catalogue)
    assert row["any_event_count_30d"] == 2.0
    # ignored kinds may tell the outcome (an invoice follows a win); a share must not tell it on
    assert row["visit_share_30d"] == 0.5


@pytest.mark.parametrize(
    ("events", "settings", "counts"),
    [
        ("Call! call? call?", "", [1, 2, 3]),
        ("💥 ♥ ♥ ♥", "", [1, 3, 4]),
        ("email email open open open", 'groups = { email = ["email", "open"] }', [2, 3, 5, 5]),
        ("any-event pay pay", "", [1, 2, 3]),
        ("a a_2 a. a. a. a_2", "", [1, 2, 3, 6]),
    ],
    ids=[
        "letters apart",
        "no letters at all",
        "a group called like a kind",
        "a kind called any event",
        "a number behind",
    ],
)
def test_kinds_whose_names_read_alike_keep_their_own_counts(
    tmp_path: Path, events: str, settings: str, counts: list[float]
) -> None:
    tables, catalogue = world(tmp_path, " ".join(f"{kind}," for kind in events.split()), settings=settings)
    assert len(set(catalogue.names)) == len(catalogue.names)
    row = answer(tables, catalogue)
    assert sorted(float(str(row[name])) for name in catalogue.names if "_count_30d" in name) == counts


def test_columns_whose_names_read_alike_get_names_of_their_own(tmp_path: Path) -> None:
    toml = """
    [leads]
    file = "leads.csv"
    id = "id"
    columns = { "Plan" = "number", "plan" = "number", "Plan 2" = "number", "💥" = "number", "?" = "number" }
    [outcome]
    column = "won"
    won = ["1"]
    """
    files = {"leads.csv": "id,Plan,plan,Plan 2,💥,?,won\n1,10,20,30,40,50,1\n"}
    project = make_project(tmp_path, toml, files)
    tables = read_tables(project)
    catalogue = build_catalogue(tables, project.settings)
    assert len(set(catalogue.names)) == 5
    frame = build_features(ask(("1", None)), tables, catalogue)
    subjects = {feature.subject: frame[feature.name].tolist() for feature in catalogue.features}
    assert subjects == {"Plan": [10.0], "plan": [20.0], "Plan 2": [30.0], "💥": [40.0], "?": [50.0]}


def test_a_forbidden_feature_may_be_of_events_that_come_later_but_not_of_none(tmp_path: Path) -> None:
    tables, _ = world(tmp_path / "a", "visit, pay,")
    project = find_project(tmp_path / "a")
    features = project.settings.features
    for name in ("pay_count_7d", "pray_count_7d"):
        settings = project.settings.model_copy(
            update={"features": features.model_copy(update={"forbidden": {name: "a trial"}})}
        )
        if name == "pay_count_7d":
            assert name not in build_catalogue(tables, settings, until=utc("2024-05-10 12:00:00")).names
            assert name not in build_catalogue(tables, settings).names
            continue
        with pytest.raises(SettingsError, match="'pray_count_7d', which is no feature"):
            build_catalogue(tables, settings, until=utc("2024-05-10 12:00:00"))


def test_a_flat_file_has_attributes_only(tmp_path: Path) -> None:
    toml = '[leads]\nfile="l.csv"\nid="id"\ncolumns={a="number"}\n[outcome]\ncolumn="won"\nwon=["1"]\n'
    project = make_project(tmp_path, toml, {"l.csv": "id,a,won\n1,2,1\n2,,0\n"})
    tables = read_tables(project)
    catalogue = build_catalogue(tables, project.settings)
    assert catalogue.names == ["a"]
    assert "no dates" in catalogue.features[0].known_by_then
    assert build_features(ask(("2", None), ("1", None)), tables, catalogue)["a"].fillna(-1).tolist() == [-1.0, 2.0]


@pytest.mark.parametrize(
    ("length", "english", "russian"),
    [
        ("6h", "in the last 6 hours", "за последние 6 часов"),
        ("1h", "in the last hour", "за последний час"),
        ("1d", "in the last day", "за последний день"),
        ("2d", "in the last 2 days", "за последние 2 дня"),
        ("21d", "in the last 21 days", "за последний 21 день"),
        ("11d", "in the last 11 days", "за последние 11 дней"),
        ("112d", "in the last 112 days", "за последние 112 дней"),
        ("1m", "in the last minute", "за последнюю минуту"),
        ("32m", "in the last 32 minutes", "за последние 32 минуты"),
    ],
)
def test_windows_read_aloud(length: str, english: str, russian: str) -> None:
    window = parse_duration(length)
    assert (describe_window_en(window), describe_window_ru(window)) == (english, russian)


@pytest.mark.parametrize(
    ("header", "name"),
    [("Лид №1", "лид_1"), ("  A--B  ", "a_b"), ('"quoted"', "quoted"), ("💥", "column"), ("", "column"), ("Ÿ", "ÿ")],
)
def test_names_are_made_of_letters_and_digits(header: str, name: str) -> None:
    assert slug(header) == name
