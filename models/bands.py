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

__all__ = ["BANDS", "EXPLORATION", "Band", "BandPolicy", "Rule", "matches", "read_values"]

Band = Literal["SQL", "MQL", "nurture", "disqualified"]
BANDS: tuple[Band, ...] = get_args(Band)
EXPLORATION = "exploration"
_UNUSED = {"exploration", "hysteresis", "value_column"}
_OPEN = {"contains", "matches", "event", "within"}


@dataclass(frozen=True)
class Rule:
    """A lead whose `column` fits goes to `band`, whatever its probability.

    It fits if the cell is one of `equals`, contains one of `contains`, or if the regular expression `matches` is found
    in it. Of a rule about what a lead did, `event` is the kind of event, `within` for how many seconds it counts (null:
    for ever), and `column` names the answer, `yes` or missing, that the features give as of a moment.
    """

    name: str
    column: str
    equals: tuple[str, ...]
    band: Band
    contains: tuple[str, ...] = ()
    matches: str | None = None
    event: str | None = None
    within: int | None = None


@dataclass(frozen=True)
class BandPolicy:
    """Thresholds with 0 < mql <= sql, half-open upwards: a probability equal to a threshold is in the higher band.

    A low probability never disqualifies: below `mql` a lead goes to nurture. Of the leads below SQL the share
    `exploration` is called all the same, drawn by a hash of their ids, so that in the end something is known of all.
    A lead that was in a band leaves it only below its threshold · (1 − `hysteresis`), so that small moves of the
    probability do not send it to and fro. `value_column` is the column of the leads that holds what a win would bring;
    `value_per_win` counts where it is empty, or if there is no such column.

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
    hysteresis: float = 0.0
    value_column: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.mql <= self.sql:
            raise SettingsError(f"Band thresholds must satisfy 0 < MQL <= SQL; found MQL {self.mql}, SQL {self.sql}.")
        if not 0 <= self.hysteresis < 1:
            raise SettingsError(f"The hysteresis of bands must satisfy 0 <= h < 1; found {self.hysteresis}.")

    def assign(self, probability: NDArray[np.float64], previous: Sequence[object] | None = None) -> NDArray[np.str_]:
        """Return the band of each probability, by the thresholds and the band it was in before.

        Parameters
        ----------
        previous
            The band of each lead at the last decision; anything that is no band says nothing. A lead that was SQL stays
            SQL down to sql · (1 − hysteresis), one that was SQL or MQL stays MQL down to mql · (1 − hysteresis).
        """
        sql, mql = probability >= self.sql, probability >= self.mql
        if previous is not None:
            was = np.array([one if isinstance(one, str) else "" for one in previous], dtype=np.str_)
            sql |= (was == "SQL") & (probability >= self._leave(self.sql))
            mql |= np.isin(was, ("SQL", "MQL")) & (probability >= self._leave(self.mql))
        return np.select([sql, mql], ["SQL", "MQL"], default="nurture")

    def _leave(self, threshold: float) -> float:
        return threshold * (1.0 - self.hysteresis)

    def assign_with_rules(
        self,
        probability: NDArray[np.float64],
        attributes: pd.DataFrame,
        *,
        set_apart: Sequence[object] = (),
        leads: Sequence[str] = (),
        previous: Sequence[object] | None = None,
    ) -> tuple[list[str], list[str]]:
        """Return each lead's band and, in words, what decided it: the rule's name, the thresholds or `exploration`.

        A lead that only hysteresis holds says so: `kept SQL: 0.255 <= probability < 0.3`.

        Parameters
        ----------
        leads
            Their ids, to explore; empty: nothing is explored.
        attributes
            One row a probability, with the columns that the rules name. The first rule that fits decides.
        set_apart
            Why a lead is set apart, a text or missing, one a row; it comes before every rule. Empty: none is.
        previous
            As for `assign`.
        """
        fresh = self.assign(probability).tolist()
        bands = self.assign(probability, previous).tolist()
        why = [
            self._say_threshold(band) if band == own else self._say_kept(band)
            for band, own in zip(bands, fresh, strict=True)
        ]
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
        """Return the chance with which the policy has each lead called; NaN where a rule decided and chance did not.

        A lead that is kept in SQL is called for certain, as one above the threshold is.

        Parameters
        ----------
        why
            What `assign_with_rules` said of the same leads.
        """
        fresh = self.assign(probability)
        sure = (fresh == "SQL") | np.array([one == self._say_kept("SQL") for one in why], dtype=np.bool_)
        own = [
            (EXPLORATION, self._say_threshold(band), *map(self._say_kept, ("SQL", "MQL"))) for band in fresh.tolist()
        ]
        decided = [one in said for one, said in zip(why, own, strict=True)]
        return np.where(decided, np.where(sure, 1.0, self.exploration), np.nan)

    def expected_value(
        self, probability: NDArray[np.float64], attributes: pd.DataFrame | None = None
    ) -> NDArray[np.float64]:
        """Return probability · value of a win − cost of a call; NaN without a value.

        Parameters
        ----------
        attributes
            One row a probability, with `value_column` if the policy has one; null: every win is worth the same.
        """
        value = np.full(len(probability), np.nan if self.value_per_win is None else self.value_per_win)
        if self.value_column and attributes is not None:
            own = read_values(attributes[self.value_column])
            value = np.where(np.isnan(own), value, own)
        return np.asarray(probability * value - (self.cost_per_call or 0.0))

    @staticmethod
    def says(why: str) -> bool:
        """Tell whether thresholds decided, by what `assign_with_rules` said.

        >>> BandPolicy.says("0.1 <= probability < 0.3"), BandPolicy.says("asked for a demo")
        (True, False)
        """
        return re.fullmatch(r"(kept \w+: )?([\d.e-]+ <= )?probability (>=|<) [\d.e-]+", why) is not None

    def _say_threshold(self, band: str) -> str:
        if band == "SQL":
            return f"probability >= {self.sql:.4g}"
        return f"{self.mql:.4g} <= probability < {self.sql:.4g}" if band == "MQL" else f"probability < {self.mql:.4g}"

    def _say_kept(self, band: str) -> str:
        threshold = self.sql if band == "SQL" else self.mql
        return f"kept {band}: {self._leave(threshold):.4g} <= probability < {threshold:.4g}"

    def to_json(self) -> dict[str, object]:
        """Return the readable form that the manifest stores; what is not used is left out, as in older models."""
        content = {**asdict(self), "rules": [_write_rule(rule) for rule in self.rules]}
        return {key: value for key, value in content.items() if key not in _UNUSED or value}

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
    """Write what a rule says; what it leaves open is left out, as in models older than those keys."""
    content: dict[str, object] = {**asdict(rule), "equals": list(rule.equals), "contains": list(rule.contains)}
    return {key: value for key, value in content.items() if key not in _OPEN or value}


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


def read_values(cells: pd.Series) -> NDArray[np.float64]:
    """Return what wins would bring, from numbers or plain texts of them; NaN where a cell holds no amount above zero.

    >>> import pandas as pd
    >>> read_values(pd.Series(["1 200,50", "900", "ask", None, "-3"])).tolist()
    [1200.5, 900.0, nan, nan, nan]
    """
    import pandas as pd

    if not pd.api.types.is_numeric_dtype(cells):
        cells = cells.astype("str").str.replace(r"\s", "", regex=True).str.replace(",", ".", regex=False)
    values = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(values) & (values > 0), values, np.nan)
