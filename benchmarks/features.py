"""Time the point-in-time features of a big history beside what one could do instead, side by side in one run.

1,000,000 leads with 30,000,000 events over a year and a half, each lead asked once; windows of 1, 7, 30 and 90 days;
for all activity and three kinds: how often in each window, days with any in 30 days, and since when. Every contender
answers the same 29 questions from the same Parquet files, in a process of its own, and all answers are compared.

    python benchmarks/features.py [--leads 1000000] [--events 30000000] [--only ours duckdb pandas polars]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

    from features.catalogue import Catalogue

    Answer = Callable[[], pd.DataFrame]

# this file is called like the room it measures, and must not stand in its way
sys.path[0] = str(Path(__file__).parents[1])

CONTENDERS = ("ours", "duckdb", "polars", "pandas")
KINDS = ("page_view", "pricing_view", "email_click")
SUBJECTS = ("any_event", *KINDS)
WINDOWS = (1, 7, 30, 90)
THREADS, MEMORY = 2, "1200MB"


def main() -> None:
    """Make the history once, run every contender on it, and print times and peaks as ratios."""
    options = _read_options()
    if options.worker:
        _work(options.worker, Path(options.folder))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        home = Path(folder)
        for events in options.events:
            _make_history(home, leads=options.leads, events=events)
            _compare(home, leads=options.leads, events=events, options=options)


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leads", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, nargs="+", default=[30_000_000], help="several: how the cost grows")
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--runs", type=int, default=3, help="of each contender, in turn; the fastest counts")
    parser.add_argument("--folder", default=None, help="where the files of the history are put (some gigabytes)")
    parser.add_argument("--worker", choices=CONTENDERS, help=argparse.SUPPRESS)
    return parser.parse_args()


def _make_history(home: Path, *, leads: int, events: int) -> None:
    """Write leads and events as Parquet: skewed over leads, thick just before `as_of`, a tenth of them after it."""
    import duckdb

    with duckdb.connect() as connection:
        connection.execute(f"SET threads = {THREADS}; SET memory_limit = '4GB'; SET temp_directory = '{home}/spill'")
        connection.execute("SELECT setseed(0.42)")
        options = "(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 200000)"
        connection.execute(
            f"""COPY (SELECT 'L' || lpad(CAST(i AS VARCHAR), 7, '0') AS lead_id,
                TIMESTAMP '2024-06-01' + to_seconds(CAST(hash(i) % 31536000 AS BIGINT)) AS as_of
            FROM range({leads}) t(i)) TO '{home}/snapshots.parquet' {options}"""
        )
        connection.execute(
            f"""COPY (SELECT 'L' || lpad(CAST(lead AS VARCHAR), 7, '0') AS lead_id,
                as_of - to_microseconds(CAST((-120 * ln(1 - r) - 15) * 86400e6 AS BIGINT)) AS occurred_at,
                CASE WHEN k < 0.6 THEN 'page_view' WHEN k < 0.8 THEN 'pricing_view' ELSE 'email_click' END AS kind
            FROM (SELECT CAST(floor(pow(random(), 1.6) * {leads}) AS BIGINT) AS lead, random() AS r, random() AS k
                FROM range({events})) drawn
            JOIN (SELECT i AS lead, TIMESTAMP '2024-06-01' + to_seconds(CAST(hash(i) % 31536000 AS BIGINT)) AS as_of
                FROM range({leads}) t(i)) asked USING (lead)) TO '{home}/events.parquet' {options}"""
        )


def _compare(home: Path, *, leads: int, events: int, options: argparse.Namespace) -> None:
    print(f"\n{leads:,} leads, {events:,} events, {THREADS} threads, the fastest of {options.runs} runs")
    print(f"{'':10}{'wall s':>9}{'CPU s':>9}{'peak GB':>9}{'wall':>8}{'CPU':>8}{'peak':>8}   (ratios to the raw query)")
    rounds = [{name: _measure(name, home) for name in options.only} for _ in range(options.runs)]
    found = {name: min((one[name] for one in rounds), key=lambda run: run["wall"]) for name in options.only}
    limit = found.get("duckdb", next(iter(found.values())))
    for name, one in found.items():
        ratios = "".join(f"{one[key] / limit[key]:8.2f}" for key in ("wall", "cpu", "peak"))
        print(f"{name:10}{one['wall']:9.1f}{one['cpu']:9.1f}{one['peak'] / 1e9:9.2f}{ratios}", flush=True)
    sums = {json.dumps(one["sums"]) for one in found.values()}
    print("all answers are equal" if len(sums) == 1 else f"ANSWERS DIFFER: {found}", flush=True)


def _measure(name: str, home: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--worker", name, "--folder", str(home)]
    environment = {**os.environ, "POLARS_MAX_THREADS": str(THREADS)}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _work(name: str, home: Path) -> None:
    """Answer in this process and print what it took; importing the libraries is not counted."""
    import pandas  # noqa: F401
    import pyarrow.dataset  # noqa: F401

    prepare = {"ours": _prepare_ours, "duckdb": _prepare_duckdb, "polars": _prepare_polars, "pandas": _prepare_pandas}
    answer = prepare[name](home)
    started, used = time.perf_counter(), time.process_time()
    frame = answer()
    wall, cpu = time.perf_counter() - started, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"wall": wall, "cpu": cpu, "peak": peak, "sums": _fingerprint(frame)}))


def _fingerprint(frame: pd.DataFrame) -> list[float]:
    """Return sums that depend on which row holds which value; equal frames have equal ones."""
    import numpy as np

    places = np.arange(len(frame), dtype=np.int64) % 1_009 + 1
    values = frame.fillna(-1.0).to_numpy(dtype=np.float64)
    return [round(float(values[:, column] @ places), 3) for column in range(values.shape[1])]


def _names() -> list[str]:
    names = [f"{subject}_count_{days}d" for subject in SUBJECTS for days in WINDOWS]
    names += [f"{subject}_day_count_30d" for subject in SUBJECTS]
    names += [f"days_since_{side}_{subject}" for side in ("last", "first") for subject in SUBJECTS]
    return [*names, "age_days"]


def _connect(home: Path) -> duckdb.DuckDBPyConnection:
    from features.ingest import connect

    connection = connect(memory_limit=MEMORY, spill_folder=home / "spill")
    connection.execute(f"SET threads = {THREADS}")
    connection.execute("SET preserve_insertion_order = false")
    return connection


def _prepare_ours(home: Path) -> Answer:
    import pandas as pd

    from features.engine import build_features
    from features.tables import Tables

    connection = _connect(home)
    connection.execute(
        f"CREATE VIEW leads AS SELECT lead_id, as_of - INTERVAL 40 DAY AS created_at FROM '{home}/snapshots.parquet'"
    )
    connection.execute(
        "CREATE VIEW events AS SELECT lead_id, occurred_at, occurred_at AS recorded_at, CAST(NULL AS TIMESTAMP) AS "
        "superseded_at, CAST(NULL AS TIMESTAMP) AS opens_until, kind, CAST(NULL AS DECIMAL(28, 6)) AS value "
        f"FROM '{home}/events.parquet'"
    )
    tables = Tables(connection, True, (), (), None, None, {}, "")
    snapshots = pd.read_parquet(home / "snapshots.parquet")
    catalogue = _catalogue()
    return lambda: build_features(snapshots, tables, catalogue)


def _catalogue() -> Catalogue:
    from features.catalogue import Catalogue, Feature, Subject

    subjects = (Subject("any_event", KINDS, "", ""), *(Subject(kind, (kind,), "", "") for kind in KINDS))
    features = []
    for name in _names():
        if name == "age_days":
            features.append(Feature(name, "number", "clock", "lead", "age", None, "", "", ""))
        elif name.startswith("days_since"):
            statistic, subject = ("since_last" if "last" in name else "since_first"), name.split("_", 3)[-1]
            features.append(Feature(name, "number", "behaviour", subject, statistic, None, "", "", ""))
        else:
            statistic = "day_count" if "day_count" in name else "count"
            subject, days = name.split(f"_{statistic}_")
            window = int(days[:-1]) * 86_400
            features.append(Feature(name, "number", "behaviour", subject, statistic, window, "", "", ""))
    return Catalogue(tuple(features), subjects)


def _prepare_duckdb(home: Path) -> Answer:
    """Write the query by hand in DuckDB's own words, as fast as we know how: the limit of a general definition."""
    connection = _connect(home)
    inner = [f"count(*) FILTER (WHERE e.occurred_at >= s.as_of - INTERVAL {n} DAY) AS n_{n}" for n in WINDOWS]
    outer, asked = [], []
    for subject in SUBJECTS:
        mine = "FILTER (WHERE kind = '" + subject + "')" if subject in KINDS else ""
        outer += [f"sum(n_{n}) {mine} AS {subject}_{n}" for n in WINDOWS]
        outer.append(f"bit_count(bit_or(days) {mine}) AS {subject}_days")
        outer += [f"max(last_at) {mine} AS {subject}_last", f"min(first_at) {mine} AS {subject}_first"]
        asked += [f"coalesce({subject}_{n}, 0)::DOUBLE AS {subject}_count_{n}d" for n in WINDOWS]
        asked.append(f"coalesce({subject}_days, 0)::DOUBLE AS {subject}_day_count_30d")
        for side in ("last", "first"):
            seconds = f"(epoch_us(as_of) - epoch_us({subject}_{side})) // 1000000"
            asked.append(f"{seconds} / 86400 AS days_since_{side}_{subject}")
    day = "datediff('day', e.occurred_at, s.as_of)"
    sql = f"""WITH s AS (SELECT row_number() OVER () - 1 AS place, lead_id, as_of FROM '{home}/snapshots.parquet'),
        grouped AS (SELECT s.place, e.kind, {", ".join(inner)}, min(e.occurred_at) AS first_at,
            max(e.occurred_at) AS last_at, bit_or(CASE WHEN {day} <= 30 THEN 1::BIGINT << {day} END)
            FILTER (WHERE e.occurred_at >= s.as_of - INTERVAL 30 DAY) AS days
            FROM s JOIN '{home}/events.parquet' e ON e.lead_id = s.lead_id AND e.occurred_at < s.as_of GROUP BY ALL),
        answers AS (SELECT place, {", ".join(outer)} FROM grouped GROUP BY place)
        SELECT {", ".join(asked)}, 40.0::DOUBLE AS age_days FROM s LEFT JOIN answers USING (place) ORDER BY place"""
    return lambda: connection.execute(sql).df()[_names()]


