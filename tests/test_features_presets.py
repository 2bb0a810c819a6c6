from __future__ import annotations

import tomllib
from importlib.resources import files

import pytest

from features.presets import NO_PRESET, PRESETS, read_preset, recognise_preset
from project.errors import SettingsError

HEADERS = {
    "amocrm": ["ID;Название сделки;Бюджет;Ответственный;Дата создания сделки;Дата закрытия;Этап сделки;Воронка"],
    "bitrix24": [
        "ID;TITLE;NAME;SOURCE_ID;STATUS_ID;STATUS_SEMANTIC_ID;ASSIGNED_BY_ID;DATE_CREATE;DATE_CLOSED;UF_CRM_1606",
        "ID;Название лида;Статус;Источник;Ответственный;Дата создания;Дата изменения;Название компании",
        "ID;Название сделки;Стадия сделки;Сумма;Дата создания;Дата завершения;Источник;Кем создан;Кем изменен",
    ],
    "dynamics": [
        "leadid;subject;statecode;statuscode;createdon;modifiedon;emailaddress1;companyname",
        "(Do Not Modify) Lead;(Do Not Modify) Row Checksum;(Do Not Modify) Modified On;Topic;Email;Status Reason",
    ],
    "hubspot": [
        "hs_object_id;createdate;lifecyclestage;hs_lead_status;email;phone;company",
        "Record ID;First Name;Last Name;Email;Phone Number;Lead Status;Create Date;Lifecycle Stage;Contact owner",
        "Record ID;Deal Name;Deal Stage;Amount;Close Date;Create Date;Deal owner",
    ],
    "odoo": [
        "id;name;partner_name;email_from;create_date;date_closed;stage_id;probability;lost_reason_id",
        "ID;Opportunity;Contact Name;Email;Created on;Closed Date;Stage;Salesperson;Expected Revenue",
    ],
    "salesforce": [
        "Id;CreatedDate;Company;Email;Status;OwnerId;IsConverted;ConvertedDate;Budget__c",
        "Lead ID;Company / Account;Lead Owner;Email;Lead Status;Create Date;Converted Date;Lead Source",
    ],
}
OTHERS = [
    "Prospect ID;Lead Number;Lead Origin;Lead Source;Do Not Email;Do Not Call;Converted;TotalVisits;Last Activity;"
    "Country;Specialization;Search;Tags;Lead Quality;Lead Profile;City;Last Notable Activity",
    "mql_id;first_contact_date;landing_page_id;origin",
    "mql_id;seller_id;sdr_id;sr_id;won_date;business_segment;lead_type;has_company;business_type;declared_monthly_revenue",
    "lead_id;created_at;amount_req",
    "lead_id;event_at;event_type;resource",
    "lead_id;created_at;account_id;first_name;last_name;email;phone;channel;campaign;country;role;company_size_answer;"
    "budget_answer;message;spam_check;present_customer",
    "ID;Name;Email;Phone;Company;Status;Source;Owner;Created;Closed",
    "",
]


@pytest.mark.parametrize(("name", "header"), [(name, header) for name, some in HEADERS.items() for header in some])
def test_each_export_is_recognised_by_its_header_however_it_is_written(name: str, header: str) -> None:
    headers = header.split(";")
    for dressed in (headers, [h.upper() for h in headers], [h.replace("_", " ") for h in headers], headers[::-1]):
        assert recognise_preset(dressed) == read_preset(name)


@pytest.mark.parametrize("header", OTHERS)
def test_other_tables_are_taken_for_no_crm(header: str) -> None:
    assert recognise_preset(header.split(";")) is None


def test_an_unknown_name_lists_the_six() -> None:
    with pytest.raises(SettingsError, match="amocrm, bitrix24, dynamics, hubspot, odoo, salesforce, or none"):
        read_preset("bitrix")


def test_none_knows_nothing() -> None:
    preset = read_preset("none")
    assert preset is NO_PRESET
    assert preset.find("leads", "id", ["id"]) is None
    assert preset.forbid("closedate") is None
    assert preset.find_outcome(["IsConverted"]) == []


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_file_is_whole_and_says_where_it_comes_from(name: str) -> None:
    data = tomllib.loads((files("features") / "crm" / f"{name}.toml").read_text(encoding="utf-8"))
    tables = {"leads", "stages", "events", "meanings", "reasons"}
    assert set(data) <= tables | {
        "title",
        "source",
        "unconfirmed",
        "advice",
        "signature",
        "outcome",
        "forbidden",
        "rules",
    }
    assert set(data["reasons"]) <= {"lost", "unknown", "junk"}
    preset = read_preset(name)
    assert preset.source
    assert preset.unconfirmed
    assert all(preset.roles[table] for table in ("leads", "stages", "events"))
    assert {"id", "created_at", "email", "phone", "name", "company"} <= set(preset.roles["leads"])
    for outcome in (preset.stages, *preset.outcomes):
        assert outcome.meanings["won"]
        for meaning, levels in outcome.meanings.items():
            assert all(outcome.mean(level.replace("*", "7")) == meaning for level in levels)


@pytest.mark.parametrize(
    ("name", "level", "means"),
    [
        ("bitrix24", "C15:WON", "won"),
        ("bitrix24", "некачественный  лид", "lost"),
        ("bitrix24", "UC_A1B2", None),
        ("amocrm", "142", "won"),
        ("amocrm", "Закрыто и не реализовано", "lost"),
        ("dynamics", "No Longer Interested", "lost"),
        ("hubspot", "closedwon", "won"),
        ("odoo", "Proposition", "open"),
        ("salesforce", "Closed - Not Converted", "lost"),
    ],
)
def test_stages_are_known_as_codes_and_as_labels(name: str, level: str, means: str | None) -> None:
    assert read_preset(name).stages.mean(level) == means


@pytest.mark.parametrize(
    ("name", "headers"),
    [
        ("salesforce", "ConvertedDate ConvertedAccountId IsConverted Status LastActivityDate LastModifiedDate"),
        ("hubspot", "closedate hs_lifecyclestage_lead_date num_associated_deals hs_lead_status recent_deal_amount"),
        ("bitrix24", "STATUS_ID STATUS_DESCRIPTION DATE_CLOSED MOVED_TIME OPPORTUNITY Стадия"),
        ("odoo", "date_closed probability stage_id lost_reason_id date_last_stage_update won_status"),
        ("dynamics", "statecode statuscode qualifyingopportunityid modifiedon"),
        ("amocrm", "closed_at loss_reason_id status_id Бюджет"),
    ],
)
def test_what_is_written_after_the_outcome_is_forbidden_with_a_reason(name: str, headers: str) -> None:
    assert all(read_preset(name).forbid(header) for header in headers.split())


@pytest.mark.parametrize(
    ("name", "headers"),
    [
        ("salesforce", "LeadSource Industry NumberOfEmployees Ownership Country Budget__c"),
        ("hubspot", "hs_analytics_source industry country jobtitle"),
        ("bitrix24", "SOURCE_ID HAS_EMAIL HAS_PHONE UTM_SOURCE IS_RETURN_CUSTOMER UF_CRM_1606 Источник"),
        ("odoo", "source_id medium_id campaign_id country_id function"),
        ("dynamics", "leadsourcecode industrycode numberofemployees"),
        ("amocrm", "source_id utm_source Источник"),
    ],
)
def test_what_was_known_at_creation_is_left_alone(name: str, headers: str) -> None:
    assert [header for header in headers.split() if read_preset(name).forbid(header)] == []
