"""Leads that sales worked are not drawn at random: weigh them by how likely it was, or say that it cannot be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from features.engine import read_lead_columns
from project.errors import SchemaError

if TYPE_CHECKING:
    import pandas as pd

    from features.tables import Tables
    from project.settings import SelectionSettings

__all__ = ["Selection", "Uplift", "read_uplift", "select_worked"]

Vector = NDArray[np.float64]
_FEWEST = 20


@dataclass(frozen=True)
class Uplift:
    """By how much more often leads buy if they are worked, where chance decided that.

    Attributes
    ----------
    leads, worked
        Leads with a chance above 0 and below 1 to be worked, and how many of them were.
    value, low, high
        Difference of the shares that converted, weighted by the inverse chances (Horvitz and Thompson 1952, with
        normalised weights), and its 95 % interval.
    """

    leads: int
    worked: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Selection:
    """What is known of who was worked.

    Attributes
    ----------
    weight
        Of each kept snapshot: 1 over the chance that its lead would be worked, at most `most_weight`; ones if no chance
        was logged.
    leads, worked
        Mature leads, and how many were worked. Only those are learnt from and judged by.
    corrected
        Whether chances were logged.
    out_of_reach
        Share of the leads that had no chance, as far as the weights can tell: nothing is known of them.
    effective
        How many leads drawn at random would say as much as the worked ones, (Σw)² / Σw² (Kish 1965).
    """

    weight: Vector
    leads: int
    worked: int
    corrected: bool
    out_of_reach: float
    effective: float
    uplift: Uplift | None


def select_worked(
    snapshots: pd.DataFrame, tables: Tables, settings: SelectionSettings | None
) -> tuple[pd.DataFrame, Selection | None, list[str]]:
    """Keep the snapshots of worked leads, weighted to all leads; the others' fate says what neglect does.

    A model of outcomes as they are halves the probability of leads that an older score had neglected. What is asked
    for is the probability of a lead that is worked.

    Returns
    -------
    tuple
        The snapshots kept, what is known of the selection (null without `[selection]`), and notes for the report.

    Raises
    ------
    SchemaError
        A chance is not a number above 0 and at most 1 for a lead that was worked; or no lead was.
    """
    if settings is None:
        return snapshots, None, []
    headers = [header for header in (settings.worked, settings.propensity) if header is not None]
    ids = snapshots["lead_id"].to_list()
    columns = read_lead_columns(tables, ids, headers)
    yes = {value.casefold() for value in settings.yes}
    worked = columns[settings.worked].map(lambda cell: str(cell).strip().casefold() in yes).to_numpy(dtype=np.bool_)
    if not worked.any():
        raise SchemaError(f"No lead was worked: no cell of {settings.worked!r} is one of {', '.join(settings.yes)}.")
    chance = None if settings.propensity is None else _read_chances(columns[settings.propensity], worked, settings)
    first = ~snapshots["lead_id"].duplicated().to_numpy()
    weight = np.ones(len(snapshots))
    if chance is not None:
        weight[worked] = np.minimum(1.0 / chance[worked], settings.most_weight)
    own = weight[first & worked]
    total, kept = int(first.sum()), int((first & worked).sum())
    selection = Selection(
        weight=weight[worked],
        leads=total,
        worked=kept,
        corrected=chance is not None,
        out_of_reach=0.0 if chance is None else float(np.mean(chance[first] < 1.0 / settings.most_weight - 1e-9)),
        effective=float(own.sum() ** 2 / (own @ own)),
        uplift=None if chance is None else read_uplift(snapshots.loc[first], worked[first], chance[first]),
    )
    return snapshots.loc[worked].reset_index(drop=True), selection, _notes(selection)


def _read_chances(cells: pd.Series, worked: NDArray[np.bool_], settings: SelectionSettings) -> Vector:
    import pandas as pd

    chance: Vector = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64)
    wrong = worked & ~((chance > 0.0) & (chance <= 1.0))
    if wrong.any():
        found = cells.to_numpy(dtype=object)[wrong][0]
        raise SchemaError(
            f"{settings.propensity!r} must be above 0 and at most 1 for leads that were worked; {int(wrong.sum())} are "
            f"not, the first is {found!r}. Log the chance with which the policy would have it worked."
        )
    return np.nan_to_num(chance, nan=0.0)


def read_uplift(leads: pd.DataFrame, worked: NDArray[np.bool_], chance: Vector) -> Uplift | None:
    """Compare leads that chance had worked with those it had not; null if fewer than 20 are on either side.

    Parameters
    ----------
    leads
        One row a lead, with `converted`.
    """
    drawn = (chance > 0.0) & (chance < 1.0)
    sides = [drawn & worked, drawn & ~worked]
    if min(int(side.sum()) for side in sides) < _FEWEST:
        return None
    converted = leads["converted"].to_numpy(dtype=np.float64)
    means, variances = [], []
    for side, weight in zip(sides, (1.0 / np.maximum(chance, 1e-9), 1.0 / np.maximum(1.0 - chance, 1e-9)), strict=True):
        own = weight[side]
        mean = float(np.average(converted[side], weights=own))
        means.append(mean)
        variances.append(float(np.sum((own * (converted[side] - mean)) ** 2)) / float(own.sum()) ** 2)
    value, error = means[0] - means[1], float(np.sqrt(sum(variances)))
    return Uplift(int(drawn.sum()), int(sides[0].sum()), value, value - 1.96 * error, value + 1.96 * error)


def _notes(selection: Selection) -> list[str]:
    said = [
        f"{selection.worked:,} of {selection.leads:,} leads were worked; only they are learnt from and judged by, so a "
        "probability is that of a lead that is worked."
    ]
    if not selection.corrected:
        said.append(
            "With which chance leads were chosen was not logged: this cannot be corrected. Probabilities of leads "
            "unlike those that were worked are guesses. Set capacity.exploration, and log the chances."
        )
    elif selection.out_of_reach > 0:
        said.append(
            f"{selection.out_of_reach:.0%} of the leads had next to no chance to be worked: nothing is known of them. "
            "Set capacity.exploration."
        )
    return said
