"""`sertk report`: one self-contained HTML page about an experiment folder."""

from __future__ import annotations

from pathlib import Path

import typer

from sertk.cli.output import say, up_to_date


def command(
    exp: Path = typer.Argument(
        help="The experiment folder: predictions/SPLIT/SYSTEM.csv (or predictions/SYSTEM.csv), members/, ensembles/."
    ),
    manifest: Path | None = typer.Option(None, help="The manifest. Default: EXP/data/manifest.jsonl.gz."),
    output: Path | None = typer.Option(None, help="The page to write. Default: EXP/report.html."),
    clips: int = typer.Option(8, min=0, help="Number of recordings of each kind on the page."),
    draws: int = typer.Option(1000, min=1, help="Number of resamples for the 95 % intervals."),
    seed: int = typer.Option(1, min=0, help="Seed of the resamples."),
    force: bool = typer.Option(False, "--force", help="Write the page again even if it is up to date."),
) -> None:
    """Write one HTML page with tables, plots and recordings. It needs no network and no other file."""
    from sertk.api.report import report

    made = report(exp, manifest=manifest, output=output, clips=clips, draws=draws, seed=seed, force=force)
    if made.up_to_date:
        up_to_date(made.output)
        return
    say(f"report  {made.output}  {made.output.stat().st_size / 1e6:.1f} MB")
