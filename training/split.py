"""Two periods by time, fit | test, and rolling origins within the first; no account or person on two sides."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from project.duration import format_duration
from project.errors import NotEnoughDataError

if TYPE_CHECKING:
    import pandas as pd

    from project.settings import TrainingSettings

__all__ = ["PERIODS", "Origin", "Period", "Split", "split_examples"]

PeriodName = Literal["fit", "forward", "test"]
PERIODS: tuple[PeriodName, ...] = ("fit", "forward", "test")
Rows = NDArray[np.intp]
_FEWEST_CONVERTED = 100


@dataclass(frozen=True)
class Period:
    """One of the three: its snapshots' first and last `as_of` (null without dates), and what is in it."""

    name: PeriodName
    first: datetime | None
    last: datetime | None
    leads: int
    snapshots: int
    positives: int
    converted_leads: int

    def to_json(self) -> dict[str, object]:
        """Return the form that reports and manifests show."""
        return {
            "from": self.first.isoformat() if self.first else None,
            "to": self.last.isoformat() if self.last else None,
            "leads": self.leads,
            "snapshots": self.snapshots,
            "positives": self.positives,
            "converted_leads": self.converted_leads,
        }


@dataclass(frozen=True)
class Origin:
    """Where a model stands in time: what it may learn from, and what it predicts next.

    Attributes
    ----------
    at
        The moment; labels count as far as they were known then. Null without dates, and where the history is too short
        for that: labels are taken as they turned out.
    fit, ahead
        Positions of the examples asked about before the moment, and of those of leads that came in after it.
    """

    at: datetime | None
    fit: Rows
    ahead: Rows


@dataclass(frozen=True)
class Split:
    """Where each example went.

    Attributes
    ----------
    side
        "fit" or "test" for each example, or "" if it was set aside.
    final
        What the model is fitted on and judged by: everything before the test period, and the test period.
    origins
        Earlier moments, oldest first: what a model fitted then says of the leads that came next shows how far to trust
        it. These forward predictions choose, calibrate and set bands.
    mature
        Examples of the fit side whose label was known for good when the test period began.
    set_aside
        Examples in no period, by reason.
    """

    kind: Literal["time", "row_order", "random"]
    side: NDArray[np.str_]
    final: Origin
    origins: tuple[Origin, ...]
    mature: NDArray[np.bool_]
    periods: dict[PeriodName, Period]
    set_aside: dict[str, int]
    warnings: tuple[str, ...]

    def rows(self, name: PeriodName) -> Rows:
        """Return the positions of a period's examples, in their order; those of "forward" are of "fit" too.

        "forward" holds the mature examples that some origin predicts.
        """
        if name == "forward":
            ahead = np.sort(np.concatenate([origin.ahead for origin in self.origins]))
            return np.asarray(ahead[self.mature[ahead]], dtype=np.intp)
        return np.flatnonzero(self.side == name)


def split_examples(examples: pd.DataFrame, *, horizon: timedelta, settings: TrainingSettings, dated: bool) -> Split:
    """Split labelled snapshots into what is learnt from and what is judged by, and choose the origins within.

    With dates, a group (an account, and whoever shares a phone or an address with it) belongs to the period in which
    its first lead came in: a fact that the outcome cannot change. The test period holds the last `test_share` of the
    leads; the fit period all examples asked about before it began. What was not known of them then does not count: a
    label window that reaches into the test period is cut there.

    Origins stand at equally many leads in the last `forward_share` of the fit period. Where fewer had converted for
    good by then, labels are taken as known when the test period begins, and a warning says so.

    Without dates the order of the rows stands for time, or chance does.

    Parameters
    ----------
    examples
        `lead_id`, `group_id`, `created_at`, `as_of`, `position`, `converted`.

    Raises
    ------
    NotEnoughDataError
        A period would be empty or hold one outcome only.
    """
    if dated:
        split = _split_by_time(examples, horizon=horizon, settings=settings)
    else:
        split = _split_by_order(examples, settings=settings)
    _check_periods(split.periods)
    return split


def _split_by_time(examples: pd.DataFrame, *, horizon: timedelta, settings: TrainingSettings) -> Split:
    arrived = examples.groupby("group_id")["created_at"].transform("min")
    as_of = examples["as_of"]
    label_end = as_of + horizon
    test_start = _moment_before(examples, share=settings.test_share)
    in_test = (arrived >= test_start).to_numpy()
    in_fit = ((arrived < test_start) & (as_of < test_start)).to_numpy()
    mature = in_fit & (label_end <= test_start).to_numpy()
    if not mature.any():
        raise NotEnoughDataError(
            f"The history is too short: before the test period there is no lead whose {format_duration(horizon)} are "
            "over. Shorten outcome.horizon, lower training.test_share, or bring more history."
        )
    converted = examples["converted"].to_numpy(dtype=np.bool_)
    leads = examples["lead_id"].to_numpy(dtype=object)
    tells_delays = len(set(leads[mature & converted])) >= _FEWEST_CONVERTED
    side = np.select([in_test, in_fit if tells_delays else mature], ["test", "fit"], default="")
    late = (examples["created_at"] >= test_start).to_numpy() & ~in_test
    set_aside = {
        "an earlier lead of the account or person is in another period": int(((side == "") & late).sum()),
        "label window reaches into the test period (embargo)": int(((side == "") & ~late).sum()),
    }
    warnings = []
    if late.sum() > 0.5 * ((side == "test").sum() + late.sum()):
        warnings.append(
            "More than half of the late leads belong to accounts seen before: the test shows new accounts only."
        )

    def stand_at(moment: pd.Timestamp, end: pd.Timestamp) -> Origin:
        ahead = np.flatnonzero(in_fit & ((arrived >= moment) & (arrived < end)).to_numpy())
        before = ((arrived < moment) & (as_of < moment)).to_numpy()
        told = before & (label_end <= moment).to_numpy()
        if len(set(leads[told & converted])) >= _FEWEST_CONVERTED:
            return Origin(moment.to_pydatetime(), np.flatnonzero(before), ahead)
        return Origin(None, np.flatnonzero(before & mature), ahead)

    moments = [*_origin_moments(examples.loc[mature], settings), test_start]
    origins = [stand_at(moment, end) for moment, end in itertools.pairwise(moments) if moment < end]
    origins = [origin for origin in origins if _has_both(converted, origin.fit) and mature[origin.ahead].any()]
    if any(origin.at is None for origin in origins):
        warnings.append(
            "The history is short: where earlier models learn from leads that came in before, they know what became of "
            "them later. Their leads differ all the same, and the test period knows nothing of it."
        )
    final = Origin(test_start.to_pydatetime(), np.flatnonzero(side == "fit"), np.flatnonzero(in_test))
    return _make_split("time", examples, side, final, origins, mature, set_aside, warnings)


