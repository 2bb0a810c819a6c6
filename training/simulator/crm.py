"""A believable B2B CRM of any size, and the true probability behind every lead of it.

A lead has a latent intent z, partly its account's. Its log-odds to buy ever are η = b + s (z + what its columns say) +
season + drift, with s = 1 unless asked for; what follows from η, and the truth, is in `training.simulator.truth`.
Events, touches and stages on the way follow z, never the outcome, until the lead closes.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit

from project.errors import SettingsError
from project.files import write_atomically
from training.simulator import people as people
from training.simulator import words as words
from training.simulator.truth import LOSS_SIGMA, WIN_SIGMA, LeadTruth, decide_truth, neglect_leads, shuffle_truth
from training.simulator.words import SIMULATED_LABELS, Codes, Floats, Kind

__all__ = ["SIMULATED_LABELS", "LeadTruth", "SimulatedCrm", "simulate_crm", "write_crm"]

_DAY = 86_400
_NEVER_DAYS = 36_500.0


@dataclass(frozen=True)
class SimulatedCrm:
    """A simulated CRM as it stood at `end`: UTC to the second, a blank is missing; `truth` is for tests, never written.

    leads: `lead_id`, `created_at`, `account_id`, `contact_name`, `email`, `phone`, `channel`, `campaign`, `country`,
    `role`, `company_size_answer` (people), `budget_answer`, `message`, `spam_check`, `present_customer`; by creation.
    events: `lead_id`, `occurred_at`, `kind`, `value` (pricing_view: seconds, webinar: minutes), `recorded_at`; by time.
    stages: `lead_id`, `stage` (new, contacted, qualified, won, lost), `changed_at`, `reason` (if lost); by time.
    accounts: `account_id`, `company_name`, `industry`, `employees`, `annual_revenue` (US dollars), `region`,
    `valid_from` (before its first lead).
    touches: `lead_id`, `occurred_at`, `kind` (call, mail, meeting), `outcome` (reached, no_answer); by time.
    """

    leads: pd.DataFrame
    events: pd.DataFrame
    stages: pd.DataFrame
    accounts: pd.DataFrame
    touches: pd.DataFrame
    truth: LeadTruth


def simulate_crm(
    n_leads: int,
    *,
    seed: int,
    months: int = 18,
    end: datetime = datetime(2026, 1, 1, tzinfo=UTC),
    drift: float = -0.4,
    base_rate: float = 0.10,
    season: float = 0.12,
    new_campaigns: bool = True,
    signal: float = 1.0,
    shuffle_outcomes: bool = False,
    worked_share: float | None = None,
    exploration: float = 0.05,
    shock: float = 0.0,
    shock_from: float = 0.5,
) -> SimulatedCrm:
    """Simulate `n_leads` (100 or more) that came in during `months` before `end`; same arguments, same tables.

    `drift` is what the log-odds gain over that span; `base_rate` the mean probability, over all leads and junk too, to
    buy within 60 days of creation. Nothing is dated `end` (UTC if it has no zone) or later. The other arguments, at
    their defaults, change nothing; a world that stands still has `drift=0, season=0, new_campaigns=False`.

    Parameters
    ----------
    season
        Amplitude (log-odds) of a wave of half a year, which moves the base rate.
    new_campaigns
        Whether campaigns are born and die; if not, all run all the time.
    signal
        How strongly what distinguishes leads moves their log-odds: 0 leaves them alike but for drift, junk and delays.
    shuffle_outcomes
        Deal the fates out to other leads at random, junk or not: no column, event or date tells anything then, but how
        long a lead has been open still does. `truth` speaks of the fates as dealt.
    worked_share, exploration
        With a share, sales works the leads that an older score ranks highest, and of the others that many by chance.
        The rest is neglected, which takes 1 from their log-odds; `leads` then holds `worked` and `propensity`, and
        `truth` speaks of every lead as if it were worked.
    shock, shock_from
        What log-odds gain at once for leads that come in after this share of the span.
    """
    if n_leads < 100 or months < 1 or not 0 < base_rate <= 0.8 or min(season, signal) < 0:
        raise SettingsError(
            "A simulation needs n_leads >= 100, months >= 1, 0 < base_rate <= 0.8, season >= 0 and signal >= 0. "
            "Change these."
        )
    last = pd.Timestamp(end).tz_localize("UTC") if end.tzinfo is None else pd.Timestamp(end).tz_convert("UTC")
    span = int((last - pd.DateOffset(months=months)).timestamp()), int(last.timestamp())
    rngs = np.random.default_rng(seed).spawn(6)
    firms = _draw_firms(int(n_leads / 1.25), rng=rngs[0])
    latent = _draw_latents(firms, n_leads, span=span, new_campaigns=new_campaigns, rng=rngs[1])
    accounts = people.describe_accounts(latent, firms, rng=rngs[2])
    leads = people.describe_leads(latent, accounts, rng=rngs[2])
    score = _score(latent, drift=drift, season=season, signal=signal, rng=rngs[1])
    score = score + shock * (latent["share"].to_numpy() >= shock_from)
    truth = decide_truth(latent, leads["lead_id"], score=score, base_rate=base_rate, signal=signal)
    if shuffle_outcomes:
        truth, dealt = shuffle_truth(truth, seed=seed)
        latent = latent.assign(spam=latent["spam"].to_numpy()[dealt], duplicate=latent["duplicate"].to_numpy()[dealt])
    fates = truth
    if worked_share is not None:
        told = score - signal * latent["intent"].to_numpy()
        leads, fates = neglect_leads(
            leads, truth, told, share=worked_share, exploration=exploration, rng=np.random.default_rng([seed, 2])
        )
    lives = _close(latent.assign(lead_id=leads["lead_id"]), fates, end=span[1], rng=rngs[3])
    events = _draw_events(words.KINDS, lives, rng=rngs[4])
    touches = _draw_events(words.TOUCH_KINDS, lives, rng=rngs[5]).drop(columns=["value", "recorded_at"])
    touches["outcome"] = words.pick(("reached", "no_answer"), rngs[5].integers(0, 2, len(touches)))
    stages = _draw_stages(lives, end=span[1], rng=rngs[5])
    return SimulatedCrm(leads, events, stages, accounts.drop(columns="domain"), touches, truth)


def write_crm(crm: SimulatedCrm, folder: Path) -> dict[str, Path]:
    """Write leads.csv, events.csv.gz, stages.csv, accounts.csv and touches.csv, never the truth; return their paths.

    UTF-8, times like 2025-03-01T09:30:00Z, a missing cell is empty; equal tables are equal bytes.
    """
    written = {}
    for table in (field.name for field in fields(crm) if field.name != "truth"):
        written[table] = folder / f"{table}.csv{'.gz' if table == 'events' else ''}"
        with write_atomically(written[table]) as path:
            _write_csv(getattr(crm, table), path)
    return written


def _write_csv(frame: pd.DataFrame, path: Path) -> None:
    import pyarrow as pa
    from pyarrow import compute, csv

    naive = {str(name): frame[name].dt.tz_convert(None) for name in frame.select_dtypes("datetimetz")}
    table = pa.Table.from_pandas(frame.assign(**naive), preserve_index=False)
    for column in naive:
        text = compute.strftime(table.column(column).cast(pa.timestamp("s")), format="%Y-%m-%dT%H:%M:%SZ")
        table = table.set_column(table.schema.get_field_index(column), column, text)
    # Without a name and a time in its header, a gzip file depends on its content alone.
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 4, raw, 0) if path.suffix == ".gz" else raw as file:
        csv.write_csv(table, file, csv.WriteOptions(batch_size=65_536))


def _draw_firms(n: int, *, rng: np.random.Generator) -> pd.DataFrame:
    """Draw per account `country` and `industry` (codes), `employees`, `intent` (N(0, 1)), `customer` (2 %)."""
    firms = pd.DataFrame({"country": words.draw(rng, words.COUNTRIES, n)})
    firms["industry"] = words.draw(rng, words.INDUSTRIES, n)
    firms["employees"] = np.clip(np.exp(rng.normal(np.log(90), 1.5, n)), 2, 60_000).astype(np.int64)
    firms["intent"], firms["customer"] = rng.standard_normal(n), rng.random(n) < 0.02
    return firms


def _arrive(n: int, *, span: tuple[int, int], rng: np.random.Generator) -> Codes:
    """Draw times (s) after Moscow's clock, half more often at the end of the span and a third more in winter."""
    hours = np.arange(-(-span[0] // 3_600), span[1] // 3_600) * 3_600
    growth = 1 + 0.5 * (hours - span[0]) / (span[1] - span[0])
    weight = growth * (1 + 0.15 * np.cos(2 * np.pi * hours / (365.25 * _DAY))) * (0.1 + words.busyness(hours, 3))
    return rng.choice(hours, n, p=weight / weight.sum()) + rng.integers(0, 3_600, n)


def _draw_latents(
    firms: pd.DataFrame, n: int, *, span: tuple[int, int], new_campaigns: bool, rng: np.random.Generator
) -> pd.DataFrame:
    """Draw a row per lead, by creation: its firm's columns, `created` (s), `share` of the span, codes and flags."""
    copies = round(0.02 * n)
    people, liked = n - copies, firms["employees"].to_numpy() ** 0.25
    more = rng.choice(len(firms), people - len(firms), p=liked / liked.sum())
    account = rng.permutation(np.concatenate([np.arange(len(firms)), more]))
    created, spam = _arrive(people, span=span, rng=rng), rng.random(people) < 0.02
    source = rng.choice(np.flatnonzero(~spam), copies)
    wait = (rng.random(copies) * np.minimum(10 * _DAY, span[1] - created[source])).astype(np.int64)
    person = np.concatenate([np.arange(people), source])
    rows = pd.DataFrame({"created": np.concatenate([created, created[source] + wait]), "person": person})
    rows["account"], rows["spam"], rows["duplicate"] = account[person], spam[person], np.arange(n) >= people
    rows["role"], rows["own"] = words.draw(rng, words.ROLES, people)[person], rng.standard_normal(people)[person]
    rows = rows.sort_values("created", kind="stable", ignore_index=True)
    rows = rows.join(firms, on="account")
    # A spammer browses little; its chance is 0 whatever its intent.
    rows["intent"] = np.sqrt(0.4) * rows["intent"] + np.sqrt(0.6) * rows["own"] - 1.5 * rows["spam"]
    rows["share"] = (rows["created"] - span[0]) / (span[1] - span[0])
    rows["channel"] = channel = words.draw(rng, words.CHANNELS, n)
    rows["topic"] = words.choose_topics(rng, channel, share=rows["share"].to_numpy(), new_campaigns=new_campaigns)
    return rows


def _score(latent: pd.DataFrame, *, drift: float, season: float, signal: float, rng: np.random.Generator) -> Floats:
    """Add up η without b: z, levels, a head count of 50 to 500, campaign, season, drift; webinars suit software."""
    campaigns = rng.normal(0, 0.15, (len(words.CHANNELS), len(words.CAMPAIGN_TOPICS)))
    score = latent["intent"].to_numpy() + campaigns[latent["channel"], latent["topic"]]
    for column, levels in words.FITS.items():
        score += words.effects(levels)[latent[column]]
    score += words.PAIR[2] * ((latent["channel"] == words.PAIR[0]) & (latent["industry"] == words.PAIR[1]))
    score += np.exp(-0.5 * (np.log(latent["employees"] / 160) / 0.9) ** 2)
    level = season * np.sin(4 * np.pi * latent["created"] / (365.25 * _DAY)) + drift * latent["share"]
    return np.asarray(signal * score + level, dtype=np.float64)


def _close(latent: pd.DataFrame, truth: LeadTruth, *, end: int, rng: np.random.Generator) -> pd.DataFrame:
    """Add when each lead closes (`closed`, s; a century on if never), whether `won`, when its events `stop` (s)."""
    n = len(latent)
    won, lost = rng.random(n) < truth.chance, rng.random(n) < truth.loss_share
    centre, sigma = np.where(won, truth.win_centre, truth.loss_centre), np.where(won, WIN_SIGMA, LOSS_SIGMA)
    days = np.where(won | lost, np.exp(centre + sigma * rng.standard_normal(n)), _NEVER_DAYS)
    closed = truth.created + np.ceil(days * _DAY).astype(np.int64)
    return latent.assign(
        closed=closed, won=won, stop=np.minimum(np.minimum(closed, end), truth.created + words.LIFE * _DAY)
    )


def _occur(kind: Kind, latent: pd.DataFrame, *, rng: np.random.Generator) -> tuple[Codes, Codes]:
    """Draw a Poisson process per lead until its `stop`, quieter out of office hours; return lead rows and times (s).

    Its intensity per day is rate exp(β z - β²/2) (employees / 90)^0.08 times the shape over age and over the week.
    """
    created, size = latent["created"].to_numpy(), latent["employees"].to_numpy() / 90
    days = (latent["stop"].to_numpy() - created) / _DAY
    before, early, mass = words.masses(kind, days)
    level = kind.rate / words.WEEK.mean() * np.exp(kind.intent * latent["intent"].to_numpy() - kind.intent**2 / 2)
    lead = np.repeat(np.arange(len(latent)), rng.poisson(level * size**0.08 * mass))
    at = rng.random(len(lead)) * mass[lead]
    # Each part of the shape turns its share of the mass into an age by its own inverse integral.
    rise = words.RISE * np.log(np.minimum(at / words.RISE + np.exp(-words.BEFORE / words.RISE), 1))
    decay = -words.DECAY * np.log1p(-np.clip((at - before) / words.DECAY, 0, 0.999999))
    age = np.select([at < before, at < early[lead]], [rise, decay], (at - early[lead]) / words.TAIL)
    moment = created[lead] + np.floor(age * _DAY).astype(np.int64)
    offsets = np.array([country.utc_offset for country in words.COUNTRIES])[latent["country"]]
    busy = rng.random(len(lead)) < words.busyness(moment, offsets[lead])
    return lead[busy], moment[busy]


def _draw_events(kinds: Sequence[Kind], latent: pd.DataFrame, *, rng: np.random.Generator) -> pd.DataFrame:
    """Draw all kinds, by time; 3 % of mail events become known up to two days late, the others within minutes."""
    draws = [_occur(kind, latent, rng=rng) for kind in kinds]
    kind = np.repeat(np.arange(len(kinds)), [len(lead) for lead, _ in draws])
    lead, moment = np.concatenate([lead for lead, _ in draws]), np.concatenate([moment for _, moment in draws])
    n, spread = len(lead), words.MEASURE_SPREAD * rng.standard_normal(len(lead))
    noise = words.MEASURE_INTENT * latent["intent"].to_numpy()[lead] + spread
    late = np.array([kind.mail for kind in kinds])[kind] & (rng.random(n) < 0.03)
    known = moment + np.where(late, rng.random(n) * 2 * _DAY, rng.exponential(240, n)).astype(np.int64)
    value = np.round(np.array([kind.value or np.nan for kind in kinds])[kind] * np.minimum(np.exp(noise), 5))
    order = np.lexsort((kind, lead, moment))
    order = order[(known < latent["stop"].to_numpy()[lead])[order]]
    frame = pd.DataFrame(
        {"lead_id": words.take(latent["lead_id"], lead[order]), "occurred_at": words.as_moments(moment[order])}
    )
    frame["kind"] = words.pick([kind.name for kind in kinds], kind[order])
    frame["value"], frame["recorded_at"] = value[order], words.as_moments(known[order])
    return frame


def _draw_stages(latent: pd.DataFrame, *, end: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the stages entered before `end`; those on the way follow intent, and stop when the lead closes."""
    n, created, closed = len(latent), latent["created"].to_numpy(), latent["closed"].to_numpy()
    called = created + np.ceil(_DAY * np.exp(rng.normal(np.log(0.8), 1.2, n))).astype(np.int64)
    liked = called + np.ceil(_DAY * np.exp(rng.normal(np.log(4), 0.9, n))).astype(np.int64)
    reached = rng.random(n) < 0.93
    good = reached & (rng.random(n) < expit(-0.6 + 0.7 * latent["intent"].to_numpy()))
    moments = np.stack([created, np.where(reached, called, end), np.where(good, liked, end), closed])
    happened = moments < np.stack([np.full(n, end), np.minimum(closed, end), np.minimum(closed, end), np.full(n, end)])
    step, lead = np.nonzero(happened)
    order = np.lexsort((step, lead, moments[step, lead]))
    step, lead = step[order], lead[order]
    won, lost = (step == 3) & latent["won"].to_numpy()[lead], (step == 3) & ~latent["won"].to_numpy()[lead]
    junk = [latent["spam"].to_numpy()[lead], latent["duplicate"].to_numpy()[lead]]
    why = np.select(junk, [5, 6], words.draw(rng, words.LOST_REASONS, len(lead)))
    frame = pd.DataFrame({"lead_id": words.take(latent["lead_id"], lead)})
    frame["stage"] = words.pick(("new", "contacted", "qualified", "lost", "won"), step + won)
    frame["changed_at"] = words.as_moments(moments[step, lead])
    frame["reason"] = words.pick([level.name for level in words.LOST_REASONS] + ["spam", "duplicate"], why).where(lost)
    return frame
