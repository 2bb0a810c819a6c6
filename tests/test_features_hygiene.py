from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.engine import build_features
from features.identity import company_sql, email_sql, name_sql
from features.ingest import connect, read_tables
from features.listing import build_catalogue
from features.snapshots import build_open_snapshots, build_training_snapshots
from features.tables import Tables
from project.errors import SettingsError
from project.settings import TrainingSettings
from training.split import split_examples
from worlds import ask, csv_text, days, lines, make_project, make_tables, rows_of, utc

TOML = """
[project]
timezone = "UTC"
[leads]
file = "leads.csv"
id = "id"
created_at = "created"
account = "account"
[leads.identity]
email = "mail"
phone = "phone"
name = "name"
company = "firm"
[leads.columns]
source = "category"
[events]
file = "events.csv"
lead = "id"
at = "at"
kind = "kind"
[stages]
file = "stages.csv"
lead = "id"
at = "at"
stage = "stage"
reason = "why"
[outcome]
horizon = "10d"
won = ["won"]
lost = ["lost"]
%s
"""
HEADER = "id,created,account,mail,phone,name,firm,source"


def world(folder: Path, leads: str, *, more: str = "", stages: str = "", events: str = "") -> Tables:
    files = {
        "leads.csv": lines(f"{HEADER}\n{leads}"),
        "stages.csv": lines(f"id,at,stage,why\n{stages}"),
        "events.csv": lines(f"id,at,kind\n{events}"),
    }
    return make_tables(folder, TOML % more, files)


def flags(tables: Tables) -> dict[object, object]:
    return dict(rows_of(tables, "SELECT lead_id, flag FROM leads"))


def say(sql: str) -> object:
    with connect() as connection:
        return connection.execute(f"SELECT {sql}").fetchall()[0][0]


@pytest.mark.parametrize(
    "text",
    [
        "ООО «Ромашка»",
        "РОМАШКА, ООО",
        'О.О.О. "Ромашка"',
        "Общество с ограниченной ответственностью Ромашка",
        " ромашка ",
    ],
)
def test_a_company_is_the_same_in_any_dress(text: str) -> None:
    assert say(company_sql("'" + text + "'")) == "ромашка"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Müller GmbH & Co. KG", "müller"),
        ("Acme, Inc.", "acme"),
        ("S.p.A. Fiat", "fiat"),
        ("Зелёный дом", "зеленый дом"),
        ("ООО", None),
        ("...", None),
    ],
)
def test_legal_forms_and_punctuation_do_not_make_a_company(text: str, wanted: str | None) -> None:
    assert say(company_sql(f"'{text}'")) == wanted


def test_addresses_and_names_in_one_form() -> None:
    assert say(email_sql("' Ann.B+web@Acme.COM '")) == "ann.b@acme.com"
    assert [say(email_sql(f"'{text}'")) for text in ("ann", "ann@acme", "+x@acme.com", "a b@acme.com")] == [None] * 4
    assert say(name_sql("'Белова, Алёна'")) == say(name_sql("'алена БЕЛОВА'"))


def test_a_chain_of_duplicates_leads_to_the_first_and_its_evidence_names_nobody(tmp_path: Path) -> None:
    tables = world(
        tmp_path,
        """L1,2024-05-01,,Ann.B+web@Acme.com,+7 916 765-43-21,Анна Белова,ООО Ромашка,x
        L2,2024-05-04,,ann.b@acme.com,,,,
        L3,2024-05-20,,,8(916)7654321,,,
        L4,2024-06-01,,,,белова анна,"РОМАШКА, ООО",
        L5,2024-06-01,,joe@acme.com,,Joe Doe,Foo,""",
    )
    assert rows_of(tables, "SELECT * FROM set_apart ORDER BY lead_id") == [
        ("L2", "duplicate of L1", "same e-mail as L1, 3 days later"),
        ("L3", "duplicate of L1", "same phone as L1, 19 days later"),
        ("L4", "duplicate of L1", "same company and name as L1, 31 days later"),
    ]
    assert flags(tables)["L1"] is None
    assert flags(tables)["L5"] is None


@pytest.mark.parametrize(
    ("later", "flag"),
    [
        ("2024-07-29T23:59:59.999999Z", "duplicate of 1"),
        ("2024-07-30T00:00:00Z", None),
        ("2024-05-01T00:00:00Z", "duplicate of 1"),
    ],
)
def test_a_lead_that_comes_again_after_ninety_days_is_a_new_one(tmp_path: Path, later: str, flag: str | None) -> None:
    tables = world(tmp_path, f"1,2024-05-01T00:00:00Z,,a@b.ru,,,,\n2,{later},,a@b.ru,,,,")
    assert flags(tables) == {"1": None, "2": flag}
    assert rows_of(tables, "SELECT count(DISTINCT group_id) FROM leads") == [(1,)]


def test_a_chain_may_be_longer_than_its_links(tmp_path: Path) -> None:
    rows = "\n".join(f"{n},2024-0{n}-01,,a@b.ru,,,," for n in range(1, 8))
    assert set(flags(world(tmp_path, rows)).values()) == {None, "duplicate of 1"}


