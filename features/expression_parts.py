"""What an expression may consist of: the names and constants in it, and what is refused, with its place."""

from __future__ import annotations

import ast
import difflib
import operator
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from project.errors import SettingsError

__all__ = ["ORDERED", "Asked", "Kind", "Rename", "bare_name", "hide_backticks", "list_pairs", "read_constant"]

Kind = Literal["number", "category"]
ORDERED: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip
_KINDS: Mapping[Kind, str] = {"number": "a number", "category": "a text"}


def hide_backticks(line: str) -> tuple[str, dict[str, str]]:
    """Put plain names of the same length for names in backticks; return them with what they stand for.

    >>> hide_backticks('`2gis` > 1 and a == "`"')[1].values()
    dict_values(['2gis'])
    """
    plain, quoted = list(line), dict[str, str]()
    # letters of a script that the text does not use stand in for each of them
    letters = (chr(code) for code in range(0xAC00, 0xD7A4) if chr(code) not in line)
    place, inside = 0, ""
    while place < len(line):
        letter = line[place]
        if inside:
            if letter == "\\":
                place += 1
            elif letter == inside:
                inside = ""
        elif letter in "'\"":
            inside = letter
        elif letter == "`" and (end := line.find("`", place + 1)) > place + 1:
            stand_in = next(letters) * (end + 1 - place)
            quoted[stand_in] = line[place + 1 : end]
            plain[place : end + 1] = stand_in
            place = end
        place += 1
    return "".join(plain), quoted


@dataclass(frozen=True)
class Asked:
    """An expression as it was written, to check it and to say what is wrong with it and where."""

    what: str
    line: str
    kinds: Mapping[str, Kind]
    quoted: Mapping[str, str]

    def name_of(self, node: ast.Name) -> str:
        """Return the feature that a name stands for; Python takes two spellings of one letter in a name for the same.

        Raises
        ------
        SettingsError
            There is none.
        """
        name = self.quoted.get(node.id, node.id)
        if name in self.kinds:
            return name
        same = unicodedata.normalize("NFKC", name)
        found = next((known for known in self.kinds if unicodedata.normalize("NFKC", known) == same), None)
        if found is None:
            near = difflib.get_close_matches(name, list(self.kinds), n=1, cutoff=0)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            self.refuse(node, f"no feature is called {name!r}.{hint}")
        return found

    def refuse(self, node: ast.expr, found: str) -> NoReturn:
        """Raise a SettingsError that says where, and what was found there."""
        raise SettingsError(f"{self.what}: at character {self._place(node.col_offset) + 1} of {self.line!r}: {found}")

    def _place(self, offset: int | None) -> int:
        """Turn Python's count of bytes into one of letters."""
        plain, _ = hide_backticks(self.line)
        return len(plain.encode()[:offset].decode(errors="ignore"))

    def check(self, node: ast.expr) -> None:
        """Refuse what is no condition.

        Raises
        ------
        SettingsError
            Something in it is not understood.
        """
        if isinstance(node, ast.BoolOp):
            for part in node.values:
                self.check(part)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            self.check(node.operand)
        elif isinstance(node, ast.Compare):
            for left, op, right in list_pairs(node):
                self._check_pair(left, op, right)
        elif isinstance(node, ast.Name):
            name = self.name_of(node)
            self.refuse(node, f"{name!r} alone is no condition. Compare it: {name} > 0, or {name} is not None.")
        else:
            self.refuse(node, f"{self._spell(node)} is no condition. Compare a feature with a number or a text.")

    def _check_pair(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> None:
        if isinstance(op, (ast.Is, ast.IsNot)):
            if not isinstance(left, ast.Name) or not _is_none(right):
                self.refuse(right, f"found {self._spell(right)} after `is`. Only `feature is None` is understood.")
            self.name_of(left)
            return
        if isinstance(op, (ast.In, ast.NotIn)):
            self._check_list(left, right)
            return
        one, other = self._kind(left), self._kind(right)
        if not isinstance(left, ast.Name) and not isinstance(right, ast.Name):
            self.refuse(left, f"{self._spell(left)} and {self._spell(right)} are compared, and neither is a feature.")
        if one != other:
            self.refuse(
                right, f"{self._spell(left)} is {_KINDS[one]}, {self._spell(right)} is {_KINDS[other]}. Compare alike."
            )
        if one == "category" and type(op) in ORDERED:
            self.refuse(left, f"{self._spell(left)} is a text, and texts have no order. Use ==, != or in.")

    def _check_list(self, left: ast.expr, right: ast.expr) -> None:
        if not isinstance(left, ast.Name):
            self.refuse(left, f"found {self._spell(left)} before `in`. Only a feature can be in a list.")
        if not isinstance(right, (ast.Tuple, ast.List, ast.Set)):
            self.refuse(right, f'found {self._spell(right)} after `in`. Write a list: in ("one", "other").')
        kind = self._kind(left)
        for part in right.elts:
            if isinstance(part, ast.Name):
                self.refuse(part, f"found {self._spell(part)} in a list. Put texts in quotes.")
            if self._kind(part) != kind:
                self.refuse(part, f"{self._spell(left)} is {_KINDS[kind]}, {self._spell(part)} is not.")

    def _kind(self, node: ast.expr) -> Kind:
        if isinstance(node, ast.Name):
            return self.kinds[self.name_of(node)]
        value = read_constant(node)
        if value is None:
            hint = " For a missing value write `is None`." if _is_none(node) else ""
            self.refuse(node, f"found {self._spell(node)}, which is no feature, number or text in quotes.{hint}")
        return "category" if isinstance(value, str) else "number"

    def _spell(self, node: ast.expr) -> str:
        """Return what was written, as it was written."""
        start, end = self._place(node.col_offset), self._place(node.end_col_offset)
        return f"`{self.line[start:end].strip('`')}`"


class Rename(ast.NodeTransformer):
    """Give names their features' names, and lists one form."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked

    def visit_Name(self, node: ast.Name) -> ast.Name:
        """Name a feature."""
        name = self.asked.name_of(node)
        return ast.copy_location(ast.Name(node.id if name == node.id else f"`{name}`", node.ctx), node)

    def visit_List(self, node: ast.List) -> ast.Tuple:
        """Make a tuple of a list."""
        return ast.copy_location(ast.Tuple(node.elts, node.ctx), node)

    def visit_Set(self, node: ast.Set) -> ast.Tuple:
        """Make a tuple of a set."""
        return ast.copy_location(ast.Tuple(node.elts, ast.Load()), node)


def bare_name(name: str) -> str:
    """Return the feature's name of a name in a tree, which has backticks where it is no plain one."""
    return name.strip("`")


def list_pairs(node: ast.Compare) -> list[tuple[ast.expr, ast.cmpop, ast.expr]]:
    """Return what is compared with what: three operands in a chain make two pairs."""
    return list(zip([node.left, *node.comparators[:-1]], node.ops, node.comparators, strict=True))


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def read_constant(node: ast.expr) -> float | str | None:
    """Return a number (with its sign) or a text; null for anything else."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        number = read_constant(node.operand)
        return None if not isinstance(number, float) else -number if isinstance(node.op, ast.USub) else number
    value = node.value if isinstance(node, ast.Constant) else None
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None
