"""`sertk doctor`: what is installed, what is ready, and what to do about the rest."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import typer

from sertk.cli.models_option import MODELS
from sertk.cli.output import say_json, show
from sertk.tables import listing


def command(
    as_json: bool = typer.Option(False, "--json", help="Write JSON for programs."),
    offline: bool = typer.Option(False, help="Do not check whether the hub can be reached."),
    models: Path | None = MODELS,
) -> None:
    """Show what is installed, what is ready and how to fix the rest; exit status 1 if something needs attention."""
    from sertk.doctor import diagnose

    found = diagnose(offline=offline)
    if as_json:
        say_json([asdict(finding) for finding in found])
    else:
        show(listing(("part", "state", ""), [(f.part, f.state, f.text) for f in found]))
    if any(finding.state == "trouble" for finding in found):
        raise typer.Exit(1)
