"""What the simulated CRM shows: its vocabulary (levels, shares, effects), its week, and the texts people would type.

Nobody real can be reached with these texts: company mail ends in `.example`, private mail carries a running number, and
phone numbers are E.164 in form but lie in ranges that no operator was given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]


class Level(NamedTuple):
    """One level of a category: its share of the rows, and its effect on the log-odds to buy."""

    name: str | None
    share: float
    effect: float


class Country(NamedTuple):
    """Name, share, effect, hours from UTC, telephone prefix and how many digits follow it, script, regions."""

    name: str
    share: float
    effect: float
    utc_offset: int
    phone: str
    digits: int
    cyrillic: bool
    regions: tuple[str, ...]


class Kind(NamedTuple):
    """A kind of event: its rate per day at age 0 in an average hour for the mean lead, β of its exp(β z), its labels.

    `before` tells whether it happens before creation; `value` is the median of its measure (0: it has none).
    """

    name: str
    rate: float
    intent: float
    labels: tuple[str, str]
    mail: bool = False
    before: bool = False
    value: float = 0.0


Levels = Sequence[Level | Country]


def _levels(text: str) -> tuple[Level, ...]:
    """Read "name share effect; …" as levels; the name "-" is a blank cell."""
    rows = (row.split() for row in text.split(";"))
    return tuple(Level(None if name == "-" else name, float(share), float(effect)) for name, share, effect in rows)


def _words(text: str, *, mark: str = " ") -> tuple[str, ...]:
    return tuple(text.split(mark))


CHANNELS = _levels(
    "organic .24 .10; paid_search .17 -.10; yandex_direct .18 -.40; webinar .08 .25; partner .08 .70; referral .06 1.1;"
    "outbound .10 -.60; social .09 -1.0"
)
# The first topic of a channel runs all the time; the others are born and die.
CAMPAIGN_TOPICS = _words("always_on brand calculator case_studies comparison conference free_trial season_offer")
INDUSTRIES = _levels(
    "software .15 .50; manufacturing .15 .20; retail .14 -.15; construction .11 -.25; logistics .10 .30;"
    "finance .08 .40; healthcare .08 0; education .08 -.60; agriculture .06 -.35; public_sector .05 -.80"
)
ROLES = _levels("owner .14 .55; director .17 .50; manager .27 .10; specialist .20 -.30; student .06 -1.8; - .16 -.20")
LOST_REASONS = _levels("no_budget .27 0; no_need .25 0; bad_timing .16 0; unreachable .20 0; competitor .12 0")
BUDGETS = ("<5k", "5-20k", ">20k")
COUNTRIES = (
    Country("RU", 0.52, 0.00, 3, "+71", 9, True, ("Москва", "Санкт-Петербург", "Урал", "Сибирь", "Поволжье", "Юг")),
    Country("KZ", 0.12, 0.10, 5, "+70", 9, True, ("Алматы", "Астана", "Караганда")),
    Country("BY", 0.08, 0.05, 3, "+37510", 7, True, ("Минск", "Гомель", "Брест")),
    Country("DE", 0.09, -0.10, 1, "+4910", 8, False, ("Bayern", "Berlin", "Hessen")),
    Country("GB", 0.07, -0.15, 0, "+446", 9, False, ("London", "Midlands", "Scotland")),
    Country("US", 0.08, -0.25, -5, "+11", 9, False, ("California", "New York", "Texas")),
    Country("FR", 0.04, -0.10, 1, "+330", 8, False, ("Occitanie", "Paris", "Rhône")),
)
FITS: dict[str, Levels] = {"channel": CHANNELS, "industry": INDUSTRIES, "role": ROLES, "country": COUNTRIES}
# Webinars suit software: the two codes, and what the pair adds.
PAIR = (3, 0, 0.7)
CYRILLIC = np.array([country.cyrillic for country in COUNTRIES])
KINDS = (
    Kind("page_view", 0.22, 0.65, ("Page views", "Просмотры страниц"), before=True),
    Kind("pricing_view", 0.055, 1.0, ("Pricing page views", "Просмотры страниц с ценами"), before=True, value=40.0),
    Kind("email_open", 0.125, 0.5, ("E-mails opened", "Открытые письма"), mail=True),
    Kind("email_click", 0.03, 0.8, ("Clicks in e-mails", "Переходы из писем"), mail=True),
    Kind("form_submit", 0.014, 0.9, ("Forms sent", "Отправленные формы")),
    Kind("webinar", 0.01, 0.6, ("Webinars attended", "Посещённые вебинары"), before=True, value=32.0),
    Kind("download", 0.02, 0.6, ("Downloads", "Скачанные материалы"), before=True),
    Kind("chat", 0.014, 0.9, ("Chats", "Обращения в чат")),
)
TOUCH_KINDS = (
    Kind("call", 0.07, 0.25, ("Calls", "Звонки")),
    Kind("mail", 0.08, 0.15, ("Mails", "Письма")),
    Kind("meeting", 0.012, 0.5, ("Meetings", "Встречи")),
)
# Monday 00:00 to Sunday 23:00, local; nine to six on weekdays is the busiest.
_DAY = np.select([np.arange(24) < 7, np.arange(24) < 9, np.arange(24) < 18], [0.06, 0.35, 1.0], 0.35)
WEEK = np.concatenate([_DAY] * 5 + [0.3 * _DAY] * 2)
SIMULATED_LABELS: dict[str, tuple[str, str]] = {kind.name: kind.labels for kind in KINDS}

# "как пишется:how a mail address spells it"; a word alone is spelt as it is.
_MEN = _words(
    "Александр:alexander Алексей:aleksey Андрей:andrey Антон:anton Арман:arman Данияр:daniyar Дмитрий:dmitry Иван:ivan "
    "Игорь:igor Максим:maxim Михаил:mikhail Никита:nikita Олег:oleg Павел:pavel Сергей:sergey Тимур:timur Фёдор:fedor"
)
_WOMEN = _words(
    "Айгуль:aigul Алёна:alena Анастасия:anastasia Анна:anna Дарья:darya Екатерина:ekaterina Елена:elena Жанна:zhanna "
    "Ирина:irina Ксения:kseniya Мария:maria Наталья:natalya Ольга:olga Полина:polina София:sofia Юлия:yulia"
)
# All take -а for a woman, in both scripts.
_FAMILIES = _words(
    "Абдуллин:abdullin Ахметов:akhmetov Баранов:baranov Белов:belov Васильев:vasilev Волков:volkov Громов:gromov "
    "Егоров:egorov Жуков:zhukov Зайцев:zaytsev Иванов:ivanov Ильин:ilin Исаев:isaev Козлов:kozlov Крылов:krylov "
    "Кузнецов:kuznetsov Лебедев:lebedev Макаров:makarov Морозов:morozov Новиков:novikov Нурланов:nurlanov Орлов:orlov "
    "Павлов:pavlov Петров:petrov Романов:romanov Сапаров:saparov Семёнов:semenov Смирнов:smirnov Соколов:sokolov "
    "Титов:titov Фролов:frolov"
)
_LATIN_NAMES = _words(
    "Alice Amélie:amelie Anna Benjamin Camille Charlotte Claire Daniel David Emily Emma Felix François:francois Grace "
    "Hannah Henry Jack James Jonas Julia Jürgen:juergen Laura Lukas Marie Michael Olivia Oscar Paul Sophie"
)
_LATIN_FAMILIES = _words(
    "Anderson Baker Bauer Becker Bernard Brown Carter Clark Davis Dubois Evans Fischer Garcia Green Harris Hoffmann "
    "Johnson Keller King Lambert Leroy Lewis Martin Meyer Miller Moreau Müller:mueller Parker Schmidt Scott Smith "
    "Taylor Wagner Walker Weber Wilson"
)
_STEMS = _words(
    "Север:sever Юг:yug Вектор:vector Горизонт:gorizont Импульс:impuls Каскад:kaskad Контур:kontur Маяк:mayak "
    "Орион:orion Парус:parus Полюс:polus Рубин:rubin Сигма:sigma Союз:soyuz Спектр:spektr Старт:start"
)
_ENDS = _words(
    "Агро:agro Инвест:invest Маркет:market Мед:med Проект:project Сервис:service Софт:soft Строй:stroy Тех:tech"
)
_LATIN_STEMS = _words(
    "Acorn Apex Atlas Beacon Birch Cedar Cobalt Crown Delta Ember Falcon Granite Harbor Lumen North Oak Summit"
)
_LATIN_ENDS = _words("Analytics Build Care Foods Freight Group Labs Logistics Partners Retail Systems Works")
_FREE_MAIL = ("@mail.ru", "@yandex.ru", "@gmail.com", "@outlook.com")
# Russian first; requests go from cold to hot, three a tier.
_OPENINGS = ("", "Добрый день! ", "Здравствуйте, ", "Коллеги, ", "", "Hello, ", "Hi there, ", "Good afternoon, ")
_REQUESTS = _words(
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


def draw(rng: np.random.Generator, levels: Levels, n: int) -> Codes:
    """Draw `n` codes of levels by their shares."""
    shares = np.array([level.share for level in levels])
    return rng.choice(len(levels), n, p=shares / shares.sum())


def choose_topics(rng: np.random.Generator, channel: Codes, *, share: Floats) -> Codes:
    """Choose a campaign of each lead's channel among those that run at its `share` (0 to 1) of the span."""
    size = len(CHANNELS), len(CAMPAIGN_TOPICS)
    birth, life, liked = rng.uniform(-0.4, 0.8, size), 0.15 + rng.exponential(0.4, size), rng.exponential(1, size)
    birth[:, 0], life[:, 0] = -1, 3
    running = (birth[channel] <= share[:, None]) & (share[:, None] < (birth + life)[channel])
    edges = np.cumsum(running * liked[channel], axis=1)
    return np.asarray((rng.random((len(channel), 1)) * edges[:, -1:] >= edges).sum(axis=1), dtype=np.int64)


