"""The future test: a feature that changes when what came at or after `as_of` is taken away, or invented, knew it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from features.engine import build_features

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

    from features.catalogue import Catalogue
    from features.tables import Tables

__all__ = ["FutureFeature", "find_future_features"]

_CUTS, _ROWS_A_CUT, _SEED = 8, 40, 0
_SCHEMA = "present"
_NEAR = 1e-9
_WHEN = {"occurred_at": "<", "recorded_at": "<", "valid_from": "<="}
_ENDS = ("superseded_at", "won_at", "lost_at")


@dataclass(frozen=True)
class FutureFeature:
    """A feature that knew the future: in how many of the compared snapshots its value changed."""

    name: str
    changed: int
    compared: int


def find_future_features(
    frame: pd.DataFrame, snapshots: pd.DataFrame, tables: Tables, catalogue: Catalogue
) -> tuple[FutureFeature, ...]:
    """Build a sample of snapshots again, without the future and with an invented one, and name what differs.

    At each of a few moments the whole of the tables ends: rows at or after it are taken away, and once more a burst of
    events, wins and account versions is put there instead. No snapshot as of that moment or earlier may notice.

    Parameters
    ----------
    frame
        The features under trial, one row a snapshot; only its columns that the catalogue names are judged.
    """
    names = [name for name in catalogue.names if name in frame.columns]
    if not tables.dated or not names or snapshots.empty:
        return ()
    kept = catalogue.keep(names)
    changed, compared = dict.fromkeys(names, 0), 0
    for moment, rows in _sample(snapshots):
        asked = snapshots.iloc[rows][["lead_id", "as_of"]].reset_index(drop=True)
        honest = frame.iloc[rows][names].reset_index(drop=True)
        for invent in (False, True):
            with _ending_at(tables, moment, asked["lead_id"].to_list(), invent=invent) as present:
                again = build_features(asked, present, kept)
            compared += len(rows)
            for name in names:
                changed[name] += int(_differs(honest[name], again[name]).sum())
    return tuple(FutureFeature(name, n, compared) for name, n in changed.items() if n)


def _sample(snapshots: pd.DataFrame) -> Iterator[tuple[np.datetime64, NDArray[np.intp]]]:
    """Choose moments among the snapshots' own, each with the snapshots that come last before or at it."""
    as_of = snapshots["as_of"].to_numpy()
    order = np.argsort(as_of, kind="stable")
    drawn = np.random.default_rng(_SEED).choice(len(order), size=min(_CUTS, len(order)), replace=False)
    for place in np.sort(drawn):
        last = int(np.searchsorted(as_of[order], as_of[order[place]], side="right"))
        yield as_of[order[place]], order[max(0, last - _ROWS_A_CUT) : last]


def _differs(before: pd.Series, after: pd.Series) -> NDArray[np.bool_]:
    if before.dtype.kind == "f" and after.dtype.kind == "f":
        same = np.isclose(before.to_numpy(), after.to_numpy(), rtol=_NEAR, atol=_NEAR, equal_nan=True)
        return np.asarray(~same, dtype=np.bool_)
    both_missing = before.isna().to_numpy() & after.isna().to_numpy()
    return np.asarray(~((before.astype("str") == after.astype("str")).to_numpy() | both_missing), dtype=np.bool_)


