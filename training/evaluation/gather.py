"""Gather the evidence of one training: every contender on the test period, and the chosen model looked at closely."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.columns import encode_frame
from project.duration import format_duration
from training.bands import describe_bands
from training.evaluation.certificate import Certificate, certify_precision
from training.evaluation.delay_table import DelayTable, tabulate_delays
from training.evaluation.evaluate import Metrics
from training.evaluation.evidence import BASE, Evidence, judge, rate_by_age, rate_by_month
from training.evaluation.examine import examine_period
from training.evaluation.rivals import fit_odoo_naive_bayes
from training.evaluation.skill import Said, has_skill, look_at_both
from training.evaluation.sooner import judge_sooner
from training.evaluation.weighted import Weighted, weigh_figures

if TYPE_CHECKING:
    from features.tables import Tables
    from models.lead_model import LeadModel
    from project.folder import Project
    from training.examples import Examples
    from training.fitting.contenders import Contest

__all__ = ["gather_evidence"]

_SAMPLE_ROWS = 1_500
_PROMISES, _MOST_PROMISES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), 5


def gather_evidence(
    project: Project,
    tables: Tables,
    examples: Examples,
    contest: Contest,
    model: LeadModel,
    warnings: list[str],
) -> Evidence:
    """Judge all contenders on the test period, and look closely at the model."""
    seed = project.settings.training.seed
    test = examples.split.rows("test")
    converted, groups = examples.converted[test], examples.groups[test]
    snapshots = examples.snapshots.iloc[test]
    matrix = encode_frame(examples.frame, contest.columns, rows=test)
    probabilities = {contender.name: contender.probability(matrix) for contender in contest.contenders}
    probabilities["odoo_naive_bayes"] = _ask_odoo(examples, test)
    name = contest.chosen.name
    judged = judge(probabilities, converted, chosen=name, groups=groups, seed=seed)
    together = None
    if name != BASE:
        said = Said(probabilities[name], np.zeros(len(test), dtype=np.intp), converted, groups, examples.leads[test])
        together = look_at_both(contest, examples, said)
    skill = name != BASE and has_skill(judged[name].against_base, together)
    raw = model.estimator.log_odds(matrix)
    sample = test[np.random.default_rng(seed).permutation(len(test))[:_SAMPLE_ROWS]]
    if not skill:
        warnings = ["No skill: probabilities are no better than quoting the base rate.", *warnings]
    else:
        warnings = [*warnings, *_compare_with_hindsight(judged[name].metrics)]
    return Evidence(
        project=project.settings.project.name,
        chosen=name,
        skill=skill,
        together=together,
        horizon=format_duration(project.settings.outcome.horizon),
        split=examples.split,
        judged=judged,
        probability=probabilities[name],
        raw_probability=1 / (1 + np.exp(-raw)),
        converted=converted,
        base_rate_by_month=rate_by_month(examples.snapshots),
        by_age=rate_by_age(snapshots, probabilities[name], probabilities[BASE]),
        bands=describe_bands(
            model.policy,
            snapshots,
            probabilities[name],
            groups=groups,
            seed=seed,
            coverage=examples.coverage(test),
            weight=examples.weigh(test),
        ),
        sample=examples.frame.iloc[sample].reset_index(drop=True),
        contributions=model.contributions(examples.frame.iloc[sample])[0],
        columns=model.columns,
        counts=tables.counts,
        immature=examples.immature,
        immature_leads=examples.immature_leads,
        warnings=warnings,
        delay=_tabulate_delays(tables, project.settings.outcome.horizon),
        steps=contest.steps,
        recency=contest.telling.recency,
        selection=examples.selection,
        weighted=_weigh(examples, test, probabilities[name], probabilities[BASE], seed=seed),
        promises=_promise(probabilities[name], converted, examples.leads[test]),
        sooner=judge_sooner(
            model, examples, test, raw, base=probabilities[BASE], horizon=project.settings.outcome.horizon, seed=seed
        ),
        examined=examine_period(examples, test, probabilities[name], capacity=project.settings.capacity, seed=seed),
    )


def _compare_with_hindsight(metrics: Metrics) -> list[str]:
    """Warn if the base rate moved so far that its value in hindsight would have beaten the model."""
    rate = metrics.base_rate
    hindsight = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    if metrics.log_loss < hindsight:
        return []
    return [
        f"The base rate moved to {rate:.1%} in the test period. Known in hindsight it would have had a log loss of "
        f"{hindsight:.4f}, better than the model's {metrics.log_loss:.4f}: ranks are useful, levels are off."
    ]


def _ask_odoo(examples: Examples, test: NDArray[np.intp]) -> NDArray[np.float64]:
    """Train the rival as its product would: once a lead, on everything before the test period."""
    before = np.flatnonzero(examples.split.mature)
    first = ~examples.snapshots["lead_id"].iloc[before].duplicated().to_numpy()
    rows = before[first]
    return fit_odoo_naive_bayes(examples.frame.iloc[rows], examples.converted[rows]).probability(
        examples.frame.iloc[test]
    )


def _weigh(
    examples: Examples,
    test: NDArray[np.intp],
    probability: NDArray[np.float64],
    base: NDArray[np.float64],
    *,
    seed: int,
) -> Weighted | None:
    weight = examples.weigh(test)
    if weight is None or examples.selection is None or not examples.selection.corrected:
        return None
    return weigh_figures(
        probability, examples.converted[test], base=base, weight=weight, leads=examples.leads[test],
        groups=examples.groups[test], seed=seed,
    )  # fmt: skip


def _tabulate_delays(tables: Tables, horizon: timedelta) -> DelayTable | None:
    """Tabulate how long the leads took that are old enough to know; null without dates."""
    if not tables.dated:
        return None
    days = (
        tables.connection.execute(
            "SELECT epoch(won_at - created_at) / 86400 AS days FROM leads JOIN outcomes USING (lead_id) "
            "WHERE won_at >= created_at AND created_at + ? <= ?",
            [horizon, tables.observed_until],
        )
        .df()["days"]
        .to_numpy(dtype=np.float64)
    )
    return tabulate_delays(days, horizon / timedelta(days=1))


def _promise(
    probability: NDArray[np.float64], converted: NDArray[np.bool_], leads: NDArray[np.str_]
) -> tuple[Certificate, ...]:
    """Certify the first round shares above what all leads convert at."""
    won = len(np.unique(leads[converted])) / len(np.unique(leads))
    wanted = [target for target in _PROMISES if target > won][:_MOST_PROMISES]
    return tuple(certify_precision(probability, converted, leads=leads, target=target) for target in wanted)