def _prepare_polars(home: Path) -> Answer:
    import polars as pl

    def answer() -> pd.DataFrame:
        asked = pl.scan_parquet(home / "snapshots.parquet").with_row_index("place")
        events = pl.scan_parquet(home / "events.parquet")
        known = events.join(asked, on="lead_id").filter(pl.col("occurred_at") < pl.col("as_of"))
        at, ago = pl.col("occurred_at"), pl.col("as_of") - pl.col("occurred_at")
        columns = []
        for subject in SUBJECTS:
            mine = pl.col("kind") == subject if subject in KINDS else pl.lit(True)
            for days in WINDOWS:
                inside = mine & (ago <= pl.duration(days=days))
                columns.append(inside.sum().cast(pl.Float64).alias(f"{subject}_count_{days}d"))
            recent = at.dt.date().filter(mine & (ago <= pl.duration(days=30)))
            columns.append(recent.n_unique().cast(pl.Float64).alias(f"{subject}_day_count_30d"))
            for side, extreme in (("last", ago.filter(mine).min()), ("first", ago.filter(mine).max())):
                columns.append((extreme.dt.total_seconds() / 86_400).alias(f"days_since_{side}_{subject}"))
        answers = asked.select("place").join(known.group_by("place").agg(columns), on="place", how="left")
        aged = answers.with_columns(pl.lit(40.0).alias("age_days")).sort("place")
        frame = aged.collect(engine="streaming").to_pandas()
        counted = [name for name in _names() if "count" in name]
        frame[counted] = frame[counted].fillna(0.0)
        return frame[_names()]

    return answer


