"""`sertk report`: one self-contained HTML page about an experiment folder."""

from __future__ import annotations

import shlex
from pathlib import Path

import typer

from sertk.cli.output import kept, say, up_to_date
from sertk.errors import DataError
from sertk.files import write_text


def command(
    exp: Path = typer.Argument(
        help="The experiment folder: predictions/SPLIT/SYSTEM.csv (or predictions/SYSTEM.csv), members/, ensembles/."
    ),
    manifest: Path | None = typer.Option(None, help="The manifest; EXP/data/manifest.jsonl.gz without it."),
    output: Path | None = typer.Option(None, help="Where to write the page; EXP/report.html without it."),
    clips: int = typer.Option(8, min=0, help="Recordings of each kind that the page carries."),
    draws: int = typer.Option(1000, min=1, help="Resamples of speakers for the 95 % intervals."),
    seed: int = typer.Option(1, min=0, help="Seed of the resamples."),
    force: bool = typer.Option(False, "--force", help="Write it again although it is up to date."),
) -> None:
    """Write one HTML page with tables, plots and recordings; it needs no network and nothing beside it."""
    from sertk.outputs import making, refuse_foreign_files
    from sertk.provenance import is_current
    from sertk.reports.gather import find_sources, gather
    from sertk.reports.page import render
    from sertk.reports.provenance import report_provenance

    if not exp.is_dir():
        raise DataError(f"there is no experiment folder {exp}")
    path = output or exp / "report.html"
    sources = find_sources(exp, manifest=manifest)
    files = [file for systems in sources.predictions.values() for file in systems.values()]
    refuse_foreign_files("report", [path], inputs=[sources.manifest, *files])
    made = report_provenance(str(exp), None if manifest is None else str(manifest), clips, draws, seed)
    if not force and is_current(path, made):
        up_to_date(path)
        return
    words: list[object] = ["sertk", "report", exp, *(["--manifest", manifest] if manifest else [])]
    words += ["--clips", clips, "--draws", draws, "--seed", seed]
    page = render(gather(sources, clips=clips, draws=draws, seed=seed), command=shlex.join(map(str, words)))
    with making(path, made) as edited:
        write_text(path, page)
    kept(edited)
    say(f"report  {path}  {path.stat().st_size / 1e6:.1f} MB")