def test_without_duplicates_wanted_groups_still_hold(tmp_path: Path) -> None:
    tables = world(tmp_path, "1,2024-05-01,,a@b.ru,,,,\n2,2024-05-02,,a@b.ru,,,,", more="[hygiene]\nduplicates = false")
    assert flags(tables) == {"1": None, "2": None}
    assert rows_of(tables, "SELECT DISTINCT group_id FROM leads") == [("lead 1",)]


def test_a_mailbox_of_everybody_makes_no_duplicates_and_no_group(tmp_path: Path) -> None:
    rows = "\n".join(f"{n},2024-05-01T00:00:{n:02}Z,,info@b.ru,,,," for n in range(60))
    tables = world(tmp_path, rows)
    found = flags(tables)
    assert [found[str(n)] for n in range(20)] == [None] + ["duplicate of 0"] * 19
    assert all(found[str(n)] is None for n in range(20, 60))
    assert rows_of(tables, "SELECT count(DISTINCT group_id) FROM leads") == [(60,)]


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
    assert flags(world(tmp_path, f"1,2024-05-01,,{row},", more=more)) == {"1": flag}


def test_flagged_leads_are_not_asked_about_in_training_but_keep_their_flag_in_scoring(tmp_path: Path) -> None:
    tables = world(
        tmp_path,
        "1,2024-05-01,,a@b.ru,,,,\n2,2024-05-02,,a@b.ru,,,,\n3,2024-05-02,,x@example.com,,,,",
        stages="1,2024-07-01,won,",
    )
    assert set(build_training_snapshots(tables, [days(0), days(1)])["lead_id"]) == {"1"}
    asked = build_open_snapshots(tables, utc("2024-05-03"))
    flag = dict(zip(asked["lead_id"], asked["flag"].astype(object).where(asked["flag"].notna(), None), strict=True))
    assert flag == {"1": None, "2": "duplicate of 1", "3": "test record"}


def test_what_a_duplicate_does_counts_for_its_survivor_from_then_on(tmp_path: Path) -> None:
    tables = world(
        tmp_path,
        "1,2024-05-01,,a@b.ru,,,,\n2,2024-05-05,,a@b.ru,,,,",
        events="1,2024-05-02,visit\n2,2024-05-03,visit\n2,2024-05-06,visit",
        stages="2,2024-05-06,lost,duplicate\n2,2024-05-09,won,",
    )
    found = rows_of(tables, "SELECT lead_id, occurred_at, recorded_at FROM events ORDER BY occurred_at")
    assert found == [
        ("1", utc("2024-05-02"), utc("2024-05-02")),
        ("1", utc("2024-05-03"), utc("2024-05-05")),  # nobody knew before the duplicate came in
        ("1", utc("2024-05-06"), utc("2024-05-06")),
    ]
    assert rows_of(tables, "SELECT * FROM outcomes ORDER BY lead_id") == [
        ("1", utc("2024-05-09"), None, None),
        ("2", None, utc("2024-05-06"), "unknown"),
    ]


def test_a_loss_of_a_duplicate_for_another_reason_is_its_survivors_loss(tmp_path: Path) -> None:
    tables = world(
        tmp_path,
        "1,2024-05-01,,a@b.ru,,,,\n2,2024-05-05,,a@b.ru,,,,\n3,2024-05-01,,,,,,",
        stages="2,2024-05-06,lost,no budget\n3,2024-05-02,won,",
    )
    assert rows_of(tables, "SELECT lost_at, lost_as FROM outcomes WHERE lead_id = '1'") == [(utc("2024-05-06"), "lost")]


def test_facts_are_derived_and_identity_is_forgotten(tmp_path: Path) -> None:
    tables = world(
        tmp_path,
        """1,2024-05-01,,a@mail.ru,+7 916 765-43-21,A B,,x
        2,2024-05-01,,a@own.ru,+49 30 1234568,,Foo,x
        3,2024-05-01,,a@firm.de,,,,
        4,2024-05-01,,,,,,""",
        more='[hygiene]\nfree_mail_domains = ["OWN.ru"]',
    )
    project = make_project(tmp_path, (TOML % '[hygiene]\nfree_mail_domains = ["OWN.ru"]'), {})
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
    world(tmp_path, "1,2024-05-01,,a@b.ru,,A B,,\n2,never,,secret@b.ru,+79161234567,Anna Petrova,Foo,")
    text = (tmp_path / "state" / "rejects" / "leads.csv").read_text("utf-8")
    assert "never" in text
    assert not [word for word in ("secret", "7916", "Petrova", "Foo") if word in text]


@pytest.mark.parametrize("kind", ["number", "category"])
def test_identity_as_a_feature_is_refused(tmp_path: Path, kind: str) -> None:
    toml = (TOML % "").replace('source = "category"', f'source = "category"\nmail = "{kind}"')
    with pytest.raises(SettingsError, match="cannot be learnt from"):
        read_tables(make_project(tmp_path, toml, {"leads.csv": HEADER + "\n"}))


