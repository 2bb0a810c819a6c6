"""Do independent work side by side, on all cores, with answers in the order they were asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

__all__ = ["run_beside"]

Answer = TypeVar("Answer")


def run_beside(jobs: Sequence[Callable[[], Answer]]) -> list[Answer]:
    """Run jobs in threads and return their answers; each must be deterministic and use one thread itself.

    Threads suffice, since the work is done in LightGBM and in BLAS, which let others run.

    >>> run_beside([lambda: 1, lambda: 2])
    [1, 2]
    """
    from joblib import Parallel, delayed

    return list(Parallel(n_jobs=-1, prefer="threads")(delayed(job)() for job in jobs))
