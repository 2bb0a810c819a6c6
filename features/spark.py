"""Run the definition of the features on Spark: the same SQL text over a folder of canonical tables.

Nothing passes through one machine: the questions are asked, and answered, where the rows are.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import warnings
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from features.definition import features_sql
from features.engine import check_columns, check_kinds
from features.lake import TABLES, Lake
from features.snapshots import open_snapshots_sql
from project.errors import SettingsError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from features.catalogue import Catalogue

__all__ = ["answer_on_spark", "build_features_on_spark", "build_open_snapshots_on_spark", "spell", "start_session"]

# what makes the text mean on Spark what it means on DuckDB
_DIALECT = {
    "spark.sql.ansi.enabled": "true",
    "spark.sql.ansi.doubleQuotedIdentifiers": "true",
    "spark.sql.caseSensitive": "true",
    "spark.sql.parser.escapedStringLiterals": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.variable.substitute": "false",
}


def start_session(
    master: str = "local[*]", *, name: str = "leads", settings: Mapping[str, str] | None = None
) -> SparkSession:
    """Start Spark, or join the session that runs, with the settings that make its answers equal to DuckDB's.

    Parameters
    ----------
    master
        `local[*]` for this machine, or the cluster's address.
    settings
        Further Spark settings: memory, cores, queues.

    Raises
    ------
    SettingsError
        Spark or Java is not installed, or Spark does not start.
    """
    if shutil.which("java") is None and not os.environ.get("JAVA_HOME"):
        raise SettingsError("Spark needs Java 17, and there is no java here. Install it, or set JAVA_HOME.")
    try:
        from pyspark.errors import PySparkRuntimeError
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise SettingsError("PySpark is not installed. Install this project with its extra: [spark]") from error
    chosen = {**_DIALECT, **_quiet(), **(_local() if master.startswith("local") else {}), **(settings or {})}
    builder = SparkSession.builder.appName(name).master(master)
    for key, value in chosen.items():
        builder = builder.config(key, value)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", category=FutureWarning, message="PySpark does not yet fully support pandas"
            )
            session = builder.getOrCreate()
    except PySparkRuntimeError as error:
        raise SettingsError(f"Spark did not start ({error}). It needs Java 17.") from error
    session.sparkContext.setLogLevel("ERROR")
    if master.startswith("local"):
        # on this machine the workers run in this environment, not in whatever python3 is first on the path
        session.sparkContext.pythonExec = sys.executable
    return session


def _quiet() -> dict[str, str]:
    return {"spark.log.level": "ERROR", "spark.ui.showConsoleProgress": "false"}


def _local() -> dict[str, str]:
    return {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.shuffle.partitions": str(2 * (os.cpu_count() or 1)),
        "spark.ui.enabled": "false",
    }


def build_open_snapshots_on_spark(
    session: SparkSession, lake: Lake, as_of: datetime | None, *, closed_too: bool = False
) -> DataFrame:
    """Ask about every lead that is open at `as_of`, as `build_open_snapshots` does.

    Returns
    -------
    DataFrame
        `snapshot_id` bigint (the lead's position), `lead_id`, `as_of`, `created_at`, `account_id`, `position`.
    """
    _open_tables(session, lake)
    sql = open_snapshots_sql(as_of, dated=lake.dated, closed_too=closed_too)
    return session.sql(f"SELECT position AS snapshot_id, asked.* FROM ({spell(sql)}) asked")


def build_features_on_spark(session: SparkSession, lake: Lake, snapshots: DataFrame, catalogue: Catalogue) -> DataFrame:
    """Answer every feature of the catalogue for every snapshot, as `build_features` does.

    Parameters
    ----------
    snapshots
        `snapshot_id` bigint, `lead_id` string and `as_of` timestamp_ntz (UTC; null for a flat file).

    Returns
    -------
    DataFrame
        `snapshot_id`, `lead_id`, `as_of`, then the catalogue's columns under its names: doubles for numbers (null: not
        known), strings for categories.

    Raises
    ------
    SchemaError
        The catalogue needs a column that the tables do not have.
    """
    answers = answer_on_spark(session, lake, snapshots, catalogue)
    return answers.toDF("snapshot_id", "lead_id", "as_of", *catalogue.names)


def answer_on_spark(session: SparkSession, lake: Lake, snapshots: DataFrame, catalogue: Catalogue) -> DataFrame:
    """Answer as `build_features_on_spark`, under the names `f0`, `f1`, …, which no column of `snapshots` can have."""
    _check_dialect(session)
    lead_columns = {attribute.header: attribute.column for attribute in lake.lead_attributes}
    account_columns = {attribute.header: attribute.column for attribute in lake.account_attributes}
    check_columns(catalogue, lead_columns, account_columns)
    _open_tables(session, lake)
    snapshots.select("snapshot_id", "lead_id", "as_of").createOrReplaceTempView("snapshots")
    answers = session.sql(spell(features_sql(catalogue, lead_columns=lead_columns, account_columns=account_columns)))
    check_kinds(catalogue, [kind == "string" for _, kind in answers.dtypes[1:]])
    return snapshots.select("snapshot_id", "lead_id", "as_of").join(answers, "snapshot_id")


def _open_tables(session: SparkSession, lake: Lake) -> None:
    for table in TABLES:
        session.read.parquet(str(lake.file(table))).createOrReplaceTempView(table)


def _check_dialect(session: SparkSession) -> None:
    wrong = [key for key, value in _DIALECT.items() if str(session.conf.get(key)).lower() != value.lower()]
    if wrong:
        raise SettingsError(
            f"This Spark session has {wrong[0]} = {session.conf.get(wrong[0])}, with which features would differ. "
            f"Set it to {_DIALECT[wrong[0]]}, or start the session with features.spark.start_session."
        )


def spell(sql: str) -> str:
    r"""Spell the text literals of a query as Spark reads them; nothing else in it changes.

    A literal of the definition doubles its quotes and takes a backslash as it is; in Spark a backslash escapes.

    >>> print(spell(r"SELECT 'O''Brien', 'C:\temp' AS name"))
    SELECT 'O\'Brien', 'C:\\temp' AS name
    """
    return re.sub(r"'((?:[^']|'')*)'|\"(?:[^\"]|\"\")*\"", _spell_literal, sql)


def _spell_literal(found: re.Match[str]) -> str:
    content = found.group(1)
    if content is None:
        return found.group(0)
    escaped = content.replace("\\", "\\\\").replace("''", "\\'")
    return f"'{escaped}'"
