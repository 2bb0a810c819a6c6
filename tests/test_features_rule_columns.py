"""What rules ask of a lead: columns as they stand, deeds as they were known then."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from features.rule_columns import (
    count_new_events,
    did_sql,
    find_unheard_of,
    name_answer,
    read_rule_columns,
    split_rules,
)
from features.tables import Tables
from models.bands import matches
from project.folder import read_settings
from project.settings import RuleSettings
from training.bands import make_rules
from worlds import BASIC_TOML, ask, csv_text, iso, lines, make_tables, utc

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TOML = f"""{BASIC_TOML}
[leads.columns]
"Статус" = "rule"

[events]
file = "events.csv"
lead = "id"
at = "at"
kind = "kind"
recorded_at = "seen"
id = "event"
page = "page"
page_groups = {{ pricing = ["*/pricing*"] }}
"""
LEADS = "id,created,Статус\n1,2024-05-01T00:00:00Z,новый\n2,2024-05-01T00:00:00Z,клиент\n"
STAGES = "id,at,stage\n1,2024-07-01T00:00:00Z,won\n"
EVENTS = lines("""
    id,at,kind,seen,event,page
    1,2024-05-03T00:00:00Z,demo,2024-05-03T06:00:00Z,e1,
    1,2024-05-10T00:00:00Z,visit,2024-05-10T00:00:00Z,e2,/pricing/eu
    2,2024-05-05T00:00:00Z,звонок,2024-05-05T00:00:00Z,e3,
    2,2024-05-05T00:00:00Z,письмо,2024-05-08T00:00:00Z,e3,
