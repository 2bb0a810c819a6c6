"""Invented people, companies and messages of the simulated CRM.

Nobody real can be reached with these texts: company mail ends in `.example`, private mail carries a running number, and
phone numbers are E.164 in form but lie in ranges that no operator was given.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from training.simulator.words import (
    BUDGETS,
    CAMPAIGN_TOPICS,
    CHANNELS,
    COUNTRIES,
    CYRILLIC,
    INDUSTRIES,
    ROLES,
    Codes,
    Flags,
    Floats,
    as_moments,
    effects,
    pick,
    split_words,
    take,
)

__all__ = ["BUDGET_CUTS", "BUDGET_INTENT", "BUDGET_SIZE", "describe_accounts", "describe_leads"]

# What a lead says of its budget: cuts of 0.4 z + 0.2 ln(employees / 90) + N(0, 1).
BUDGET_INTENT, BUDGET_SIZE, BUDGET_CUTS = 0.4, 0.2, (-0.2, 0.7)

# "как пишется:how a mail address spells it"; a word alone is spelt as it is.
_MEN = split_words(
    "Александр:alexander Алексей:aleksey Андрей:andrey Антон:anton Арман:arman Данияр:daniyar Дмитрий:dmitry Иван:ivan "
    "Игорь:igor Максим:maxim Михаил:mikhail Никита:nikita Олег:oleg Павел:pavel Сергей:sergey Тимур:timur Фёдор:fedor"
)
_WOMEN = split_words(
    "Айгуль:aigul Алёна:alena Анастасия:anastasia Анна:anna Дарья:darya Екатерина:ekaterina Елена:elena Жанна:zhanna "
    "Ирина:irina Ксения:kseniya Мария:maria Наталья:natalya Ольга:olga Полина:polina София:sofia Юлия:yulia"
)
# All take -а for a woman, in both scripts.
_FAMILIES = split_words(
    "Абдуллин:abdullin Ахметов:akhmetov Баранов:baranov Белов:belov Васильев:vasilev Волков:volkov Громов:gromov "
    "Егоров:egorov Жуков:zhukov Зайцев:zaytsev Иванов:ivanov Ильин:ilin Исаев:isaev Козлов:kozlov Крылов:krylov "
    "Кузнецов:kuznetsov Лебедев:lebedev Макаров:makarov Морозов:morozov Новиков:novikov Нурланов:nurlanov Орлов:orlov "
    "Павлов:pavlov Петров:petrov Романов:romanov Сапаров:saparov Семёнов:semenov Смирнов:smirnov Соколов:sokolov "
    "Титов:titov Фролов:frolov"
)
_LATIN_NAMES = split_words(
    "Alice Amélie:amelie Anna Benjamin Camille Charlotte Claire Daniel David Emily Emma Felix François:francois Grace "
    "Hannah Henry Jack James Jonas Julia Jürgen:juergen Laura Lukas Marie Michael Olivia Oscar Paul Sophie"
)
_LATIN_FAMILIES = split_words(
    "Anderson Baker Bauer Becker Bernard Brown Carter Clark Davis Dubois Evans Fischer Garcia Green Harris Hoffmann "
    "Johnson Keller King Lambert Leroy Lewis Martin Meyer Miller Moreau Müller:mueller Parker Schmidt Scott Smith "
    "Taylor Wagner Walker Weber Wilson"
)
_STEMS = split_words(
    "Север:sever Юг:yug Вектор:vector Горизонт:gorizont Импульс:impuls Каскад:kaskad Контур:kontur Маяк:mayak "
    "Орион:orion Парус:parus Полюс:polus Рубин:rubin Сигма:sigma Союз:soyuz Спектр:spektr Старт:start"
)
_ENDS = split_words(
    "Агро:agro Инвест:invest Маркет:market Мед:med Проект:project Сервис:service Софт:soft Строй:stroy Тех:tech"
)
_LATIN_STEMS = split_words(
    "Acorn Apex Atlas Beacon Birch Cedar Cobalt Crown Delta Ember Falcon Granite Harbor Lumen North Oak Summit"
)
_LATIN_ENDS = split_words("Analytics Build Care Foods Freight Group Labs Logistics Partners Retail Systems Works")
_FREE_MAIL = ("@mail.ru", "@yandex.ru", "@gmail.com", "@outlook.com")
# Russian first; requests go from cold to hot, three a tier.
_OPENINGS = ("", "Добрый день! ", "Здравствуйте, ", "Коллеги, ", "", "Hello, ", "Hi there, ", "Good afternoon, ")
_REQUESTS = split_words(
    "просто смотрю, что есть на рынке.|пишу дипломную работу, нужны материалы.|пришлите общую информацию.|"
    "чем вы отличаетесь от других?|есть ли интеграция с 1С и Битрикс24?|хотим посмотреть демо.|"
    "нужно предложение на 40 рабочих мест.|готовы начать в этом месяце, пришлите договор.|сколько стоит внедрение?|"
    "just browsing what is out there.|I am writing a thesis and need material.|please send general information.|"
    "how do you differ from the others?|do you integrate with Salesforce and HubSpot?|we would like to see a demo.|"
    "please quote for 40 seats.|we are ready to start this month, send the contract.|what does a rollout cost?",
    mark="|",
)
_ENDINGS = ("", " Спасибо!", " Жду звонка.", " С уважением", "", " Thanks!", " Please call me.", " Best regards")
_SPAM = ("Продвижение сайтов, первые места за неделю!!!", "Cheap SEO, first page of results in a week!!!")


def write_numbers(n: int, *, prefix: str, width: int) -> pd.Series:
    """Write the text identifiers 1 to `n`, each `prefix` and `width` digits."""
    return prefix + pd.Series(np.arange(1, n + 1) + 10**width).astype("str").str.slice(1)


def _choose(rng: np.random.Generator, groups: Sequence[Sequence[str]], group: Codes) -> tuple[pd.Series, pd.Series]:
    """Draw a word from each row's group; return it as written and as a mail address spells it."""
    sizes = np.array([len(group) for group in groups])
    codes = (np.cumsum(sizes) - sizes)[group] + rng.integers(0, sizes[group])
    pairs = [word.partition(":") for words in groups for word in words]
    return pick([pair[0] for pair in pairs], codes), pick([pair[2] or pair[0].lower() for pair in pairs], codes)


