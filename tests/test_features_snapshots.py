from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from features.snapshots import build_open_snapshots, build_training_snapshots, default_as_of
from features.tables import Tables
from worlds import BASIC_TOML, days, lines, make_tables, utc

WIDE = BASIC_TOML + "observed_from = 2024-01-01T00:00:00Z\nobserved_until = 2025-01-01T00:00:00Z\n"
LEADS = "id,created\n1,2024-05-01T12:00:00Z\n"


def stages(*rows: str) -> str:
    """Write stage changes; somebody was won long ago, so that the won stage exists at all."""
    return "".join(f"{row}\n" for row in ("id,at,stage", "0,2020-01-01T00:00:00Z,won", *rows))


def asked(frame: pd.DataFrame) -> list[str]:
    """Write snapshots as `lead as_of`, the seconds only where there are any."""
    return [f"{lead} {as_of.isoformat(sep=' ')}" for lead, as_of in zip(frame["lead_id"], frame["as_of"], strict=True)]


def world(folder: Path, stage_rows: str, *, leads: str = LEADS, toml: str = WIDE) -> Tables:
    return make_tables(folder, toml, {"leads.csv": leads, "stages.csv": stage_rows})


def test_an_open_lead_is_asked_about_at_every_age_in_order(tmp_path: Path) -> None:
    tables = world(tmp_path, stages(), leads="id,created\nb,2024-05-01T12:00:00Z\na,2024-03-01T00:00:00.5Z\n")
    frame = build_training_snapshots(tables, [days(3), timedelta(0), timedelta(hours=6)])
    assert asked(frame) == [
        "b 2024-05-01 12:00:00",
        "b 2024-05-01 18:00:00",
        "b 2024-05-04 12:00:00",
        "a 2024-03-01 00:00:00.500000",
        "a 2024-03-01 06:00:00.500000",
        "a 2024-03-04 00:00:00.500000",
    ]
    assert list(frame.columns) == ["lead_id", "as_of", "created_at", "account_id", "group_id", "position", "flag"]
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == {
        "lead_id": "str",
        "as_of": "datetime64[us]",
        "created_at": "datetime64[us]",
        "account_id": "str",
        "group_id": "str",
        "position": "int64",
        "flag": "str",
    }
    assert frame["position"].tolist() == [1, 1, 1, 2, 2, 2]
    assert frame["account_id"].nunique() == 2


@pytest.mark.parametrize("stage", ["won", "lost"])
@pytest.mark.parametrize(
    ("at", "ages"),
    [
        ("2024-05-01T11:59:59.999999Z", []),
        ("2024-05-01T12:00:00Z", [0]),
        ("2024-05-01T12:00:00.000001Z", [0]),
        ("2024-05-02T11:59:59.999999Z", [0]),
        ("2024-05-02T12:00:00Z", [0, 1]),
        ("2024-06-30T00:00:00Z", [0, 1, 3]),
    ],
    ids=["before it came in", "as it came in", "just after", "just before a day", "at a day", "much later"],
)
def test_a_closed_lead_leaves_the_population(tmp_path: Path, stage: str, at: str, ages: list[int]) -> None:
    frame = build_training_snapshots(world(tmp_path, stages(f"1,{at},{stage}")), [timedelta(0), days(1), days(3)])
    assert frame["as_of"].tolist() == [pd.Timestamp("2024-05-01 12:00:00") + days(age) for age in ages]


def test_other_stages_close_nothing(tmp_path: Path) -> None:
    frame = build_training_snapshots(world(tmp_path, stages("1,2024-05-01T12:30:00Z,talked")), [days(1)])
    assert len(frame) == 1


def test_the_first_of_several_outcomes_closes(tmp_path: Path) -> None:
    rows = stages("1,2024-05-09T12:00:00Z,won", "1,2024-05-03T12:00:00Z,lost", "1,2024-05-20T12:00:00Z,won")
    frame = build_training_snapshots(world(tmp_path, rows), [days(age) for age in (0, 1, 2, 3, 9)])
    assert [moment.day for moment in frame["as_of"]] == [1, 2, 3]


@pytest.mark.parametrize(
    ("key", "value", "ages"),
    [
        ("observed_from", "2024-05-02T12:00:00Z", [1, 3]),
        ("observed_from", "2024-05-02T12:00:01Z", [3]),
        ("observed_until", "2024-05-04T12:00:01Z", [0, 1, 3]),
        ("observed_until", "2024-05-04T12:00:00Z", [0, 1]),
        ("observed_until", "2024-05-04T15:00:00+03:00", [0, 1]),
    ],
)
def test_only_moments_whose_outcomes_were_observed_are_asked_about(
    tmp_path: Path, key: str, value: str, ages: list[int]
) -> None:
    tables = world(tmp_path, stages(), toml=f"{BASIC_TOML}{key} = {value}\n" + OTHER[key])
    frame = build_training_snapshots(tables, [timedelta(0), days(1), days(3)])
    assert frame["as_of"].tolist() == [pd.Timestamp("2024-05-01 12:00:00") + days(age) for age in ages]


OTHER = {
    "observed_from": "observed_until = 2025-01-01T00:00:00Z\n",
    "observed_until": "observed_from = 2024-01-01T00:00:00Z\n",
}


def test_without_declared_bounds_the_data_give_them(tmp_path: Path) -> None:
    leads = "id,created\n1,2024-05-01T12:00:00Z\n2,2024-04-01T00:00:00Z\n"
    tables = world(tmp_path, stages("1,2024-06-01T00:00:00Z,lost"), leads=leads, toml=BASIC_TOML)
    assert (tables.observed_from, tables.observed_until) == (utc("2024-04-01"), utc("2024-06-01"))


