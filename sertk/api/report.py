"""Write a page about an experiment."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from sertk.api.remarks import warn_of_edited
from sertk.errors import DataError
from sertk.files import write_text
from sertk.outputs import making, refuse_foreign_files
from sertk.provenance import is_current
from sertk.reports.gather import find_sources, gather
from sertk.reports.page import render
from sertk.reports.provenance import report_provenance


@dataclass(frozen=True)
class Reported:
    """A page that `report` wrote or found up to date."""

    output: Path
    up_to_date: bool = False


def report(
    exp: str | Path,
    *,
    manifest: str | Path | None = None,
    output: str | Path | None = None,
    clips: int = 8,
    draws: int = 1000,
    seed: int = 1,
    force: bool = False,
) -> Reported:
    """Write one HTML page with tables, plots and recordings; it needs no network and no other file.

    Parameters
    ----------
    exp
        The experiment folder: `predictions/SPLIT/SYSTEM.csv` (or `predictions/SYSTEM.csv`), `members/`,
        `ensembles/`.
    manifest
        The manifest; `EXP/data/manifest.jsonl.gz` without it.
    output
        Where to write the page; `EXP/report.html` without it.
    clips
        Recordings of each kind that the page carries.
    draws, seed
        Resamples of speakers for the 95 % intervals, and their seed.
    force
        Write the page again although it is up to date.

    Raises
    ------
    SertkError
        DataError where there is nothing to report on; OutputError.
    """
    folder, labels = Path(exp), None if manifest is None else Path(manifest)
    if not folder.is_dir():
        raise DataError(f"there is no experiment folder {folder}")
    path = folder / "report.html" if output is None else Path(output)
    sources = find_sources(folder, manifest=labels)
    files = [file for systems in sources.predictions.values() for file in systems.values()]
    refuse_foreign_files("report", [path], inputs=[sources.manifest, *files])
    made = report_provenance(str(folder), None if labels is None else str(labels), clips, draws, seed)
    if not force and is_current(path, made):
        return Reported(path, up_to_date=True)
    words: list[object] = ["sertk", "report", folder, *(["--manifest", labels] if labels else [])]
    words += ["--clips", clips, "--draws", draws, "--seed", seed]
    page = render(gather(sources, clips=clips, draws=draws, seed=seed), command=shlex.join(map(str, words)))
    with making(path, made) as edited:
        write_text(path, page)
    warn_of_edited(edited)
    return Reported(path)
