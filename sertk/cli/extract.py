"""`sertk extract`: run encoders, or trained models, over a corpus and store what they give."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sertk.cli.engine import ADDRESS, ENGINE, GPUS, placement
from sertk.cli.models_option import MODELS
from sertk.cli.output import progress, say
from sertk.progress import Advance, duration

if TYPE_CHECKING:
    from sertk.features.progress import Progress


def command(
    encoders: list[Path] = typer.Argument(..., help="Encoder files (TOML), or folders of trained models."),
    manifest: Path = typer.Option(..., help="The manifest (*.jsonl, *.jsonl.gz)."),
    into: Path = typer.Option(..., help="The folder to write one feature store per encoder into, named after it."),
    splits: str = typer.Option("", help="Only these splits, such as held_out,development. Default: all."),
    device: str = typer.Option("auto", help="cpu, cuda, cuda:1 or auto."),
    models: Path | None = MODELS,
    precision: str = typer.Option("float32", help="Precision of the encoders: float32, bfloat16 or float16."),
    frame_budget: float = typer.Option(120.0, help="Seconds of audio per batch, including padding."),
    max_batch: int = typer.Option(64, min=1, help="Maximum number of recordings per batch."),
    shard: str = typer.Option("0/1", help="i/n: this is process i (from 0) of n that fill the same stores."),
    force: bool = typer.Option(False, help="Extract everything again."),
    retry: bool = typer.Option(False, help="Try again the utterances that a store's report lists as failed."),
    repair: bool = typer.Option(False, help="Verify all checksums first and extract damaged parts again."),
    jobs: int = typer.Option(1, min=1, help="Number of parallel processes, each for a part of the corpus."),
    engine: str = ENGINE,
    address: str | None = ADDRESS,
    gpus: float | None = GPUS,
) -> None:
    """Extract features in one pass over the audio, resuming where it stopped. `report.jsonl` lists failures."""
    part = _part(shard)
    if precision not in ("float32", "bfloat16", "float16"):
        raise typer.BadParameter(f"--precision is float32, bfloat16 or float16, got {precision!r}")
    from sertk.api.extract import extract
    from sertk.extraction.summary import summary_lines

    with progress("extract") as advance:
        reports = extract(
            encoders,
            manifest,
            into=into,
            splits=splits.split(",") if splits else (),
            device=device,
            precision=precision,  # type: ignore[arg-type]
            frame_budget=frame_budget,
            max_batch=max_batch,
            shard=part,
            force=force,
            retry=retry,
            repair=repair,
            on=placement(engine, jobs, address, gpus),
            watch=_Shown(advance),
        )
    for line in summary_lines(reports):
        say(line)


class _Shown:
    """Shows on a progress bar, or line, how far an extraction is."""

    def __init__(self, advance: Advance) -> None:
        self._advance = advance
        self._done = 0

    def __call__(self, now: Progress) -> None:
        pace = f"{now.hours_an_hour:.1f} hours of audio an hour  left {duration(now.seconds_left)}"
        self._advance(now.done - self._done, pace, total=now.total)
        self._done = now.done


def _part(shard: str) -> tuple[int, int]:
    number, slash, count = shard.partition("/")
    if not (slash and number.isdigit() and count.isdigit() and int(number) < int(count)):
        raise typer.BadParameter(f"--shard is i/n with i from 0 to n-1, such as 2/8, got {shard!r}")
    return int(number), int(count)