@contextmanager
def _ending_at(tables: Tables, moment: np.datetime64, lead_ids: Sequence[str], *, invent: bool) -> Iterator[Tables]:
    """Give the tables as they were at a moment, as views in a schema of their own on a second cursor."""
    import pyarrow as pa

    cursor = tables.connection.cursor()
    try:
        cursor.register("asked_leads", pa.table({"lead_id": pa.array(lead_ids, pa.string())}))
        cursor.execute(f"CREATE OR REPLACE SCHEMA {_SCHEMA}")
        cursor.execute(f"CREATE TABLE {_SCHEMA}.asked AS SELECT DISTINCT lead_id FROM asked_leads")
        cursor.unregister("asked_leads")
        when = f"TIMESTAMP '{np.datetime_as_string(moment, unit='us').replace('T', ' ')}'"
        for table, columns in _columns(cursor).items():
            rows = _past(table, columns, when)
            if invent and (later := _invented(table, columns, when)):
                # a lead has one outcome: an invented one stands for what is known
                kept = f"SELECT * FROM ({rows}) ANTI JOIN ({later}) USING (lead_id)" if table == "outcomes" else rows
                rows = f"{kept} UNION ALL BY NAME {later}"
            cursor.execute(f"CREATE VIEW {_SCHEMA}.{table} AS {rows}")
        cursor.execute(f"SET search_path = '{_SCHEMA},main'")
        yield replace(tables, connection=cursor)
    finally:
        cursor.execute("SET search_path = 'main'")
        cursor.execute(f"DROP SCHEMA IF EXISTS {_SCHEMA} CASCADE")
        cursor.close()


def _columns(cursor: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
    rows = cursor.execute(
        "SELECT table_name, column_name FROM duckdb_columns() JOIN duckdb_tables() USING (schema_name, table_name) "
        "WHERE schema_name = 'main' ORDER BY table_name, column_index"
    ).fetchall()
    found: dict[str, list[str]] = {}
    for table, column in rows:
        found.setdefault(str(table), []).append(str(column))
    return found


def _past(table: str, columns: Sequence[str], when: str) -> str:
    """Select what was known at the moment; the leads that are asked about are there, whenever they came in."""
    ends = ", ".join(f"CASE WHEN {name} < {when} THEN {name} END AS {name}" for name in _ENDS if name in columns)
    tests = [f"({name} IS NULL OR {name} {sign} {when})" for name, sign in _WHEN.items() if name in columns]
    if table == "leads":
        tests.append(f"(created_at < {when} OR lead_id IN (SELECT lead_id FROM {_SCHEMA}.asked))")
    kept = f"SELECT *{f' REPLACE ({ends})' if ends else ''} FROM main.{table}"
    return f"{kept} WHERE {' AND '.join(tests)}" if tests else kept


def _invented(table: str, columns: Sequence[str], when: str) -> str | None:
    """Put copies of what is there at and after the moment, so that any kind and any level may turn up."""
    mine = f"lead_id IN (SELECT lead_id FROM {_SCHEMA}.asked)"
    if table in {"events", "touches"} and "occurred_at" in columns:
        clocks = [name for name in ("occurred_at", "recorded_at") if name in columns]
        moved = ", ".join(f"{when} + to_seconds(n) AS {name}" for name in clocks)
        moved += ", NULL AS superseded_at" if "superseded_at" in columns else ""
        kinds = f"SELECT * FROM main.{table} QUALIFY row_number() OVER (PARTITION BY kind ORDER BY occurred_at) = 1"
        people = f"(SELECT lead_id AS asked_id FROM {_SCHEMA}.asked)"
        given = f"SELECT * REPLACE (asked_id AS lead_id, {moved}) FROM ({kinds}) CROSS JOIN {people}"
        return f"SELECT * EXCLUDE (asked_id, n) FROM ({given} CROSS JOIN (VALUES (0), (3600), (86400)) later(n))"
    if table == "outcomes":
        lost = ", ".join(f"NULL AS {name}" for name in columns if name.startswith("lost"))
        return f"SELECT * REPLACE ({when} AS won_at, {lost}) FROM main.outcomes WHERE {mine} AND won_at >= {when}"
    if table == "accounts" and "valid_from" in columns:
        return (
            f"SELECT * REPLACE ({when} + to_seconds(3600) AS valid_from) FROM main.accounts "
            f"WHERE account_id IN (SELECT account_id FROM main.leads WHERE {mine})"
        )
    return None
