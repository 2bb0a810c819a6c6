"""The verdict on a challenger, as values: its lines, whether it is promoted, and the one sentence that says why."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from training.promotion.paired import Power, Slice
from training.promotion.resampling import Bounds

__all__ = ["Comparison", "Line", "Outcome", "decide", "say_bounds", "say_number"]

Outcome = Literal["passed", "failed", "not enough evidence", "shown"]
Unit = Literal["nats", "ratio", "share", "seconds"]
_MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Line:
    """One line of the verdict.

    Attributes
    ----------
    champion, challenger
        Both models' numbers; `nan` where there is none.
    difference
        What is judged, with its one-sided 95 % bounds; null for what has none.
    outcome
        `shown` decides nothing.
    """

    key: str
    name: str
    unit: Unit
    champion: float
    challenger: float
    difference: Bounds | None
    outcome: Outcome
    note: str = ""

    def to_json(self) -> dict[str, object]:
        """Return the form that files and `--json` show."""
        return {
            "key": self.key,
            "name": self.name,
            "champion": _known(self.champion),
            "challenger": _known(self.challenger),
            "difference": self.difference.to_json() if self.difference else None,
            "outcome": self.outcome,
            "note": self.note,
        }


@dataclass(frozen=True)
class Comparison:
    """Challenger against champion on leads that neither knew.

    Attributes
    ----------
    champion
        Null if there is none; `champion_trouble` says why one that is there could not be asked, and then the lines
        compare with the base rate.
    ground
        Facts on the leads: `since`, `leads`, `snapshots`, `converted`, `blocks` and what a `block` is, `share_called`
        and whether it comes from the capacity (`share_from_capacity`).
    shortage
        What is missing for a judgement; then there are no lines.
    recalibration
        What mending the level of the champion would bring; null if its level is not off.
    reason
        A person's word, which promotes whatever the lines say.
    """

    challenger: str
    champion: str | None
    champion_trouble: str | None
    ground: Mapping[str, object]
    shortage: str | None
    lines: Sequence[Line] = ()
    slices: Sequence[Slice] = ()
    power: Power | None = None
    recalibration: str | None = None
    notes: Sequence[str] = ()
    promoted: bool = False
    sentence: str = ""
    reason: str | None = None

    def line(self, key: str) -> Line:
        """Return the line of a key."""
        return next(line for line in self.lines if line.key == key)

    @property
    def rival(self) -> str:
        """What the challenger was compared with."""
        return self.champion if self.champion is not None and self.champion_trouble is None else "the base rate"

    @property
    def name(self) -> str:
        """The stem of the files that keep it."""
        return f"{self.challenger}-vs-{self.champion or 'base-rate'}"

    def to_json(self) -> dict[str, object]:
        """Return the form that files and `--json` show; no lead is named in it."""
        return {
            "challenger": self.challenger,
            "champion": self.champion,
            "champion_trouble": self.champion_trouble,
            "compared_with": self.rival,
            "promoted": self.promoted,
            "sentence": self.sentence,
            "reason": self.reason,
            "ground": dict(self.ground),
            "shortage": self.shortage,
            "lines": [line.to_json() for line in self.lines],
            "slices": [_slice_to_json(one) for one in self.slices],
            "power": {"smallest_gain": self.power.smallest, "leads_needed": self.power.leads_needed}
            if self.power
            else None,
            "recalibration": self.recalibration,
            "notes": list(self.notes),
        }


def _slice_to_json(one: Slice) -> dict[str, object]:
    return {
        "kind": one.kind, "level": one.level, "leads": one.leads, "converted": one.converted,
        "champion": one.champion, "challenger": one.challenger, "gain": one.gain.to_json(),
        "p_worse": one.p_worse, "worse": one.worse,
    }  # fmt: skip


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def decide(comparison: Comparison, *, reason: str | None) -> Comparison:
    """Return the comparison with its decision and the sentence that says why.

    Promoted if the gain in log loss is shown and no line failed; else only if a person gives a reason, which is kept.
    The age of a model is no line, so it never decides.
    """
    better = bool(comparison.lines) and comparison.line("log_loss").outcome == "passed"
    failed = [line for line in comparison.lines if line.outcome == "failed"]
    if better and not failed:
        return replace(comparison, promoted=True, reason=reason, sentence=_say_promoted(comparison))
    why = comparison.shortage or _say_kept(comparison, failed, better=better)
    if reason is not None:
        sentence = f"Promoted on a person's word ({reason}), not on the evidence: {why}"
        return replace(comparison, promoted=True, reason=reason, sentence=sentence)
    kept = f"Kept {comparison.champion}" if comparison.champion else f"Not promoted {comparison.challenger}"
    cheaper = f" {comparison.recalibration}" if comparison.recalibration else ""
    return replace(comparison, sentence=f"{kept}: {why[0].lower()}{why[1:]}{cheaper}")


def _say_promoted(comparison: Comparison) -> str:
    gain = comparison.line("log_loss").difference
    assert gain is not None
    return (
        f"Promoted {comparison.challenger}: on {comparison.ground['leads']:,} leads that no model had learnt from, its "
        f"log loss is {say_number(gain.value, 'nats')} lower per lead than that of {comparison.rival} (with 95 % "
        f"certainty at least {say_number(gain.low, 'nats')}), and nothing else is shown to be worse."
    )


def _say_kept(comparison: Comparison, failed: Sequence[Line], *, better: bool) -> str:
    gain, power = comparison.line("log_loss").difference, comparison.power
    assert gain is not None
    assert power is not None
    worse = [line.name for line in failed if line.key != "log_loss"]
    also = f" It also failed on {', '.join(worse)}." if worse else ""
    if better:
        return f"The challenger's log loss is lower, but it failed on {', '.join(worse)}."
    if gain.high < 0:
        return f"The challenger is worse: its log loss is {say_number(-gain.value, 'nats')} higher per lead.{also}"
    if gain.low > 0:
        return f"The challenger's gain is shown, but too small to matter ({say_bounds(gain, 'nats')} per lead).{also}"
    seen = (
        f"A gain of the size seen ({say_number(gain.value, 'nats')}) would need about {_round(power.leads_needed):,}."
        if power.leads_needed is not None
        else "No gain was seen."
    )
    return (
        f"The challenger is not shown to be better ({say_bounds(gain, 'nats')} less log loss per lead). These "
        f"{comparison.ground['leads']:,} leads would have shown a gain of {say_number(power.smallest, 'nats')} "
        f"in four of five cases. {seen}{also}"
    )


def _round(count: int) -> int:
    """Round to two digits.

    >>> _round(12_345), _round(98)
    (12000, 98)
    """
    return round(count, 2 - len(str(count)))


def say_number(value: float, unit: Unit) -> str:
    """Write a number as its unit asks.

    >>> say_number(0.01234, "nats"), say_number(-0.126, "share"), say_number(0.0123, "seconds")
    ('0.0123', '−12.6%', '12.3 ms')
    >>> say_number(1.5, "ratio"), say_number(float("nan"), "nats")
    ('1.50', '–')
    """
    if not math.isfinite(value):
        return "–"
    words = {
        "nats": f"{value:z.4f}",
        "ratio": f"{value:z.2f}",
        "share": f"{value:z.1%}",
        "seconds": f"{1_000 * value:z.1f} ms" if value < 1 else f"{value:.1f} s",
    }
    return words[unit].replace("-", _MINUS)


def say_bounds(bounds: Bounds, unit: Unit) -> str:
    """Write a value with its bounds.

    >>> say_bounds(Bounds(0.01, -0.02, 0.04, 0.02), "nats")
    '+0.0100 [−0.0200, +0.0400]'
    """

    def signed(value: float) -> str:
        return ("+" if value > 0 else "") + say_number(value, unit)

    return f"{signed(bounds.value)} [{signed(bounds.low)}, {signed(bounds.high)}]"
