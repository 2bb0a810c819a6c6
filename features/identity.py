"""Who a lead is, in forms that can be compared, and the facts that may be learnt from it without naming anybody.

The table `identity` lives while the tables are read and is dropped before anything else sees them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal

from features.phones import read_phones
from features.tables import quote
from project.errors import SettingsError
from project.source_settings import IdentitySettings, Label

if TYPE_CHECKING:
    import duckdb

    from features.tables import Attribute
    from project.settings import Settings

__all__ = [
    "FACT_LABELS",
    "FACT_LEVELS_RU",
    "FREE_MAIL_DOMAINS",
    "company_sql",
    "email_sql",
    "fact_columns",
    "fact_sql",
    "identity_headers",
    "name_sql",
    "read_identity",
]

FREE_MAIL, COMPANY_MAIL, COUNTRY, FILLED = "email: free domain", "email: company domain", "phone: country", "filled in"
FACT_LABELS: Mapping[str, Label] = {
    FREE_MAIL: Label(en="Private e-mail (free provider)", ru="Личная почта (бесплатный сервис)"),
    COMPANY_MAIL: Label(en="E-mail with a company's domain", ru="Почта на домене компании"),
    COUNTRY: Label(en="Country of the phone", ru="Страна телефона"),
    FILLED: Label(en="Fields filled in", ru="Заполнено полей"),
}
FACT_LEVELS_RU: Mapping[str, Mapping[str, str]] = {
    FREE_MAIL: {"yes": "да", "no": "нет"},
    COMPANY_MAIL: {"yes": "да", "no": "нет"},
}
_FREE_MAIL = """
    126.com 163.com aol.com bigmir.net bk.ru fastmail.com free.fr gmail.com gmx.at gmx.ch gmx.com gmx.de gmx.net
    googlemail.com hey.com hotmail.co.uk hotmail.com hotmail.de hotmail.fr i.ua icloud.com inbox.lv inbox.ru internet.ru
    laposte.net libero.it list.ru live.com live.ru lycos.com mac.com mail.com mail.kz mail.ru mail.ua me.com meta.ua
    msn.com naver.com narod.ru nm.ru o2.pl orange.fr outlook.com outlook.de outlook.fr pochta.ru proton.me
    protonmail.com qip.ru qq.com rambler.ru seznam.cz t-online.de tut.by tutanota.com ukr.net virgilio.it vk.com
    wanadoo.fr web.de wp.pl xmail.ru ya.ru yahoo.co.in yahoo.co.uk yahoo.com yahoo.de yahoo.fr yandex.by yandex.com
    yandex.kz yandex.ru yandex.ua ymail.com zoho.com
"""
FREE_MAIL_DOMAINS = frozenset(_FREE_MAIL.split())
_FORMS = """
    ооо оао зао пао нао ао ип тоо чп одо уп куп чуп гуп муп фгуп ано тд ooo oao zao pao
    ab ag aps as asa bv co company corp corporation gmbh inc incorporated kft kg kgaa limited llc llp ltd mbh nv ohg oy
    oyj plc pte pty sa sarl sas se sia spa spzoo srl sro ug uab
