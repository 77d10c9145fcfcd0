"""`sertk transcribe`: add words to the utterances of a manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from sertk.cli.models_option import MODELS
from sertk.cli.output import progress, say, up_to_date


def command(
    manifest: Path = typer.Argument(..., help="The manifest (jsonl or jsonl.gz)."),
    out: Path = typer.Option(..., help="The manifest to write, with words."),
    use: str = typer.Option("corpus", help="The transcriber: corpus, whisper, or one from a plugin."),
    model: str | None = typer.Option(None, help="Its checkpoint: hub id or folder."),
    language: str | None = typer.Option(None, help="The language. Default: detected."),
    sets: list[str] = typer.Option([], "--set", help="Another option of the transcriber: beams=5."),
    split: list[str] = typer.Option([], help="Only this split; can be repeated. Default: all."),
    batch_size: int = typer.Option(32, min=1, help="Number of utterances between saves."),
    mixed_sources: bool = typer.Option(False, help="Allow words from different sources in one manifest."),
    device: str = typer.Option("auto", help="cpu, cuda, cuda:1 or auto."),
    models: Path | None = MODELS,
    force: bool = typer.Option(False, help="Transcribe everything again, including what failed before."),
) -> None:
    """Transcribe the utterances of a manifest, resuming where an interrupted run stopped."""
    from sertk.api.transcribe import transcribe
    from sertk.config.overrides import apply_sets
    from sertk.errors import ConfigError
    from sertk.transcribers.run import REPORT

    options: dict[str, Any] = {"model": model, "language": language}
    options = {name: value for name, value in options.items() if value is not None}
    faults = apply_sets(options, sets)
    if faults:
        raise ConfigError("sertk transcribe", faults)
    report = transcribe(
        manifest,
        out=out,
        use=use,
        splits=split,
        batch_size=batch_size,
        mixed_sources=mixed_sources,
        device=device,
        force=force,
        progress=progress,
        **options,
    )
    if report is None:
        up_to_date(out)
        return
    if report.renewed:
        say(f"{report.renewed}: all are transcribed again")
    say(
        f"{out}: words from {report.source}: written {report.written}  changed {report.changed}  kept {report.kept}  "
        f"failed {len(report.failed)}"
    )
    if report.failed:
        first = report.failed[0]
        say(f"without words, listed in {out.name}{REPORT}. The first: {first.place}: {first.message}")
