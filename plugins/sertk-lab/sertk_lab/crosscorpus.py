"""`sertk crosscorpus`: trained on one corpus, tested on each."""

from __future__ import annotations

from pathlib import Path

import typer

from sertk.cli.models_option import MODELS
from sertk.cli.output import say, show, up_to_date


def command(
    manifests: list[str] = typer.Argument(..., metavar="[NAME=]MANIFEST...", help="Two manifests or more."),
    out: Path = typer.Option(..., help="The folder: one per corpus in it, and crosscorpus.md, .csv and .svg."),
    map: str | None = typer.Option(None, "--map", help="A label map for all: four, six, eight, or a file *.toml."),
    features: str = typer.Option("whisper", help="whisper, egemaps, compare or logmel, which needs nothing."),
    folds: str | None = typer.Option(
        None, help="Within a corpus: a number, speakers or given. Default: given, one per speaker up to 12, or 5."
    ),
    draws: int = typer.Option(1000, min=1, help="Number of resamples for the 95 % intervals."),
    models: Path | None = MODELS,
    device: str = typer.Option("auto", help="cpu, cuda, cuda:1 or auto."),
    jobs: int = typer.Option(1, min=1, help="Number of folds in parallel, each in its own process."),
    force: bool = typer.Option(False, "--force", help="Run again even if up to date."),
) -> None:
    """Train a linear model on each corpus, test it on each, and write the matrix with intervals and a picture."""
    from sertk_lab.across.cells import METRICS
    from sertk_lab.across.matrix import class_lines, matrix_table
    from sertk_lab.across.run import cross_corpora

    made = cross_corpora(
        manifests,
        out,
        map=map,
        features=features,
        folds=folds,
        draws=draws,
        jobs=jobs,
        device=device,
        force=force,
        tell=say,
    )
    for metric in METRICS:
        show(matrix_table(made.cells, metric))
    for line in class_lines(made.cells):
        say(line)
    if made.up_to_date:
        return up_to_date(out)
    say(f"wrote  {out / 'crosscorpus.md'}, .csv and .svg")
