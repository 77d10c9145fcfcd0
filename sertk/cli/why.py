"""`sertk why`: what a result was made from, what differs now, and what would run again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sertk.cli.models_option import MODELS
from sertk.cli.output import fail, say, say_json, show
from sertk.tables import listing

if TYPE_CHECKING:
    from sertk.why import Reasons

_DIGEST = re.compile(r"[0-9a-f]{32,}")
IF = "if what it reads comes out different"
SHOWN = 16
"""So many digits of a digest are shown."""


def command(
    out: Path = typer.Argument(help="A result: a manifest, a feature store, a model, predictions, scores, a page."),
    as_json: bool = typer.Option(False, "--json", help="Write JSON for programs, with whole digests."),
    models: Path | None = MODELS,
) -> None:
    """Show what a result was made from and, where it is not up to date, which part differs and what would run again.

    Status 0: up to date, with all that it was made from. 1: not up to date. 2: it is no result of a verb.
    """
    from sertk.errors import DataError
    from sertk.why import explain

    try:
        reasons = explain(out)
    except DataError as error:
        fail(str(error))
        raise typer.Exit(2) from None
    if as_json:
        say_json(reasons.as_dict())
    else:
        _show(reasons)
    if not reasons.up_to_date:
        raise typer.Exit(1)


def _show(reasons: Reasons) -> None:
    made = reasons.record.made
    state = "up to date" if reasons.up_to_date else "not up to date"
    say(f"{reasons.out}  {state}, made by `sertk {made.verb}` from", style="bold")
    show(listing(("part", "value"), [(name, _short(value)) for name, value in sorted(made.parts.items())]))
    stale = [*reasons.stale()]
    for each in stale:
        if each.differs:
            say()
            say(f"{each.out}  differs", style="bold")
        for problem in each.problems:
            say(problem)
        if each.changes:
            rows = [(c.part, _short(c.before), _short(c.now)) for c in each.changes]
            show(listing(("part", "before", "now"), rows))
    if stale:
        say()
        say("would run again", style="bold")
        again = [(each.record.made.verb, str(each.out), "" if each.differs else IF) for each in stale]
        show(listing(("verb", "result", ""), again))


def _short(value: str | None) -> str:
    if value is None:
        return "–"
    return _DIGEST.sub(lambda found: found[0][:SHOWN], value)
