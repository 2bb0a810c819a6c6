"""Reading leads.toml: every section, what is refused and how it is said, the hash."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from project.folder import read_settings
from worlds import SMALLEST_TOML, refusal, write_settings

EVERYTHING = """
[project]
name = "Воронка"
timezone = "Europe/Moscow"
language = "ru"
max_reject_share = 0.2

[leads]
file = "leads.csv.gz"
encoding = "cp1251"
delimiter = ";"
decimal = ","
date_format = "%d.%m.%Y"
missing = ["-", "n/a"]
id = "ID"
created_at = "Created"
account = "Company"
order = "Row"
columns = { "Источник" = "category", "Pages" = "number", "Present customer" = "rule" }
labels = { "Pages" = { en = "pages seen", ru = "страниц" } }
forbidden = { "Closed reason" = "known only afterwards" }

[events]
url = "sqlite:///crm.db"
query = "SELECT * FROM events"
lead = "lead"
at = "at"
kind = "what"
value = "amount"
recorded_at = "seen"
groups = { email = ["email_*", "mail"] }
labels = { email = { en = "E-mail", ru = "Почта" } }
ignore = ["bot"]
windows = ["6h", "2w"]
max_kinds = 7

[stages]
file = "stages.csv"
lead = "lead"
at = "at"
stage = "stage"
reason = "why"

[accounts]
file = "accounts.parquet"
id = "id"
valid_from = "since"
columns = { "Size" = "number", "Field" = "category" }
labels = { "Size" = { en = "people", ru = "людей" } }

[outcome]
horizon = "45d"
won = ["won"]
lost = ["lost", "spam"]
won_at = "Won at"
lost_at = "Lost at"
observed_from = 2024-01-01T00:00:00Z
observed_until = 2025-01-01T00:00:00+03:00

[snapshots]
ages = ["0d", "12h", "3d"]

[capacity]
leads_per_week = 40
cost_per_call = 5.5
value_per_win = 900
currency = "EUR"

[[rules]]
name = "ours already"
column = "Present customer"
equals = ["yes", "да"]

[[rules]]
name = "asked for a price"
column = "Источник"
equals = ["price"]
band = "SQL"

