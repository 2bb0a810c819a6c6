"""Run the definition of the features on DuckDB: snapshots and tables in, the feature frame out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from features.definition import features_sql
from project.errors import SchemaError, name_some

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from features.catalogue import Catalogue, Criterion, Feature
    from features.tables import Attribute, Tables

__all__ = ["build_features", "check_columns", "check_kinds", "find_lead_columns", "read_lead_columns", "to_frame"]

_BATCH_ROWS = 20_000


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
    check_columns(catalogue, lead_columns, account_columns)
    questions = pa.table(
        {
            "snapshot_id": pa.array(np.arange(len(snapshots))),
            "lead_id": pa.array(snapshots["lead_id"], pa.string()),
            "as_of": pa.array(snapshots["as_of"], pa.timestamp("us")),
        }
    )
    sql = features_sql(catalogue, lead_columns=lead_columns, account_columns=account_columns)
    tables.connection.register("snapshots", questions)
    try:
        answers = tables.connection.sql(sql).to_arrow_reader(_BATCH_ROWS)
        try:
            check_kinds(catalogue, [pa.types.is_string(kind) for kind in answers.schema.types[1:]])
            columns, answered = _place_answers(answers, catalogue, len(snapshots))
        finally:
            answers.close()  # an open reader would not let go of the snapshots
    finally:
        tables.connection.unregister("snapshots")
    if answered != len(snapshots):
        known = set(tables.connection.execute("SELECT lead_id FROM leads").df()["lead_id"])
        unknown = [lead for lead in snapshots["lead_id"] if lead not in known]
        raise SchemaError(f"Snapshots ask about leads that the leads table does not hold: {name_some(unknown)}.")
    # every column stays its own: side by side in one block they would all be copied, here and at each choice of some
    return pd.DataFrame(columns, index=pd.RangeIndex(len(snapshots)), columns=catalogue.names, copy=False)


def check_kinds(catalogue: Catalogue, are_texts: Sequence[bool]) -> None:
    """Refuse text where the model learnt from a number.

    Raises
    ------
    SchemaError
        A column was declared a number when the model was trained, and is a category now.
    """
    for feature, is_text in zip(catalogue.features, are_texts, strict=True):
        if feature.kind == "number" and is_text:
            raise SchemaError(
                f"The model was trained with {feature.subject!r} as a number, leads.toml now calls it a category. "
                "Change it back, or train a new model."
            )


def to_frame(answers: pa.Table, catalogue: Catalogue) -> pd.DataFrame:
    """Turn answers in the order of their rows, one column a feature, into the feature frame."""
    import pandas as pd

    columns = {
        feature.name: answers.column(place).to_pandas().astype("float64" if feature.kind == "number" else "str")
        for place, feature in enumerate(catalogue.features)
    }
    return pd.DataFrame(columns, index=pd.RangeIndex(answers.num_rows), columns=catalogue.names)


def _place_answers(
    answers: pa.RecordBatchReader, catalogue: Catalogue, rows: int
) -> tuple[dict[str, pd.Series | NDArray[np.float64]], int]:
    """Put every answer into its snapshot's row as it comes, so that nothing is sorted or held twice."""
    import pyarrow as pa

    numbers = {f.name: np.full(rows, np.nan) for f in catalogue.features if f.kind == "number"}
    texts: dict[str, list[pa.Array]] = {f.name: [] for f in catalogue.features if f.kind == "category"}
    coded = pa.dictionary(pa.int32(), pa.string())
    ids: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    for batch in answers:
        # a view of one column would keep its whole batch: numbers are copied into place, ids and texts into codes
        ids.append(batch.column(0).to_numpy().copy())
        for place, feature in enumerate(catalogue.features):
            if feature.kind == "category":
                texts[feature.name].append(batch.column(place + 1).dictionary_encode())
            else:
                numbers[feature.name][ids[-1]] = batch.column(place + 1).to_numpy(zero_copy_only=False)
    order = np.argsort(np.concatenate(ids), kind="stable")
    columns: dict[str, pd.Series | NDArray[np.float64]] = {}
    for feature in catalogue.features:
        if feature.kind == "number":
            columns[feature.name] = numbers[feature.name]
        else:
            in_order = pa.chunked_array(texts[feature.name], coded).unify_dictionaries().take(pa.array(order))
            columns[feature.name] = in_order.cast(pa.string()).to_pandas().astype("str")
    return columns, len(order)


def read_lead_columns(tables: Tables, lead_ids: Sequence[str], headers: Sequence[str]) -> pd.DataFrame:
    """Return declared columns of the leads table as they stand, one row a lead in the given order.

    Raises
    ------
    SchemaError
        A header is not declared in leads.toml.
    """
    import pyarrow as pa

    columns = find_lead_columns(tables.lead_attributes, headers)
    asked = pa.table({"place": pa.array(range(len(lead_ids)), pa.int64()), "lead_id": pa.array(lead_ids, pa.string())})
    named = "".join(f", leads.{column} AS h{place}" for place, column in enumerate(columns))
    tables.connection.register("asked", asked)
    try:
        frame = tables.connection.execute(
            f"SELECT place{named} FROM asked JOIN leads USING (lead_id) ORDER BY place"
        ).df()
    finally:
        tables.connection.unregister("asked")
    return frame.drop(columns="place").set_axis(list(headers), axis=1)


def find_lead_columns(attributes: Sequence[Attribute], headers: Sequence[str]) -> list[str]:
    """Return the internal columns of declared headers.

    Raises
    ------
    SchemaError
        A header is not declared in leads.toml.
    """
    columns = {attribute.header: attribute.column for attribute in attributes}
    absent = [header for header in headers if header not in columns]
    if absent:
        raise SchemaError(
            f"The rules of this model read {name_some(map(repr, absent))}, which leads.toml does not declare. "
            'Add it to leads.columns, as "rule" if it is no feature.'
        )
    return [columns[header] for header in headers]


def check_columns(catalogue: Catalogue, lead_columns: Mapping[str, str], account_columns: Mapping[str, str]) -> None:
    """Refuse tables that lack a column which the catalogue reads."""
    known = {"lead": lead_columns, "account": account_columns, "track_record": lead_columns}
    fits = any(feature.origin == "ideal_customer" for feature in catalogue.features)
    asked: list[Feature | Criterion] = [*catalogue.features, *(catalogue.ideal_customer if fits else ())]
    absent = [
        f"{'account' if one.origin == 'account' else 'lead'} column {one.subject!r}"
        for one in asked
        if one.origin in known and one.subject not in known[one.origin]
    ]
    if absent:
        raise SchemaError(
            f"The model was trained with {name_some(absent)}, which leads.toml no longer declares. "
            "Declare it again, or train a new model."
        )
