"""`sertk extract`: run encoders, or trained models, over a corpus and store what they give."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sertk.cli.engine import ADDRESS, ENGINE, GPUS, placement
from sertk.cli.output import duration, progress, say, up_to_date
from sertk.progress import Advance

if TYPE_CHECKING:
    from sertk.features.extract import ExtractReport
    from sertk.features.progress import Progress
    from sertk.features.task import TargetReport


def command(
    encoders: list[Path] = typer.Argument(..., help="Encoder files (TOML), or folders of trained models."),
    manifest: Path = typer.Option(..., help="The manifest (*.jsonl, *.jsonl.gz)."),
    into: Path = typer.Option(..., help="The folder to write one feature store per encoder into, named after it."),
    splits: str = typer.Option("", help="Only these splits, such as held_out,development. Default: all."),
    unseen: bool = typer.Option(False, help="Only utterances that a trained model was not trained on."),
    device: str = typer.Option("auto", help="cpu, cuda, cuda:1 or auto."),
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

    with progress("extract") as advance:
        passes = extract(
            encoders,
            manifest,
            into=into,
            splits=splits.split(",") if splits else (),
            unseen=unseen,
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
    for reports in passes:
        _show(reports)


class _Shown:
    """Shows on a progress bar, or line, how far an extraction is."""

    def __init__(self, advance: Advance) -> None:
        self._advance = advance
        self._done = 0

    def __call__(self, now: Progress) -> None:
        pace = f"{now.hours_an_hour:.1f} hours of audio an hour  left {duration(now.seconds_left)}"
        self._advance(now.done - self._done, pace, total=now.total)
        self._done = now.done


def _show(parts: Sequence[ExtractReport]) -> None:
    """What became of the stores of one pass, over all parts."""
    for targets in zip(*(part.targets for part in parts), strict=True):
        folder = targets[0].folder
        for difference in {t.renewed for t in targets} - {""}:
            say(f"{folder}  {difference}: extracted again")
        written, changed, kept = (sum(getattr(t, name) for t in targets) for name in ("written", "changed", "kept"))
        if written + changed == 0 and all(part.up_to_date for part in parts):
            up_to_date(folder)
            continue
        instead = f"  changed {changed}" if changed else ""
        say(f"{folder}  written {written}{instead}  kept {kept}{_remarks(targets)}")
    seconds, elapsed = sum(part.seconds for part in parts), max(part.elapsed for part in parts)
    if seconds:
        rate = seconds / max(elapsed, 1e-9)
        say(f"{duration(seconds)} of audio in {duration(elapsed)}: {rate:.1f} times real time")


def _remarks(targets: Sequence[TargetReport]) -> str:
    """What else became of a store, over all parts."""
    from sertk.features.card import read_card

    unchecked, failures = sum(t.unchecked for t in targets), sum(len(t.failed) for t in targets)
    halvings, again = sum(t.halvings for t in targets), [name for t in targets for name in t.repaired]
    error = read_card(targets[0].folder).error
    return "".join(
        [
            f" ({unchecked} of them unchecked: their recordings cannot be read)" if unchecked else "",
            f"  failed {failures}, see report.jsonl" if failures else "",
            f"  batch halved {halvings} times for memory" if halvings else "",
            f"  made again {', '.join(again)}" if again else "",
            f"  within {error:.1e} of float32" if error is not None else "",
        ]
    )


def _part(shard: str) -> tuple[int, int]:
    number, slash, count = shard.partition("/")
    if not (slash and number.isdigit() and count.isdigit() and int(number) < int(count)):
        raise typer.BadParameter(f"--shard is i/n with i from 0 to n-1, such as 2/8, got {shard!r}")
    return int(number), int(count)
