"""Commands for more leads than one machine scores: tables, score-tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from project.terminal import JsonOption, ProjectOption, Terminal, guarded
from serving.cli import AsOfOption, LanguageOption, ModelOption, read_moment, show_ranked

__all__ = ["app"]

app = typer.Typer()


@app.command(rich_help_panel="Beyond one machine")
@guarded
def tables(
    project: ProjectOption = Path(),
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")] = Path("lake"),
    json_: JsonOption = False,
) -> int | None:
    """Read and check the sources once and write the tables as Parquet, for score-tables.

    Example: leads tables --project crm --out lake
    """
    from features.ingest import read_tables
    from features.lake import write_lake
    from features.tables import reject_share
    from project.folder import find_project

    terminal = Terminal(json_)
    found = find_project(project)
    terminal.step("Reading the tables")
    read = read_tables(found)
    terminal.step("Writing them")
    write_lake(read, out)
    terminal.say(f"Tables  {out}")
    counts = {name: {"kept": count.kept, "rejected": count.rejected} for name, count in read.counts.items()}
    terminal.answer({"out": str(out), "data_hash": read.data_hash, "tables": counts})
    share = reject_share(read.counts)
    if share > found.settings.project.max_reject_share:
        terminal.warn(f"{share:.1%} of a table's rows were set aside, more than project.max_reject_share allows.")
        return 1
    return 0


@app.command(rich_help_panel="Beyond one machine")
@guarded
def score_tables(
    from_: Annotated[Path, typer.Option("--tables", help="Folder that `leads tables` wrote.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the scores, as Parquet.")],
    project: ProjectOption = Path(),
    master: Annotated[
        str, typer.Option("--master", help="Where Spark runs: local[*] is this machine, or the cluster's address.")
    ] = "local[*]",
    as_of: AsOfOption = None,
    closed_too: Annotated[bool, typer.Option("--all", help="Also leads that converted or were lost.")] = False,
    model: ModelOption = "champion",
    language: LanguageOption = None,
    scored_at: Annotated[str | None, typer.Option("--scored-at", help="Fix the time stamp.")] = None,
    most: Annotated[int, typer.Option("--top", min=0, help="How many to show.")] = 10,
    json_: JsonOption = False,
) -> int | None:
    """Score open leads on Spark: what `leads score` says, to the last bit, from as many machines as there are.

    Example: leads score-tables --project crm --tables lake --out scored
    """
    from features.spark import start_session
    from project.folder import find_project
    from serving.spark import check_out_folder, score_lake

    terminal = Terminal(json_)
    found = find_project(project)
    moments = read_moment(as_of, "--as-of"), read_moment(scored_at or "now", "--scored-at")
    assert moments[1] is not None
    check_out_folder(out)
    terminal.step("Starting Spark")
    scored = score_lake(
        start_session(master),
        found,
        from_.resolve(),
        out=out.resolve(),
        model_name=model,
        as_of=moments[0],
        scored_at=moments[1],
        language=language or found.settings.project.language,
        closed_too=closed_too,
        most=most,
        progress=terminal.step,
    )
    show_ranked(terminal, scored.best, most=most)
    total = sum(scored.bands.values())
    parts = [f"{scored.bands.get(band, 0):,} {band}" for band in ("SQL", "MQL", "nurture", "disqualified")]
    terminal.say(f"{total:,} leads scored: {', '.join(parts)}.")
    terminal.say(f"Scores  {out}")
    when = scored.as_of.isoformat() + "Z" if scored.as_of else None
    terminal.answer(
        {"model_id": scored.model_id, "as_of": when, "leads": total, "bands": dict(scored.bands), "out": str(out)}
    )
    return 0
