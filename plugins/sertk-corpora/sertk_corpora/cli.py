"""`sertk export`: a manifest in the format of another library."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import typer

from sertk.cli.output import say, up_to_date


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
