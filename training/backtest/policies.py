"""Ways of choosing whom to call: each puts the leads that are open in a week into its own order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from features.expressions import Expression, read_expression

if TYPE_CHECKING:
    import pandas as pd

    from features.catalogue import Catalogue
    from project.settings import DefinitionSettings
    from training.backtest.lesson import Lesson

__all__ = ["OURS", "Policy", "list_policies", "rank_leads"]

Kind = Literal["ours", "first_come", "newest", "odoo", "definition"]
Order = NDArray[np.int64]
OURS = "our model"


@dataclass(frozen=True)
class Policy:
    """A way of choosing.

    Attributes
    ----------
    when
        Of a definition: its expression.
    fresh
        Of a definition: whether the newest leads come first among those that meet it, and among the others.
    present
        Whether it is what the team does today.
    """

    kind: Kind
    name: str
    when: Expression | None = None
    fresh: bool = False
    present: bool = False

    @property
    def title(self) -> str:
        """What a table calls it."""
        return f"{self.name}, newest first" if self.fresh else self.name


def list_policies(definitions: Sequence[DefinitionSettings], catalogue: Catalogue) -> tuple[Policy, ...]:
    """Return our policy and all rivals; definitions are read over the features of the catalogue.

    A definition does not say in which order its leads are called, so it takes part twice: in order of arrival, and with
    the newest first, which is mostly the better of the two.

    Raises
    ------
    SettingsError
        A definition cannot be read.
    """
    kinds = {feature.name: feature.kind for feature in catalogue.features}
    own = []
    for one in definitions:
        when = read_expression(one.when, kinds, what=f"definition {one.name!r}")
        own.append(Policy("definition", one.name, when, present=one.present))
        own.append(Policy("definition", one.name, when, fresh=True, present=one.present))
    return (
        Policy("ours", OURS),
        *own,
        Policy("odoo", "Odoo's naive Bayes"),
        Policy("newest", "newest first"),
        Policy("first_come", "first come, first served"),
    )


def rank_leads(
    policies: Sequence[Policy],
    snapshots: pd.DataFrame,
    lesson: Lesson,
    *,
    frame: pd.DataFrame,
    defined: pd.DataFrame,
) -> Order:
    """Return each lead's place in each policy's order, 0 first, shape (policies, leads); all are of one moment.

    - Our model: by probability times the value of a win, which is the same for all leads; then log-odds, then id.
    - First come, first served: the oldest first. Newest first: the other way round.
    - A definition: leads that meet it, in order of arrival (or the newest first), then the rest in the same order.
    - Odoo's naive Bayes: by its probability, then the newest first, as its lists stand.

    Parameters
    ----------
    snapshots
        `lead_id`, `created_at`, `position`.
    frame
        The features that the lesson reads, one row a snapshot.
    defined
        The features that definitions read.
    """
    arrival = _place(np.lexsort((snapshots["position"].to_numpy(), snapshots["created_at"].to_numpy())))
    orders = []
    for policy in policies:
        if policy.kind == "ours":
            probability, log_odds = lesson.score(frame)
            order = np.lexsort((snapshots["lead_id"].to_numpy(dtype=object).astype(str), -log_odds, -probability))
        elif policy.kind == "odoo":
            order = np.lexsort((-arrival, -lesson.odoo.probability(frame)))
        elif policy.kind == "definition":
            assert policy.when is not None
            order = np.lexsort((-arrival if policy.fresh else arrival, ~policy.when.meets(defined)))
        else:
            order = np.argsort(arrival if policy.kind == "first_come" else -arrival)
        orders.append(_place(order))
    return np.stack(orders)


def _place(order: NDArray[np.intp]) -> Order:
    """Turn an order of rows into each row's place in it.

    >>> _place(np.array([2, 0, 1])).tolist()
    [1, 2, 0]
    """
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return place
