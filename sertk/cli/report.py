"""`sertk report`: one self-contained HTML page about an experiment folder."""

from __future__ import annotations

import shlex
from pathlib import Path

import typer

from sertk.cli.output import say, up_to_date
from sertk.errors import DataError
from sertk.files import sha256_file, sha256_json, write_text


def command(
    exp: Path = typer.Argument(help="The experiment folder: predictions/SPLIT/SYSTEM.csv, members/, ensembles/."),
    manifest: Path | None = typer.Option(None, help="The manifest; EXP/data/manifest.jsonl.gz without it."),
    output: Path | None = typer.Option(None, help="Where to write the page; EXP/report.html without it."),
    clips: int = typer.Option(8, min=0, help="Recordings of each kind that the page carries."),
    draws: int = typer.Option(1000, min=1, help="Resamples of speakers for the 95 % intervals."),
    seed: int = typer.Option(1, min=0, help="Seed of the resamples."),
    force: bool = typer.Option(False, "--force", help="Write it again although it is up to date."),
) -> None:
    """Write one HTML page with tables, plots and recordings; it needs no network and nothing beside it."""
    from sertk.scoring.report import find_sources, gather
    from sertk.scoring.report_html import render

    if not exp.is_dir():
        raise DataError(f"there is no experiment folder {exp}")
    sources = find_sources(exp, manifest=manifest)
    path = output or exp / "report.html"
    inputs = [sources.manifest, *(file for systems in sources.predictions.values() for file in systems.values())]
    inputs += [folder / "card.json" for folder in sources.models.values()]
    found = [[str(file), sha256_file(file)] for file in inputs if file.is_file()]
    mark = f"<!-- {sha256_json([1, found, clips, draws, seed])} -->"
    if not force and path.is_file() and mark in path.read_text(encoding="utf-8", errors="replace"):
        up_to_date(path)
        return
    words: list[object] = ["sertk", "report", exp, *(["--manifest", manifest] if manifest else [])]
    words += ["--clips", clips, "--draws", draws, "--seed", seed]
    page = render(gather(sources, clips=clips, draws=draws, seed=seed), command=shlex.join(map(str, words)))
    write_text(path, f"{page}{mark}\n")
    say(f"report  {path}  {path.stat().st_size / 1e6:.1f} MB")
