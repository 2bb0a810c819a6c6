"""What an origin is told: whether young leads, pairs of categories and the age of leads count is settled here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from training.fitting.encode import Learnt, Pairs, learn_at
from training.fitting.ladder import TRY_ROWS
from training.fitting.pairs import PairTrial, try_pairs
from training.fitting.recency import RecencyTrial, fade, try_recency
from training.fitting.young import YoungTrial, label_young, level_miss, they_help

if TYPE_CHECKING:
    from training.examples import Examples
    from training.split import Origin

__all__ = ["Telling", "settle_views", "take_view"]


@dataclass(frozen=True)
class Telling:
    """How origins are told of their past, and what the trials found.

    Attributes
    ----------
    young
        Whether leads are learnt from whose horizon was not over.
    miss
        How far levels moved from the leads seen last to those that came next, in log-odds, a standard deviation.
    follow
        Whether an origin could tell what its young leads were good for.
    pairs, recency
        What became of pairs of categories, and of counting old leads less; null without dates.
    """

    young: bool
    miss: float
    follow: bool
    pairs: PairTrial | None
    recency: RecencyTrial | None


def settle_views(examples: Examples, *, horizon: timedelta) -> tuple[list[Learnt], Telling]:
    """Try young leads, pairs and recency on the leads that came after the origins; return every origin's view."""
    views, trials = _look_back(examples, horizon=horizon)
    young = they_help(trials)
    crossed = try_pairs(examples, views[-1], horizon=horizon, young=young)
    pairs = crossed.taken if crossed is not None else ()
    if pairs:
        views = [
            _learn(examples, origin, horizon=horizon, young=young, pairs=pairs) for origin in examples.split.origins
        ]
    recency = try_recency(examples, views)
    if recency is not None and recency.taken:
        views = [fade(view, examples) for view in views]
    follow = any(trial is not None for trial in trials)
    return views, Telling(young, level_miss(trials), follow, crossed, recency)


def take_view(examples: Examples, origin: Origin, telling: Telling, *, horizon: timedelta) -> Learnt:
    """Return the view of an origin on all its rows, told as was settled."""
    pairs = telling.pairs.taken if telling.pairs is not None else ()
    view = _learn(examples, origin, horizon=horizon, young=telling.young, pairs=pairs, most=None)
    return fade(view, examples) if telling.recency is not None and telling.recency.taken else view


def _look_back(examples: Examples, *, horizon: timedelta) -> tuple[list[Learnt], list[YoungTrial | None]]:
    """Return every origin's view, and what its young leads were good for; without them where they did not help."""
    origins = examples.split.origins
    every = [
        label_young(learn_at(examples, origin, horizon=horizon, young=True, most=TRY_ROWS), examples)
        for origin in origins
    ]
    views, trials = [one for one, _ in every], [trial for _, trial in every]
    if not they_help(trials):
        views = [_learn(examples, origin, horizon=horizon, young=False) for origin in origins]
    return views, trials


def _learn(
    examples: Examples,
    origin: Origin,
    *,
    horizon: timedelta,
    young: bool,
    pairs: Pairs = (),
    most: int | None = TRY_ROWS,
) -> Learnt:
    """Return an origin's view, the young with labels if they are learnt from."""
    return label_young(learn_at(examples, origin, horizon=horizon, young=young, most=most, pairs=pairs), examples)[0]