"""
_LEGAL_PHRASES = (
    "общество с ограниченной ответственностью|товарищество с ограниченной ответственностью|"
    "(публичное |открытое |закрытое |непубличное )?акционерное общество|индивидуальный предприниматель|sp z oo"
)


def identity_headers(settings: Settings) -> dict[str, str]:
    """Return the declared columns of identity: `email`, `phone`, `name`, `company` → header.

    Raises
    ------
    SettingsError
        One of them is declared as a feature as well, or a column has a name that is kept for derived facts.
    """
    identity = settings.leads.identity
    found = {
        part: header
        for part in ("email", "phone", "name", "company")
        if (header := getattr(identity, part)) is not None
    }
    learnt = [header for header in found.values() if settings.leads.columns.get(header, "rule") != "rule"]
    if learnt:
        raise SettingsError(
            f"leads.identity and leads.columns both name {', '.join(map(repr, learnt))}: who somebody is cannot be "
            'learnt from. Take it out of leads.columns, or declare it "rule" there.'
        )
    taken = sorted(set(settings.leads.columns) & set(FACT_LABELS)) if found else []
    if taken:
        raise SettingsError(
            f"leads.columns names {taken[0]!r}, which is kept for a fact derived from leads.identity. "
            "Rename the column."
        )
    return found


def fact_columns(settings: Settings) -> dict[str, Literal["number", "category"]]:
    """Return the derived facts that the declared identity allows, header → kind."""
    identity: IdentitySettings = settings.leads.identity
    facts: dict[str, Literal["number", "category"]] = {}
    if identity.email is not None:
        facts |= {FREE_MAIL: "category", COMPANY_MAIL: "category"}
    if identity.phone is not None:
        facts[COUNTRY] = "category"
    if identity_headers(settings) and any(kind != "rule" for kind in settings.leads.columns.values()):
        facts[FILLED] = "number"
    return facts


def fact_sql(settings: Settings, attributes: Iterable[Attribute]) -> dict[str, str]:
    """Return for each derived fact its SQL over `leads` and `identity`."""
    free = ", ".join(
        quote(domain) for domain in sorted({*FREE_MAIL_DOMAINS, *_lower(settings.hygiene.free_mail_domains)})
    )
    declared = [entry.column for entry in attributes if entry.kind != "rule" and entry.header in settings.leads.columns]
    filled = " + ".join(f"CASE WHEN leads.{column} IS NULL THEN 0 ELSE 1 END" for column in declared) or "0"
    return {
        FREE_MAIL: f"CASE WHEN has_email THEN CASE WHEN domain IN ({free}) THEN 'yes' ELSE 'no' END END",
        COMPANY_MAIL: f"CASE WHEN domain IS NOT NULL AND domain NOT IN ({free}) THEN 'yes' ELSE 'no' END",
        COUNTRY: "country",
        FILLED: f"CAST({filled} AS DOUBLE)",
    }


def _lower(texts: Iterable[str]) -> list[str]:
    return [text.strip().lower() for text in texts]


def read_identity(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Make `identity` out of `leads` and `typed_leads`: one row a lead, in the order they came in.

    Columns: `arrival` (0, 1, … by `created_at`, then by place in the source), `lead_id`, `created_at`, `account_id`,
    `has_email`, `email`, `domain`, `phone`, `country`, `company`, `name` (each null if absent or unreadable), and
    `phone_text` (what stood there, without blanks).
    """
    there = identity_headers(settings)

    def cell(part: str) -> str:
        return f"typed.identity_{part}" if part in there else "CAST(NULL AS VARCHAR)"

    asked = "SELECT identity_phone FROM typed_leads" if "phone" in there else "SELECT CAST(NULL AS VARCHAR)"
    read_phones(connection, asked, region=settings.leads.identity.phone_region)
    connection.execute(
        f"""CREATE TABLE identity AS SELECT
            row_number() OVER (ORDER BY leads.created_at, leads.position) - 1 AS arrival, leads.lead_id,
            leads.created_at, leads.account_id, {cell("email")} IS NOT NULL AS has_email,
            {email_sql(cell("email"))} AS email, split_part({email_sql(cell("email"))}, '@', 2) AS domain,
            phones.phone, phones.country, {company_sql(cell("company"))} AS company, {name_sql(cell("name"))} AS name,
            regexp_replace({cell("phone")}, '[^0-9+]', '', 'g') AS phone_text
        FROM leads JOIN typed_leads typed ON typed.lead_id = leads.lead_id AND typed.reason_aside IS NULL
        LEFT JOIN phones ON phones.text = {cell("phone")}
        ORDER BY arrival"""
    )
    connection.execute("DROP TABLE phones")


def email_sql(text: str) -> str:
    """Write the SQL of an address in one form: small letters, no tag after +; null if it is none."""
    plain = f"regexp_replace(lower(trim({text})), '^mailto:', '')"
    return (
        f"CASE WHEN regexp_full_match({plain}, '[^@\\s+][^@\\s]*@[^@\\s]+\\.[^@\\s.]+') "
        f"THEN regexp_replace({plain}, '\\+[^@]*@', '@') END"
    )


def company_sql(text: str) -> str:
    """Write the SQL of a company's name without case, quotes, punctuation and legal form; null if nothing is left."""
    words = f"string_split(trim(regexp_replace({_letters(text)}, '(^| )({_LEGAL_PHRASES})( |$)', ' ', 'g')), ' ')"
    forms = ", ".join(map(quote, sorted(_FORMS.split())))
    return f"nullif(array_to_string(list_filter({words}, lambda word: word NOT IN ({forms})), ' '), '')"


def name_sql(text: str) -> str:
    """Write the SQL of a person's name, its words in the order of the alphabet; null if it is empty."""
    return f"nullif(array_to_string(list_sort(string_split(trim({_letters(text)}), ' ')), ' '), '')"


def _letters(text: str) -> str:
    small = f"replace(lower(nfc_normalize({text})), 'ё', 'е')"
    return f"regexp_replace(regexp_replace({small}, '[.''’`]', '', 'g'), '[^\\p{{L}}\\p{{N}}]+', ' ', 'g')"
