"""What became of earlier leads with a value like this one: counts from matured history, or nothing."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property

from models.wording import Wording, say_value
from project.language import Words

__all__ = ["Bucket", "EvidenceTable"]


@dataclass(frozen=True)
class Bucket:
    """Leads whose value was alike: a level, a range of numbers with both ends seen, or (all null) no value.

    A range without `high` goes on until the next begins: days since a lead came in, looked at from some days on. A lead
    counts once in a bucket, at the first snapshot where its value was such, as converted if it did so within the
    horizon from then.

    Attributes
    ----------
    usual
        The share of all leads that converted, at the ages at which those of the bucket were looked at: an old lead
        converts less often, whatever its value.
    """

    leads: int
    converted: int
    usual: float = 0.0
    level: str | None = None
    low: float | None = None
    high: float | None = None

    @property
    def rate(self) -> float:
        """The share that converted."""
        return self.converted / self.leads


@dataclass(frozen=True)
class EvidenceTable:
    """For each column what became of leads by their value, beside what became of all.

    Attributes
    ----------
    leads, converted
        All leads of matured history, each at its first snapshot.
    days
        The horizon.
    support
        Below so many leads nothing is said.
    columns
        Column → its buckets; ranges rise and do not overlap.
    """

    leads: int
    converted: int
    days: float
    support: int
    columns: Mapping[str, tuple[Bucket, ...]]

    @property
    def rate(self) -> float:
        """The share of all leads that converted."""
        return self.converted / max(self.leads, 1)

    @cached_property
    def _levels(self) -> dict[str, dict[str, Bucket]]:
        return {
            name: {bucket.level: bucket for bucket in buckets if bucket.level is not None}
            for name, buckets in self.columns.items()
        }

    @cached_property
    def _ranges(self) -> dict[str, list[tuple[float, Bucket]]]:
        return {
            name: [(bucket.low, bucket) for bucket in buckets if bucket.low is not None]
            for name, buckets in self.columns.items()
        }

    def find(self, column: str, value: object) -> Bucket | None:
        """Return the bucket of a value; null if too few leads were like it.

        A number with a fraction, as days have, that lies in the gap after a range of several values belongs to that
        range; any other number that nobody had is like nobody.
        """
        found = self._look_up(column, value)
        return found if found is not None and found.leads >= self.support else None

    def _look_up(self, column: str, value: object) -> Bucket | None:
        if column not in self.columns:
            return None
        if value is None or value != value:
            missing = (bucket for bucket in self.columns[column] if bucket.level is None and bucket.low is None)
            return next(missing, None)
        if isinstance(value, str):
            return self._levels[column].get(value)
        number, ranges = float(value), self._ranges[column]  # type: ignore[arg-type]
        place = bisect_right(ranges, number, key=lambda entry: entry[0]) - 1
        if place < 0:
            return None
        bucket = ranges[place][1]
        if bucket.high is None or number <= bucket.high:
            return bucket
        near = place + 1 < len(ranges) and bucket.low != bucket.high and number % 1
        return bucket if near else None

    def say(self, column: str, wording: Wording, value: object, words: Words) -> str:
        """Say what became of earlier leads like this one, beside all; empty without support."""
        bucket = self.find(column, value)
        if bucket is None:
            return ""
        told: dict[str, object] = {
            "rate": words.percent(bucket.rate),
            "all": words.percent(bucket.usual),
            "days": words.plural("{n} day", "{n} days", self.days),
        }
        if bucket.low and bucket.high is None:
            return words.plural(
                "of {n} lead still open after {low} {rate} bought within {days}; of new ones {all}",
                "of {n} leads still open after {low} {rate} bought within {days}; of new ones {all}",
                bucket.leads,
                low=say_value(wording, bucket.low, words),
                **{**told, "all": words.percent(self.rate)},
            )
        if bucket.low is None or bucket.high is None or bucket.low == bucket.high:
            return words.plural(
                "of {n} such lead {rate} bought within {days}; of all as old {all}",
                "of {n} such leads {rate} bought within {days}; of all as old {all}",
                bucket.leads,
                **told,
            )
        low, high = (say_value(wording, end, words) for end in (bucket.low, bucket.high))
        return words.plural(
            "of {n} lead with {low} to {high}, {rate} bought within {days}; of all as old {all}",
            "of {n} leads with {low} to {high}, {rate} bought within {days}; of all as old {all}",
            bucket.leads,
            low=low,
            high=high,
            **told,
        )

    def to_json(self) -> dict[str, object]:
        """Return the readable form that the manifest stores."""
        buckets = {
            name: [{key: value for key, value in asdict(bucket).items() if value is not None} for bucket in buckets]
            for name, buckets in self.columns.items()
        }
        return {**asdict(self), "columns": buckets}

    @staticmethod
    def from_json(content: Mapping[str, object]) -> EvidenceTable:
        """Read what `to_json` wrote."""
        columns: Mapping[str, list[Mapping[str, object]]] = content["columns"]  # type: ignore[assignment]
        buckets = {name: tuple(Bucket(**entry) for entry in entries) for name, entries in columns.items()}  # type: ignore[arg-type]
        return EvidenceTable(**{**content, "columns": buckets})  # type: ignore[arg-type]
