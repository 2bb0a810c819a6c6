"""How the numbers and times of one column are written: decided over all its cells, with proof, or an error asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from features.tables import quote
from features.written import DATE, ISO_TIME, PLAIN_NUMBER, number_proof
from project.errors import SchemaError

if TYPE_CHECKING:
    import duckdb

__all__ = ["ORDERS", "ColumnToRead", "Form", "decide_forms", "guess_form"]

ORDERS = ("dmy", "mdy")
_STRAY = 0.05  # proofs of the other reading that are still taken for slips


@dataclass(frozen=True)
class ColumnToRead:
    """A column whose form is asked for: where its cells are, what they are, and what the user declared of them."""

    header: str
    text: str
    kind: str
    declared: str | None = None


@dataclass(frozen=True)
class Form:
    """How a column is written.

    Attributes
    ----------
    plain
        Every cell has the machine's own form: an ISO time, a number with a point. Nothing has to be undone then.
    mark
        For numbers the decimal mark; for times `dmy`, `mdy`, or a pattern for `strptime`; null if it does not matter.
    """

    plain: bool
    mark: str | None


def decide_forms(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    columns: Sequence[ColumnToRead],
    *,
    name: str,
    written: bool = True,
) -> dict[str, Form]:
    """Decide the form of every column of numbers (`number`, `amount`) and times (`time`), by its `text` expression.

    A column that proves nothing follows the other columns of the file that are written with the same marks. Where the
    numbers were `written` by somebody, and not spelt here, that holds for `1.234` too; else its point is decimal.

    Raises
    ------
    SchemaError
        A column proves both readings, or could be read either way and nothing in the file tells which; the message
        shows both and names the key to set.
    """
    if not columns:
        return {}
    plain = [
        f"NOT regexp_matches({column.text}, {quote(ISO_TIME)})"
        if column.kind == "time"
        else f"NOT regexp_full_match({column.text}, {quote(PLAIN_NUMBER)})"
        for column in columns
    ]
    counts = ", ".join(f"count(*) FILTER (WHERE {condition})" for condition in plain)
    strange = connection.execute(f"SELECT {counts} FROM {table}").fetchall()[0]
    found = {}
    for column, count in zip(columns, strange, strict=True):
        decide = _decide_moment if column.kind == "time" else _decide_number
        found[column.header] = decide(connection, table, column, name) if count else _machine_form(column)
    if written and any(count for column, count in zip(columns, strange, strict=True) if column.kind != "time"):
        for column, count in zip(columns, strange, strict=True):
            if column.kind != "time" and not count and column.declared is None:
                found[column.header] = _weigh_points(connection, table, column)
    if not written:
        found = {header: replace(finding, open=False) for header, finding in found.items()}
    return {
        column.header: _follow(column, found, {other.header: other.kind == "time" for other in columns}, name)
        for column in columns
    }


def guess_form(connection: duckdb.DuckDBPyConnection, table: str, column: ColumnToRead) -> Form:
    """Return the likely form of one column, for a proposal that somebody reads: where proof is missing, what is usual.

    A date with points has the day first, one with slashes the month; a comma parts thousands.
    """
    decide = _decide_moment if column.kind == "time" else _decide_number
    try:
        finding = decide(connection, table, column, "")
    except SchemaError:
        return Form(False, None)
    if column.kind == "time" and finding.doubtful is not None:
        return Form(False, "mdy" if finding.separator == "/" else "dmy")
    return finding.form


@dataclass(frozen=True)
class _Finding:
    """A form, or the cell in doubt, and the separator by which other columns may decide it.

    An `open` form holds unless other columns prove another.
    """

    form: Form
    doubtful: str | None = None
    separator: str = ""
    open: bool = False


def _machine_form(column: ColumnToRead) -> _Finding:
    """Return the form of a column that holds ISO times or plain numbers only."""
    own = column.declared not in (None, ".", *ORDERS)
    return _Finding(Form(not own, column.declared if own else None))


def _decide_number(connection: duckdb.DuckDBPyConnection, table: str, column: ColumnToRead, name: str) -> _Finding:
    if column.declared is not None:
        return _Finding(Form(False, column.declared))
    proofs = connection.execute(
        f"SELECT {number_proof('cell')} AS proof, count(*), min(cell) FROM (SELECT {column.text} AS cell FROM {table}) "
        "WHERE proof IS NOT NULL GROUP BY 1"
    ).fetchall()
    counts = {int(proof): int(n) for proof, n, _ in proofs}
    examples = {int(proof): str(cell) for proof, _, cell in proofs}
    comma, point = counts.get(1, 0), counts.get(-1, 0)
    if min(comma, point) > _STRAY * (comma + point):
        raise SchemaError(
            f"{name}: column {column.header!r} has a decimal comma in {examples[1]!r} and a decimal point in "
            f'{examples[-1]!r}. Set decimal = "," or "." for it in leads.toml; the cells that do not fit are then '
            "set aside."
        )
    if comma or point:
        return _Finding(Form(False, "," if comma > point else "."))
    return _Finding(Form(False, None), examples.get(0), open=2 in counts and 3 not in counts)


def _weigh_points(connection: duckdb.DuckDBPyConnection, table: str, column: ColumnToRead) -> _Finding:
    """Tell what a column of plain numbers proves to the others of a file in which some are not plain."""
    proofs = connection.execute(
        f"SELECT DISTINCT {number_proof('cell')} FROM (SELECT {column.text} AS cell FROM {table})"
    )
    found = {proof for (proof,) in proofs.fetchall()}
    return _Finding(Form(True, "." if -1 in found else None), open=2 in found and not found & {-1, 3})


def _decide_moment(connection: duckdb.DuckDBPyConnection, table: str, column: ColumnToRead, name: str) -> _Finding:
    if column.declared is not None:
        return _Finding(Form(False, column.declared))
    day, month = (f"try_cast(regexp_extract(cell, {quote(DATE)}, {group}) AS INTEGER)" for group in (1, 2))
    last = f"try_cast(regexp_extract(cell, {quote(DATE)}, 3) AS INTEGER)"
    numeric, filled, day_first, month_first, example, separator, year_first = connection.execute(
        f"""SELECT count(*), (SELECT count({column.text}) FROM {table}),
            min(cell) FILTER (WHERE day > 12 AND month <= 12), min(cell) FILTER (WHERE month > 12 AND day <= 12),
            min(cell), min(regexp_extract(cell, '[./-]')),
            bool_and(month BETWEEN 1 AND 12 AND last BETWEEN 1 AND 31) AND count(DISTINCT last) > count(DISTINCT day)
        FROM (SELECT cell, {day} AS day, {month} AS month, {last} AS last
            FROM (SELECT {column.text} AS cell FROM {table})
            WHERE regexp_matches(cell, {quote(DATE)}))"""
    ).fetchall()[0]
    if not numeric:
        return _Finding(Form(False, None))
    if year_first:
        pattern = f"%y{separator}%m{separator}%d"
        raise SchemaError(
            f"{name}: column {column.header!r} is written like {example!r}, and its last number changes more often "
            f'than its first: it may be the day. Set date_format = "{pattern}" (the year first) or "dmy" (the day '
            "first) for it in leads.toml."
        )
    if day_first and month_first:
        raise SchemaError(
            f"{name}: column {column.header!r} has the day first in {day_first!r} and the month first in "
            f'{month_first!r}. Set date_format = "dmy" or "mdy" for it in leads.toml; the cells that do not fit are '
            "then set aside."
        )
    if day_first or month_first:
        return _Finding(Form(False, "dmy" if day_first else "mdy"), separator=separator)
    # a few cells in doubt are set aside; a column of them is not
    return _Finding(Form(False, None), example if numeric > _STRAY * filled else None, separator)


def _follow(column: ColumnToRead, found: Mapping[str, _Finding], times: Mapping[str, bool], name: str) -> Form:
    finding = found[column.header]
    if finding.doubtful is None and not finding.open:
        return finding.form
    marks = {
        other.form.mark
        for header, other in found.items()
        if times[header] == times[column.header] and other.separator == finding.separator and other.form.mark
    }
    if len(marks) == 1:
        mark = marks.pop()
        return Form(finding.form.plain and mark == ".", mark)
    if finding.doubtful is None:
        return finding.form
    if column.kind == "time":
        raise SchemaError(
            f"{name}: column {column.header!r} is written like {finding.doubtful!r}, and no cell tells which number is "
            'the day. Set date_format = "dmy" (the day first) or "mdy" (the month first) for it in leads.toml.'
        )
    raise SchemaError(
        f"{name}: column {column.header!r} is written like {finding.doubtful!r}, and no cell tells whether the comma "
        'is decimal or parts thousands. Set decimal = "," (decimal) or "." (thousands) for it in leads.toml.'
    )
