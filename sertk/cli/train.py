"""`sertk train`: train the models of one or more experiment files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sertk.cli.engine import ADDRESS, ENGINE, GPUS, placement
from sertk.cli.output import say, up_to_date

if TYPE_CHECKING:
    from sertk.api.train import Row, Trained


def command(
    configs: list[Path] = typer.Argument(..., help="Experiment files (TOML)."),
    out: Path | None = typer.Option(None, help="The folder for the model, for a single experiment file."),
    into: Path | None = typer.Option(None, help="The folder to write one model per file into, named after it."),
    device: str | None = typer.Option(None, help="cpu, cuda, cuda:1 or auto. Default: the value in the file."),
    jobs: int = typer.Option(1, min=1, help="Number of models trained in parallel, each in its own process."),
    sets: list[str] = typer.Option([], "--set", help="Override a value: stage.balanced.epochs=5."),
    force: bool = typer.Option(False, help="Train again even if up to date."),
    engine: str = ENGINE,
    address: str | None = ADDRESS,
    gpus: float | None = GPUS,
) -> None:
    """Train models. Skips those that are up to date and resumes those that were interrupted."""
    from sertk.api.train import train

    on = placement(engine, jobs, address, gpus)
    train(
        configs,
        out=out,
        into=into,
        sets=sets,
        device=device,
        force=force,
        on=on,
        on_epoch=_epoch,
        on_result=_result,
    )


def _epoch(name: str, row: Row) -> None:
    losses = " ".join(f"{term} {value:.3f}" for term, value in row["losses"].items())
    say(f"{name}  {row['stage']} {row['epoch']}/{row['epochs']}  {losses}  dev {row['score']:.3f}")


def _result(result: Trained) -> None:
    if result.up_to_date:
        up_to_date(result.folder)
        return
    scores = "  ".join(f"{what} {value:.3f}" for what, value in result.metrics.items())
    say(f"{result.folder.name}  trained  {scores}  left out {result.left_out} utterances  {result.folder}")
