"""Duplicates, whose they are, and groups that stay on one side of a split."""

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

from features.snapshots import build_training_snapshots
from features.tables import Tables
from project.settings import TrainingSettings
from training.split import split_examples
from worlds import PEOPLE_HEADER, PEOPLE_TOML, csv_text, days, flags, make_people, make_tables, rows_of, utc


def test_a_chain_of_duplicates_leads_to_the_first_and_its_evidence_names_nobody(tmp_path: Path) -> None:
    tables = make_people(
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
    tables = make_people(tmp_path, f"1,2024-05-01T00:00:00Z,,a@b.ru,,,,\n2,{later},,a@b.ru,,,,")
    assert flags(tables) == {"1": None, "2": flag}
    assert rows_of(tables, "SELECT count(DISTINCT group_id) FROM leads") == [(1,)]


def test_a_chain_may_be_longer_than_its_links(tmp_path: Path) -> None:
    rows = "\n".join(f"{n},2024-0{n}-01,,a@b.ru,,,," for n in range(1, 8))
    assert set(flags(make_people(tmp_path, rows)).values()) == {None, "duplicate of 1"}


def test_without_duplicates_wanted_groups_still_hold(tmp_path: Path) -> None:
    tables = make_people(
        tmp_path, "1,2024-05-01,,a@b.ru,,,,\n2,2024-05-02,,a@b.ru,,,,", more="[hygiene]\nduplicates = false"
    )
    assert flags(tables) == {"1": None, "2": None}
    assert rows_of(tables, "SELECT DISTINCT group_id FROM leads") == [("lead 1",)]


def test_a_mailbox_of_everybody_makes_no_duplicates_and_no_group(tmp_path: Path) -> None:
    rows = "\n".join(f"{n},2024-05-01T00:00:{n:02}Z,,info@b.ru,,,," for n in range(60))
    tables = make_people(tmp_path, rows)
    found = flags(tables)
    assert [found[str(n)] for n in range(20)] == [None] + ["duplicate of 0"] * 19
    assert all(found[str(n)] is None for n in range(20, 60))
    assert rows_of(tables, "SELECT count(DISTINCT group_id) FROM leads") == [(60,)]


def test_what_a_duplicate_does_counts_for_its_survivor_from_then_on(tmp_path: Path) -> None:
    tables = make_people(
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
    tables = make_people(
        tmp_path,
        "1,2024-05-01,,a@b.ru,,,,\n2,2024-05-05,,a@b.ru,,,,\n3,2024-05-01,,,,,,",
        stages="2,2024-05-06,lost,no budget\n3,2024-05-02,won,",
    )
    assert rows_of(tables, "SELECT lost_at, lost_as FROM outcomes WHERE lead_id = '1'") == [(utc("2024-05-06"), "lost")]


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
            "leads.csv": csv_text([PEOPLE_HEADER.split(","), *table]),
            "stages.csv": "id,at,stage,why\n",
            "events.csv": "id,at,kind\n",
        }
        return make_tables(Path(folder), PEOPLE_TOML % "", files)


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
