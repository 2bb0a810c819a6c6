from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from features.snapshots import build_training_snapshots
from features.tables import Tables
from training.labels import Labelled, label_snapshots
from worlds import BASIC_TOML, days, lines, make_tables

WIDE = BASIC_TOML + "observed_from = 2024-01-01T00:00:00Z\nobserved_until = 2024-08-01T00:00:00Z\n"
HORIZON = days(10)

# the lead came in on 1 May at 12:00 and is asked about at once; its ten days end on 11 May at 12:00
BOUNDARY = """
    stage  | at                          | label     | should
    won    | 2024-05-01T12:00:00Z        | converted | an outcome at as_of counts
    won    | 2024-05-01T12:00:00.000001Z | converted | a microsecond after as_of counts
    won    | 2024-05-11T11:59:59Z        | converted | one second before the horizon ends counts
    won    | 2024-05-11T11:59:59.999999Z | converted | one microsecond before the horizon ends counts
    won    | 2024-05-11T12:00:00Z        | not       | exactly at the horizon it is too late
    won    | 2024-05-12T00:00:00Z        | not       | after the horizon it is too late
    won    | 2024-05-01T11:59:59.999999Z | absent    | who converted before is not asked about
    lost   | 2024-05-05T00:00:00Z        | not       | lost within the horizon is a negative
    lost   | 2024-05-01T12:00:00Z        | not       | lost at as_of is a negative
    lost   | 2024-05-01T11:59:59.999999Z | absent    | who was lost before is not asked about
    talked | 2024-05-02T00:00:00Z        | not       | another stage is no outcome
"""
ROWS = [[cell.strip() for cell in line.split("|")] for line in BOUNDARY.strip().splitlines()[1:]]


def world(folder: Path, *, leads: str, stages: str, toml: str = WIDE) -> Tables:
    files = {"leads.csv": lines(f"id,created\n{leads}"), "stages.csv": lines(f"id,at,stage\n{stages}")}
    return make_tables(folder, toml, files)


def label(tables: Tables, *ages: timedelta, horizon: timedelta = HORIZON) -> Labelled:
    return label_snapshots(build_training_snapshots(tables, ages), tables, horizon)


def labels(labelled: Labelled) -> dict[tuple[str, str], bool]:
    frame = labelled.snapshots
    moments = [f"{moment:%m-%d}" for moment in frame["as_of"]]
    return dict(zip(zip(frame["lead_id"], moments, strict=True), frame["converted"].tolist(), strict=True))


@pytest.mark.parametrize(("stage", "at", "wanted", "should"), ROWS, ids=[row[-1] for row in ROWS])
def test_a_label_looks_into_a_half_open_horizon(tmp_path: Path, stage: str, at: str, wanted: str, should: str) -> None:
    # another lead of the same file is won long ago, so that the won stage exists at all
    tables = world(
        tmp_path,
        leads="1,2024-05-01T12:00:00Z\n2,2023-01-01T00:00:00Z",
        stages=f"1,{at},{stage}\n2,2023-01-02T00:00:00Z,won",
    )
    labelled = label(tables, timedelta(0))
    found = [
        "converted" if converted else "not"
        for lead, converted in zip(labelled.snapshots["lead_id"], labelled.snapshots["converted"], strict=True)
        if lead == "1"
    ]
    assert found == ([] if wanted == "absent" else [wanted]), should
    assert (labelled.immature, labelled.immature_leads) == (0, 0)


def test_each_snapshot_looks_from_its_own_moment(tmp_path: Path) -> None:
    tables = world(tmp_path, leads="1,2024-05-01T12:00:00Z", stages="1,2024-05-13T00:00:00Z,won")
    assert labels(label(tables, timedelta(0), days(1), days(3), days(30))) == {
        ("1", "05-01"): False,
        ("1", "05-02"): False,
        ("1", "05-04"): True,
    }


def test_the_immature_are_left_out_whatever_became_of_them(tmp_path: Path) -> None:
    # outcomes are known until 1 August 00:00, so the last mature moment is 22 July 00:00
    tables = world(
        tmp_path,
        leads="""ripe,2024-07-22T00:00:00Z
        young won,2024-07-22T00:00:00.000001Z
        young lost,2024-07-25T00:00:00Z
        young open,2024-07-31T00:00:00Z
        both,2024-07-20T00:00:00Z""",
        stages="""ripe,2024-07-30T00:00:00Z,won
        young won,2024-07-23T00:00:00Z,won
        young lost,2024-07-26T00:00:00Z,lost""",
    )
    labelled = label(tables, timedelta(0), days(5))
    assert labels(labelled) == {("ripe", "07-22"): True, ("both", "07-20"): False}
    # ripe at 5 days, young won at 0, young lost at 0, young open at 0 (its 5 days are not observed), both at 5
    assert labelled.immature == 5
    assert labelled.immature_leads == 3


