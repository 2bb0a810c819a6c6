"""A comparison as numbers and words for a tracking store, under names that stay as they are."""

from __future__ import annotations

import math

from training.promotion.verdict import Comparison

__all__ = ["name_metrics", "name_tags"]

_LONGEST = 5_000  # of a tag, in MLflow


def name_metrics(comparison: Comparison) -> dict[str, float]:
    """Return every number of a comparison that exists, by name.

    Of each line `promotion.<key>.champion` and `.challenger`, the `.difference` that is judged with `.difference_low`,
    `.difference_high` (one-sided 95 % bounds) and `.difference_error`, and `.passed` (1 or 0) where it decides. Keys
    are `log_loss`, `base_rate`, `observed_expected`, `slope`, `lift`, `slices` (the worst), `bands_moved`, `evicted`,
    `reasons`, `seconds_1` and `seconds_1000`. Of all: `promotion.promoted`, the power (`smallest_gain`,
    `leads_needed`), `slices.judged` and `slices.worse`, and the ground (`leads`, `snapshots`, `converted`, `blocks`,
    `share_called`).
    """
    numbers: dict[str, float | None] = {"promoted": float(comparison.promoted)}
    for line in comparison.lines:
        numbers[f"{line.key}.champion"] = line.champion
        numbers[f"{line.key}.challenger"] = line.challenger
        if line.difference is not None:
            numbers[f"{line.key}.difference"] = line.difference.value
            numbers[f"{line.key}.difference_low"] = line.difference.low
            numbers[f"{line.key}.difference_high"] = line.difference.high
            numbers[f"{line.key}.difference_error"] = line.difference.error
        if line.outcome != "shown":
            numbers[f"{line.key}.passed"] = float(line.outcome == "passed")
    if comparison.lines:
        numbers["slices.judged"] = len(comparison.slices)
        numbers["slices.worse"] = sum(one.worse for one in comparison.slices)
    if comparison.power is not None:
        numbers["smallest_gain"] = comparison.power.smallest
        numbers["leads_needed"] = comparison.power.leads_needed
    for name in ("leads", "snapshots", "converted", "blocks", "share_called"):
        value = comparison.ground[name]
        assert isinstance(value, int | float)
        numbers[name] = value
    known = {name: float(value) for name, value in numbers.items() if value is not None}
    return {f"promotion.{name}": value for name, value in known.items() if math.isfinite(value)}


def name_tags(comparison: Comparison) -> dict[str, str]:
    """Return the words of a comparison, by name; what it does not have is an empty text.

    A store keeps old metrics of a run that is compared again: `promotion.lines` names the lines that this comparison
    has. Of each, `promotion.<key>.outcome` and `.note`; of the worst slice its name.
    """
    worst = comparison.slices[0] if comparison.slices else None
    words = {
        "verdict": comparison.sentence,
        "champion": comparison.champion or "",
        "champion_trouble": comparison.champion_trouble or "",
        "compared_with": comparison.rival,
        "since": str(comparison.ground["since"] or ""),
        "shortage": comparison.shortage or "",
        "recalibration": comparison.recalibration or "",
        "reason": comparison.reason or "",
        "lines": ",".join(line.key for line in comparison.lines),
        "slices.worst": f"{worst.kind}: {worst.level}" if worst is not None else "",
    }
    for line in comparison.lines:
        words[f"{line.key}.outcome"] = line.outcome
        words[f"{line.key}.note"] = line.note
    return {f"promotion.{name}": text[:_LONGEST] for name, text in words.items()}