def _origin_moments(mature: pd.DataFrame, settings: TrainingSettings) -> list[pd.Timestamp]:
    shares = [settings.forward_share * (1 - number / settings.origins) for number in range(settings.origins)]
    return [_moment_before(mature, share=share) for share in shares]


def _has_both(converted: NDArray[np.bool_], rows: Rows) -> bool:
    return bool(2 <= converted[rows].sum() <= len(rows) - 2)


def _make_split(
    kind: Literal["time", "row_order", "random"],
    examples: pd.DataFrame,
    side: NDArray[np.str_],
    final: Origin,
    origins: list[Origin],
    mature: NDArray[np.bool_],
    set_aside: dict[str, int],
    warnings: list[str],
) -> Split:
    if not origins:
        fit = examples.iloc[np.flatnonzero(side == "fit")]
        raise NotEnoughDataError(
            f"The history is too short: before the test period there are {int(fit['converted'].sum())} conversions "
            f"among {fit['lead_id'].nunique()} leads, too few to fit a model on some and try it on those that came "
            "next. Bring more history or shorten outcome.horizon."
        )
    split = Split(kind, side, final, tuple(origins), mature, {}, set_aside, tuple(warnings))
    periods = {name: _describe(examples.iloc[split.rows(name)], name) for name in PERIODS}
    return Split(kind, side, final, tuple(origins), mature, periods, set_aside, tuple(warnings))


def _moment_before(examples: pd.DataFrame, *, share: float) -> pd.Timestamp:
    """Return the creation time from which on the last `share` of the leads came in."""
    created = examples.drop_duplicates("lead_id")["created_at"].sort_values()
    moment: pd.Timestamp = created.iloc[min(len(created) - 1, round(len(created) * (1 - share)))]
    return moment


def _split_by_order(examples: pd.DataFrame, *, settings: TrainingSettings) -> Split:
    first = examples.groupby("group_id")["position"].transform("min")
    groups = np.sort(first.unique())
    order = np.random.default_rng(settings.seed).permutation(len(groups)) if settings.split == "random" else groups
    place = dict(zip(groups.tolist(), np.argsort(np.argsort(order)).tolist(), strict=True))
    rank = first.map(place).to_numpy() / len(groups)
    test_from = 1 - settings.test_share
    fit = rank < test_from
    edges = test_from * (1 - settings.forward_share * np.linspace(1, 0, settings.origins + 1))
    converted = examples["converted"].to_numpy(dtype=np.bool_)
    origins = [
        Origin(None, np.flatnonzero(fit & (rank < low)), np.flatnonzero(fit & (rank >= low) & (rank < high)))
        for low, high in itertools.pairwise(edges)
    ]
    origins = [origin for origin in origins if _has_both(converted, origin.fit) and len(origin.ahead)]
    how = "the order of the rows stands for time" if settings.split == "row_order" else "the split is random"
    return _make_split(
        settings.split, examples, np.where(fit, "fit", "test"),
        Origin(None, np.flatnonzero(fit), np.flatnonzero(~fit)), origins, fit, {},
        [f"No dates: {how}, so nothing here proves that the model works forward in time."],
    )  # fmt: skip


def _describe(examples: pd.DataFrame, name: PeriodName) -> Period:
    dated = len(examples) > 0 and examples["as_of"].notna().all()
    return Period(
        name,
        examples["as_of"].min().to_pydatetime() if dated else None,
        examples["as_of"].max().to_pydatetime() if dated else None,
        int(examples["lead_id"].nunique()),
        len(examples),
        int(examples["converted"].sum()),
        int(examples.loc[examples["converted"], "lead_id"].nunique()),
    )


def _check_periods(periods: dict[PeriodName, Period]) -> None:
    for period in periods.values():
        negatives = period.snapshots - period.positives
        if period.converted_leads < 2 or negatives < 2:
            raise NotEnoughDataError(
                f"The {period.name} period has {period.converted_leads} conversions among {period.leads} leads "
                f"({period.snapshots} snapshots); it needs at least 2 of each outcome. Bring more history or shorten "
                "outcome.horizon."
            )
