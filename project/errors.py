"""One small tree of errors; each knows the exit code a command ends with.

::

    LeadError(ValueError)            what was asked, what was found, and the cure
    ├── SettingsError        2       leads.toml or the command line
    ├── NotEnoughDataError   3       too few leads or outcomes to say anything
    ├── QualityGateError     4       a model or a column was refused
    ├── SchemaError          5       a table does not look as it was declared
    ├── ArtefactError        6       a saved model is damaged or unknown
    ├── LockHeldError        7       another command is writing to this project
    └── StorageError         8       a file could not be read or written
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = [
    "EXIT_CODES",
    "ArtefactError",
    "LeadError",
    "LockHeldError",
    "NotEnoughDataError",
    "QualityGateError",
    "SchemaError",
    "SettingsError",
    "StorageError",
    "name_some",
]


class LeadError(ValueError):
    """Anything this project refuses to do; the message ends with the cure."""

    exit_code = 2


class SettingsError(LeadError):
    """`leads.toml` or a command-line option cannot be used as it stands."""

    exit_code = 2


class NotEnoughDataError(LeadError):
    """There are too few leads or outcomes for the question."""

    exit_code = 3


class QualityGateError(LeadError):
    """A model or a column was refused on its evidence."""

    exit_code = 4


class SchemaError(LeadError):
    """A table lacks a declared column or holds something else in it."""

    exit_code = 5


class ArtefactError(LeadError):
    """A saved model is incomplete, damaged, or of an unknown protocol."""

    exit_code = 6


class LockHeldError(LeadError):
    """Another command is writing to the same project."""

    exit_code = 7


class StorageError(LeadError):
    """A file or database could not be read or written."""

    exit_code = 8


EXIT_CODES: dict[int, str] = {
    0: "done",
    1: "done, but more rows were rejected than `project.max_reject_share` allows",
    2: "usage or settings",
    3: "not enough data",
    4: "quality or leakage gate",
    5: "a table does not match its declaration",
    6: "the saved model is damaged or unknown",
    7: "another command is writing to this project",
    8: "a file or database could not be read or written",
    130: "interrupted",
}


def name_some(items: Iterable[object], *, most: int = 5) -> str:
    """Name up to `most` offenders, then say how many more there are.

    >>> name_some(["a", "b"])
    'a, b'
    >>> name_some(range(8))
    '0, 1, 2, 3, 4 and 3 more'
    """
    names = [str(item) for item in items]
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
