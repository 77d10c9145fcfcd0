"""What verbs write: lines, tables, a progress bar, and errors. Plain text when the output is no terminal.

Names of files, labels and whatever else is from elsewhere never reach the terminal raw: control characters are shown
escaped, in tables line ends too.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from sertk.escapes import escaped, safe_json
from sertk.progress import Advance, duration
from sertk.tables import Table, to_terminal

PLAIN_WIDTH = 240
"""Width of tables that are written to a file or a pipe."""
SECONDS_BETWEEN_LINES = 30.0
"""How often a plain progress line is written."""


def console() -> Console:
    """The console on standard output, as it is now."""
    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    return Console(file=sys.stdout, width=width, highlight=False)


def say(text: str = "", *, style: str | None = None) -> None:
    """Write one line, as it is: no markup, no wrapping."""
    console().print(_plain(text, style=style or ""), soft_wrap=True)


def say_json(value: Any) -> None:
    """Write a value as JSON that a person can read."""
    say(safe_json(value, indent=2))


def fail(message: str) -> None:
    """Write `error MESSAGE` to standard error."""
    err = Console(file=sys.stderr, highlight=False)
    err.print(Text.assemble(("error", "bold red"), " ", _plain(message)), soft_wrap=True)


def warn(message: str) -> None:
    """Write `warning MESSAGE` to standard error."""
    err = Console(file=sys.stderr, highlight=False)
    err.print(Text.assemble(("warning", "yellow"), " ", _plain(message)), soft_wrap=True)


def up_to_date(path: Path) -> None:
    """Say that there was nothing to do. `sertk run` counts a stage as idle when it says nothing else."""
    say(f"up to date  {path}")


def show(table: Table) -> None:
    """Write a table."""
    console().print(to_terminal(table))


@contextmanager
def progress(what: str, total: int | None = None, *, last_line: bool = True) -> Iterator[Advance]:
    """Show how far long work is, with rate and time left. Gives `advance(n)`, or `advance(n, pace)`.

    pace: what to say in place of items a second and the time left. On a terminal a bar; elsewhere a plain line each
    half minute and, with last_line, one at the end if anything was done.
    """
    if sys.stdout.isatty():
        with _bar(what, total, last_line=last_line) as advance:
            yield advance
        return
    begun = last = time.monotonic()
    done, of = 0, total

    def advance_plainly(count: int = 1, pace: str = "", *, total: int | None = None) -> None:
        nonlocal done, last, of
        done += count
        of = total or of
        now = time.monotonic()
        if done and now - last >= SECONDS_BETWEEN_LINES:
            last = now
            say(_progress_line(what, done, of, now - begun, pace))

    yield advance_plainly
    if done and last_line:
        say(f"{what}  {done} in {time.monotonic() - begun:.1f} s")


def _plain(text: str, style: str = "") -> Text:
    """A message: without markup, and with its own line ends alone."""
    return Text(escaped(text, keep="\n\t"), style=style)


@contextmanager
def _bar(what: str, total: int | None, *, last_line: bool) -> Iterator[Advance]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    name, rate = (TextColumn(text, markup=False) for text in ("{task.description}", "{task.fields[pace]}"))
    columns = (name, BarColumn(), MofNCompleteColumn(), rate)
    with Progress(*columns, console=console(), transient=not last_line) as bar:
        task = bar.add_task(escaped(what), total=total, pace="")

        def advance(count: int = 1, pace: str = "", *, total: int | None = None) -> None:
            bar.update(task, advance=count, total=total)
            now = bar.tasks[0]
            bar.update(task, pace=pace or _pace(int(now.completed), now.total, now.elapsed or 0.0))

        yield advance


def _progress_line(what: str, done: int, total: int | None, seconds: float, pace: str) -> str:
    of = "" if total is None else f"/{total}"
    return f"{what}  {done}{of}  {pace or _pace(done, total, seconds)}"


def _pace(done: int, total: float | None, seconds: float) -> str:
    rate = done / max(seconds, 1e-9)
    left = f"  left {duration((total - done) / rate)}" if total is not None and rate else ""
    return f"{rate:.1f}/s{left}"