def test_the_last_event_or_record_of_it_ends_the_observation(tmp_path: Path) -> None:
    events = '[events]\nfile="e.csv"\nlead="l"\nat="t"\nkind="k"\nrecorded_at="r"\n'
    files = {
        "leads.csv": LEADS,
        "stages.csv": stages(),
        "e.csv": "l,t,k,r\n1,2024-05-02T00:00:00Z,a,2024-05-08T00:00:00Z\n1,2024-05-07T00:00:00Z,a,\n",
    }
    assert make_tables(tmp_path, events + BASIC_TOML, files).observed_until == utc("2024-05-08")


def test_a_declared_bound_without_a_zone_is_in_the_zone_of_the_project(tmp_path: Path) -> None:
    toml = '[project]\ntimezone = "Europe/Moscow"\n' + BASIC_TOML + "observed_until = 2024-06-01T00:00:00\n"
    assert world(tmp_path, stages(), toml=toml).observed_until == utc("2024-05-31 21:00:00")


def test_leads_open_now_are_those_that_exist_and_have_not_closed(tmp_path: Path) -> None:
    leads = lines(
        """id,created
        early,2024-05-01T00:00:00Z
        now,2024-06-01T00:00:00Z
        later,2024-06-01T00:00:00.000001Z
        won,2024-05-01T00:00:00Z
        lost,2024-05-01T00:00:00Z
        wins now,2024-05-01T00:00:00Z
        wins later,2024-05-01T00:00:00Z"""
    )
    rows = stages(
        "won,2024-05-31T23:59:59.999999Z,won",
        "lost,2024-05-02T00:00:00Z,lost",
        "wins now,2024-06-01T00:00:00Z,won",
        "wins later,2024-06-05T00:00:00Z,won",
    )
    tables = world(tmp_path, rows, leads=leads)
    as_of = datetime(2024, 6, 1)
    frame = build_open_snapshots(tables, as_of)
    assert frame["lead_id"].tolist() == ["early", "now", "wins now", "wins later"]
    assert (frame["as_of"] == pd.Timestamp(as_of)).all()
    everyone = build_open_snapshots(tables, as_of, closed_too=True)
    assert everyone["lead_id"].tolist() == ["early", "now", "won", "lost", "wins now", "wins later"]


FLAT = '[leads]\nfile="leads.csv"\nid="id"\n[outcome]\ncolumn="end"\nwon=["yes"]\nlost=["no"]\n'
FLAT_LEADS = "id,end\n1,yes\n2,no\n3,\n4,waiting\n"


def test_a_flat_file_has_one_snapshot_a_known_lead_and_no_dates(tmp_path: Path) -> None:
    tables = make_tables(tmp_path, FLAT, {"leads.csv": FLAT_LEADS})
    frame = build_training_snapshots(tables, [timedelta(0), days(1)])
    assert frame["lead_id"].tolist() == ["1", "2", "4"]
    assert frame["as_of"].isna().all()
    assert (tables.dated, tables.observed_until, default_as_of(tables)) == (False, None, None)


def test_in_a_flat_file_those_without_an_end_are_open(tmp_path: Path) -> None:
    tables = make_tables(tmp_path, FLAT, {"leads.csv": FLAT_LEADS})
    assert build_open_snapshots(tables, None)["lead_id"].tolist() == ["3", "4"]
    assert build_open_snapshots(tables, None, closed_too=True)["lead_id"].tolist() == ["1", "2", "3", "4"]


def test_the_default_moment_is_after_everything_known(tmp_path: Path) -> None:
    tables = world(
        tmp_path, stages("1,2024-06-01T00:00:00.25Z,talked", "1,2024-05-30T00:00:00.75Z,won"), toml=BASIC_TOML
    )
    assert default_as_of(tables) == datetime(2024, 6, 1, 0, 0, 1)
    assert default_as_of(tables, not_after=datetime(2024, 5, 20, 8, 0, 0, 7)) == datetime(2024, 5, 20, 8)


def test_a_date_in_the_future_does_not_make_young_leads_old(tmp_path: Path) -> None:
    events = '[events]\nfile="e.csv"\nlead="l"\nat="t"\nkind="k"\n'
    files = {
        "leads.csv": LEADS,
        "stages.csv": stages("1,2024-06-01T00:00:00Z,talked"),
        "e.csv": "l,t,k\n1,2024-05-31T00:00:00Z,a\n1,2031-01-01T00:00:00Z,a\nnobody,2032-01-01T00:00:00Z,a\n",
    }
    assert make_tables(tmp_path, events + BASIC_TOML, files).observed_until == utc("2024-06-01")


def test_outcomes_that_end_before_the_events_end_the_observation(tmp_path: Path) -> None:
    events = '[events]\nfile="e.csv"\nlead="l"\nat="t"\nkind="k"\n'
    files = {
        "leads.csv": LEADS,
        "stages.csv": stages("1,2024-05-20T00:00:00Z,talked"),
        "e.csv": "l,t,k\n1,2024-08-01T00:00:00Z,a\n",
    }
    assert make_tables(tmp_path, events + BASIC_TOML, files).observed_until == utc("2024-05-20")


def test_rows_may_be_put_in_order_by_a_column(tmp_path: Path) -> None:
    toml = BASIC_TOML.replace('id = "id"', 'id = "id"\norder = "n"', 1)
    leads = "id,n,created\na,30,2024-05-01T12:00:00Z\nb,4,2024-05-01T12:00:00Z\nc,4,2024-05-01T12:00:00Z\n"
    tables = world(tmp_path, stages("a,2024-07-01T00:00:00Z,won"), leads=leads, toml=toml)
    assert build_training_snapshots(tables, [timedelta(0)])["lead_id"].tolist() == ["b", "c", "a"]