[training]
seed = 3
test_share = 0.3
forward_share = 0.4
origins = 2
split = "random"
tracking_uri = "http://localhost:5000"
"""


def test_a_small_file_is_enough_and_the_rest_has_defaults(tmp_path: Path) -> None:
    settings = read_settings(write_settings(tmp_path, SMALLEST_TOML))
    assert (settings.leads.file, settings.leads.id, settings.leads.encoding) == ("leads.csv", "id", None)
    assert settings.outcome.horizon == timedelta(days=60)
    assert [age.days for age in settings.snapshots.ages] == [0, 1, 3, 7, 14, 30]
    assert (settings.training.test_share, settings.training.split) == (0.2, "row_order")
    assert settings.events is None
    assert not settings.dated


def test_every_section_is_read_as_it_is_written(tmp_path: Path) -> None:
    settings = read_settings(write_settings(tmp_path, EVERYTHING))
    project, leads, events, stages = settings.project, settings.leads, settings.events, settings.stages
    accounts, outcome, capacity, training = settings.accounts, settings.outcome, settings.capacity, settings.training
    assert events is not None
    assert stages is not None
    assert accounts is not None
    assert (project.name, project.timezone, project.language) == ("Воронка", "Europe/Moscow", "ru")
    assert project.max_reject_share == 0.2
    assert (leads.encoding, leads.delimiter, leads.decimal, leads.date_format) == ("cp1251", ";", ",", "%d.%m.%Y")
    assert (leads.missing, leads.account, leads.order) == (("-", "n/a"), "Company", "Row")
    assert leads.columns == {"Источник": "category", "Pages": "number", "Present customer": "rule"}
    assert leads.labels["Pages"].ru == "страниц"
    assert leads.forbidden == {"Closed reason": "known only afterwards"}
    assert (events.file, events.url, events.query) == (None, "sqlite:///crm.db", "SELECT * FROM events")
    assert (events.value, events.recorded_at, events.ignore, events.max_kinds) == ("amount", "seen", ("bot",), 7)
    assert events.groups == {"email": ("email_*", "mail")}
    assert events.windows == (timedelta(hours=6), timedelta(days=14))
    assert (stages.stage, stages.reason) == ("stage", "why")
    assert (accounts.valid_from, accounts.columns) == ("since", {"Size": "number", "Field": "category"})
    assert (outcome.horizon, outcome.won, outcome.lost) == (timedelta(days=45), ("won",), ("lost", "spam"))
    assert (outcome.won_at, outcome.lost_at) == ("Won at", "Lost at")
    assert outcome.observed_from == datetime(2024, 1, 1, tzinfo=UTC)
    assert outcome.observed_until == datetime(2024, 12, 31, 21, tzinfo=UTC)
    assert settings.snapshots.ages == (timedelta(0), timedelta(hours=12), timedelta(days=3))
    assert (capacity.leads_per_week, capacity.cost_per_call, capacity.value_per_win) == (40, 5.5, 900)
    assert [(rule.name, rule.equals, rule.band) for rule in settings.rules] == [
        ("ours already", ("yes", "да"), "disqualified"),
        ("asked for a price", ("price",), "SQL"),
    ]
    assert (training.seed, training.split, training.tracking_uri) == (3, "random", "http://localhost:5000")
    assert settings.dated


@pytest.mark.parametrize(
    ("before", "after", "named", "nearest"),
    [
        ("[capacity]", "[capacty]", "capacty", "capacity"),
        ("timezone =", "time_zone =", "project.time_zone", "timezone"),
        ("created_at =", "createdat =", "leads.createdat", "created_at"),
        ("max_kinds =", "maxkinds =", "events.maxkinds", "max_kinds"),
        ('reason = "why"', 'reasons = "why"', "stages.reasons", "reason"),
        ("valid_from =", "validfrom =", "accounts.validfrom", "valid_from"),
        ("horizon =", "horison =", "outcome.horison", "horizon"),
        ("ages =", "age =", "snapshots.age", "ages"),
        ("cost_per_call =", "cost_call =", "capacity.cost_call", "cost_per_call"),
        ('band = "SQL"', 'bands = "SQL"', "rules.1.bands", "band"),
        ("test_share =", "testshare =", "training.testshare", "test_share"),
        ('en = "pages seen", ru', 'en = "pages seen", rus = "x", ru', "leads.labels.Pages.rus", "ru"),
    ],
)
def test_an_unknown_key_is_an_error_that_names_the_nearest_known_one(
    tmp_path: Path, before: str, after: str, named: str, nearest: str
) -> None:
    assert EVERYTHING.count(before) >= 1
    message = refusal(tmp_path, EVERYTHING.replace(before, after, 1))
    assert f"unknown key {named!r}; did you mean {nearest!r}?" in message


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("[leads]", "[leads", "not valid TOML"),
        ('id = "id"', "", "'leads.id' is missing"),
        ('file = "leads.csv"', "", "give either file, or url and query"),
        ('file = "leads.csv"', 'file = "leads.csv"\nurl = "sqlite://"\nquery = "x"', "give either file"),
        ('file = "leads.csv"', 'url = "sqlite://"', "give either file"),
        ('won = ["yes"]', "", "outcome.won is empty"),
        ('column = "bought"', "", "nothing tells who converted"),
        ("[outcome]", '[outcome]\nhorizon = "0"', "horizon must be longer than nothing"),
        ("[outcome]", '[outcome]\nhorizon = "soon"', "'soon' is not a length of time; write 30m, 1h, 45d or 2w"),
        ("[outcome]", '[outcome]\nhorizon = "-3d"', "is not a length of time"),
        ("[outcome]", '[outcome]\nsooner = ["60d"]', "sooner holds 60d, which is not shorter than the horizon of 60d"),
        ("[outcome]", '[outcome]\nsooner = ["0"]', "sooner holds 0d: every one must be an hour or longer"),
        ("[outcome]", '[outcome]\nsooner = ["2w", "14d"]', "sooner holds 14d twice: keep one"),
        ("[outcome]", '[outcome]\nsooner = ["30d"]', "outcome.sooner needs dates of leads and wins"),
        ("[leads]", '[project]\ntimezone = "Mars/Olympus"\n[leads]', "'Mars/Olympus' is unknown"),
        ("[leads]", "[training]\ntest_share = 0.9\n[leads]", "training.test_share"),
        ("[leads]", '[snapshots]\nages = ["1 month"]\n[leads]', "snapshots.ages.0: '1 month' is not a length"),
        ('id = "id"', 'id = "id"\ncolumns = { a = "numbr" }', "leads.columns.a"),
        (
            'id = "id"',
            'id = "id"\ncolumns = { a = "number" }\nforbidden = { a = "late" }',
            "leads.columns and leads.forbidden both name a",
        ),
        ('id = "id"', 'id = "id"\ndelimiter = ", "', "leads.delimiter"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(tmp_path: Path, before: str, after: str, says: str) -> None:
    assert SMALLEST_TOML.count(before) == 1
    assert says in refusal(tmp_path, SMALLEST_TOML.replace(before, after))


@pytest.mark.parametrize(
    ("added", "says"),
    [
        ("windows = []", "windows"),
        ('windows = ["0d"]', "windows must be longer than nothing"),
        ("max_kinds = -1", "events.max_kinds"),
    ],
)
def test_event_windows_and_limits_are_checked(tmp_path: Path, added: str, says: str) -> None:
    events = f'\n[events]\nfile = "e.csv"\nlead = "l"\nat = "t"\nkind = "k"\n{added}\n'
    assert says in refusal(tmp_path, SMALLEST_TOML + events)


def test_snapshots_need_at_least_one_age(tmp_path: Path) -> None:
    assert "ages" in refusal(tmp_path, SMALLEST_TOML + "\n[snapshots]\nages = []\n")


@pytest.mark.parametrize(
    "section", ["[outcome]\nhorizon = 45", "[outcome]\nhorizon = 45.0"], ids=["whole number", "decimal number"]
)
def test_a_bare_number_is_no_length_of_time(tmp_path: Path, section: str) -> None:
    # read as seconds it would make a horizon of 45 seconds out of what meant 45 days
    assert "horizon" in refusal(tmp_path, SMALLEST_TOML.replace("[outcome]", section))


def test_bare_numbers_are_no_ages(tmp_path: Path) -> None:
    assert "ages" in refusal(tmp_path, SMALLEST_TOML + "\n[snapshots]\nages = [0, 1, 3, 7]\n")


def test_an_absurd_length_of_time_is_a_settings_error(tmp_path: Path) -> None:
    assert "horizon" in refusal(tmp_path, SMALLEST_TOML.replace("[outcome]", '[outcome]\nhorizon = "99999999999d"'))


@pytest.mark.parametrize("zone", ["Europe", "", "../UTC", "Europe/Moscow "])
def test_a_zone_that_is_none_is_a_settings_error(tmp_path: Path, zone: str) -> None:
    assert "timezone" in refusal(tmp_path, f'[project]\ntimezone = "{zone}"\n{SMALLEST_TOML}')


def test_settings_are_frozen(tmp_path: Path) -> None:
    settings = read_settings(write_settings(tmp_path, EVERYTHING))
    with pytest.raises(ValidationError, match="frozen"):
        settings.training.seed = 1
    with pytest.raises(ValidationError, match="frozen"):
        settings.outcome = settings.outcome
    assert settings.training.seed == 3


def test_the_hash_does_not_depend_on_the_order_or_the_writing_of_the_file(tmp_path: Path) -> None:
    one = read_settings(write_settings(tmp_path, SMALLEST_TOML)).hash
    other = '[outcome]\nwon=["yes"]\nhorizon="8w4d"\ncolumn="bought"\n[leads]\nid="id"\n# a remark\nfile="leads.csv"'
    assert read_settings(write_settings(tmp_path, other.replace("8w4d", "1440h"))).hash == one
    assert len(one) == 64


def test_the_hash_is_the_same_in_another_process(tmp_path: Path) -> None:
    path = write_settings(tmp_path, EVERYTHING)
    code = "import sys, pathlib, project.folder as s; print(s.read_settings(pathlib.Path(sys.argv[1])).hash)"
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip() == read_settings(path).hash


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("seed = 3", "seed = 4"),
        ('"45d"', '"46d"'),
        ('"6h"', '"7h"'),
        ('"6h", "2w"', '"2w", "6h"'),
        ('name = "ours already"', 'name = "ours"'),
        ("known only afterwards", "known later"),
        ("2025-01-01T00:00:00+03:00", "2025-01-01T00:00:01+03:00"),
    ],
)
def test_the_hash_changes_with_any_value(tmp_path: Path, before: str, after: str) -> None:
    assert EVERYTHING.count(before) == 1
    one = read_settings(write_settings(tmp_path, EVERYTHING)).hash
    assert read_settings(write_settings(tmp_path, EVERYTHING.replace(before, after))).hash != one
