"""What `leads init` proposes for a whole CRM: files, times, outcome, horizon, events, accounts."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from project.errors import SchemaError, StorageError
from project.folder import read_settings
from proposed import START, dated_world, day, flat_world, settle, write
from training.proposal.propose import propose_project


def test_a_dated_crm_is_described_whole(tmp_path: Path) -> None:
    leads, stages = dated_world(tmp_path)
    settings = settle(tmp_path, propose_project(tmp_path, leads=leads, stages=stages))
    assert (settings.leads.id, settings.leads.created_at, settings.leads.file) == ("lead_id", "created_at", "leads.csv")
    assert settings.leads.columns == {"source": "category", "employees": "number"}
    assert (settings.stages.at, settings.stages.stage) == ("entered_at", "stage")
    assert (settings.outcome.won, settings.outcome.lost) == (("Closed Won",), ("Closed Lost",))
    assert (settings.outcome.horizon, settings.outcome.observed_from) == (timedelta(days=14), None)
    assert settings.project.timezone is None
    assert settings.snapshots.ages == tuple(timedelta(days=n) for n in (0, 1, 3, 7))
    assert settings.capacity.leads_per_week == 1


@pytest.mark.parametrize(
    ("delay", "days", "should"),
    [pytest.param(6, 200, 7, id="shortest that covers"), pytest.param(100, 150, 60, id="a third of the data at most")],
)
def test_the_horizon_follows_the_delays(tmp_path: Path, delay: float, days: int, should: int) -> None:
    leads, stages = dated_world(tmp_path, delay=delay, days=days)
    proposal = propose_project(tmp_path, leads=leads, stages=stages)
    assert settle(tmp_path, proposal).outcome.horizon == timedelta(days=should)
    assert f"median {delay:.1f} d" in proposal.text


@pytest.mark.parametrize(
    ("delay", "days", "sooner"),
    [pytest.param(6, 200, (), id="a week is short enough"), pytest.param(100, 150, (30,), id="a month")],
)
def test_a_sooner_horizon_is_proposed_where_the_whole_is_long(
    tmp_path: Path, delay: float, days: int, sooner: tuple[int, ...]
) -> None:
    leads, stages = dated_world(tmp_path, delay=delay, days=days)
    settings = settle(tmp_path, propose_project(tmp_path, leads=leads, stages=stages))
    assert settings.outcome.sooner == tuple(timedelta(days=one) for one in sooner)


def test_outcomes_that_start_late_are_said_to(tmp_path: Path) -> None:
    leads, _ = dated_world(tmp_path)
    deals = write(tmp_path / "deals.csv", "lead_id,won_date", *(f"L{n},{day(n + 5)}" for n in range(80, 200)))
    proposal = propose_project(tmp_path, leads=leads, stages=deals)
    settings = settle(tmp_path, proposal)
    assert settings.outcome.observed_from == START + timedelta(days=85)
    assert settings.stages.stage is None
    assert "every row is a win" in proposal.text


def test_slow_sales_are_not_taken_for_a_late_record(tmp_path: Path) -> None:
    leads, stages = dated_world(tmp_path, delay=40)
    write(stages, *(line for line in stages.read_text().splitlines() if "Lost" not in line))
    assert settle(tmp_path, propose_project(tmp_path, leads=leads, stages=stages)).outcome.observed_from is None


def test_a_win_date_beside_the_lead_is_an_outcome(tmp_path: Path) -> None:
    lines = [f"{n},{day(n)},{day(n + 3) if n % 2 else ''},{day(n + 9)}" for n in range(90)]
    leads = write(tmp_path / "leads.csv", "Id,CreatedDate,ConvertedDate,LastModifiedDate", *lines)
    settings = settle(tmp_path, propose_project(tmp_path, leads=leads))
    assert settings.dated
    assert (settings.leads.created_at, settings.outcome.won_at) == ("CreatedDate", "ConvertedDate")
    assert set(settings.leads.forbidden) == {"LastModifiedDate"}


def test_a_cyrillic_export_with_semicolons_is_read(tmp_path: Path) -> None:
    lines = [
        f"{n};{n % 27 + 1:02d}.03.2024 10:30;{'Сайт' if n % 3 else 'Выставка'};{n % 5},50;Ромашка {n % 9};не указано"
        for n in range(120)
    ]
    header = 'ID лида;Дата создания;Источник;Бюджет "план";Компания;Город'
    leads = write(tmp_path / "лиды.csv", header, *lines, encoding="cp1251")
    steps = ["Успешно реализовано", "Закрыто и не реализовано", "Переговоры"]
    moves = [f"{n};{steps[n % 3]};{n % 27 + 1:02d}.04.2024 9:05;слишком дорого" for n in range(120)]
    stages = write(tmp_path / "этапы.csv", "ID лида;Этап;Дата изменения;Причина", *moves, encoding="cp1251")
    settings = settle(tmp_path, propose_project(tmp_path, leads=leads, stages=stages))
    found = settings.leads
    assert (found.encoding, found.decimal, found.date_format) == ("cp1251", ",", "dmy")
    assert (found.id, found.created_at, found.account) == ("ID лида", "Дата создания", "Компания")
    assert settings.leads.columns == {"Источник": "category", 'Бюджет "план"': "number"}
    assert settings.leads.forbidden == {"Город": "always empty"}
    assert settings.leads.missing == ("не указано",)
    assert (settings.outcome.won, settings.outcome.lost) == ((steps[0],), (steps[1],))
    assert settings.stages.reason == "Причина"
    assert (settings.project.timezone, settings.project.language) == ("UTC", "ru")


def test_odd_headers_survive(tmp_path: Path) -> None:
    odd = ['"quoted"', "back\\slash", "🙂 mood", "a.b]c", "x = 1 # no", "tab\there"]
    header = ",".join(['"' + name.replace('"', '""') + '"' for name in ["id", "won", *odd]])
    rows = [f"L{n},{'yes' if n % 2 else 'no'},{','.join([f'v{n % 4}'] * len(odd))}" for n in range(40)]
    settings = settle(tmp_path, propose_project(tmp_path, leads=write(tmp_path / "leads.csv", header, *rows)))
    assert list(settings.leads.columns) == odd


def test_a_file_without_dates_is_ordered_by_its_number(tmp_path: Path) -> None:
    numbers = [str(9_000 - n) for n in range(400)]
    leads = flat_world(tmp_path, {"Lead Number": numbers, "source": ["a" if n % 5 else "b" for n in range(400)]})
    settings = settle(tmp_path, propose_project(tmp_path, leads=leads))
    assert (settings.leads.created_at, settings.leads.order) == (None, "Lead Number")
    assert (settings.outcome.column, settings.outcome.won) == ("converted", ("1",))


def test_events_are_joined_by_their_values_not_by_running_numbers(tmp_path: Path) -> None:
    lines = [f"{n},{day(n)},{day(n + 2) if n % 2 else ''}" for n in range(1, 91)]
    leads = write(tmp_path / "leads.csv", "id,created_at,won_at", *lines)
    kinds = ["opened", "clicked", "called"]
    rows = [f"{n},{n % 60 + 1},{day(n)},{kinds[n % 3]},{n * 1.5},{day(n + 0.5)}" for n in range(1, 301)]
    header = "id,lead_id,occurred_at,activity_type,duration,ingested_at"
    with gzip.open(tmp_path / "events.csv.gz", "wt") as file:
        file.write("\n".join([header, *rows]) + "\n")
    settings = settle(tmp_path, propose_project(tmp_path, leads=leads, events=tmp_path / "events.csv.gz"))
    found = settings.events.model_dump(include={"lead", "at", "kind", "value", "recorded_at"})
    assert list(found.values()) == ["lead_id", "occurred_at", "activity_type", "duration", "ingested_at"]
    assert settings.outcome.won_at == "won_at"


def test_accounts_are_found_by_the_leads_that_name_them(tmp_path: Path) -> None:
    lines = [f"L{n},{day(n)},{day(n + 2) if n % 2 else ''},C{n % 20}" for n in range(90)]
    leads = write(tmp_path / "leads.csv", "lead_id,created,won_at,company_id", *lines)
    rows = [f"C{n},{day(0)},{'retail' if n % 2 else 'steel'},{n * 10},Firm {n},yes" for n in range(25)]
    accounts = write(tmp_path / "accounts.csv", "id,valid_from,industry,staff,name,spam", *rows)
    settings = settle(tmp_path, propose_project(tmp_path, leads=leads, accounts=accounts))
    assert settings.leads.account == "company_id"
    assert (settings.accounts.id, settings.accounts.valid_from) == ("id", "valid_from")
    assert settings.accounts.columns == {"industry": "category", "staff": "number"}


def test_leads_lost_within_the_hour_are_looked_at_later(tmp_path: Path) -> None:
    leads, stages = dated_world(tmp_path)
    lines = [f"L{n},Closed Lost,{day(n + 0.001)}" for n in range(1, 200, 2)]
    events = write(tmp_path / "events.csv", "lead_id,at,kind", *(f"L{n},{day(n)},{'ab'[n % 2]}" for n in range(200)))
    stages = write(stages, *stages.read_text().splitlines(), *lines)
    settings = settle(tmp_path, propose_project(tmp_path, leads=leads, stages=stages, events=events))
    assert settings.snapshots.ages[0] == timedelta(hours=1)


def test_parquet_and_files_outside_the_folder(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    folder, elsewhere = tmp_path / "project", tmp_path / "elsewhere.parquet"
    folder.mkdir()
    table = {
        "lead_id": list(range(60)),
        "created_at": [START + timedelta(days=n) for n in range(60)],
        "is_converted": [n % 2 == 0 for n in range(60)],
        "source": ["a", "b", None] * 20,
        "nested": [[1, 2]] * 60,
    }
    parquet.write_table(pa.table(table), elsewhere)
    settings = settle(folder, propose_project(folder, leads=elsewhere))
    assert settings.leads.file == elsewhere.as_posix()
    assert (settings.outcome.column, settings.outcome.won) == ("is_converted", ("true",))
    assert settings.leads.columns == {"source": "category"}


def test_stages_without_a_recognisable_win_are_left_to_the_user(tmp_path: Path) -> None:
    leads, _ = dated_world(tmp_path)
    stages = write(tmp_path / "s.csv", "lead_id,stage,at", *(f"L{n},step {n % 3},{day(n + 1)}" for n in range(200)))
    proposal = propose_project(tmp_path, leads=leads, stages=stages)
    (tmp_path / "leads.toml").write_text(proposal.text, encoding="utf-8")
    assert read_settings(tmp_path / "leads.toml").outcome.won == ("?",)
    assert any("write here which one" in note for note in proposal.notes)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        pytest.param(["name,won", "a,1", "a,0", "b,0"], "no id column.*'name'", id="no id"),
        pytest.param(["id,size", "a,1", "b,0", "c,0"], "tells who converted", id="no outcome"),
        pytest.param(["id,won"], "no rows", id="no rows"),
    ],
)
def test_what_cannot_be_guessed_is_said(tmp_path: Path, lines: list[str], says: str) -> None:
    with pytest.raises(SchemaError, match=says):
        propose_project(tmp_path, leads=write(tmp_path / "leads.csv", *lines))


def test_a_file_of_other_leads_or_of_nobody_is_refused(tmp_path: Path) -> None:
    leads, _ = dated_world(tmp_path)
    stages = write(tmp_path / "other.csv", "lead_id,stage,at", f"X1,won,{day(1)}", f"X2,lost,{day(2)}")
    with pytest.raises(SchemaError, match=r"other\.csv: no column holds the ids of the leads"):
        propose_project(tmp_path, leads=leads, stages=stages)
    with pytest.raises(StorageError, match=r"nowhere\.csv: there is no such file"):
        propose_project(tmp_path, leads=tmp_path / "nowhere.csv")


@pytest.mark.real
def test_real_bpic2012(tmp_path: Path, real_data: Path) -> None:
    data = real_data / "bpic2012"
    files = {"events": data / "events.csv.gz", "stages": data / "outcomes.csv"}
    settings = settle(tmp_path, propose_project(tmp_path, leads=data / "leads.csv", **files))
    assert settings.outcome.horizon == timedelta(days=45)
    assert (settings.outcome.won, settings.outcome.observed_from) == (("converted",), None)
    assert set(settings.outcome.lost) == {"lost_declined", "lost_cancelled"}
    assert settings.snapshots.ages[:2] == (timedelta(hours=1), timedelta(days=1))
    assert (settings.events.kind, settings.events.at) == ("event_type", "event_at")
    assert settings.leads.columns == {"amount_req": "number"}


@pytest.mark.real
def test_real_olist(tmp_path: Path, real_data: Path) -> None:
    deals, leads = sorted((real_data / "olist_funnel").glob("*.csv"))
    settings = settle(tmp_path, propose_project(tmp_path, leads=leads, stages=deals))
    assert (settings.leads.id, settings.leads.created_at) == ("mql_id", "first_contact_date")
    assert (settings.stages.lead, settings.stages.at, settings.stages.stage) == ("mql_id", "won_date", None)
    assert settings.outcome.observed_from == datetime(2017, 12, 5, tzinfo=UTC)
    assert settings.project.timezone == "UTC"
    assert settings.leads.columns == {"landing_page_id": "category", "origin": "category"}


@pytest.mark.real
def test_real_xeducation(tmp_path: Path, real_data: Path) -> None:
    settings = settle(tmp_path, propose_project(tmp_path, leads=real_data / "xeducation" / "Leads.csv"))
    assert (settings.leads.id, settings.leads.order) == ("Prospect ID", "Lead Number")
    assert (settings.outcome.column, settings.outcome.won) == ("Converted", ("1",))
    assert settings.leads.missing == ("Select",)
    assert {"Tags", "Lead Quality", "Last Activity", "Last Notable Activity"} <= set(settings.leads.forbidden)
    assert {"Lead Source", "Do Not Email", "Lead Origin"} <= set(settings.leads.columns)
