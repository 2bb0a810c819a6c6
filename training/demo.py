"""The demo project: a simulated CRM in a folder, with the leads.toml that its user would have ended up with."""

from __future__ import annotations

import json
from pathlib import Path

from project.errors import SettingsError
from project.files import write_atomically
from project.folder import FILE_NAME

__all__ = ["write_demo_project"]

_SETTINGS = """\
# A simulated CRM. Every setting is explained in README.md; `leads init` writes such a file for your own data.

[project]
name = "demo"

[leads]
file = "data/leads.csv"
id = "lead_id"
created_at = "created_at"
account = "account_id"

[leads.identity]
email = "email"
phone = "phone"
name = "contact_name"

[leads.columns]
channel = "category"
campaign = "category"
country = "category"
role = "category"
company_size_answer = "number"
budget_answer = "category"
spam_check = "rule"
present_customer = "rule"

[leads.forbidden]
contact_name = "identifies a person"
email = "identifies a person"
phone = "identifies a person"
message = "free text"

[leads.labels]
channel = { en = "Channel", ru = "Канал" }
campaign = { en = "Campaign", ru = "Кампания" }
country = { en = "Country", ru = "Страна" }
role = { en = "Role", ru = "Должность" }
company_size_answer = { en = "Company size, as answered", ru = "Размер компании по ответу" }
budget_answer = { en = "Budget, as answered", ru = "Бюджет по ответу" }

[events]
file = "data/events.csv.gz"
lead = "lead_id"
at = "occurred_at"
recorded_at = "recorded_at"
kind = "kind"
value = "value"
windows = ["1d", "7d", "30d", "90d"]

[events.groups]
email = ["email_open", "email_click"]

[events.labels]
email = { en = "E-mail engagement", ru = "Реакции на письма" }
<labels>

[stages]
file = "data/stages.csv"
lead = "lead_id"
at = "changed_at"
stage = "stage"
reason = "reason"

[accounts]
file = "data/accounts.csv"
id = "account_id"
valid_from = "valid_from"

[accounts.columns]
industry = "category"
employees = "number"
annual_revenue = "number"
region = "category"

[accounts.labels]
industry = { en = "Industry", ru = "Отрасль" }
employees = { en = "Employees", ru = "Сотрудников" }
annual_revenue = { en = "Annual revenue", ru = "Годовая выручка" }
region = { en = "Region", ru = "Регион" }

[outcome]
won = ["won"]
lost = ["lost"]
horizon = "60d"
sooner = ["30d"]

[outcome.reasons]
no_budget = "lost"
no_need = "lost"
competitor = "lost"
bad_timing = "unknown"
unreachable = "unknown"
duplicate = "unknown"
spam = "junk"

[features]
track_record = ["channel", "campaign"]
ideal_customer = { employees = { min = 50, max = 500 }, role = ["owner", "director"] }

[reasons]
actionable = ["webinar", "download", "budget_answer"]

[snapshots]
ages = ["0d", "1d", "3d", "7d", "14d", "30d"]

[capacity]
leads_per_week = <capacity>
cost_per_call = 25
value_per_win = 400
currency = "EUR"

[[rules]]
name = "failed the spam check"
column = "spam_check"
equals = ["failed"]

[[rules]]
name = "present customer"
column = "present_customer"
equals = ["yes"]
"""


def write_demo_project(folder: Path, *, n_leads: int, seed: int) -> None:
    """Simulate a CRM into `folder`/data and write `folder`/leads.toml; only an empty folder or a demo is written to.

    The team can call about a fifth of the leads that come in: eighteen months, so 78 weeks.
    """
    from training.simulator.crm import SIMULATED_LABELS, simulate_crm, write_crm

    settings = folder / FILE_NAME
    first_line = _SETTINGS.splitlines()[0]
    if (
        folder.is_dir()
        and any(folder.iterdir())
        and not (settings.is_file() and settings.read_text(encoding="utf-8").startswith(first_line))
    ):
        raise SettingsError(
            f"{folder}: holds something that is no demo, and is not overwritten. Choose an empty folder."
        )

    write_crm(simulate_crm(n_leads, seed=seed), folder / "data")
    labels = "\n".join(
        f"{json.dumps(kind)} = {{ en = {json.dumps(en)}, ru = {json.dumps(ru, ensure_ascii=False)} }}"
        for kind, (en, ru) in SIMULATED_LABELS.items()
    )
    capacity = max(1, round(n_leads / 78 / 5))
    text = _SETTINGS.replace("<labels>", labels).replace("<capacity>", str(capacity))
    with write_atomically(folder / FILE_NAME) as temporary:
        temporary.write_text(text, encoding="utf-8")
