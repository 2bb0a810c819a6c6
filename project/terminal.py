"""How commands speak: sentences and progress for people, one JSON document for machines, exit codes for both."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, ParamSpec

import typer

from project.errors import LeadError

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["JsonOption", "ProjectOption", "Terminal", "guarded"]

ProjectOption = Annotated[
    Path, typer.Option("--project", "-p", help="Project folder; leads.toml is searched for here and above.")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="One JSON document as the last line of stdout; the rest goes to stderr.")
]
Parameters = ParamSpec("Parameters")


@dataclass
class Terminal:
    """Speaks to people on stdout, or on stderr if a machine reads stdout."""

    json: bool
    started: float = field(default_factory=time.monotonic)

    @property
    def console(self) -> Console:
        """A Rich console on the stream that people read."""
        from rich.console import Console

        stream = sys.stderr if self.json else sys.stdout
        # without a terminal there is no width to ask for; tables then get room enough to stay on one line
        return Console(stderr=self.json, highlight=False, soft_wrap=True, width=None if stream.isatty() else 160)

    def say(self, text: str = "") -> None:
        """Print one line for people; `[` in it is no markup."""
        self.console.print(text, markup=False)

    def step(self, text: str) -> None:
        """Tell that a part of long work begins: a plain line with the seconds so far, on a terminal or not."""
        self.console.print(f"[dim]{time.monotonic() - self.started:6.1f} s[/dim]  {text.replace('[', chr(92) + '[')}")

    def warn(self, text: str) -> None:
        """Print a warning."""
        self.console.print(f"[yellow]![/yellow] {text.replace('[', chr(92) + '[')}")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str | None = None) -> None:
        """Print a table; all but the first column are aligned to the right if they hold numbers."""
        from rich.box import SIMPLE
        from rich.table import Table

        table = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False)
        for place, name in enumerate(columns):
            numeric = all(_is_numeric(row[place]) for row in rows)
            table.add_column(name, justify="right" if numeric and place else "left", overflow="fold")
        for row in rows:
            table.add_row(*(str(cell).replace("[", "\\[") for cell in row))
        console = self.console
        console.print(table, soft_wrap=False)

    def answer(self, document: Mapping[str, object]) -> None:
        """Print the machine's answer, if one was asked for."""
        if self.json:
            sys.stdout.write(json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n")
            sys.stdout.flush()


def _is_numeric(cell: object) -> bool:
    return str(cell)[:1].isdigit() or str(cell)[:1] in {"-", "–", "+", ""}


def guarded(command: Callable[Parameters, int | None]) -> Callable[Parameters, None]:
    """Turn what a command returns or raises into its exit code; errors become one line with the cure."""

    @wraps(command)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        with _ending(as_json=bool(kwargs.get("json_"))), _ctrl_c_kept():
            code = command(*args, **kwargs)
        raise typer.Exit(code or 0)

    return run


@contextmanager
def _ending(*, as_json: bool) -> Iterator[None]:
    try:
        yield
    except LeadError as error:
        Terminal(as_json).answer({"error": str(error), "exit_code": error.exit_code})
        sys.stderr.write(f"Error: {error}\n")
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted; nothing half-written is left behind.\n")
        raise typer.Exit(130) from None
    except EOFError as error:
        sys.stderr.write(f"Error: a packed file ends too early ({error}). Is it whole?\n")
        raise typer.Exit(8) from None


@contextmanager
def _ctrl_c_kept() -> Iterator[None]:
    """Let Ctrl-C stay Ctrl-C, whatever a library in the middle of its work makes of it (DuckDB: errors of its own)."""
    pressed, before = False, signal.getsignal(signal.SIGINT)
    if not callable(before) or isinstance(before, signal.Handlers):
        yield  # told to ignore it, or to die of it
        return

    def press(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        pressed = True
        before(number, frame)

    signal.signal(signal.SIGINT, press)
    try:
        yield
    except Exception as error:
        if pressed:
            raise KeyboardInterrupt from error
        raise
    finally:
        if signal.getsignal(signal.SIGINT) is press:  # Spark sets one of its own
            signal.signal(signal.SIGINT, before)
