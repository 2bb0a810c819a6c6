"""Judge what two models said of the same leads: pure numbers in, the verdict's lines out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from training.promotion.entrant import Said
from training.promotion.forward import Forward
from training.promotion.lines import compare_calibration, compare_churn, compare_loss, compare_top, sum_up_slices
from training.promotion.paired import (
    Calibration,
    find_level_shift,
    judge_slices,
    losses_per_lead,
    measure_calibration,
    measure_power,
)
from training.promotion.resampling import Bounds, resample_blocks
from training.promotion.verdict import Comparison, Line, Outcome, say_number

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["describe_ground", "judge_said"]

_MOST_LEVELS = 12


def describe_ground(forward: Forward) -> dict[str, object]:
    """Return the facts on the leads that a comparison stands on."""
    return {
        "since": forward.since.isoformat() if forward.since is not None else None,
        "leads": forward.leads,
        "snapshots": len(forward.snapshots),
        "converted": int(forward.won.sum()),
        "blocks": len(np.unique(forward.block)),
        "block": "week" if forward.since is not None else "accounts",
        "share_called": forward.share,
        "share_from_capacity": forward.by_capacity,
    }


def judge_said(
    forward: Forward,
    challenger: Said,
    champion: Said | None,
    *,
    base_rate: float,
    attributes: pd.DataFrame,
    seed: int,
) -> Comparison:
    """Judge what two models said of the same leads; without a champion the base rate stands for it.

    Parameters
    ----------
    base_rate
        What somebody without any model would say of every lead, learnt before these leads.
    attributes
        Categories whose levels are slices, one row a lead.
    """
    lead, converted = forward.lead, forward.converted
    constant = np.full(len(lead), base_rate)
    flat = Said("base rate", constant, constant[: forward.leads], np.array([]), [])
    rival = champion or flat
    resampling = resample_blocks(forward.block, seed=seed)
    losses = {name: losses_per_lead(one.probability, converted, lead) for name, one in
              (("ours", challenger), ("theirs", rival), ("base", flat))}  # fmt: skip
    gain = resampling.mean(losses["theirs"] - losses["ours"])
    power = measure_power(gain, leads=forward.leads, blocks=resampling.blocks)
    lines = [compare_loss(losses["theirs"], losses["ours"], gain, power)]
    if champion is not None:
        lines.append(_compare_with_base(losses, resampling.mean(losses["base"] - losses["ours"])))
    calibrations = [measure_calibration(one.probability, converted, lead, resampling) for one in (rival, challenger)]
    lines += compare_calibration(calibrations[0], calibrations[1], resampling, alone=champion is None)
    lines.append(compare_top(rival.best, challenger.best, forward, resampling))
    slices = judge_slices(
        _make_slices(forward, attributes),
        losses["theirs"],
        losses["ours"],
        forward.won,
        account=_accounts(forward),
        week=forward.block,
    )
    lines.append(sum_up_slices(slices))
    if champion is not None:
        lines += compare_churn(champion, challenger, forward, resampling)
    return Comparison(
        challenger.model_id,
        champion.model_id if champion else None,
        None,
        describe_ground(forward),
        None,
        lines,
        slices,
        power,
        _say_recalibration(calibrations[0], champion, forward) if champion is not None else None,
    )


def _compare_with_base(losses: Mapping[str, NDArray[np.float64]], gain: Bounds) -> Line:
    theirs = float((losses["base"] - losses["theirs"]).mean())
    outcome: Outcome = "passed" if gain.low > 0 else "failed"
    note = "less log loss than quoting the rate that was known before; the interval is the challenger's"
    return Line("base_rate", "gain over the base rate", "nats", theirs, gain.value, gain, outcome, note)


def _say_recalibration(calibration: Calibration, champion: Said, forward: Forward) -> str | None:
    if not calibration.level_is_off:
        return None
    shift, saved = find_level_shift(champion.probability, forward.converted, forward.lead)
    low, high = calibration.ratio_band
    by = f"{shift:+.2f}".replace("-", "\N{MINUS SIGN}")
    return (
        f"But the champion's level is off (observed / expected {calibration.ratio:.2f}, noise {low:.2f} to "
        f"{high:.2f}): recalibrating it by {by} log-odds would save {say_number(saved, 'nats')} of log loss per lead, "
        "and is the cheaper step."
    )


def _accounts(forward: Forward) -> NDArray[np.int64]:
    groups = forward.snapshots["group_id"].to_numpy(dtype=object).astype(str)
    return np.unique(groups[_first_rows(forward)], return_inverse=True)[1].astype(np.int64)


def _first_rows(forward: Forward) -> NDArray[np.intp]:
    return np.unique(forward.lead, return_index=True)[1]


def _make_slices(forward: Forward, attributes: pd.DataFrame) -> dict[tuple[str, str], NDArray[np.bool_]]:
    """Return the slices: months in which leads came in, and the most frequent levels of every category."""
    slices: dict[tuple[str, str], NDArray[np.bool_]] = {}
    if forward.since is not None:
        months = forward.snapshots["created_at"].iloc[_first_rows(forward)].dt.strftime("%Y-%m").to_numpy(dtype=object)
        for month in sorted(set(months)):
            slices["month", str(month)] = np.asarray(months == month)
    for header in attributes.columns:
        values = attributes[header]
        for level in values.value_counts().index[:_MOST_LEVELS]:
            slices[str(header), str(level)] = (values == level).fillna(False).to_numpy(dtype=np.bool_)
    return slices