@pytest.mark.parametrize(
    ("until", "mature"), [("2024-05-11T12:00:00Z", 1), ("2024-05-11T11:59:59Z", 0), ("2024-05-11T14:59:59+03:00", 0)]
)
def test_a_snapshot_is_mature_when_its_whole_horizon_was_observed(tmp_path: Path, until: str, mature: int) -> None:
    toml = f"{BASIC_TOML}observed_from = 2024-01-01T00:00:00Z\nobserved_until = {until}\n"
    tables = world(tmp_path, leads="1,2024-05-01T12:00:00Z", stages="1,2024-05-02T12:00:00Z,won", toml=toml)
    labelled = label(tables, timedelta(0))
    assert (len(labelled.snapshots), labelled.immature) == (mature, 1 - mature)


def test_a_longer_horizon_finds_more_and_needs_more_time(tmp_path: Path) -> None:
    tables = world(tmp_path, leads="1,2024-05-01T12:00:00Z", stages="1,2024-05-31T00:00:00Z,won")
    assert labels(label(tables, timedelta(0), horizon=days(29))) == {("1", "05-01"): False}
    assert labels(label(tables, timedelta(0), horizon=days(30))) == {("1", "05-01"): True}
    assert label(tables, timedelta(0), horizon=days(92)).immature == 1


def test_lost_and_then_won_within_the_horizon_has_converted(tmp_path: Path) -> None:
    tables = world(
        tmp_path, leads="1,2024-05-01T12:00:00Z", stages="1,2024-05-03T00:00:00Z,lost\n1,2024-05-08T00:00:00Z,won"
    )
    assert labels(label(tables, timedelta(0), days(1), days(5))) == {("1", "05-01"): True, ("1", "05-02"): True}


def test_without_any_outcome_all_are_negatives(tmp_path: Path) -> None:
    tables = world(tmp_path, leads="1,2024-05-01T12:00:00Z\n2,2024-05-02T12:00:00Z", stages="")
    labelled = label(tables, timedelta(0))
    assert labels(labelled) == {("1", "05-01"): False, ("2", "05-02"): False}
    assert str(labelled.snapshots["converted"].dtype) == "bool"


def test_labels_keep_the_order_and_the_columns_of_the_snapshots(tmp_path: Path) -> None:
    tables = world(
        tmp_path, leads="b,2024-05-01T12:00:00Z\na,2024-04-01T12:00:00Z", stages="a,2024-04-02T00:00:00Z,won"
    )
    snapshots = build_training_snapshots(tables, [timedelta(0), days(1)])
    labelled = label_snapshots(snapshots, tables, HORIZON).snapshots
    assert labelled.drop(columns=["converted", "delay"]).equals(snapshots)
    assert labelled["converted"].tolist() == [False, False, True]
    assert "converted" not in snapshots


def test_dates_of_winning_and_losing_may_stand_with_the_leads(tmp_path: Path) -> None:
    toml = """
    [leads]
    file = "leads.csv"
    id = "id"
    created_at = "created"
    [outcome]
    won_at = "won"
    lost_at = "lost"
    observed_until = 2024-08-01T00:00:00Z
    """
    leads = lines(
        """id,created,won,lost
        1,2024-05-01T00:00:00Z,2024-05-10T23:59:59Z,
        2,2024-05-01T00:00:00Z,2024-05-11T00:00:00Z,
        3,2024-05-01T00:00:00Z,,2024-05-01T18:00:00Z
        4,2024-05-01T00:00:00Z,,"""
    )
    labelled = label(make_tables(tmp_path, toml, {"leads.csv": leads}), timedelta(0), days(1))
    assert labels(labelled) == {
        ("1", "05-01"): True,
        ("1", "05-02"): True,
        ("2", "05-01"): False,
        ("2", "05-02"): True,
        ("3", "05-01"): False,
        ("4", "05-01"): False,
        ("4", "05-02"): False,
    }


def test_in_a_flat_file_the_label_is_the_column(tmp_path: Path) -> None:
    toml = '[leads]\nfile="leads.csv"\nid="id"\n[outcome]\ncolumn="end"\nwon=["да","yes"]\nlost=["no"]\n'
    leads = "id,end\n1,да\n2,no\n3,\n4,later\n5, yes \n"
    labelled = label(make_tables(tmp_path, toml, {"leads.csv": leads}), timedelta(0))
    frame = labelled.snapshots
    assert dict(zip(frame["lead_id"], frame["converted"].tolist(), strict=True)) == {
        "1": True,
        "2": False,
        "4": False,
        "5": True,
    }
    assert (labelled.immature, labelled.immature_leads) == (0, 0)


