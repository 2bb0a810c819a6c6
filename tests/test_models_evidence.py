from __future__ import annotations

import pytest

from models.evidence import Bucket, EvidenceTable
from models.wording import Wording
from project.language import speak

COUNT = Wording("behaviour count", "Visits", "Визиты", "v", "Visits", "Визиты", 604_800)
SOURCE = Wording("lead value", "Source", "Источник", "s", "Source", "Источник")
AGE = Wording("clock age", "Age", "Возраст", "a", "Age", "Возраст")
TABLE = EvidenceTable(
    leads=1_000,
    converted=120,
    days=60.0,
    support=30,
    columns={
        "visits": (
            Bucket(21, 2, 0.1),
            Bucket(500, 20, 0.12, low=0.0, high=0.0),
            Bucket(412, 128, 0.12, low=1.0, high=4.0),
            Bucket(40, 20, 0.1, low=6.0, high=90.5),
            Bucket(3, 1, 0.1, low=91.0, high=99.0),
        ),
        "source": (Bucket(200, 10, 0.11), Bucket(300, 60, 0.09, level="web"), Bucket(29, 20, 0.1, level="fax")),
        "age": (Bucket(900, 90, 0.1, low=0.0), Bucket(300, 30, 0.08, low=7.0)),
    },
)


def test_a_number_finds_the_range_it_lies_in_with_both_ends() -> None:
    found = {value: TABLE.find("visits", value) for value in (0.0, 1.0, 3.0, 4.0, 6.0, 90.5)}
    assert [bucket.leads if bucket else None for bucket in found.values()] == [500, 412, 412, 412, 40, 40]


@pytest.mark.parametrize("value", [-1.0, 0.5, 5.0, 95.0, 150.0, float("inf")])
def test_a_number_that_nobody_had_has_no_evidence(value: float) -> None:
    assert TABLE.find("visits", value) is None


def test_a_fraction_in_the_gap_after_a_range_of_several_values_belongs_to_it() -> None:
    found = TABLE.find("visits", 5.5)
    assert found is not None
    assert found.leads == 412


def test_below_the_support_nothing_is_said() -> None:
    assert TABLE.find("source", "fax") is None
    assert TABLE.say("source", SOURCE, "fax", speak("en")) == ""
    assert TABLE.find("visits", None) is None
    assert TABLE.say("source", SOURCE, "never seen", speak("ru")) == ""
    assert TABLE.say("unknown column", SOURCE, "web", speak("ru")) == ""


def test_evidence_is_said_with_its_count_beside_all_in_both_languages() -> None:
    assert TABLE.say("source", SOURCE, "web", speak("en")) == (
        "of 300 such leads 20\u00a0% bought within 60 days; of all as old 9.0\u00a0%"
    )
    assert TABLE.say("source", SOURCE, "web", speak("ru")) == (
        "из 300 таких лидов за 60 дней купили 20\u00a0%; из всех того же возраста — 9,0\u00a0%"
    )
    assert TABLE.say("visits", COUNT, 2.0, speak("en")) == (
        "of 412 leads with 1 to 4, 31\u00a0% bought within 60 days; of all as old 12\u00a0%"
    )
    assert "таких лидов" in TABLE.say("source", SOURCE, None, speak("ru"))


def test_days_since_a_lead_came_in_count_until_the_next_look() -> None:
    assert "still open after 7 days" in TABLE.say("age", AGE, 12.0, speak("en"))
    assert TABLE.say("age", AGE, 6.99, speak("en")).startswith("of 900 such leads")


def test_it_is_the_same_after_it_was_written_and_read() -> None:
    import json

    assert EvidenceTable.from_json(json.loads(json.dumps(TABLE.to_json()))) == TABLE
