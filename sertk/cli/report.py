"""`sertk report`: one self-contained HTML page about an experiment folder."""

from __future__ import annotations

from pathlib import Path

import typer

from sertk.cli.output import say, up_to_date


def command(
    exp: Path = typer.Argument(
        help="The experiment folder: predictions/SPLIT/SYSTEM.csv (or predictions/SYSTEM.csv), members/, ensembles/."
    ),
    manifest: Path | None = typer.Option(None, help="The manifest; EXP/data/manifest.jsonl.gz without it."),
    output: Path | None = typer.Option(None, help="Where to write the page; EXP/report.html without it."),
    clips: int = typer.Option(8, min=0, help="Recordings of each kind that the page carries."),
    draws: int = typer.Option(1000, min=1, help="Resamples of speakers for the 95 % intervals."),
    seed: int = typer.Option(1, min=0, help="Seed of the resamples."),
    force: bool = typer.Option(False, "--force", help="Write it again although it is up to date."),
) -> None:
    """Write one HTML page with tables, plots and recordings; it needs no network and nothing beside it."""
    from sertk.api.report import report

    made = report(exp, manifest=manifest, output=output, clips=clips, draws=draws, seed=seed, force=force)
    if made.up_to_date:
        up_to_date(made.output)
        return
    say(f"report  {made.output}  {made.output.stat().st_size / 1e6:.1f} MB")
