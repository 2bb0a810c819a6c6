"""Hygiene before labels: who is set apart before anything is learnt, and what stands in for the people's names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from features.duplicates import find_duplicates, group_leads
from features.identity import company_sql, fact_sql, identity_headers, read_identity
from features.tables import Attribute, quote

if TYPE_CHECKING:
    import duckdb

    from project.settings import Settings

__all__ = ["set_apart_leads"]

_TEST_WORDS = (
    "'test', 'tests', 'testing', 'тест', 'тестовый', 'тестовая', 'тестирование', 'asdf', 'qwerty', 'йцукен', 'фыва'"
)
_COMPANY_WORDS = f"{_TEST_WORDS}, 'company', 'компания', 'организация', 'lead', 'лид', 'client', 'клиент', '1', '123'"
_TEST_DOMAIN = r"(.*\.)?(example|test)\.[^.]+"
# nothing but one digit, or a country code and then zeros or 1234567…
_TEST_PHONE = r"\+?(0+|1+|2+|3+|4+|5+|6+|7+|8+|9+|[0-9]{0,4}0{6,}|[0-9]{0,2}1234567(8|89|890)?|123456)"


def set_apart_leads(connection: duckdb.DuckDBPyConnection, settings: Settings, attributes: Sequence[Attribute]) -> None:
    """Give `leads` its `flag`, its `group_id` and the attributes derived from identity; forget identity itself.

    A flag follows from the lead itself and from leads that came in before it, so that scoring finds what training
    found. Makes the tables `set_apart` (`lead_id`, `flag`, `evidence`) and `duplicates` (`lead_id`, `survivor_id`,
    `since`, `evidence`); neither holds a name, an address or a phone.

    Raises
    ------
    SettingsError
        A column of identity is declared as a feature, or the phone region is unknown.
    """
    if not identity_headers(settings):
        connection.execute(
            "CREATE TABLE duplicates (lead_id VARCHAR, survivor_id VARCHAR, since TIMESTAMP, evidence VARCHAR)"
        )
        connection.execute("CREATE TABLE set_apart (lead_id VARCHAR, flag VARCHAR, evidence VARCHAR)")
        return
    read_identity(connection, settings)
    find_duplicates(connection, within=settings.hygiene.duplicates_within)
    group_leads(connection)
    if not settings.hygiene.duplicates:
        connection.execute("DELETE FROM duplicates")
    _list_flags(connection, settings)
    facts = fact_sql(settings, attributes)
    derived = "".join(f", {facts[entry.header]} AS {entry.column}" for entry in attributes if entry.header in facts)
    connection.execute(
        f"""CREATE OR REPLACE TABLE leads AS
        SELECT leads.* REPLACE (groups.group_id AS group_id, set_apart.flag AS flag){derived}
        FROM leads JOIN identity ON identity.lead_id = leads.lead_id JOIN groups ON groups.lead_id = leads.lead_id
        LEFT JOIN set_apart ON set_apart.lead_id = leads.lead_id ORDER BY leads.position"""
    )
    for table in ("identity", "keys", "groups"):
        connection.execute(f"DROP TABLE {table}")


def _list_flags(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Make `set_apart`: one flag a lead, the first that fits of duplicate, test record and competitor."""
    cases = []
    if settings.hygiene.test_records:
        cases += [
            (f"len(list_intersect(string_split(name, ' '), [{_TEST_WORDS}])) > 0", "test record", "the name says so"),
            (
                f"len(list_filter(string_split(company, ' '), lambda word: word NOT IN ({_COMPANY_WORDS}))) = 0 "
                f"AND len(list_intersect(string_split(company, ' '), [{_TEST_WORDS}])) > 0",
                "test record",
                "the company's name says so",
            ),
            (f"regexp_full_match(domain, {quote(_TEST_DOMAIN)})", "test record", "a mail domain kept for tests"),
            (f"regexp_full_match(phone_text, {quote(_TEST_PHONE)})", "test record", "a made-up phone"),
        ]
    for competitor in settings.hygiene.competitors:
        name = competitor.strip().lower().lstrip("@")
        address = f"(domain = {quote(name)} OR ends_with(domain, {quote('.' + name)}))"
        company = f"company = {company_sql(quote(competitor))}"
        cases.append((f"{address} OR {company}", "competitor", f"mail domain or company of {competitor.strip()}"))
    flags = "".join(f" WHEN {condition} THEN {quote(flag)}" for condition, flag, _ in cases)
    evidence = "".join(f" WHEN {condition} THEN {quote(why)}" for condition, _, why in cases)
    connection.execute(
        f"""CREATE TABLE set_apart AS SELECT lead_id,
            CASE WHEN survivor_id IS NOT NULL THEN 'duplicate of ' || survivor_id{flags} END AS flag,
            CASE WHEN survivor_id IS NOT NULL THEN evidence{evidence} END AS evidence
        FROM identity LEFT JOIN duplicates USING (lead_id) WHERE flag IS NOT NULL ORDER BY arrival"""
    )