def _prepare_pandas(home: Path) -> Answer:
    import numpy as np
    import pandas as pd

    def answer() -> pd.DataFrame:
        asked = pd.read_parquet(home / "snapshots.parquet").reset_index(names="place")
        known = pd.read_parquet(home / "events.parquet").merge(asked, on="lead_id")
        known = known.loc[known["occurred_at"] < known["as_of"]]
        out = pd.DataFrame(index=asked["place"])
        for subject in SUBJECTS:
            ours = known.loc[known["kind"] == subject] if subject in KINDS else known
            ago = ours["as_of"] - ours["occurred_at"]
            for days in WINDOWS:
                inside = ours["place"].loc[ago <= pd.Timedelta(days=days)]
                out[f"{subject}_count_{days}d"] = np.bincount(inside, minlength=len(asked)).astype(float)
            recent = ours.loc[ago <= pd.Timedelta(days=30)]
            day = recent["occurred_at"].dt.floor("D")
            once = pd.DataFrame({"place": recent["place"], "day": day}).drop_duplicates()
            out[f"{subject}_day_count_30d"] = np.bincount(once["place"], minlength=len(asked)).astype(float)
            by = ago.groupby(ours["place"])
            out[f"days_since_last_{subject}"] = by.min().dt.floor("s") / pd.Timedelta(days=1)
            out[f"days_since_first_{subject}"] = by.max().dt.floor("s") / pd.Timedelta(days=1)
        out["age_days"] = 40.0
        return out[_names()]

    return answer


if __name__ == "__main__":
    main()
