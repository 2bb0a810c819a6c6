"""Duplicates: leads that are a person asking again, and groups of leads that belong together whatever the time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import duckdb

__all__ = ["find_duplicates", "group_leads"]

# A phone or address that more leads share than both of these is a switchboard or a placeholder, not a person.
_MOST_LEADS, _MOST_SHARE = 20, 0.01
_KINDS = ("e-mail", "phone", "company and name")


def find_duplicates(connection: duckdb.DuckDBPyConnection, *, within: timedelta) -> None:
    """Make `duplicates` out of `identity`: `lead_id`, `survivor_id`, `since`, `evidence`.

    A lead is a duplicate of the earlier ones that share an e-mail, a phone, or company and full name with it and came
    in less than `within` before; of a chain the earliest survives. Only what came in earlier decides, also on whether
    a shared value is a person's: later leads never change what an earlier one is. Without dates any earlier lead
    counts.
    """
    import pyarrow as pa

    _list_keys(connection)
    seconds = round(within.total_seconds() * 1_000_000)
    links = connection.execute(
        f"""SELECT arrival, kind, parent FROM keys
        WHERE parent IS NOT NULL AND NOT (place > {_MOST_LEADS} AND place > {_MOST_SHARE} * (arrival + 1))
          AND coalesce(date_diff('microsecond', parent_created_at, created_at) < {seconds}, true)
        ORDER BY arrival, kind"""
    ).fetchall()
    found = pa.table(dict(zip(("arrival", "survivor", "parent", "kind"), _follow(links), strict=True)))
    connection.register("found", found)
    named = " ".join(f"WHEN {place} THEN '{kind}'" for place, kind in enumerate(_KINDS))
    days = "date_diff('microsecond', parent.created_at, lead.created_at) // 86400000000"
    connection.execute(
        f"""CREATE TABLE duplicates AS SELECT lead.lead_id, survivor.lead_id AS survivor_id, lead.created_at AS since,
            'same ' || (CASE found.kind {named} END) || ' as ' || parent.lead_id || (CASE
                WHEN lead.created_at IS NULL THEN '' WHEN {days} = 0 THEN ', less than a day later'
                WHEN {days} = 1 THEN ', 1 day later' ELSE ', ' || {days} || ' days later' END) AS evidence
        FROM found JOIN identity lead ON lead.arrival = found.arrival
        JOIN identity survivor ON survivor.arrival = found.survivor
        JOIN identity parent ON parent.arrival = found.parent
        ORDER BY found.arrival"""
    )
    connection.unregister("found")


def _list_keys(connection: duckdb.DuckDBPyConnection) -> None:
    """Make `keys`: every value that two leads or more share, with the lead that used it last before."""
    full_name = "CASE WHEN contains(name, ' ') THEN company || '|' || name END"
    values = ("email", "phone", full_name)
    every = " UNION ALL ".join(
        f"SELECT arrival, created_at, {kind} AS kind, {value} AS value FROM identity WHERE ({value}) IS NOT NULL"
        for kind, value in enumerate(values)
    )
    connection.execute(
        f"""CREATE TABLE keys AS WITH every AS ({every}),
            shared AS (SELECT kind, value, count(*) AS leads FROM every GROUP BY kind, value HAVING count(*) > 1)
        SELECT arrival, created_at, kind, leads, row_number() OVER earlier AS place,
            lag(arrival) OVER earlier AS parent, lag(created_at) OVER earlier AS parent_created_at
        FROM every JOIN shared USING (kind, value)
        WINDOW earlier AS (PARTITION BY kind, value ORDER BY arrival)"""
    )


def _follow(links: Iterable[tuple[int, int, int]]) -> tuple[list[int], list[int], list[int], list[int]]:
    """Return lead, survivor, parent and kind of each duplicate; of several parents the one that leads furthest back."""
    survivors: dict[int, tuple[int, int, int]] = {}
    for lead, kind, parent in links:
        survivor = survivors[parent][0] if parent in survivors else parent
        if lead not in survivors or survivor < survivors[lead][0]:
            survivors[lead] = (survivor, parent, kind)
    found = list(survivors.values())
    return list(survivors), *([entry[part] for entry in found] for part in range(3))  # type: ignore[return-value]


def group_leads(connection: duckdb.DuckDBPyConnection) -> None:
    """Make `groups` out of `identity` and `keys`: `lead_id`, `group_id`.

    A group is everything that accounts and shared values tie together, at any time, named by the account of its first
    lead.
    """
    import pyarrow as pa
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    leads = int(connection.execute("SELECT count(*) FROM identity").fetchall()[0][0])
    edges = connection.execute(
        f"""SELECT arrival, parent FROM keys
        WHERE parent IS NOT NULL AND NOT (leads > {_MOST_LEADS} AND leads > {_MOST_SHARE * leads})
        UNION ALL SELECT arrival, parent FROM (
            SELECT arrival, lag(arrival) OVER (PARTITION BY account_id ORDER BY arrival) AS parent FROM identity)
        WHERE parent IS NOT NULL"""
    ).fetchnumpy()
    ones = np.ones(len(edges["arrival"]), dtype=np.bool_)
    graph = coo_array((ones, (edges["arrival"], edges["parent"])), shape=(leads, leads))
    _, component = connected_components(graph, directed=False)
    _, first = np.unique(component, return_index=True)
    connection.register("grouped", pa.table({"arrival": np.arange(leads), "first": first[component]}))
    connection.execute(
        """CREATE TABLE groups AS SELECT identity.lead_id, leader.account_id AS group_id FROM grouped
        JOIN identity ON identity.arrival = grouped.arrival JOIN identity leader ON leader.arrival = grouped.first"""
    )
    connection.unregister("grouped")
