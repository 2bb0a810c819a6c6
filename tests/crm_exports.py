"""Invented exports of six CRMs, as they are written, and what `leads init` must make of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from worlds import csv_text

START = datetime(2024, 1, 1, 9)
N = 60
WON, LOST = range(0, N, 4), range(1, N, 4)  # 15 of each; the others are open


def made(form: str, n: int) -> str:
    return f"{START + timedelta(days=n):{form}}"


def closed(form: str, n: int) -> str:
    return made(form, n + 5) if n in WON or n in LOST else ""


def pick(n: int, *, won: str, lost: str | Sequence[str], other: str = "") -> str:
    levels = [lost] if isinstance(lost, str) else lost
    return won if n in WON else levels[n // 4 % len(levels)] if n in LOST else other


def people(n: int) -> tuple[str, str, str, str]:
    return f"p{n}@firm{n % 30}.example", f"+7916000{n:04d}", f"Person {n}", f"Firm {n % 30}"


def salesforce(n: int) -> dict[str, str]:
    email, phone, name, company = people(n)
    return {
        "Id": f"00Q{n:015d}",
        "CreatedDate": made("%Y-%m-%dT%H:%M:%S.000Z", n),
        "Name": name,
        "Company": company,
        "Email": email,
        "Phone": phone,
        "LeadSource": ["Web", "Event"][n % 2],
        "Budget__c": str(n % 7 * 100),
        "DoNotCall": ["0", "1"][n % 9 == 0],
        "Status": pick(n, won="Closed - Converted", lost="Closed - Not Converted", other="Open - Not Contacted"),
        "IsConverted": pick(n, won="true", lost="false", other="false"),
        "ConvertedDate": closed("%Y-%m-%d", n) if n in WON else "",
        "ConvertedAccountId": f"001{n}" if n in WON else "",
        "LastActivityDate": made("%Y-%m-%d", n + 6),
        "OwnerId": f"005{n % 3}",
    }


def hubspot(n: int) -> dict[str, str]:
    email, phone, name, company = people(n)
    return {
        "Record ID": str(9_000 + n),
        "First Name": name.split()[0] + str(n),
        "Last Name": name,
        "Email": email,
        "Phone Number": phone,
        "Company Name": company,
        "Create Date": made("%Y-%m-%d %H:%M", n),
        "Original Source": ["Organic Search", "Paid Search"][n % 2],
        "Lead Status": pick(n, won="CONNECTED", lost="UNQUALIFIED", other="NEW"),
        "Deal Stage": pick(n, won="Closed Won", lost="Closed Lost", other="Contract Sent"),
        "Close Date": closed("%Y-%m-%d %H:%M", n) or made("%Y-%m-%d %H:%M", n + 400),
        "Closed Lost Reason": pick(n, won="", lost=["Bad Timing", "Price", "Spam"]),
        "Number of Associated Deals": str(n % 4),
    }


def dynamics(n: int) -> dict[str, str]:
    email, phone, name, company = people(n)
    return {
        "(Do Not Modify) Lead": f"{n:08x}-aaaa",
        "(Do Not Modify) Row Checksum": f"x{n}=",
        "(Do Not Modify) Modified On": made("%d/%m/%Y %H:%M", n + 20),
        "Name": name,
        "Topic": f"Asked {n}",
        "Company Name": company,
        "Email": email,
        "Business Phone": phone,
        "Created On": made("%d/%m/%Y %H:%M", n),
        "Lead Source": ["Web", "Fair"][n % 2],
        "Do not allow Phone Calls": ["Allow", "Do Not Allow"][n % 8 == 0],
        "Status": pick(n, won="Qualified", lost="Disqualified", other="Open"),
        "Status Reason": pick(n, won="Qualified", lost=["Lost", "Cannot Contact", "Canceled"], other="New"),
    }


def bitrix_codes(n: int) -> dict[str, str]:
    email, phone, name, company = people(n)
    return {
        "ID": str(n + 1),
        "TITLE": f"Lead {n}",
        "LAST_NAME": name,
        "COMPANY_TITLE": company,
        "EMAIL": email,
        "PHONE": phone,
        "SOURCE_ID": ["WEB", "CALL"][n % 2],
        "STATUS_ID": pick(n, won="CONVERTED", lost=["JUNK", "UC_SPAM"], other="IN_PROCESS"),
        "STATUS_SEMANTIC_ID": pick(n, won="S", lost="F", other="P"),
        "ASSIGNED_BY_ID": str(n % 3),
        "OPPORTUNITY": str(n * 10),
        "HAS_EMAIL": ["Y", "N"][n % 3 == 0],
        "UF_CRM_1606": ["a", "b", "c"][n % 3],
        "DATE_CREATE": made("%Y-%m-%dT%H:%M:%S+03:00", n),
        "DATE_CLOSED": closed("%Y-%m-%dT%H:%M:%S+03:00", n),
    }


def bitrix_russian(n: int) -> dict[str, str]:
    email, phone, name, company = people(n)
    return {
        "ID": str(n + 1),
        "Название лида": f"Лид {n}",
        "Фамилия": name,
        "Название компании": company,
        "Рабочий e-mail": email,
        "Рабочий телефон": phone,
        "Источник": ["Сайт", "Звонок"][n % 2],
        "Стадия": pick(n, won="Качественный лид", lost=["Некачественный лид", "Отказ клиента"], other="В работе"),
        "Причина отказа": pick(n, won="", lost=["Дорого", "Недозвон", "Спам"]),
        "Ответственный": f"Менеджер {n % 3}",
        "Дата создания": made("%d.%m.%Y %H:%M:%S", n),
        "Дата завершения": closed("%d.%m.%Y %H:%M:%S", n),
        "Дата изменения": made("%d.%m.%Y %H:%M:%S", n + 9),
    }


def amocrm(n: int) -> dict[str, str]:
    email, phone, name, company = people(n)
    return {
        "ID": str(20_000 + n),
        "Название сделки": f"Сделка {n}",
        "Бюджет": str(n * 100),
        "Ответственный": f"Менеджер {n % 3}",
        "Дата создания сделки": made("%d.%m.%Y %H:%M:%S", n),
        "Дата закрытия": closed("%d.%m.%Y %H:%M:%S", n) or "не закрыта",
        "Этап сделки": pick(n, won="Успешно реализовано", lost="Закрыто и не реализовано", other="Замер"),
        "Воронка": ["Продажи", "Опт"][n % 2],
        "Полное имя контакта": name,
        "Компания контакта": company,
        "Рабочий телефон": phone,
        "Рабочий email": email,
        "Причина отказа": pick(n, won="", lost=["Дубль", "Купили у других", "Тест"]),
        "Площадь": str(n % 11),
    }


def odoo(n: int) -> dict[str, str]:
    email, phone, name, company = people(n)
    return {
        "id": str(n + 1),
        "name": f"Inquiry {n}",
        "contact_name": name,
        "partner_name": company,
        "email_from": email,
        "phone": phone,
        "medium_id": ["Website", "Email"][n % 2],
        "user_id": f"Rep {n % 3}",
        "create_date": made("%Y-%m-%d %H:%M:%S", n),
        "date_closed": closed("%Y-%m-%d %H:%M:%S", n),
        "stage_id": pick(n, won="Won", lost="Qualified", other="Proposition"),
        "probability": pick(n, won="100.0", lost="0.0", other="37.5"),
        "lost_reason_id": pick(n, won="", lost=["Too expensive", "Duplicate"]),
        "date_last_stage_update": made("%Y-%m-%d %H:%M:%S", n + 5),
    }


@dataclass(frozen=True)
class Export:
    """What a CRM writes, and what `leads init` must make of it."""

    crm: str
    row: Callable[[int], dict[str, str]]
    columns: dict[str, str]
    identity: tuple[str, str, str, str]
    outcome: tuple[str | None, str | None, str | None]
    forbidden: tuple[str, ...]
    reasons: dict[str, str]
    lost: int = len(LOST)


EXPORTS = {
    "salesforce": Export(
        "salesforce",
        salesforce,
        {"LeadSource": "category", "Budget__c": "number", "DoNotCall": "rule"},
        ("Email", "Phone", "Name", "Company"),
        (None, "ConvertedDate", None),
        ("Status", "IsConverted", "ConvertedAccountId", "LastActivityDate", "OwnerId"),
        {},
        lost=0,
    ),
    "hubspot": Export(
        "hubspot",
        hubspot,
        {"Original Source": "category"},
        ("Email", "Phone Number", "Last Name", "Company Name"),
        ("Deal Stage", None, "Close Date"),
        ("Lead Status", "Number of Associated Deals", "First Name"),
        {"Bad Timing": "unknown", "Price": "lost", "Spam": "junk"},
    ),
    "dynamics": Export(
        "dynamics",
        dynamics,
        {"Lead Source": "category", "Do not allow Phone Calls": "rule"},
        ("Email", "Business Phone", "Name", "Company Name"),
        ("Status", None, None),
        ("(Do Not Modify) Modified On", "(Do Not Modify) Row Checksum", "Topic"),
        {"Lost": "lost", "Cannot Contact": "unknown", "Canceled": "lost"},
        lost=N - len(WON),
    ),
    "bitrix24, codes": Export(
        "bitrix24",
        bitrix_codes,
        {"SOURCE_ID": "category", "HAS_EMAIL": "category", "UF_CRM_1606": "category"},
        ("EMAIL", "PHONE", "LAST_NAME", "COMPANY_TITLE"),
        ("STATUS_SEMANTIC_ID", None, "DATE_CLOSED"),
        ("STATUS_ID", "ASSIGNED_BY_ID", "OPPORTUNITY", "TITLE"),
        {},
    ),
    "bitrix24, Russian": Export(
        "bitrix24",
        bitrix_russian,
        {"Источник": "category"},
        ("Рабочий e-mail", "Рабочий телефон", "Фамилия", "Название компании"),
        ("Стадия", None, "Дата завершения"),
        ("Ответственный", "Дата изменения", "Название лида"),
        {"Дорого": "lost", "Недозвон": "unknown", "Спам": "junk"},
    ),
    "amocrm": Export(
        "amocrm",
        amocrm,
        {"Воронка": "category", "Площадь": "number"},
        ("Рабочий email", "Рабочий телефон", "Полное имя контакта", "Компания контакта"),
        ("Этап сделки", None, "Дата закрытия"),
        ("Бюджет", "Ответственный", "Название сделки"),
        {"Дубль": "unknown", "Купили у других": "lost", "Тест": "junk"},
    ),
    "odoo": Export(
        "odoo",
        odoo,
        {"medium_id": "category"},
        ("email_from", "phone", "contact_name", "partner_name"),
        ("probability", None, "date_closed"),
        ("stage_id", "user_id", "date_last_stage_update", "name"),
        {"Too expensive": "lost", "Duplicate": "unknown"},
    ),
}


def write_export(folder: Path, row: Callable[[int], dict[str, str]]) -> Path:
    rows = [row(n) for n in range(N)]
    path = folder / "export.csv"
    path.write_text(csv_text([rows[0], *(entry.values() for entry in rows)], delimiter=";"), encoding="utf-8")
    return path
