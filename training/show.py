"""What the commands that prepare and train show people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from project.terminal import Terminal
    from training.check import Checked
    from training.leaks.court import Trial
    from training.pipeline import Trained
    from training.record import Recorded

__all__ = ["answer_checked", "show_checked", "show_training", "show_trial"]

_NAMES = {
    "base_rate": "base rate",
    "naive_bayes": "naive Bayes",
    "logistic": "logistic regression",
    "lightgbm": "LightGBM",
    "blend": "blend",
    "odoo_naive_bayes": "Odoo naive Bayes",
}


def show_checked(terminal: Terminal, checked: Checked, *, listed: Path) -> None:
    """Print what was read, set aside and set apart; `listed` is where those set apart stand one by one."""
    terminal.table(
        ["table", "rows", "kept", "set aside", "why"],
        [
            [name, f"{c.read:,}", f"{c.kept:,}", f"{c.rejected:,}", _say_reasons(c.reasons)]
            for name, c in checked.counts.items()
        ],
    )
    for count in checked.counts.values():
        if count.rejects_file is not None:
            terminal.say(f"Set aside with reasons: {count.rejects_file}")
    terminal.say(f"{checked.leads:,} leads: {checked.converted:,} converted, {checked.lost:,} lost.")
    terminal.say(
        f"{checked.immature_leads:,} leads are too young to know ({checked.immature_snapshots:,} snapshots left out, "
        f"{checked.mature_snapshots:,} used); they are not counted as lost."
    )
    if checked.months:
        rows = [
            [row["month"], f"{row['leads']:,}", f"{row['rate']:.1%}", f"{row['low']:.1%} – {row['high']:.1%}"]
            for row in checked.months
        ]
        terminal.table(["came in", "leads", "converted", "95 % interval"], rows, title="Base rate over time")
    if checked.hygiene:
        terminal.table(
            ["set apart or read with care", "leads", "such as"],
            [[entry.what, f"{entry.leads:,}", ", ".join(entry.examples)] for entry in checked.hygiene],
            title="Hygiene",
        )
        terminal.say(f"Set apart, with evidence: {listed}")
    for note in checked.notes:
        terminal.warn(note)


def _say_reasons(reasons: Mapping[str, int]) -> str:
    return "; ".join(f"{n:,} × {reason}" for reason, n in list(reasons.items())[:3])


def answer_checked(checked: Checked) -> dict[str, object]:
    """Return what `leads check --json` prints."""
    return {
        "tables": {
            name: {"read": c.read, "kept": c.kept, "rejected": c.rejected, "reasons": dict(c.reasons)}
            for name, c in checked.counts.items()
        },
        "leads": checked.leads,
        "converted": checked.converted,
        "lost": checked.lost,
        "immature": checked.immature_snapshots,
        "immature_leads": checked.immature_leads,
        "base_rate_over_time": checked.months,
        "hygiene": [
            {"what": entry.what, "leads": entry.leads, "examples": list(entry.examples)} for entry in checked.hygiene
        ],
        "notes": list(checked.notes),
    }


def show_trial(terminal: Terminal, trial: Trial) -> None:
    """Print what is suspicious or a leak, and for a flat file between which figures honest skill lies."""
    terminal.table(
        ["column", "of", "verdict", "evidence"],
        [
            [one.column, one.source + ("" if one.declared else " (not used)"), one.verdict, one.evidence]
            for one in trial.verdicts
            if one.verdict != "clean"
        ],
        title="Leaks and suspicions, the worst first",
    )
    clean = sum(one.verdict == "clean" for one in trial.verdicts)
    terminal.say(f"{clean:,} of {len(trial.verdicts):,} columns and features are clean.")
    if trial.bracket:
        rows = [[row.name, str(row.columns), f"{row.auc:.3f}", f"{row.log_loss:.4f}"] for row in trial.bracket]
        terminal.table(["", "columns", "AUC", "log loss"], rows, title="Honest skill lies between these (no dates)")


def show_training(terminal: Terminal, trained: Trained, recorded: Recorded) -> None:
    """Print the headline numbers beside the base rate and the rivals, and where everything is."""
    from training.report.sooner_words import say_rival, say_sooner

    evidence = trained.evidence
    if evidence.split.kind != "time":
        terminal.warn(evidence.split.warnings[0])
    rows = []
    for name, judged in evidence.judged.items():
        numbers = judged.metrics
        rows.append(
            [
                _NAMES[name] + (" (chosen)" if name == evidence.chosen else ""),
                str(judged.log_loss),
                f"{numbers.brier:.4f}",
                f"{numbers.auc:.3f}",
                f"{numbers.lift_at_10:.2f}",
                "–" if numbers.calibration_slope != numbers.calibration_slope else f"{numbers.calibration_slope:.2f}",
                str(judged.against_base) if name != "base_rate" else "–",
            ]
        )
    test = evidence.split.periods["test"]
    terminal.table(
        ["", "log loss [95 %]", "Brier", "AUC", "lift at 10 %", "slope", "log loss minus base rate's"],
        rows,
        title=(
            f"Test period: {test.snapshots:,} snapshots of {test.leads:,} leads, {test.converted_leads:,} of which "
            "converted"
        ),
    )
    terminal.say(evidence.headline)
    for sooner in evidence.sooner:
        terminal.say(f"{say_sooner(sooner)} {say_rival(sooner)}")
    if evidence.immature:
        terminal.say(f"{evidence.immature_leads:,} leads are too young to know; they are not counted as lost.")
    for warning in evidence.warnings:
        terminal.warn(warning)
    if recorded.trouble:
        terminal.warn(f"{recorded.trouble}. The training itself is complete.")
    terminal.say(f"Model   {trained.model.model_id} ({recorded.alias})  {trained.folder}")
    terminal.say(f"Report  {recorded.report}")