def effects(levels: Levels) -> Floats:
    """Return the effect of each level (logits)."""
    return np.array([level.effect for level in levels])


def pick(words: Sequence[str | None], codes: Codes) -> pd.Series:
    """Return `words[code]` for each code as a text column; None becomes missing."""
    return pd.Series(pd.array(list(words), dtype="str").take(codes))


def take(column: pd.Series, codes: Codes | pd.Series) -> pd.Series:
    """Return `column[code]` for each code, numbered anew."""
    return column.take(np.asarray(codes)).reset_index(drop=True)


def as_moments(seconds: Codes) -> pd.DatetimeIndex:
    """Turn seconds since 1970 into UTC times."""
    return pd.DatetimeIndex(seconds.astype("datetime64[s]").astype("datetime64[us]")).tz_localize("UTC")


def busyness(seconds: Codes, utc_offset: Codes | int) -> Floats:
    """Return how busy that hour of the local week is, from 0 to 1."""
    # 1970 began on a Thursday.
    return np.asarray(WEEK[(seconds // 3_600 + utc_offset + 72) % 168], dtype=np.float64)


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
    money = 0.4 * intent + 0.2 * np.log(employees / 90) + rng.standard_normal(n)
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
            "budget_answer": pick(BUDGETS, np.digitize(money, (-0.2, 0.7))).mask(rng.random(n) < 0.45),
            "message": write_messages(rng, country, intent=intent.to_numpy(), spam=spam),
            "spam_check": pick(("passed", "failed"), (spam & (rng.random(n) < 0.9)).astype(np.int64)),
            "present_customer": pick(("no", "yes"), latent["customer"].to_numpy().astype(np.int64)),
        }
    )
