"""Score open leads on Spark: features, probabilities, bands and reasons where the rows are."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from features.catalogue import Catalogue
from features.engine import find_lead_columns, to_frame
from features.lake import Lake, describe_lake
from features.rule_columns import did_sql, split_rules
from features.snapshots import default_as_of
from features.spark import answer_on_spark, build_open_snapshots_on_spark
from models.artefact import load_model
from models.bands import BANDS
from models.lead_model import LeadModel
from models.registry import find_model
from project.errors import SettingsError
from project.files import hash_bytes, write_folder_atomically
from project.language import Language
from serving.check_tables import check_known
from serving.load import load_named_model
from serving.score import COLUMNS, is_stale, score_frame

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame, SparkSession

    from project.folder import Project

__all__ = ["ScoredLake", "check_out_folder", "score_lake"]

Files = tuple[tuple[str, bytes], ...]
_NUMBERS = {"probability", "probability_low", "probability_high", "log_odds", "propensity", "expected_value"}


@dataclass(frozen=True)
class ScoredLake:
    """What was scored into a folder.

    Attributes
    ----------
    bands
        How many leads are in each band.
    best
        The head of the ranked list, with the columns of `COLUMNS` and those of the model's sooner horizons.
    """

    as_of: datetime | None
    model_id: str
    bands: Mapping[str, int]
    best: pd.DataFrame


def score_lake(
    session: SparkSession,
    project: Project,
    folder: Path,
    *,
    out: Path,
    model_name: str,
    as_of: datetime | None,
    scored_at: datetime,
    language: Language,
    closed_too: bool,
    most: int,
    progress: Callable[[str], None],
) -> ScoredLake:
    """Score every lead of a folder of tables that is open at `as_of`, best first, into a folder of Parquet.

    Every lead gets what `score_open_leads` would say of it, to the last bit. `out` is whole or absent: files
    `part-00000.parquet`, …, ranked from the first file to the last. All machines must see both folders.

    Raises
    ------
    SettingsError
        `out` holds something else than scores.
    SchemaError
        The tables lack what the model was trained on.
    """
    check_out_folder(out)
    progress("Loading and verifying the model")
    model, catalogue = load_named_model(project, model_name)
    lake = describe_lake(folder)
    moment = as_of or default_as_of(lake, not_after=scored_at)
    snapshots = build_open_snapshots_on_spark(session, lake, moment, closed_too=closed_too)
    kinds = {str(row[0]) for row in session.table("events").select("kind").distinct().collect()}
    check_known(
        model,
        catalogue,
        dated=lake.dated,
        record_horizon=lake.record_horizon,
        sources=lake.counts,
        kinds=kinds,
    )
    questions = _questions(session, lake, snapshots, model, catalogue)
    stale = is_stale(lake.data_until, moment, project.settings.reasons.stale_after)
    files = session.sparkContext.broadcast(_read_files(find_model(project.state, model_name)))

    def score(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return _score_batches(batches, files.value, catalogue, scored_at=scored_at, language=language, stale=stale)

    progress("Scoring")
    with warnings.catch_warnings():
        # Spark warns of pandas 3 wherever it finds it; no pandas of Spark's is used here
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
        fields = [f"{name} {'double' if kind == pa.float64() else 'string'}" for name, kind in _list_columns(model)]
        scored = questions.mapInArrow(score, ", ".join(fields))
    return ScoredLake(moment, model.model_id, *_write(scored, out, most=most))


def check_out_folder(out: Path) -> None:
    """Refuse to replace anything but an empty folder or one of scores."""
    if out.is_file() or (out.is_dir() and any(not _is_part(file) for file in out.iterdir())):
        raise SettingsError(f"{out}: holds something else than scores. Choose a new folder.")


def _is_part(file: Path) -> bool:
    return file.name.startswith("part-") and file.suffix == ".parquet"


def _questions(
    session: SparkSession, lake: Lake, snapshots: DataFrame, model: LeadModel, catalogue: Catalogue
) -> DataFrame:
    """Put beside the features what else a score needs: when the lead came in, and the columns of the rules."""
    headers, asked = _asked_beside(model)
    columns = find_lead_columns(lake.lead_attributes, headers)
    answers = answer_on_spark(session, lake, snapshots, catalogue)
    leads = session.table("leads")
    beside = [leads[column].alias(f"h{place}") for place, column in enumerate(columns)]
    answers = answers.join(leads.select("lead_id", "created_at", "flag", *beside), "lead_id")
    if asked:
        answers = answers.join(session.sql(did_sql(list(asked.values()))), "snapshot_id")
    return answers.drop("snapshot_id")


def _asked_beside(model: LeadModel) -> tuple[list[str], dict[str, tuple[str, int | None]]]:
    """Return the headers that the policy reads, and the events that its rules ask for, by the name of the answer."""
    headers, asked = split_rules(model.policy.rules)
    return sorted({*headers, *filter(None, [model.policy.value_column])}), asked


def _read_files(folder: Path) -> Files:
    return tuple((file.name, file.read_bytes()) for file in sorted(folder.iterdir()))


@lru_cache(maxsize=1)
def _open_model(files: Files) -> LeadModel:
    """Load the model once a worker; its trees were parsed and its canary heard before they were sent."""
    with tempfile.TemporaryDirectory() as name:
        folder, marks = Path(name, "model"), Path(name, "verified")
        folder.mkdir()
        marks.mkdir()
        for file, content in files:
            (folder / file).write_bytes(content)
            (marks / hash_bytes(content)).touch()
        return load_model(folder, verified=marks)


def _score_batches(
    batches: Iterator[pa.RecordBatch],
    files: Files,
    catalogue: Catalogue,
    *,
    scored_at: datetime,
    language: Language,
    stale: bool,
) -> Iterator[pa.RecordBatch]:
    model = _open_model(files)
    schema = pa.schema(_list_columns(model))
    headers, asked = _asked_beside(model)
    beside = [f"h{place}" for place in range(len(headers))] + [f"did_{place}" for place in range(len(asked))]
    for batch in batches:
        table = pa.Table.from_batches([batch])
        frame = to_frame(table.select([f"f{place}" for place in range(len(catalogue.features))]), catalogue)
        snapshots = table.select(["lead_id", "as_of", "created_at", "flag"]).to_pandas()
        attributes = table.select(beside).to_pandas().set_axis([*headers, *asked], axis=1)
        scored = score_frame(frame, snapshots, attributes, model, scored_at=scored_at, language=language, stale=stale)
        yield from pa.Table.from_pandas(scored, schema=schema, preserve_index=False).to_batches()


def _list_columns(model: LeadModel) -> list[tuple[str, pa.DataType]]:
    numbers = {*_NUMBERS, *model.sooner_columns}
    return [(name, pa.float64() if name in numbers else pa.string()) for name in (*COLUMNS, *model.sooner_columns)]


def _write(scored: DataFrame, out: Path, *, most: int) -> tuple[dict[str, int], pd.DataFrame]:
    from pyspark import StorageLevel
    from pyspark.sql import functions as f

    # the sort looks at the rows twice, and so does the summary: they are kept so that no lead is scored twice
    kept = scored.persist(StorageLevel.DISK_ONLY)
    try:
        place = f.array_position(f.array(*map(f.lit, BANDS)), f.col("band"))
        ranked = kept.orderBy(place, f.desc("probability"), f.desc("log_odds"), "lead_id")
        with write_folder_atomically(out) as temporary:
            ranked.write.mode("overwrite").option("compression", "zstd").parquet(str(temporary))
            _tidy(temporary)
        bands = {str(row["band"]): int(row["count"]) for row in kept.groupBy("band").count().collect()}
        best = ranked.limit(most).toArrow()
    finally:
        kept.unpersist()
    return bands, best.to_pandas()


def _tidy(folder: Path) -> None:
    """Keep the rows and their order, not the names of one run."""
    parts = sorted(folder.glob("part-*.parquet"))
    for file in set(folder.iterdir()) - set(parts):
        file.unlink()
    for number, part in enumerate(parts):
        part.rename(folder / f"part-{number:05d}.parquet")
