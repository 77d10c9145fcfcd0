"""`sertk score`: prediction files against a manifest, with intervals, comparisons and calibration."""

from __future__ import annotations

from pathlib import Path

import typer

from sertk.cli.output import say, say_json, show, up_to_date


def command(
    predictions: list[Path] = typer.Argument(help="Prediction files, *.csv or *.jsonl; one row of scores each."),
    manifest: Path = typer.Option(help="The manifest with the labels."),
    split: list[str] = typer.Option(help="The split to score; can be repeated."),
    compare: Path | None = typer.Option(None, help="Predictions of another system: also show the paired difference."),
    calibrate: Path | None = typer.Option(
        None, help="The system's predictions of held-out utterances: fit calibration on them."
    ),
    groups: bool = typer.Option(
        False, "--groups", help="Add tables by corpus, gender, duration, agreement and speaker."
    ),
    draws: int = typer.Option(1000, min=1, help="Number of resamples for the 95 % intervals."),
    seed: int = typer.Option(1, min=0, help="Seed of the resamples."),
    as_json: bool = typer.Option(False, "--json", help="Write JSON for programs."),
    output: Path | None = typer.Option(None, help="Write all scores to this JSON file."),
    results: Path | None = typer.Option(
        None, help="Write a Markdown page with the scores and the command that computed them."
    ),
    card: Path | None = typer.Option(None, help="The model that predicted: add the scores to its model card."),
    cross_validated: bool = typer.Option(
        False, "--cross-validated", help="With --card: the scores are of models trained alike, of `sertk crossval`."
    ),
    force: bool = typer.Option(False, "--force", help="Score again even if the output is up to date."),
) -> None:
    """Score predictions against labels and votes, with 95 % intervals that resample speakers."""
    from sertk.api.score import score

    scored = score(
        predictions,
        manifest,
        split,
        compare=compare,
        calibrate=calibrate,
        groups=groups,
        draws=draws,
        seed=seed,
        output=output,
        results=results,
        card=card,
        cross_validated=cross_validated,
        force=force,
    )
    if scored.up_to_date:
        for path in scored.up_to_date:
            up_to_date(path)
        return
    if as_json:
        say_json(scored.as_dict())
        return
    first, *others = scored.tables()
    show(first)
    for note in scored.notes():
        say(note)
    for table in others:
        say()
        show(table)
