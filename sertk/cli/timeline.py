"""`sertk timeline`: emotion over time in long recordings."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from sertk.cli.models_option import MODELS, ready_model
from sertk.cli.output import progress, say, show, up_to_date
from sertk.escapes import safe_json
from sertk.tables import Table

if TYPE_CHECKING:
    from sertk.timelines.spans import Timeline


def command(
    words: list[str] = typer.Argument(
        ...,
        metavar="[MODEL] AUDIO...",
        help="A model (folder or name; default: a ready one), then recordings and folders; with --live a dash.",
    ),
    into: Path | None = typer.Option(None, help="The folder to write to: one folder per recording. Default: print."),
    formats: str = typer.Option("jsonl", "--format", help="Formats, separated by commas: jsonl,csv."),
    segmenter: str = typer.Option("windows", help="What divides a recording: windows, or one from a plugin."),
    sets: list[str] = typer.Option([], "--set", help="An option of the segmenter: length=4.0."),
    smooth: float = typer.Option(3.0, min=0, help="Seconds over which results are smoothed; 0 for not at all."),
    confidence: float | None = typer.Option(
        None,
        min=0,
        max=1,
        help="Below this probability a span is unsure. Default: as the model's card says, or 0.3.",
    ),
    shortest: float = typer.Option(0.5, min=0, help="Seconds; a shorter span joins the one before it."),
    device: str = typer.Option("auto", help="cpu, cuda, cuda:1 or auto."),
    models: Path | None = MODELS,
    force: bool = typer.Option(False, help="Make timelines again even if up to date."),
    live: bool = typer.Option(False, "--live", help="Read standard input and print each span once it is final."),
    rate: int = typer.Option(16_000, min=1, help="With --live: samples per second of raw sound."),
    channels: int = typer.Option(1, min=1, help="With --live: channels of raw sound."),
    encoding: str = typer.Option("s16le", help="With --live: u8, s16le, s32le or f32le, of raw sound."),
    stall: float = typer.Option(10.0, min=0, help="With --live: seconds without sound until a warning says so."),
) -> None:
    """Give emotion over time in recordings of any length: spans, curves, and summaries."""
    from sertk.api.timeline import timeline
    from sertk.config.overrides import apply_sets
    from sertk.errors import ConfigError
    from sertk.ready import split_models

    found, audio = split_models(words)
    if not audio or len(found) > 1:
        raise typer.BadParameter("give one model and recordings, or recordings alone for a ready model")
    options: dict[str, Any] = {}
    if faults := apply_sets(options, sets):
        raise ConfigError("sertk timeline", faults)
    options |= {"segmenter": segmenter, "smooth": smooth, "confidence": confidence, "device": device}
    if live != ([*map(str, audio)] == ["-"]) or (live and into is not None):
        raise typer.BadParameter("--live reads standard input and prints: sertk timeline MODEL --live -")
    model = found[0] if found else ready_model(err=live)
    if live:
        _print_live(model, options, sample_rate=rate, channels=channels, encoding=encoding, stall=stall)
        return
    report = timeline(
        *(model, audio),
        into=into,
        formats=[name.strip() for name in formats.split(",")],
        shortest=shortest,
        force=force,
        progress=progress,
        **options,
    )
    for each in report.timelines:
        _show(each)
    if into is not None and report.up_to_date and not (report.written or report.left_out):
        up_to_date(into)
    elif into is not None:
        speed = f": {report.seconds / report.took_s:.0f} h of audio per hour" if report.seconds else ""
        say(
            f"{into}  written {len(report.written)}  up to date {len(report.up_to_date)}  left out "
            f"{len(report.left_out)}{speed}"
        )
    if not (report.timelines or report.written or report.up_to_date):
        raise typer.Exit(1)


def _print_live(model: Path, options: dict[str, Any], **form: Any) -> None:
    """Print a line of JSON for each span."""
    from sertk.api.live import live

    for found in live(model, sys.stdin.buffer, **form, **options):
        sys.stdout.write(safe_json(found.row()) + "\n")
        sys.stdout.flush()


def _show(timeline: Timeline) -> None:
    from sertk.timelines.summary import summary

    columns = ("from", "to", "emotion", "probability", *timeline.attribute_names, "speaker")
    rows = [
        (
            *(f"{span.start_s:.2f}", f"{span.end_s:.2f}", span.label or span.state),
            max(span.posterior) if span.posterior else None,
            *(span.attributes or [None] * len(timeline.attribute_names)),
            span.speaker or "",
        )
        for span in timeline.spans
    ]
    show(Table(columns, rows, title=timeline.recording, align="rrlr"))
    say()
    show(summary(timeline))
