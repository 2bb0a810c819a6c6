"""Bands: rules that come first, then thresholds in probability that were chosen in training."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from project.errors import SettingsError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BANDS", "EXPLORATION", "Band", "BandPolicy", "Rule", "matches"]

Band = Literal["SQL", "MQL", "nurture", "disqualified"]
BANDS: tuple[Band, ...] = get_args(Band)
EXPLORATION = "exploration"


@dataclass(frozen=True)
class Rule:
    """A lead whose `column` fits goes to `band`, whatever its probability.

    It fits if the cell is one of `equals`, contains one of `contains`, or if the regular expression `matches` is found
    in it.
    """

    name: str
    column: str
    equals: tuple[str, ...]
    band: Band
    contains: tuple[str, ...] = ()
    matches: str | None = None


@dataclass(frozen=True)
class BandPolicy:
    """Thresholds with 0 < mql <= sql, half-open upwards: a probability equal to a threshold is in the higher band.

    A low probability never disqualifies: below `mql` a lead goes to nurture. Of the leads below SQL the share
    `exploration` is called all the same, drawn by a hash of their ids, so that in the end something is known of all.

    >>> policy = BandPolicy(sql=0.3, mql=0.1)
    >>> policy.assign(np.array([0.3, 0.2999, 0.1, 0.0])).tolist()
    ['SQL', 'MQL', 'MQL', 'nurture']
    """

    sql: float
    mql: float
    rules: tuple[Rule, ...] = ()
    cost_per_call: float | None = None
    value_per_win: float | None = None
    currency: str = ""
    exploration: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.mql <= self.sql:
            raise SettingsError(f"Band thresholds must satisfy 0 < MQL <= SQL; found MQL {self.mql}, SQL {self.sql}.")

    def assign(self, probability: NDArray[np.float64]) -> NDArray[np.str_]:
        """Return the band of each probability, by the thresholds alone."""
        return np.select([probability >= self.sql, probability >= self.mql], ["SQL", "MQL"], default="nurture")

    def assign_with_rules(
        self,
        probability: NDArray[np.float64],
        attributes: pd.DataFrame,
        *,
        set_apart: Sequence[object] = (),
        leads: Sequence[str] = (),
    ) -> tuple[list[str], list[str]]:
        """Return each lead's band and, in words, what decided it: the rule's name, the thresholds or `exploration`.

        Parameters
        ----------
        leads
            Their ids, to explore; empty: nothing is explored.
        attributes
            One row a probability, with the columns that the rules name. The first rule that fits decides.
        set_apart
            Why a lead is set apart, a text or missing, one a row; it comes before every rule. Empty: none is.
        """
        bands = self.assign(probability).tolist()
        why = [self._say_threshold(band) for band in bands]
        for place, lead in enumerate(leads if self.exploration else ()):
            if bands[place] != "SQL" and _draw(lead) < self.exploration:
                bands[place], why[place] = "SQL", EXPLORATION
        for rule in reversed(self.rules):
            for row in np.flatnonzero(matches(rule, attributes)):
                bands[row], why[row] = rule.band, rule.name
        for place, flag in enumerate(set_apart):
            if isinstance(flag, str) and flag:
                bands[place], why[place] = "disqualified", flag
        return bands, why

    def propensity(self, probability: NDArray[np.float64], why: Sequence[str]) -> NDArray[np.float64]:
        """Return the chance with which the policy has each lead called; NaN where a rule decided and chance did not."""
        by_chance = np.where(self.assign(probability) == "SQL", 1.0, self.exploration)
        own = [self._say_threshold(band) for band in self.assign(probability).tolist()]
        decided = [one in (EXPLORATION, threshold) for one, threshold in zip(why, own, strict=True)]
        return np.where(decided, by_chance, np.nan)

    def expected_value(self, probability: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return probability · value of a win − cost of a call; NaN without a value."""
        if self.value_per_win is None:
            return np.full(len(probability), np.nan)
        return probability * self.value_per_win - (self.cost_per_call or 0.0)

    def _say_threshold(self, band: str) -> str:
        if band == "SQL":
            return f"probability >= {self.sql:.4g}"
        return f"{self.mql:.4g} <= probability < {self.sql:.4g}" if band == "MQL" else f"probability < {self.mql:.4g}"

    def to_json(self) -> dict[str, object]:
        """Return the readable form that the manifest stores."""
        content = {**asdict(self), "rules": [_write_rule(rule) for rule in self.rules]}
        return content if self.exploration else {key: value for key, value in content.items() if key != "exploration"}

    @staticmethod
    def from_json(content: Mapping[str, object]) -> BandPolicy:
        """Read what `to_json` wrote."""
        entries: Sequence[Mapping[str, object]] = content["rules"]  # type: ignore[assignment]
        rules = tuple(_read_rule(entry) for entry in entries)
        return BandPolicy(**{**content, "rules": rules})  # type: ignore[arg-type]


def _draw(lead: str) -> float:
    """Return a number in [0, 1) that depends on the lead alone: one that is explored today is tomorrow, too."""
    return int.from_bytes(hashlib.sha256(f"exploration {lead}".encode()).digest()[:8]) / 2**64


def _write_rule(rule: Rule) -> dict[str, object]:
    """Write what a rule says; what it leaves open is left out, as in models older than `contains` and `matches`."""
    content: dict[str, object] = {**asdict(rule), "equals": list(rule.equals), "contains": list(rule.contains)}
    return {key: value for key, value in content.items() if key not in {"contains", "matches"} or value}


def _read_rule(entry: Mapping[str, object]) -> Rule:
    lists: dict[str, object] = {key: tuple(entry.get(key, ())) for key in ("equals", "contains")}  # type: ignore[arg-type]
    return Rule(**{**entry, **lists})  # type: ignore[arg-type]


def matches(rule: Rule, attributes: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which rows a rule fits; letter case and outer blanks do not matter, and a missing cell fits nothing."""
    wanted = {value.strip().casefold() for value in rule.equals}
    parts = [part.casefold() for part in rule.contains]
    pattern = re.compile(rule.matches, re.IGNORECASE) if rule.matches is not None else None

    def fits(cell: object) -> bool:
        text = str(cell).strip()
        small = text.casefold()
        found = pattern is not None and pattern.search(text) is not None
        return found or small in wanted or any(part in small for part in parts)

    cells = attributes[rule.column]
    known = cells.notna().to_numpy(dtype=np.bool_)
    found = np.zeros(len(cells), dtype=np.bool_)
    found[known] = [fits(cell) for cell in cells.to_numpy(dtype=object)[known]]
    return found
