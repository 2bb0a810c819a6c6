"""Three periods: fit | calibrate | test, by time, with an embargo, and no account or person on two sides."""

from __future__ import annotations

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

__all__ = ["PERIODS", "Period", "Split", "split_examples"]

PeriodName = Literal["fit", "calibrate", "test"]
PERIODS: tuple[PeriodName, ...] = ("fit", "calibrate", "test")
_FEWEST_LEFT = 0.5


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
class Split:
    """Where each example went.

    Attributes
    ----------
    side
        One of the period names for each example, or "" if it was set aside.
    set_aside
        Examples in no period, by reason.
    """

    kind: Literal["time", "row_order", "random"]
    side: NDArray[np.str_]
    periods: dict[PeriodName, Period]
    set_aside: dict[str, int]
    warnings: tuple[str, ...]

    def rows(self, name: PeriodName) -> NDArray[np.intp]:
        """Return the positions of a period's examples."""
        return np.flatnonzero(self.side == name)


def split_examples(examples: pd.DataFrame, *, horizon: timedelta, settings: TrainingSettings, dated: bool) -> Split:
    """Split labelled snapshots into three periods.

    With dates, a group (an account, and whoever shares a phone or an address with it) belongs to the period in which
    its first lead came in: a fact that the outcome cannot change. The test period holds the last `test_share` of the
    leads. No label window of the calibration period reaches into the test period, and none of the fit period into the
    calibration period (an embargo of one horizon); where the history is too short for both, only the first holds, and
    a warning says so.

    Without dates the order of the rows stands for time, or chance does.

    Parameters
    ----------
    examples
        `lead_id`, `group_id`, `created_at`, `as_of`, `position`, `converted`.

    Raises
    ------
    NotEnoughDataError
        A period would be empty or the test period would hold one outcome only.
    """
    if dated:
        side, set_aside, warnings = _split_by_time(examples, horizon=horizon, settings=settings)
        kind: Literal["time", "row_order", "random"] = "time"
    else:
        side, set_aside, warnings, kind = *_split_by_order(examples, settings=settings), settings.split
    periods = {name: _describe(examples.loc[side == name], name) for name in PERIODS}
    _check_periods(periods)
    return Split(kind, side, periods, set_aside, tuple(warnings))


def _split_by_time(
    examples: pd.DataFrame, *, horizon: timedelta, settings: TrainingSettings
) -> tuple[NDArray[np.str_], dict[str, int], list[str]]:
    arrived = examples.groupby("group_id")["created_at"].transform("min")
    label_end = examples["as_of"] + horizon
    test_start = _moment_before(examples, share=settings.test_share)
    before = examples.loc[label_end <= test_start]
    if before.empty:
        raise NotEnoughDataError(
            f"The history is too short: before the test period there is no lead whose {format_duration(horizon)} are "
            "over. Shorten outcome.horizon, lower training.test_share, or bring more history."
        )
    calibrate_start = _moment_before(before, share=settings.calibrate_share)
    in_test = arrived >= test_start
    in_calibrate = (arrived >= calibrate_start) & (arrived < test_start)
    in_fit = arrived < calibrate_start
    strict = in_fit & (label_end <= calibrate_start)
    relaxed = in_fit & (label_end <= test_start) & (examples["as_of"] < test_start)
    warnings = []
    fit = strict
    if strict.sum() < _FEWEST_LEFT * relaxed.sum():
        fit = relaxed
        warnings.append(
            f"The history is short: the embargo of {format_duration(horizon)} stands between calibrate and test, but "
            "not between fit and calibrate. Their leads differ all the same."
        )
    side = np.select([in_test, in_calibrate & (label_end <= test_start), fit], ["test", "calibrate", "fit"], default="")
    late = (examples["created_at"] >= test_start) & ~in_test
    set_aside = {
        "an earlier lead of the account or person is in another period": int(((side == "") & late).sum()),
        "label window reaches into the next period (embargo)": int(((side == "") & ~late).sum()),
    }
    if late.sum() > 0.5 * ((side == "test").sum() + late.sum()):
        warnings.append(
            "More than half of the late leads belong to accounts seen before: the test shows new accounts only."
        )
    return side, set_aside, warnings


def _moment_before(examples: pd.DataFrame, *, share: float) -> pd.Timestamp:
    """Return the creation time from which on the last `share` of the leads came in."""
    created = examples.drop_duplicates("lead_id")["created_at"].sort_values()
    moment: pd.Timestamp = created.iloc[min(len(created) - 1, round(len(created) * (1 - share)))]
    return moment


def _split_by_order(
    examples: pd.DataFrame, *, settings: TrainingSettings
) -> tuple[NDArray[np.str_], dict[str, int], list[str]]:
    first = examples.groupby("group_id")["position"].transform("min")
    groups = np.sort(first.unique())
    order = np.random.default_rng(settings.seed).permutation(len(groups)) if settings.split == "random" else groups
    place = dict(zip(groups.tolist(), np.argsort(np.argsort(order)).tolist(), strict=True))
    rank = first.map(place).to_numpy() / len(groups)
    test_from = 1 - settings.test_share
    calibrate_from = test_from * (1 - settings.calibrate_share)
    side = np.select([rank >= test_from, rank >= calibrate_from], ["test", "calibrate"], default="fit")
    how = "the order of the rows stands for time" if settings.split == "row_order" else "the split is random"
    return side, {}, [f"No dates: {how}, so nothing here proves that the model works forward in time."]


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