""")


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    return make_tables(
        tmp_path_factory.mktemp("rules"), TOML, {"leads.csv": LEADS, "stages.csv": STAGES, "events.csv": EVENTS}
    )


def did(tables: Tables, event: str, within: timedelta | None, *questions: tuple[str, str]) -> list[bool]:
    rules = make_rules((RuleSettings(name="r", event=event, within=within, band="SQL"),))
    frame = read_rule_columns(tables, ask(*((lead, utc(moment)) for lead, moment in questions)), rules)
    return matches(rules[0], frame).tolist()  # type: ignore[no-any-return]


def test_a_deed_counts_once_it_happened_and_was_recorded_and_not_a_moment_earlier(tables: Tables) -> None:
    moments = ["2024-05-02", "2024-05-03", "2024-05-03 06:00:00", "2024-05-03 06:00:01", "2025-01-01"]
    assert did(tables, "demo", None, *(("1", moment) for moment in moments)) == [False, False, False, True, True]
    assert did(tables, "demo", None, ("2", "2025-01-01")) == [False]


def test_a_deed_counts_for_as_long_as_the_rule_says_half_open(tables: Tables) -> None:
    moments = ["2024-05-04", "2024-05-10", "2024-05-10 00:00:01"]
    assert did(tables, "demo", timedelta(days=7), *(("1", moment) for moment in moments)) == [True, True, False]


def test_a_corrected_event_counts_as_what_it_was_known_to_be_then(tables: Tables) -> None:
    moments = [("2", "2024-05-06"), ("2", "2024-05-08"), ("2", "2024-05-09")]
    assert did(tables, "звонок", None, *moments) == [True, True, False]
    assert did(tables, "письмо", None, *moments) == [False, False, True]


def test_a_kind_is_meant_on_every_page_and_a_page_on_that_page_only(tables: Tables) -> None:
    after = ("1", "2024-05-11")
    assert did(tables, "visit", None, after) == [True]
    assert did(tables, "visit @ pricing", None, after) == [True]
    assert did(tables, "visit @ docs", None, after) == [False]
    assert did(tables, "vis", None, after) == [False]


def test_columns_and_deeds_of_many_rules_stand_side_by_side_in_the_order_asked(tables: Tables) -> None:
    rules = make_rules(
        (
            RuleSettings(name="ours", column="Статус", equals=("клиент",)),
            RuleSettings(name="demo", event="demo", within=timedelta(days=30), band="SQL"),
            RuleSettings(name="demo, ever", event="demo", band="SQL"),
        )
    )
    asked = ask(("2", utc("2024-08-01")), ("1", utc("2024-08-01")), ("1", utc("2024-05-20")))
    frame = read_rule_columns(tables, asked, rules)
    assert list(frame["Статус"]) == ["клиент", "новый", "новый"]
    assert [matches(rule, frame).tolist() for rule in rules] == [
        [True, False, False],
        [False, False, True],
        [False, True, True],
    ]
    assert read_rule_columns(tables, asked, ()).shape == (3, 0)
    assert list(read_rule_columns(tables, asked, rules[1:2], more=["Статус"])["Статус"]) == ["клиент", "новый", "новый"]


def test_an_event_that_nobody_ever_did_is_named(tables: Tables) -> None:
    asked = ("demo", "Demo", "visit @ pricing", "visit", "visit @ docs")
    rules = make_rules(tuple(RuleSettings(name=event, event=event, band="SQL") for event in asked))
    assert find_unheard_of(tables, rules) == ["Demo", "visit @ docs"]


def test_answers_have_names_that_tell_lengths_apart() -> None:
    assert len({name_answer("demo", within) for within in (None, 3_600, 86_400, 86_460)}) == 4
    assert "O''Brien" in did_sql([("O'Brien", None)])


@pytest.mark.parametrize("seed", range(5))
def test_answers_are_what_going_through_the_events_one_by_one_gives(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    start = pd.Timestamp("2024-05-01")
    rows = []
    for number in range(40):
        at = start + pd.Timedelta(hours=int(random.integers(0, 240)))
        seen = at + pd.Timedelta(hours=int(random.choice([0, 0, 5, 60])))
        rows.append((str(random.integers(1, 3)), at, str(random.choice(["demo", "visit"])), seen, f"e{number}", ""))
    text = csv_text(
        [("id", "at", "kind", "seen", "event", "page")]
        + [(lead, iso(at), kind, iso(seen), event, page) for lead, at, kind, seen, event, page in rows]
    )
    tables = make_tables(tmp_path, TOML, {"leads.csv": LEADS, "stages.csv": STAGES, "events.csv": text})
    within = timedelta(hours=int(random.choice([1, 30, 240])))
    moments = [start + pd.Timedelta(hours=int(hour)) for hour in random.integers(0, 320, 60)]
    questions = [(str(random.integers(1, 3)), str(moment)) for moment in moments]
    slow = [
        any(one == lead and kind == "demo" and utc(as_of) - within <= at < utc(as_of) and seen < utc(as_of)
            for one, at, kind, seen, _, _ in rows)
        for lead, as_of in questions
    ]  # fmt: skip
    assert did(tables, "demo", within, *questions) == slow


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ('event = "demo"\ncolumn = "x"', "give either column or event"),
        ("", "give either column or event"),
        ('event = "demo"\nequals = ["yes"]', "are for a column, not for an event"),
        ('column = "x"\nequals = ["yes"]\nwithin = "7d"', "within is for an event"),
        ('event = "demo"\nwithin = "0"', "within must be longer than nothing"),
        ('event = ""', "event"),
    ],
)
def test_a_rule_that_asks_for_two_things_or_nothing_is_refused(tmp_path: Path, rule: str, says: str) -> None:
    path = tmp_path / "leads.toml"
    path.write_text(f'{TOML}\n[[rules]]\nname = "r"\n{rule}\n', encoding="utf-8")
    with pytest.raises(ValueError, match=says):
        read_settings(path)


def test_an_event_is_asked_for_only_where_there_are_events(tmp_path: Path) -> None:
    path = tmp_path / "leads.toml"
    path.write_text(f'{BASIC_TOML}\n[[rules]]\nname = "demo"\nevent = "demo"\nband = "SQL"\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"needs \[events\]"):
        read_settings(path)
    path.write_text(f'{TOML}\n[[rules]]\nname = "demo"\nevent = "demo"\nband = "SQL"\n', encoding="utf-8")
    (rule,) = make_rules(read_settings(path).rules)
    assert (rule.event, rule.within, rule.band, rule.equals) == ("demo", None, "SQL", ("yes",))


def test_rules_are_asked_for_by_protocol_alone(tables: Tables) -> None:
    rule = SimpleNamespace(column="any name", event="demo", within=None)
    assert list(read_rule_columns(tables, ask(("1", utc("2024-06-01"))), [rule])["any name"]) == ["yes"]


def test_what_is_new_since_a_decision_is_counted_by_when_it_became_known(tables: Tables) -> None:
    questions = [
        ("1", "2024-05-01", "2024-05-11", 2),
        ("1", "2024-05-03 06:00:00", "2024-05-10", 1),  # recorded at the very moment of the decision: not known to it
        ("1", "2024-05-03 06:00:01", "2024-05-10", 0),
        ("1", "2024-05-01", "2024-05-03 06:00:00", 0),
        ("2", "2024-05-01", "2024-05-09", 1),  # an event and its correction are one
        ("2", "2024-05-06", "2024-05-09", 1),
        ("nobody", "2024-05-06", "2024-05-09", 0),
    ]
    asked = pd.DataFrame(
        {
            "lead_id": [lead for lead, *_ in questions],
            "decided_at": pd.Series([utc(since) for _, since, *_ in questions]).astype("datetime64[us]"),
            "as_of": pd.Series([utc(as_of) for *_, as_of, _ in questions]).astype("datetime64[us]"),
        }
    )
    assert count_new_events(tables, asked).tolist() == [n for *_, n in questions]


def test_spark_gives_the_same_answers(tables: Tables, spark: SparkSession, tmp_path: Path) -> None:
    rules = make_rules(
        (
            RuleSettings(name="a", event="demo", within=timedelta(hours=7), band="SQL"),
            RuleSettings(name="b", event="звонок", within=timedelta(days=30), band="SQL"),
            RuleSettings(name="c", event="visit @ pricing", band="SQL"),
        )
    )
    days = [f"2024-05-{day:02} 06:30:00" for day in range(1, 20)]
    asked = ask(*((lead, utc(day)) for lead in "12" for day in days))
    ours = read_rule_columns(tables, asked, rules)
    _, deeds = split_rules(rules)
    for name, sql in (
        ("asked", "SELECT row_number() OVER () - 1 AS snapshot_id, lead_id, as_of FROM asked_then"),
        ("events", "SELECT lead_id, occurred_at, recorded_at, superseded_at, kind FROM events"),
    ):
        tables.connection.register("asked_then", asked)
        tables.connection.execute(f"COPY ({sql}) TO '{tmp_path}/{name}.parquet'")
        tables.connection.unregister("asked_then")
        spark.read.parquet(f"{tmp_path}/{name}.parquet").createOrReplaceTempView(name)
    theirs = spark.sql(f"{did_sql(list(deeds.values()), snapshots='asked')} ORDER BY snapshot_id").collect()
    found = ours.astype(object).where(ours.notna(), None).to_numpy().tolist()
    assert [list(row)[1:] for row in theirs] == found
    assert any(row[0] for row in found) and any(row[1] for row in found) and any(row[2] for row in found)