def test_identity_may_be_read_by_rules(tmp_path: Path) -> None:
    toml = (TOML % "").replace('source = "category"', 'mail = "rule"')
    files = {
        "leads.csv": HEADER + "\n1,2024-05-01,,a@b.ru,,,,\n",
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


keys = st.sampled_from([None, "1", "2", "3", "4"])
people = st.lists(st.tuples(st.integers(0, 200), keys, keys, keys), min_size=1, max_size=14)


def read_people(rows: list[tuple[Any, ...]]) -> Tables:
    """Read leads (days since the start, account, mail, phone), in that order of the file."""
    start = datetime(2024, 1, 1)
    table = [
        [
            f"L{place}",
            f"{start + timedelta(days=day):%Y-%m-%dT%H:%M:%SZ}",
            f"A{account}" if account else "",
            f"m{mail}@b.ru" if mail else "",
            f"+7916555{int(phone):04}" if phone else "",
            "",
            "",
            "",
        ]
        for place, (day, account, mail, phone) in enumerate(rows)
    ]
    with tempfile.TemporaryDirectory() as folder:
        files = {
            "leads.csv": csv_text([HEADER.split(","), *table]),
            "stages.csv": "id,at,stage,why\n",
            "events.csv": "id,at,kind\n",
        }
        return make_tables(Path(folder), TOML % "", files)


@settings(deadline=None, derandomize=True, max_examples=10)
@given(people, people)
def test_a_lead_that_comes_later_changes_no_earlier_flag(
    rows: list[tuple[Any, ...]], later: list[tuple[Any, ...]]
) -> None:
    last = max(day for day, *_ in rows)
    more = [(last + day, *rest) for day, *rest in later]
    before, after = flags(read_people(rows)), flags(read_people([*rows, *more]))
    assert {lead: after[lead] for lead in before} == before


def oracle(rows: list[tuple[Any, ...]]) -> list[str | None]:
    """Find duplicates a second way: all pairs, in the order they came in."""
    order = sorted(range(len(rows)), key=lambda place: (rows[place][0], place))
    survivor: dict[int, int] = {}
    for rank, lead in enumerate(order):
        survivor[lead] = rank
        for other in order[:rank]:
            shares = any(a is not None and a == b for a, b in zip(rows[lead][2:], rows[other][2:], strict=True))
            if shares and rows[lead][0] - rows[other][0] < 90:
                survivor[lead] = min(survivor[lead], survivor[other])
    return [f"duplicate of L{order[survivor[n]]}" if order[survivor[n]] != n else None for n in range(len(rows))]


@settings(deadline=None, derandomize=True, max_examples=10)
@given(people)
def test_duplicates_are_those_that_a_look_at_all_pairs_finds(rows: list[tuple[Any, ...]]) -> None:
    found = flags(read_people(rows))
    assert [found[f"L{place}"] for place in range(len(rows))] == oracle(rows)


@settings(deadline=None, derandomize=True, max_examples=10)
@given(people)
def test_leads_that_share_an_account_or_a_key_are_of_one_group(rows: list[tuple[Any, ...]]) -> None:
    group = dict(rows_of(read_people(rows), "SELECT lead_id, group_id FROM leads"))
    tied = [{place} for place in range(len(rows))]
    for one in range(len(rows)):
        for other in range(one):
            if any(a is not None and a == b for a, b in zip(rows[one][1:], rows[other][1:], strict=True)):
                first, second = (next(s for s in tied if n in s) for n in (one, other))
                if first is not second:
                    tied.remove(second)
                    first |= second
    assert {frozenset(f"L{n}" for n in s) for s in tied} == {
        frozenset(lead for lead in group if group[lead] == name) for name in group.values()
    }


@pytest.mark.parametrize("seed", range(3))
def test_no_person_and_no_account_stands_on_two_sides_of_a_split(seed: int) -> None:
    random = np.random.default_rng(seed)
    n = 240

    def pick(share: float) -> list[str | None]:
        return [str(key) if random.random() < share else None for key in random.integers(0, 200, n)]

    rows = list(zip(random.integers(0, 500, n).tolist(), pick(0.8), pick(0.4), pick(0.2), strict=True))
    tables = read_people(rows)
    examples = build_training_snapshots(_observed_long(tables), [days(0), days(3)])
    examples["converted"] = random.random(len(examples)) < 0.4
    split = split_examples(examples, horizon=days(5), settings=TrainingSettings(), dated=True)
    sides: dict[tuple[int, str], set[str]] = {}
    for lead, side in zip(examples["lead_id"], split.side, strict=True):
        for kind, key in enumerate(rows[int(lead[1:])][1:]):
            if key is not None and side:
                sides.setdefault((kind, key), set()).add(str(side))
    assert len(sides) > 50
    assert all(len(found) == 1 for found in sides.values())


def _observed_long(tables: Tables) -> Tables:
    return replace(tables, observed_until=utc("2027-01-01"))