# the lead came in on 1 May at 12:00 and is asked about at once; its ten days end on 11 May at 12:00
REASONS = """
    reason      | at                          | label   | should
    unreachable | 2024-05-01T12:00:00Z        | unknown | lost exactly at as_of for nothing known: no negative
    unreachable | 2024-05-11T11:59:59.999999Z | unknown | nor one microsecond before the horizon ends
    unreachable | 2024-05-11T12:00:00Z        | not     | exactly at the horizon the loss came too late to matter
    no budget   | 2024-05-11T11:59:59.999999Z | not     | a real loss is a negative
                | 2024-05-05T00:00:00Z        | not     | a loss without a reason is a real one
    spam        | 2024-05-05T00:00:00Z        | junk    | spam trains nothing
    spam        | 2024-06-05T00:00:00Z        | junk    | nor does spam that was found late
"""
REASON_ROWS = [[cell.strip() for cell in line.split("|")] for line in REASONS.strip().splitlines()[1:]]


def reasoned(folder: Path, stages: str, *, reasons: str = "") -> Tables:
    toml = WIDE.replace('stage = "stage"', 'stage = "stage"\nreason = "why"') + reasons
    leads = lines("id,created\n1,2024-05-01T12:00:00Z\n2,2023-01-01T00:00:00Z")
    text = lines(f"id,at,stage,why\n2,2023-01-02T00:00:00Z,won,\n{stages}")
    return make_tables(folder, toml, {"leads.csv": leads, "stages.csv": text})


@pytest.mark.parametrize(("reason", "at", "wanted", "should"), REASON_ROWS, ids=[row[-1] for row in REASON_ROWS])
def test_a_reason_of_rejection_decides_what_a_loss_says(
    tmp_path: Path, reason: str, at: str, wanted: str, should: str
) -> None:
    labelled = label(reasoned(tmp_path, f"1,{at},lost,{reason}"), timedelta(0))
    assert labels(labelled) == ({("1", "05-01"): False} if wanted == "not" else {}), should
    unknown, junk = int(wanted == "unknown"), int(wanted == "junk")
    assert (labelled.unknown, labelled.unknown_leads) == (unknown, unknown)
    assert (labelled.junk, labelled.junk_leads) == (junk, junk)
    assert labelled.immature == 0


def test_who_was_out_of_reach_and_bought_within_the_horizon_has_converted(tmp_path: Path) -> None:
    tables = reasoned(tmp_path, "1,2024-05-03T00:00:00Z,lost,недозвон\n1,2024-05-08T00:00:00Z,won,")
    assert labels(label(tables, timedelta(0))) == {("1", "05-01"): True}


def test_who_was_out_of_reach_and_bought_after_the_horizon_is_not_known_either(tmp_path: Path) -> None:
    tables = reasoned(tmp_path, "1,2024-05-03T00:00:00Z,lost,недозвон\n1,2024-06-08T00:00:00Z,won,")
    labelled = label(tables, timedelta(0))
    assert (labels(labelled), labelled.unknown) == ({}, 1)


def test_the_user_says_what_a_reason_means(tmp_path: Path) -> None:
    meaning = '[outcome.reasons]\n"Too small" = "junk"\nunreachable = "lost"\n'
    tables = reasoned(tmp_path, "1,2024-05-03T00:00:00Z,lost,Unreachable", reasons=meaning)
    assert labels(label(tables, timedelta(0))) == {("1", "05-01"): False}
    tables = reasoned(tmp_path, "1,2024-05-03T00:00:00Z,lost,too small", reasons=meaning)
    assert label(tables, timedelta(0)).junk == 1


def test_the_first_loss_speaks(tmp_path: Path) -> None:
    tables = reasoned(tmp_path, "1,2024-05-03T00:00:00Z,lost,no budget\n1,2024-05-05T00:00:00Z,lost,unreachable")
    assert labels(label(tables, timedelta(0))) == {("1", "05-01"): False}


@pytest.mark.parametrize("where", ["stages", "dates"])
def test_the_reason_may_stand_with_the_lead(tmp_path: Path, where: str) -> None:
    toml = WIDE if where == "stages" else WIDE.replace(WIDE[WIDE.index("[stages]") : WIDE.index("[outcome]")], "")
    toml += 'reason = "why"\n' + ('lost_at = "lost"\nwon_at = "won"\n' if where == "dates" else "")
    toml = toml if where == "stages" else toml.replace('won = ["won"]\nlost = ["lost"]\n', "")
    leads = lines(
        """id,created,lost,won,why
        1,2024-05-01T12:00:00Z,2024-05-03T00:00:00Z,,Недозвон
        2,2024-05-01T12:00:00Z,2024-05-03T00:00:00Z,,дорого
        3,2024-05-01T12:00:00Z,,2024-05-03T00:00:00Z,Недозвон"""
    )
    stages = lines("id,at,stage\n1,2024-05-03,lost\n2,2024-05-03,lost\n3,2024-05-03,won")
    project = '[project]\ntimezone = "UTC"\n'
    tables = make_tables(tmp_path, project + toml, {"leads.csv": leads, "stages.csv": stages})
    labelled = label(tables, timedelta(0))
    assert labels(labelled) == {("2", "05-01"): False, ("3", "05-01"): True}
    assert labelled.unknown == 1
