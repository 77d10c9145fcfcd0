"""`sertk data toy`: write the made-up corpus."""

from __future__ import annotations

from pathlib import Path

import typer

from sertk.cli.output import say, up_to_date


def toy(
    folder: Path = typer.Argument(..., help="The folder to create."),
    utterances: int = typer.Option(600, help="Number of labelled utterances; Test3 is added to them."),
    seed: int = typer.Option(1, help="The same seed gives the same corpus."),
    no_audio: bool = typer.Option(False, "--no-audio", help="Write everything except the recordings."),
) -> None:
    """Write a made-up corpus in the layout of MSP-Podcast."""
    from sertk_toy.corpus import write_toy_corpus

    readme = folder / "readme.txt"
    before = readme.stat().st_mtime_ns if readme.is_file() else None
    write_toy_corpus(folder, utterances=utterances, seed=seed, audio=not no_audio)
    if readme.stat().st_mtime_ns == before:
        up_to_date(folder)
    else:
        say(f"wrote  {folder}  a synthetic corpus: its scores say nothing about real speech")
