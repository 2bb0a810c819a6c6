"""Run the definition of the features on DuckDB: snapshots and tables in, the feature frame out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from features.behaviour import features_sql
from project.errors import SchemaError, name_some

if TYPE_CHECKING:
    import pandas as pd

    from features.catalogue import Catalogue
    from features.tables import Tables

__all__ = ["build_features", "read_lead_columns"]


def build_features(snapshots: pd.DataFrame, tables: Tables, catalogue: Catalogue) -> pd.DataFrame:
    """Answer every feature of the catalogue for every snapshot; training and scoring both call this.

    Parameters
    ----------
    snapshots
        `lead_id` text and `as_of` datetime64[us] UTC (missing for a flat file).

    Returns
    -------
    DataFrame
        One row a snapshot in the given order, exactly the catalogue's columns: float64 for numbers (NaN: not known),
        `str` for categories.

    Raises
    ------
    SchemaError
        The catalogue needs a column that the tables do not have.
    """
    import pandas as pd
    import pyarrow as pa

    lead_columns = {attribute.header: attribute.column for attribute in tables.lead_attributes}
    account_columns = {attribute.header: attribute.column for attribute in tables.account_attributes}
    _check_columns(catalogue, lead_columns, account_columns)
    questions = pa.table(
        {
            "snapshot_id": pa.array(range(len(snapshots)), pa.int64()),
            "lead_id": pa.array(snapshots["lead_id"].to_list(), pa.string()),
            "as_of": pa.array(snapshots["as_of"], pa.timestamp("us")),
        }
    )
    sql = features_sql(catalogue, lead_columns=lead_columns, account_columns=account_columns)
    tables.connection.register("snapshots", questions)
    try:
        answers: pa.Table = tables.connection.sql(sql).to_arrow_table()
    finally:
        tables.connection.unregister("snapshots")
    if answers.num_rows != len(snapshots):
        known = set(tables.connection.execute("SELECT lead_id FROM leads").df()["lead_id"])
        unknown = [lead for lead in snapshots["lead_id"] if lead not in known]
        raise SchemaError(f"Snapshots ask about leads that the leads table does not hold: {name_some(unknown)}.")
    for place, feature in enumerate(catalogue.features):
        found = "category" if pa.types.is_string(answers.column(place + 1).type) else "number"
        if feature.kind == "number" and found == "category":
            raise SchemaError(
                f"The model was trained with {feature.subject!r} as a number, leads.toml now calls it a category. "
                "Change it back, or train a new model."
            )
    columns = {
        feature.name: answers.column(place + 1).to_pandas().astype("float64" if feature.kind == "number" else "str")
        for place, feature in enumerate(catalogue.features)
    }
    return pd.DataFrame(columns, index=pd.RangeIndex(len(snapshots)), columns=catalogue.names)


def read_lead_columns(tables: Tables, lead_ids: Sequence[str], headers: Sequence[str]) -> pd.DataFrame:
    """Return declared columns of the leads table as they stand, one row a lead in the given order.

    Raises
    ------
    SchemaError
        A header is not declared in leads.toml.
    """
    import pyarrow as pa

    columns = {attribute.header: attribute.column for attribute in tables.lead_attributes}
    absent = [header for header in headers if header not in columns]
    if absent:
        raise SchemaError(
            f"The rules of this model read {name_some(map(repr, absent))}, which leads.toml does not declare. "
            'Add it to leads.columns, as "rule" if it is no feature.'
        )
    asked = pa.table({"place": pa.array(range(len(lead_ids)), pa.int64()), "lead_id": pa.array(lead_ids, pa.string())})
    named = "".join(f", leads.{columns[header]} AS h{place}" for place, header in enumerate(headers))
    tables.connection.register("asked", asked)
    try:
        frame = tables.connection.execute(
            f"SELECT place{named} FROM asked JOIN leads USING (lead_id) ORDER BY place"
        ).df()
    finally:
        tables.connection.unregister("asked")
    return frame.drop(columns="place").set_axis(list(headers), axis=1)


def _check_columns(catalogue: Catalogue, lead_columns: Mapping[str, str], account_columns: Mapping[str, str]) -> None:
    known = {"lead": lead_columns, "account": account_columns}
    absent = [
        f"{feature.origin} column {feature.subject!r}"
        for feature in catalogue.features
        if feature.origin in known and feature.subject not in known[feature.origin]
    ]
    if absent:
        raise SchemaError(
            f"The model was trained with {name_some(absent)}, which leads.toml no longer declares. "
            "Declare it again, or train a new model."
        )
