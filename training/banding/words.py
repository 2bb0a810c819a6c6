"""What thresholds would bring, in words, for the terminal and the page alike."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from training.banding.solve import Line, Solution

if TYPE_CHECKING:
    from project.settings import CapacitySettings
    from training.evaluation.evaluate import Interval

__all__ = [
    "HEADER",
    "pick_lines",
    "say_ground",
    "say_line",
    "say_solution",
    "write_money",
    "write_probability",
    "write_range",
]

HEADER = ("SQL from", "calls a week", "of all leads", "wins a week", "of them convert", "margin a week", "")
_MOST_LINES = 12
_SLACK = 0.05  # a twentieth too many is no news
_MARKS = {
    "present": "now",
    "capacity": "fills the capacity",
    "break-even": "break-even",
    "margin": "best margin",
    "promise": "precision proved",
}


def write_range(found: Interval | None, form: str = ".1f") -> str:
    """Write a number with its interval.

    >>> from training.evaluation.evaluate import Interval
    >>> write_range(Interval(3.04, 2.0, 4.0)), write_range(Interval(0.25, 0.2, 0.31), ".0%"), write_range(None)
    ('3.0 (2.0 to 4.0)', '25% (20% to 31%)', '–')
    """
    if found is None:
        return "–"
    return f"{found.value:{form}} ({found.low:{form}} to {found.high:{form}})"


def write_money(found: Interval | None, currency: str) -> str:
    """Write an amount of money with its interval."""
    return "–" if found is None else f"{write_range(found, ',.0f')} {currency}".strip()


def write_probability(threshold: float) -> str:
    """Write a threshold so that small ones can be told apart.

    >>> write_probability(0.3), write_probability(0.17802), write_probability(0.0043)
    ('0.3', '0.178', '0.0043')
    """
    return f"{threshold:.3g}"


def say_line(line: Line, currency: str) -> list[str]:
    """Return the cells of one threshold, as `HEADER` names them."""
    return [
        write_probability(line.threshold),
        write_range(line.calls),
        f"{line.share.value:.1%}",
        write_range(line.wins),
        write_range(line.precision, ".0%"),
        write_money(line.margin, currency),
        ", ".join(_MARKS[mark] for mark in line.marks),
    ]


def pick_lines(solution: Solution, *, most: int = _MOST_LINES) -> list[Line]:
    """Return the lines with a mark and others between them: close together where few calls are made, then wider."""
    chosen = {place for place, line in enumerate(solution.lines) if line.marks}
    calls = [line.calls.value for line in solution.lines]
    free = [place for place in range(len(calls)) if place not in chosen and calls[place] > 0]
    while free and len(chosen) < most:
        # the one that is furthest from all that are shown already
        distance = {
            place: min((abs(math.sqrt(calls[place]) - math.sqrt(calls[one])) for one in chosen), default=math.inf)
            for place in free
        }
        farthest = max(free, key=lambda place: distance[place])
        if distance[farthest] == 0:
            break
        chosen.add(farthest)
        free.remove(farthest)
    return [solution.lines[place] for place in sorted(chosen)]


def say_ground(solution: Solution) -> str:
    """Say which leads tell."""
    ground = solution.ground
    told = (
        f"{ground.leads:,} leads that the model has not learnt from came in from {ground.since:%Y-%m-%d} to "
        f"{ground.until:%Y-%m-%d} and are old enough to know: {int(ground.won.sum()):,} converted. Ranges hold nine of "
        "ten draws of whole accounts."
    )
    if ground.arrived <= ground.leads:
        return told
    return (
        f"{told} {ground.arrived - ground.leads:,} more of these weeks ended unreachable, as junk or the like; they "
        "are taken to need as many calls as the others and to bring nothing."
    )


def say_solution(solution: Solution, capacity: CapacitySettings) -> list[str]:
    """Say what follows: capacity, money, one more rep, the precision wanted; and what is missing to tell more."""
    return [
        *_say_capacity(solution, capacity),
        *_say_money(solution, capacity),
        *_say_promise(solution),
        *solution.notes,
    ]


def _say_capacity(solution: Solution, capacity: CapacitySettings) -> list[str]:
    full, now = solution.find("capacity"), solution.find("present")
    assert now is not None
    if full is None or capacity.leads_per_week is None:
        return [
            "How many calls the team can make is not known: set capacity.leads_per_week, or reps and calls_per_rep."
        ]
    too_many = ", more than the team can make," if now.calls.value > capacity.leads_per_week * (1 + _SLACK) else ""
    words = [
        f"The team can make {capacity.leads_per_week:,.4g} calls a week; SQL from {write_probability(full.threshold)} "
        f"fills that and reaches {write_range(full.wins)} wins a week. Now SQL begins at "
        f"{write_probability(now.threshold)}: {now.calls.value:.1f} calls{too_many} and {write_range(now.wins)} wins."
    ]
    more = solution.more
    if more is None:
        return [*words, "What one more rep would bring is not known: set capacity.calls_per_rep."]
    if more.calls <= 0:
        return [*words, "One more rep would find nobody to call: the team can call every lead that comes in."]
    money = f", margin {write_money(more.margin, capacity.currency)} a week" if more.margin is not None else ""
    return [*words, f"One more rep ({more.calls:.1f} calls a week, SQL from {write_probability(more.threshold)}): "
            f"{write_range(more.wins)} more wins a week{money}."]  # fmt: skip


def _say_money(solution: Solution, capacity: CapacitySettings) -> list[str]:
    even, best = solution.find("break-even"), solution.find("margin")
    if even is None and best is None:
        return ["What a call costs and a win brings is not known: set capacity.cost_per_call and value_per_win."]
    words = []
    if even is not None:
        words = [f"A call brings what it costs from a probability of {write_probability(even.threshold)} on."]
    if best is None or solution.gain is None or "present" in best.marks:
        return words
    within = " within the capacity" if capacity.leads_per_week is not None else ""
    shown = ", which could be chance" if solution.gain.low <= 0 <= solution.gain.high else ""
    return [
        *words,
        f"The best margin{within} was seen from {write_probability(best.threshold)} on: "
        f"{write_money(best.margin, capacity.currency)} a week; compared with now "
        f"{write_range(solution.gain, '+,.0f')}{shown}.",
    ]


def _say_promise(solution: Solution) -> list[str]:
    promise = solution.promise
    if promise is None:
        return []
    wanted = f"{promise.target:.4g}"
    sure = 1 - promise.alpha
    if promise.threshold is not None:
        return [
            f"With {sure:.0%} confidence at least {100 * promise.target:.4g}% of the leads from "
            f"{write_probability(promise.threshold)} on convert, as long as leads stay like these "
            f"({promise.share:.1%} of all; {promise.precision or 0.0:.0%} of them did)."
        ]
    if promise.needed is not None:
        return [
            f"A precision of {wanted} cannot be promised with {sure:.0%} confidence yet: it takes about "
            f"{promise.needed:,} more leads with known outcomes."
        ]
    return [f"At no threshold did more than {100 * promise.target:.4g}% of the leads convert: ask for less precision."]
