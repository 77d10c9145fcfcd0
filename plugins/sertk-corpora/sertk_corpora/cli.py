"""`sertk export`: a manifest in the format of another library. `sertk data augment`: changed copies of recordings."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import typer

from sertk.cli.output import progress, say, up_to_date


class Format(StrEnum):
    """The formats that a manifest is exported to."""

    audformat = "audformat"
    lhotse = "lhotse"


def command(
    manifest: Path = typer.Argument(..., help="A manifest."),
    format: Format = typer.Option(..., "--format", help="The format to write."),
    out: Path = typer.Option(..., "--out", help="The folder to write."),
    force: bool = typer.Option(False, "--force", help="Run again even if up to date."),
) -> None:
    """Export a manifest to the format of another library."""
    from sertk_corpora import export

    write = {Format.audformat: export.write_audformat, Format.lhotse: export.write_lhotse}[format]
    made = write(manifest, out, force=force)
    if made.up_to_date:
        return up_to_date(out)
    say(f"wrote  {out}  {made.utterances:,} utterances of {made.recordings:,} recordings")


def augment(
    manifest: Path = typer.Argument(..., help="A manifest."),
    out: Path = typer.Option(..., "--out", help="The folder to write: manifest.jsonl.gz, and the copies in audio/."),
    split: str = typer.Option("train", help="The split to copy."),
    kind: list[str] = typer.Option(
        [],
        help="What may be done to a copy, with its strength: mp3:32 (kbit/s), opus:8:32, telephone, gsm, speed:90:110"
        " (%), gain:-15:5 (dB), noise:10 and babble:5:20 (dB below the voice). Can be repeated. Default: all.",
    ),
    copies: int = typer.Option(1, min=1, help="Copies of each recording."),
    share: float = typer.Option(1.0, min=0.0, max=1.0, help="About which share of the recordings is copied."),
    copies_only: bool = typer.Option(False, "--copies-only", help="Leave the originals out of the manifest."),
    seed: int = typer.Option(1, help="The same seed gives the same copies."),
    force: bool = typer.Option(False, "--force", help="Run again even if up to date."),
) -> None:
    """Write changed copies of recordings: codecs, telephones, speed, level, noise, babble."""
    from sertk_corpora.augment import augment as copy

    made = copy(
        *(manifest, out),
        split=split,
        kinds=kind,
        copies=copies,
        share=share,
        copies_only=copies_only,
        seed=seed,
        force=force,
        progress=progress,
    )
    if made.up_to_date:
        return up_to_date(out)
    say(f"copies  {', '.join(f'{name} {count:,}' for name, count in made.counts.items())}")
    say(f"wrote  {made.manifest}  {made.utterances:,} utterances")
