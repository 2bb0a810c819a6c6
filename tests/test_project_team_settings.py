"""Settings of the team: definitions, capacity, bands, business hours."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from project.errors import SettingsError
from project.folder import read_settings
from worlds import SMALLEST_TOML, refusal, write_settings

DEFINED = (
    SMALLEST_TOML
    + """
[[definitions]]
name = "Готов к продаже"
when = "employees >= 50"
present = true

[[definitions]]
name = "webinar"
when = 'source in ("webinar", "Вебинар")'
"""
)


def test_definitions_are_read_and_at_most_one_is_the_present_one(tmp_path: Path) -> None:
    path = tmp_path / "leads.toml"
    path.write_text(DEFINED, encoding="utf-8")
    assert [(one.name, one.present) for one in read_settings(path).definitions] == [
        ("Готов к продаже", True),
        ("webinar", False),
    ]
    path.write_text(DEFINED + "present = true\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="'Готов к продаже', 'webinar' all say present"):
        read_settings(path)
    path.write_text(DEFINED.replace('"webinar"\nwhen', '"Готов к продаже"\nwhen'), encoding="utf-8")
    with pytest.raises(SettingsError, match="two definitions are called 'Готов к продаже'"):
        read_settings(path)
    path.write_text(DEFINED.replace("present =", "presents ="), encoding="utf-8")
    with pytest.raises(SettingsError, match=r"definitions.0.presents'; did you mean 'present'"):
        read_settings(path)


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ("[capacity]\nleads_per_week = 40\nreps = 3\ncalls_per_rep = 10", "leave one of the three out"),
        ("[capacity]\nreps = 0\ncalls_per_rep = 10", "capacity.reps"),
        ("[capacity]\nprecision = 1.0", "capacity.precision"),
        ('[capacity]\nvalue_column = "Deal"', "capacity.value_column names 'Deal'"),
        ("[bands]\nhysteresis = 1.0", "bands.hysteresis"),
        ("[bands]\ndaily_cap = 0", "bands.daily_cap"),
        ('[bands]\nnurture_return = "0"', "must be longer than nothing"),
        ("[bands]\nnurture_events = -1", "bands.nurture_events"),
        ('[sla]\nSQL = "5 min"', "no length of business time"),
        ('[sla]\nMQL = "0d"', "no length of business time"),
        ('[sla]\nMQL = "1w"', "no length of business time"),
        ('[sla]\nhours = "18:00-09:00"', "open before it closes"),
        ('[sla]\nhours = "09:00-25:00"', "open before it closes"),
        ('[sla]\nhours = "nine to five"', "write 09:00-18:00"),
        ('[sla]\ndays = ["Monday"]', "sla.days.0"),
        ("[sla]\ndays = []", "sla.days"),
        ('[sla]\nsql = "5m"', "unknown key 'sla.sql'; did you mean 'SQL'?"),
    ],
)
def test_a_team_and_its_hours_that_cannot_be_are_refused(tmp_path: Path, section: str, says: str) -> None:
    assert says in refusal(tmp_path, f"{SMALLEST_TOML}\n{section}\n")


def test_the_capacity_of_a_team_follows_from_its_reps(tmp_path: Path) -> None:
    def read(text: str) -> tuple[float | None, float | None]:
        capacity = read_settings(write_settings(tmp_path, f"{SMALLEST_TOML}\n[capacity]\n{text}\n")).capacity
        return capacity.leads_per_week, capacity.calls_of_one_rep

    assert read("reps = 3\ncalls_per_rep = 25") == (75, 25)
    assert read("reps = 3\ncalls_per_rep = 25\nleads_per_week = 75.0") == (75, 25)
    assert read("reps = 4\nleads_per_week = 100") == (100, 25)
    assert read("leads_per_week = 100") == (100, None)
    assert read("calls_per_rep = 25") == (None, 25)


def test_business_hours_and_what_a_band_may_wait_are_read(tmp_path: Path) -> None:
    text = '[sla]\nSQL = "2h"\nMQL = "3d"\nhours = "8:30-24:00"\ndays = ["Sat", "Sun"]'
    sla = read_settings(write_settings(tmp_path, f"{SMALLEST_TOML}\n{text}\n")).sla
    assert (sla.opens, sla.closes) == (timedelta(hours=8, minutes=30), timedelta(days=1))
    assert sla.allowance("SQL") == timedelta(hours=2)
    assert sla.allowance("MQL") == 3 * timedelta(hours=15, minutes=30)
    assert sla.allowance("disqualified") is None
