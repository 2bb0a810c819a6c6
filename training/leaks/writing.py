"""Clues from when and how a column is written: its name, who has it filled, its words, its times, its history."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from training.leaks.clues import FEWEST, Clue
from training.proposal.inspection import spell

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "AFTERWARDS",
    "clue_of_age",
    "clue_of_breaks",
    "clue_of_history",
    "clue_of_name",
    "clue_of_one_side",
    "clue_of_times",
    "clue_of_words",
]

Flags = NDArray[np.bool_]

AFTERWARDS = (
    r"\b(tags?|quality|stage|closed?|won|lost|reason|converted|modified|updated|outcome|owner changed|причина|статус)\b"
    r"|\blast (\w+ )?(activity|contact\w*|notable)\b|(?<!marital )(?<!employment )\bstatus\b"
)
_RATING = r"\b(score|scoring|index|grade|rating|rank|оценка|рейтинг|балл\w*|скоринг)\b"
_WON_WORDS = (
    r"^(closed )?won$|\bclosed[ -]?won\b|^closed by\b|^converted( to \w+)?$|^(deal )?(signed|paid|sold|purchased)$"
    r"|^успешно|\bуспешно реализован|^(сделка )?(оплачен[ао]?|куплен[ао]?|продан[ао]?|выигран[ао]?)$"
)
_LOST_WORDS = (
    r"^(closed )?lost\b|\bclosed[ -]?lost\b|^(rejected|declined|disqualified|unqualified|cancell?ed|not converted)$"
    r"|^закрыто и не|^не (реализован|куп)|^(проигран[ао]?|отказ|отказал\w*|отмен[её]н[ао]?)$"
)
_PLAIN = {"0", "1", "0.0", "1.0", "yes", "no", "true", "false", "y", "n", "t", "f", "да", "нет", "new", "open"}
_SURE, _MOST, _UNLIKELY = 0.99, 0.5, -14.0  # log of about one in a million
_GAP, _GAP_SIGNS, _YOUNG_SHARE = 0.5, 5.0, 0.03
_BREAK_LOW, _BREAK_HIGH, _TENTHS = 0.35, 0.75, 10
_PURE, _EQUAL_TIME, _AFTER, _EQUAL = 0.9, 0.5, 0.8, 0.9
_DAY = np.timedelta64(1, "D")


def clue_of_name(header: str) -> Clue | None:
    """Support other clues by a name that speaks of what happens afterwards; it never condemns."""
    if re.search(AFTERWARDS, spell(header)):
        return Clue("name", "hint", float("nan"), "its name suggests that it is written after the outcome")
    if re.search(_RATING, spell(header)):
        return Clue("name", "hint", float("nan"), "its name suggests a rating that is computed again until the export")
    return None


def clue_of_one_side(filled: Flags, won: Flags, lost: Flags) -> Clue | None:
    """Weigh a column that is filled for won, for lost or for closed leads only.

    Parameters
    ----------
    won, lost
        What stands in the export; a lead may be neither. A few honest fields mark junk, so half of a side must have it.
    """
    n = int(filled.sum())
    if n < FEWEST:
        return None
    for words, side in (("won", won), ("lost", lost), ("closed", won | lost)):
        rate, inside = float(side.mean()), float(filled[side].mean()) if side.any() else 0.0
        if rate > 0 and side[filled].mean() >= _SURE and n * np.log(rate) < _UNLIKELY:
            says = f"filled only for {words} leads ({inside:.0%} of them, {filled[~side].mean():.1%} of the others)"
            return Clue("fill", "proof" if inside >= _MOST else "strong", inside, says)
    return None


def clue_of_age(values: pd.Series, created: NDArray[np.int64], mature: Flags) -> Clue | None:
    """Weigh a column that the newest leads have not got yet: what is known at creation does not wait for age."""
    said = values.notna().to_numpy()
    if values.dtype.kind == "f":
        said = said & (values != 0).to_numpy()
    newest = created >= np.quantile(created, 1 - _YOUNG_SHARE)
    old = mature & ~newest
    if min(newest.sum(), old.sum()) < FEWEST:
        return None
    before, now = float(said[old].mean()), float(said[newest].mean())
    both = float(said[old | newest].mean())
    spread = np.sqrt(both * (1 - both) * (1 / old.sum() + 1 / newest.sum()))
    if now > _GAP * before or before - now < _GAP_SIGNS * spread:
        return None
    says = f"the newest leads do not have it yet: {now:.0%} of them, {before:.0%} of the old ones"
    return Clue("age", "strong", before - now, says)


def clue_of_breaks(filled: Flags, order: NDArray[np.int64]) -> Clue | None:
    """Weigh filling that stops and starts again along the order of the leads, as a batch written later does.

    A form's new question starts once and stays, so only a fall between two heights counts.
    """
    if len(filled) < FEWEST * _TENTHS:
        return None
    shares = np.array([part.mean() for part in np.array_split(filled[np.argsort(order)], _TENTHS)])
    depth = max(
        (min(shares[:place].max(), shares[place + 1 :].max()) - shares[place] for place in range(1, _TENTHS - 1)),
        default=0.0,
    )
    if not (shares.min() <= _BREAK_LOW and shares.max() >= _BREAK_HIGH and depth >= _BREAK_HIGH - _BREAK_LOW):
        return None
    says = f"its filling stops and starts again ({shares.min():.0%} to {shares.max():.0%} along the file)"
    return Clue("fill", "hint", float(depth), says)


def clue_of_words(
    values: pd.Series, won: Flags, *, named_won: Collection[str], named_lost: Collection[str]
) -> Clue | None:
    """Weigh values that are outcomes: the stages declared won or lost, or the words CRMs write for them.

    Such a word counts if the leads that hold it did end so, and proves if it covers half of that side.
    """
    found: list[tuple[float, str]] = []
    for side, pattern, named, word in (
        (won, _WON_WORDS, named_won, "won"),
        (~won, _LOST_WORDS, named_lost, "lost"),
    ):
        names = {name.casefold() for name in named} - _PLAIN
        levels = [
            level
            for level in values.dropna().unique()
            if level.casefold() in names or re.search(pattern, level.casefold())
        ]
        holds = values.isin(levels).to_numpy()
        if holds.sum() >= FEWEST and side[holds].mean() >= _PURE and side[holds].mean() > side.mean():
            cover = float(holds[side].mean())
            found.append((cover, f"{levels[0]!r} stands for {cover:.0%} of the {word} leads"))
    if not found:
        return None
    cover = max(share for share, _ in found)
    says = f"its values are outcomes: {' and '.join(text for _, text in found)}"
    return Clue("outcome", "proof" if cover >= _MOST else "strong", cover, says)


def clue_of_times(values: pd.Series, closed_at: pd.Series, *, until: np.datetime64) -> Clue | None:
    """Weigh times that are the outcome's own, or lie after it; a wish for the future goes past the export too."""
    known = (values.notna() & closed_at.notna()).to_numpy()
    if known.sum() < FEWEST:
        return None
    gap = (values[known] - closed_at[known]).to_numpy()
    equal, after = float((np.abs(gap) < _DAY).mean()), float((gap >= np.timedelta64(0)).mean())
    if equal >= _EQUAL_TIME:
        return Clue(
            "outcome", "proof", equal, f"it is the outcome's own time, within a day, for {equal:.0%} of the leads"
        )
    if after >= _AFTER:
        past = float((values.dropna() <= until).mean())
        says = f"it lies after the outcome for {after:.0%} of the leads"
        return Clue("outcome", "proof" if past >= _SURE else "strong", after, says)
    return None


def clue_of_history(
    values: pd.Series, *, latest_stage: pd.Series | None, counts: Mapping[str, tuple[pd.Series, pd.Series]]
) -> Clue | None:
    """Weigh a column that follows a history to its end: the latest stage, or the count of all events until the export.

    Parameters
    ----------
    counts
        What is counted → how many of it there are at the export, and how many there were when the lead came in.
    """
    known = values.notna()
    if known.sum() < FEWEST or values[known].nunique() < 2:
        return None
    if latest_stage is not None and values.dtype.kind not in "fM":
        same = float((values.str.casefold() == latest_stage.str.casefold())[known].mean())
        if same >= _EQUAL:
            return Clue("history", "proof", same, f"it is the lead's latest stage for {same:.0%} of the leads")
    if values.dtype.kind == "f":
        for what, (now, then) in counts.items():
            moved = known & (now > then)
            same = float((values == now)[known].mean())
            if moved.sum() >= FEWEST and same >= _EQUAL and float((values == now)[moved].mean()) >= _EQUAL:
                says = f"it counts all {what} until the export ({same:.0%} of the leads), not until the lead came in"
                return Clue("history", "proof", same, says)
    return None
