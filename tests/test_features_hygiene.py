"""Leads that are set apart, facts derived from identity, and identity forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.engine import build_features
from features.ingest import read_tables
from features.listing import build_catalogue
from features.snapshots import build_open_snapshots, build_training_snapshots
from project.errors import SettingsError
from worlds import (
    PEOPLE_HEADER,
    PEOPLE_TOML,
    ask,
    days,
    flags,
    lines,
    make_people,
    make_project,
    make_tables,
    rows_of,
    utc,
)


@pytest.mark.parametrize(
    ("row", "flag"),
    [
        ("a@example.com,,,", "test record"),
        ("a@mail.test.ru,,,", "test record"),
        ("a@firm.example,,,", None),
        (",,Test Testov,", "test record"),
        (",,тест,", "test record"),
        (",,Тестова Анна,", None),
        (",,,ООО Тест", "test record"),
        (",,,Test Equity Partners", None),
        (",0000000,,", "test record"),
        (",+7 (000) 000-00-00,,", "test record"),
        (",123456,,", "test record"),
        (",+7 916 123-45-67,,", None),
        ("a@rival.io,,,", "competitor"),
        ("a@eu.rival.io,,,", "competitor"),
        ("a@notrival.io,,,", None),
        (',,,"КОНКУРЕНТ, ООО"', "competitor"),
    ],
)
def test_test_records_and_competitors_are_set_apart(tmp_path: Path, row: str, flag: str | None) -> None:
    more = '[hygiene]\ncompetitors = ["Rival.io", "ООО «Конкурент»"]'
    assert flags(make_people(tmp_path, f"1,2024-05-01,,{row},", more=more)) == {"1": flag}


def test_flagged_leads_are_not_asked_about_in_training_but_keep_their_flag_in_scoring(tmp_path: Path) -> None:
    tables = make_people(
        tmp_path,
        "1,2024-05-01,,a@b.ru,,,,\n2,2024-05-02,,a@b.ru,,,,\n3,2024-05-02,,x@example.com,,,,",
        stages="1,2024-07-01,won,",
    )
    assert set(build_training_snapshots(tables, [days(0), days(1)])["lead_id"]) == {"1"}
    asked = build_open_snapshots(tables, utc("2024-05-03"))
    flag = dict(zip(asked["lead_id"], asked["flag"].astype(object).where(asked["flag"].notna(), None), strict=True))
    assert flag == {"1": None, "2": "duplicate of 1", "3": "test record"}


def test_facts_are_derived_and_identity_is_forgotten(tmp_path: Path) -> None:
    tables = make_people(
        tmp_path,
        """1,2024-05-01,,a@mail.ru,+7 916 765-43-21,A B,,x
        2,2024-05-01,,a@own.ru,+49 30 1234568,,Foo,x
        3,2024-05-01,,a@firm.de,,,,
        4,2024-05-01,,,,,,""",
        more='[hygiene]\nfree_mail_domains = ["OWN.ru"]',
    )
    project = make_project(tmp_path, (PEOPLE_TOML % '[hygiene]\nfree_mail_domains = ["OWN.ru"]'), {})
    catalogue = build_catalogue(tables, project.settings)
    moment = utc("2024-05-02")
    frame = build_features(ask(*((str(n), moment) for n in range(1, 5))), tables, catalogue).astype(object)
    facts = ["email_free_domain", "email_company_domain", "phone_country", "filled_in"]
    rows = frame[facts].where(frame[facts].notna(), None).to_numpy().tolist()
    assert rows == [
        ["yes", "no", "RU", 1.0],
        ["yes", "no", "DE", 1.0],
        ["no", "yes", None, 0.0],
        [None, "no", None, 0.0],
    ]
    words = {feature.name: feature.ru for feature in catalogue.features}
    assert words["phone_country"] == "Страна телефона"
    everything = str([rows_of(tables, f"SELECT * FROM {name}") for (name,) in rows_of(tables, "SHOW TABLES")])
    assert not [word for word in ("mail.ru", "9167654321", "A B", "Foo") if word in everything]


def test_rejected_rows_are_listed_without_who_they_are(tmp_path: Path) -> None:
    make_people(tmp_path, "1,2024-05-01,,a@b.ru,,A B,,\n2,never,,secret@b.ru,+79161234567,Anna Petrova,Foo,")
    text = (tmp_path / "state" / "rejects" / "leads.csv").read_text("utf-8")
    assert "never" in text
    assert not [word for word in ("secret", "7916", "Petrova", "Foo") if word in text]


@pytest.mark.parametrize("kind", ["number", "category"])
def test_identity_as_a_feature_is_refused(tmp_path: Path, kind: str) -> None:
    toml = (PEOPLE_TOML % "").replace('source = "category"', f'source = "category"\nmail = "{kind}"')
    with pytest.raises(SettingsError, match="cannot be learnt from"):
        read_tables(make_project(tmp_path, toml, {"leads.csv": PEOPLE_HEADER + "\n"}))


def test_identity_may_be_read_by_rules(tmp_path: Path) -> None:
    toml = (PEOPLE_TOML % "").replace('source = "category"', 'mail = "rule"')
    files = {
        "leads.csv": PEOPLE_HEADER + "\n1,2024-05-01,,a@b.ru,,,,\n",
        "stages.csv": "id,at,stage,why\n",
        "events.csv": "id,at,kind\n",
    }
    assert rows_of(make_tables(tmp_path, toml, files), "SELECT lead_id FROM leads") == [("1",)]


def test_in_a_flat_file_the_order_of_the_rows_decides(tmp_path: Path) -> None:
    toml = """
    [leads]
    file = "leads.csv"
    id = "id"
    [leads.identity]
    email = "mail"
    [outcome]
    column = "end"
    won = ["yes"]
    reason = "why"
    """
    text = lines(
        """id,mail,end,why
        b,x@y.ru,no,
        a,X@y.ru,yes,
        c,,no,недозвон
        d,,no,spam
        e,,yes,spam"""
    )
    tables = make_tables(tmp_path, toml, {"leads.csv": text})
    assert rows_of(tables, "SELECT lead_id, flag, evidence FROM set_apart") == [
        ("a", "duplicate of b", "same e-mail as b")
    ]
    assert rows_of(tables, "SELECT lead_id, lost_as FROM outcomes ORDER BY 1") == [("c", "unknown"), ("d", "junk")]