def write_people(latent: pd.DataFrame, accounts: pd.DataFrame, *, rng: np.random.Generator) -> pd.DataFrame:
    """Write `contact_name` (Cyrillic or Latin by country), `email` (one in five private) and `phone`; copies share."""
    persons = latent.drop_duplicates("person").sort_values("person")
    n, country = len(persons), persons["country"].to_numpy()
    group = np.where(CYRILLIC[country], rng.integers(0, 2, n), 2)
    first, first_latin = _choose(rng, (_MEN, _WOMEN, _LATIN_NAMES), group)
    family, family_latin = _choose(rng, (_FAMILIES, _FAMILIES, _LATIN_FAMILIES), group)
    provider = pick(_FREE_MAIL, rng.integers(0, 2, n) + 2 * (group == 2))
    private = "." + pd.Series(np.arange(1, n + 1)).astype("str") + provider
    host = ("@" + take(accounts["domain"], persons["account"])).where(rng.random(n) < 0.8, private)
    size = 10.0 ** np.array([level.digits - 1 for level in COUNTRIES])[country]
    digits = pd.Series((size * (1 + 9 * rng.random(n))).astype(np.int64)).astype("str")
    people = pd.DataFrame({"contact_name": first + " " + family + pick(("", "а", ""), group)})
    people["email"] = first_latin + "." + family_latin + pick(("", "a", ""), group) + host
    people["phone"] = pick([level.phone for level in COUNTRIES], country) + digits
    return people.take(latent["person"].to_numpy()).reset_index(drop=True)


def write_messages(rng: np.random.Generator, country: Codes, *, intent: Floats, spam: Flags) -> pd.Series:
    """Write what each lead typed, a third of the time nothing; those of higher intent (z) ask hotter things."""
    n, latin = len(country), np.where(CYRILLIC[country], 0, 1)
    tier = np.digitize(0.35 * intent + rng.standard_normal(n), (-0.4, 0.5))
    opening = pick(_OPENINGS, rng.integers(0, 4, n) + 4 * latin)
    request = pick(_REQUESTS, 3 * tier + rng.integers(0, 3, n) + 9 * latin)
    text = opening + request + pick(_ENDINGS, rng.integers(0, 4, n) + 4 * latin)
    return text.mask(rng.random(n) < 0.33).mask(spam, pick(_SPAM, latin))


