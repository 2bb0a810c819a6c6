"""Commands that use a saved model: score, info."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from project.terminal import JsonOption, ProjectOption, Terminal, guarded

if TYPE_CHECKING:
    import pandas as pd

    from project.folder import Project
    from serving.score import Scored

__all__ = ["AsOfOption", "LanguageOption", "ModelOption", "app", "read_moment", "show_ranked"]

app = typer.Typer()

_FIRST_YEAR, _LAST_YEAR = 1900, 2200

AsOfOption = Annotated[
    str | None,
    typer.Option("--as-of", help="Moment to look from, ISO time (UTC) or 'now'. Default: the end of the data."),
]
ModelOption = Annotated[str, typer.Option("--model", help="champion, challenger or a model id.")]
LanguageOption = Annotated[
    Literal["en", "ru"] | None, typer.Option("--language", "-l", help="Language of the reasons. Default: leads.toml.")
]


@app.command(rich_help_panel="Use")
@guarded
def score(
    project: ProjectOption = Path(),
    out: Annotated[Path | None, typer.Option("--out", "-o", help="CSV or Parquet, by suffix.")] = None,
    as_of: AsOfOption = None,
    leads: Annotated[Path | None, typer.Option("--leads", help="Score this file; leads.toml is history.")] = None,
    closed_too: Annotated[bool, typer.Option("--all", help="Also leads that converted or were lost.")] = False,
    model: ModelOption = "champion",
    language: LanguageOption = None,
    record: Annotated[
        bool | None,
        typer.Option("--record/--no-record", help="Keep the decisions in the ledger. Default: those of the champion."),
    ] = None,
    scored_at: Annotated[str | None, typer.Option("--scored-at", help="Fix the time stamp, for equal bytes.")] = None,
    most: Annotated[int, typer.Option("--top", min=0, help="How many to show.")] = 10,
    json_: JsonOption = False,
) -> int | None:
    """Score open leads and sort them into bands, best first.

    Example: leads score --project crm --out scored.csv

    Example: leads score --project crm --as-of 2026-01-15T06:00:00Z --out scored.parquet --language ru
    """
    from dataclasses import replace

    from features.tables import reject_share
    from project.folder import find_project
    from serving.score import score_open_leads
    from serving.scored_file import check_out, write_scores

    terminal = Terminal(json_)
    found = replace(find_project(project), more_leads=leads)
    spoken = language or found.settings.project.language
    if out is not None:
        check_out(out, sources=_source_files(found))
    scored = score_open_leads(
        found,
        model_name=model,
        as_of=read_moment(as_of, "--as-of"),
        scored_at=read_moment(scored_at, "--scored-at") or datetime.now(UTC).replace(tzinfo=None),
        language=spoken,
        closed_too=closed_too,
        progress=terminal.step,
        record=model == "champion" if record is None else record,
    )
    if out is not None:
        write_scores(scored.leads, out)
        _copy_rejects(scored, out)
    show_ranked(terminal, scored.leads, most=most)
    _say_totals(terminal, scored, out)
    bands = scored.leads["band"].value_counts().to_dict()
    share = reject_share(scored.counts)
    terminal.answer(
        {
            "model_id": scored.model.model_id,
            "as_of": scored.as_of.isoformat() + "Z" if scored.as_of else None,
            "leads": len(scored.leads),
            "bands": {str(band): int(n) for band, n in bands.items()},
            "rejected": {name: count.rejected for name, count in scored.counts.items()},
            "out": str(out) if out else None,
        }
    )
    if share > found.settings.project.max_reject_share:
        terminal.warn(f"{share:.1%} of a table's rows were set aside, more than project.max_reject_share allows.")
        return 1
    return 0


def read_moment(text: str | None, option: str) -> datetime | None:
    """Read an ISO time; without a zone it is UTC. The answer is UTC without a zone, as the tables keep it."""
    from project.errors import SettingsError

    if text is None:
        return None
    if text == "now":
        return datetime.now(UTC).replace(tzinfo=None)
    try:
        moment = datetime.fromisoformat(text)
        known = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError) as error:
        raise SettingsError(f"{option} {text!r} is not a time. Write it as 2026-01-15T06:00:00Z.") from error
    if not _FIRST_YEAR <= known.year <= _LAST_YEAR:
        raise SettingsError(f"{option} {text!r} is no year of any lead. Write it as 2026-01-15T06:00:00Z.")
    return known


def _source_files(project: Project) -> list[Path]:
    settings = project.settings
    sources = (settings.leads, settings.events, settings.stages, settings.accounts)
    return [project.folder / source.file for source in sources if source is not None and source.file is not None]


def _copy_rejects(scored: Scored, out: Path) -> None:
    """Put the leads that were set aside beside the output, with their reasons."""
    import shutil

    from project.files import remove_file, write_atomically

    beside = out.with_name(f"{out.stem}.rejects.csv")
    file = scored.counts["leads"].rejects_file
    if file is None:
        if beside.is_file() and beside.read_bytes()[:11] == b"row,reason,":
            remove_file(beside)
        return
    with write_atomically(beside) as temporary:
        shutil.copyfile(file, temporary)


def show_ranked(terminal: Terminal, leads: pd.DataFrame, *, most: int) -> None:
    """Print the head of the ranked list: band, probability and the first reason for and against."""
    rows = [
        [lead, band, f"{probability:.1%}", first, against or "–"]
        for lead, band, probability, first, against in leads.head(most)[
            ["lead_id", "band", "probability", "reason_for_1", "reason_against_1"]
        ].itertuples(index=False)
    ]
    if rows:
        terminal.table(["lead", "band", "probability", "for", "against"], rows)


def _say_totals(terminal: Terminal, scored: Scored, out: Path | None) -> None:
    if scored.leads.empty:
        terminal.warn("No lead is open at that moment. Score closed ones too with --all.")
    counts = scored.leads["band"].value_counts()
    parts = [f"{counts.get(band, 0):,} {band}" for band in ("SQL", "MQL", "nurture", "disqualified")]
    terminal.say(f"{len(scored.leads):,} leads scored: {', '.join(parts)}.")
    for name, count in scored.counts.items():
        if count.rejected:
            terminal.warn(f"{count.rejected:,} rows of {name} were set aside: {count.rejects_file}")
    if out is not None:
        terminal.say(f"Scores  {out}")


@app.command(rich_help_panel="Use")
@guarded
def info(project: ProjectOption = Path(), model: ModelOption = "champion", json_: JsonOption = False) -> int | None:
    """Show the model in use: periods, metrics, bands, hashes; verify it.

    Example: leads info --project crm
    """
    from models.registry import read_aliases, read_moves
    from project.folder import find_project
    from serving.load import load_named_model

    found = find_project(project)
    terminal = Terminal(json_)
    loaded, _ = load_named_model(found, model)
    manifest = dict(loaded.manifest)
    aliases, moves = read_aliases(found.state), read_moves(found.state)
    _show_manifest(terminal, manifest)
    terminal.say(f"Bands    SQL from {loaded.policy.sql:.1%}, MQL from {loaded.policy.mql:.1%}")
    terminal.say("Aliases  " + ", ".join(f"{alias} = {name}" for alias, name in sorted(aliases.items())))
    for move in moves[-5:]:
        terminal.say(f"  {move['at'][:19]}  {move['alias']}: {move['from']} → {move['to']} ({move['why']})")
    terminal.say("Verified: hashes, trees and canary are as they were saved.")
    keep = ("model_id", "chosen", "skill", "headline", "split", "test", "rivals", "policy", "outcome", "warnings")
    hashes = ("data_hash", "settings_hash", "code_hash", "files", "versions", "protocol")
    terminal.answer({**{key: manifest[key] for key in (*keep, *hashes)}, "aliases": aliases, "moves": moves})
    return None


def _show_manifest(terminal: Terminal, manifest: dict[str, object]) -> None:
    terminal.say(f"Model    {manifest['model_id']} ({manifest['chosen']}) of project {manifest['project']}")
    terminal.say(f"Verdict  {manifest['headline']}")
    split, test = manifest["split"], manifest["test"]
    assert isinstance(split, dict)
    assert isinstance(test, dict)
    rows = [
        [
            name,
            (entry["from"] or "–")[:16],
            (entry["to"] or "–")[:16],
            f"{entry['leads']:,}",
            f"{entry['converted_leads']:,}",
        ]
        for name, entry in split.items()
        if name != "kind"
    ]
    terminal.table(["period", "from", "to", "leads", "converted"], rows, title=f"Split by {split['kind']}")
    terminal.say("Test     " + ", ".join(f"{name} {value:.4g}" for name, value in test.items() if value is not None))
    for name in ("data_hash", "settings_hash", "code_hash"):
        terminal.say(f"{name:13s}  {str(manifest[name])[:16]}…")
