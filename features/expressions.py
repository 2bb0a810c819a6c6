"""Expressions over features, as a person writes a rule of thumb: `employees >= 50 and source in ("web", "Вебинар")`.

They are read as Python reads an expression, but only what is listed here is understood, and nothing is ever run:

- names of features (any script; one that is no plain name stands in backticks), numbers, texts in quotes;
- `<`, `<=`, `>`, `>=`, `==`, `!=`, also chained (`10 <= employees < 500`);
- `in` and `not in` with a list of numbers or texts; `is None` and `is not None`, for a value that is not known;
- `and`, `or`, `not`, and brackets.

A comparison with a missing value is false, whichever it is: `budget > 3`, `budget != 3` and `budget not in (3, 4)` all
fail where the budget is not known. So `not (budget > 3)` is true there, while `budget <= 3` is false.
"""

from __future__ import annotations

import ast
import hashlib
import operator
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from features.expression_parts import ORDERED, Asked, Kind, Rename, bare_name, hide_backticks, list_pairs, read_constant
from project.errors import SettingsError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Expression", "read_expression"]

_LONGEST = 2_000
_EQUAL: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {ast.Eq: operator.eq, ast.NotEq: operator.ne}


@dataclass(frozen=True)
class Expression:
    """An expression that was read and understood.

    Attributes
    ----------
    canonical
        The same text however the expression was spaced, bracketed and quoted.
    names
        The features it reads, each once, by name.
    tree
        What is evaluated.
    """

    canonical: str
    names: tuple[str, ...]
    tree: ast.expr

    @property
    def version(self) -> str:
        """Eight hexadecimal digits that change when what is said changes, and not when its spacing does."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()[:8]

    def meets(self, frame: pd.DataFrame) -> NDArray[np.bool_]:
        """Return which rows of a feature frame meet it, shape (rows,)."""
        return _decide(self.tree, frame)


def read_expression(text: str, kinds: Mapping[str, Kind], *, what: str) -> Expression:
    """Read an expression over the features of a catalogue.

    Parameters
    ----------
    kinds
        Name of a feature → its kind.
    what
        How messages call the expression.

    Raises
    ------
    SettingsError
        It cannot be read, names an unknown feature, or compares what cannot be compared.

    >>> import pandas as pd
    >>> kinds = {"employees": "number", "источник": "category"}
    >>> expression = read_expression('employees>=50 and источник in ["Вебинар"]', kinds, what="definition 'a'")
    >>> expression.canonical
    "employees >= 50 and источник in ('Вебинар',)"
    >>> frame = pd.DataFrame({"employees": [50.0, None], "источник": ["Вебинар", "Вебинар"]})
    >>> expression.meets(frame).tolist()
    [True, False]
    """
    if len(text) > _LONGEST:
        raise SettingsError(f"{what}: longer than {_LONGEST:,} characters. Write it shorter.")
    line = " ".join(text.replace("\0", " \N{REPLACEMENT CHARACTER} ").splitlines()).strip()
    plain, quoted = hide_backticks(line)
    asked = Asked(what, line, kinds, quoted)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a strange escape in a text is no concern of Python here
            tree = ast.parse(plain, mode="eval").body
        asked.check(tree)
        tree = Rename(asked).visit(tree)
        canonical = ast.unparse(tree)
    except SyntaxError as error:
        place = f" at character {error.offset}" if error.offset else ""
        raise SettingsError(
            f"{what}: cannot be read{place} of {line!r} ({error.msg}). Write it like "
            'employees >= 50 and source in ("web", "mail").'
        ) from error
    except (RecursionError, MemoryError) as error:
        raise SettingsError(f"{what}: cannot be read (nested too deeply). Write it simpler.") from error
    names = {bare_name(node.id) for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return Expression(canonical, tuple(sorted(names)), tree)


def _decide(node: ast.expr, frame: pd.DataFrame) -> NDArray[np.bool_]:
    if isinstance(node, ast.BoolOp):
        every = [_decide(part, frame) for part in node.values]  # noqa: PD011 - of a tree
        joined = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
        return np.asarray(joined.reduce(every), dtype=np.bool_)
    if isinstance(node, ast.UnaryOp):
        return ~_decide(node.operand, frame)
    assert isinstance(node, ast.Compare)
    met = np.ones(len(frame), dtype=np.bool_)
    for left, op, right in list_pairs(node):
        met &= _compare(left, op, right, frame)
    return met


def _compare(left: ast.expr, op: ast.cmpop, right: ast.expr, frame: pd.DataFrame) -> NDArray[np.bool_]:
    value, known = _values(left, frame)
    if isinstance(op, ast.Is):
        return ~known
    if isinstance(op, ast.IsNot):
        return known
    if isinstance(op, (ast.In, ast.NotIn)):
        assert isinstance(right, ast.Tuple)
        listed = {read_constant(part) for part in right.elts}
        inside = np.array([one in listed for one in value.tolist()], dtype=np.bool_)
        return known & (inside if isinstance(op, ast.In) else ~inside)
    other, also_known = _values(right, frame)
    compare = {**ORDERED, **_EQUAL}[type(op)]
    return np.asarray(known & also_known & compare(value, other).astype(np.bool_))


def _values(node: ast.expr, frame: pd.DataFrame) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return one value a row, and which are known."""
    if isinstance(node, ast.Name):
        column = frame[bare_name(node.id)]
        known = column.notna().to_numpy(dtype=np.bool_)
        numeric = np.issubdtype(column.to_numpy().dtype, np.number)
        return column.to_numpy(dtype=np.float64 if numeric else object), known
    constant = read_constant(node)
    kind = object if isinstance(constant, str) else np.float64
    return np.full(len(frame), constant, dtype=kind), np.ones(len(frame), dtype=np.bool_)