def describe_accounts(latent: pd.DataFrame, accounts: pd.DataFrame, *, rng: np.random.Generator) -> pd.DataFrame:
    """Write accounts.csv and, as a last column, the `domain`; an account is known before its first lead."""
    n, country, industry = len(accounts), accounts["country"].to_numpy(), accounts["industry"].to_numpy()
    latin = np.where(CYRILLIC[country], 0, 1)
    stem, stem_latin = _choose(rng, (_STEMS, _LATIN_STEMS), latin)
    end, end_latin = _choose(rng, (_ENDS, _LATIN_ENDS), latin)
    form, number = rng.integers(0, 3, n) + 3 * latin, pd.Series(np.arange(1, n + 1)).astype("str")
    start, tail = pick(("ООО «", "АО «", "ТД «", "", "", ""), form), pick(("»", "»", "»", " Ltd", " Inc", " Co"), form)
    first = latent.groupby("account")["created"].min().to_numpy(np.int64)
    worth = np.exp(rng.normal(np.log(60), 0.7, n)) * (1 + effects(INDUSTRIES)[industry])
    return pd.DataFrame(
        {
            "account_id": write_numbers(n, prefix="A", width=6),
            "company_name": start + stem + pick(("", " "), latin) + end + " " + number + tail,
            "industry": pick([level.name for level in INDUSTRIES], industry),
            "employees": accounts["employees"],
            "annual_revenue": (accounts["employees"] * worth).astype(np.int64) * 1000,
            "region": _choose(rng, [level.regions for level in COUNTRIES], country)[0],
            "valid_from": as_moments(first - 3_600 - rng.exponential(400 * 86_400, n).astype(np.int64)),
            "domain": stem_latin + end_latin + number + ".example",
        }
    )


def describe_leads(latent: pd.DataFrame, accounts: pd.DataFrame, *, rng: np.random.Generator) -> pd.DataFrame:
    """Write leads.csv; each column follows the latent ones it names, with noise, and never the outcome."""
    n, country, spam = len(latent), latent["country"].to_numpy(), latent["spam"].to_numpy()
    intent, employees, channel = latent["intent"], latent["employees"], latent["channel"].to_numpy()
    guess = employees * np.exp(0.35 * rng.standard_normal(n))
    rounding = 10 ** np.maximum(np.floor(np.log10(guess)) - 1, 0)
    money = BUDGET_INTENT * intent + BUDGET_SIZE * np.log(employees / 90) + rng.standard_normal(n)
    campaigns = [f"{level.name}_{topic}" for level in CHANNELS for topic in CAMPAIGN_TOPICS]
    return pd.DataFrame(
        {
            "lead_id": write_numbers(n, prefix="L", width=7),
            "created_at": as_moments(latent["created"].to_numpy()),
            "account_id": take(accounts["account_id"], latent["account"]),
            **write_people(latent, accounts, rng=rng),
            "channel": pick([level.name for level in CHANNELS], channel),
            "campaign": pick(campaigns, channel * len(CAMPAIGN_TOPICS) + latent["topic"].to_numpy()),
            "country": pick([level.name for level in COUNTRIES], country),
            "role": pick([level.name for level in ROLES], latent["role"].to_numpy()),
            "company_size_answer": (np.ceil(guess / rounding) * rounding).astype("Int64").mask(rng.random(n) < 0.25),
            "budget_answer": pick(BUDGETS, np.digitize(money, BUDGET_CUTS)).mask(rng.random(n) < 0.45),
            "message": write_messages(rng, country, intent=intent.to_numpy(), spam=spam),
            "spam_check": pick(("passed", "failed"), (spam & (rng.random(n) < 0.9)).astype(np.int64)),
            "present_customer": pick(("no", "yes"), latent["customer"].to_numpy().astype(np.int64)),
        }
    )
