"""Read a corpus with the reader of its name, and plan `sertk data prepare`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sertk.config.build import build, checked_options
from sertk.config.schema import Use
from sertk.data.corpora.report import CorpusReport
from sertk.data.manifest import Manifest
from sertk.data.provenance import Progress, folder_parts
from sertk.errors import DataError
from sertk.provenance import Provenance, from_here, options_as_parts
from sertk.registry import corpora
from sertk.revisions import component_version


def read_corpus(corpus: str, folder: Path, options: Mapping[str, Any]) -> tuple[Manifest, CorpusReport]:
    """Read a folder with the reader `corpus`.

    Raises RegistryError for an unknown reader, ConfigError for options that it does not take, and DataError for a
    folder that is no such corpus.
    """
    read: tuple[Manifest, CorpusReport] = build(corpora, Use(use=corpus, **options), folder)
    return read


def prepare_provenance(
    corpus: str, folder: str, out: str, options: Mapping[str, Any], *, progress: Progress | None = None
) -> Provenance:
    """Plan `sertk data prepare`: the reader, its options, and the content of the corpus's files.

    options: of the reader; the content of a folder that one names counts too. progress: called with the number of
    files that were read since.
    """
    resolved = dict(checked_options(corpora, Use(use=corpus, **options)))
    place = Path(folder)
    if not (place.is_dir() or place.is_file()):
        raise DataError(f"{folder}: there is no such folder. Name the folder of the corpus.")
    file, place = place, place if place.is_dir() else place.parent
    further = {name: paths for name, value in resolved.items() if (paths := _paths(value))}
    plain = {name: value for name, value in resolved.items() if name not in further}
    recordings = place if place.is_absolute() else os.path.relpath(place, Path(out).parent)
    parts = {"reader": f"{corpus}, {component_version('corpus', corpus)}", "recordings are in": str(recordings)}
    parts |= options_as_parts("options", plain)
    folders = {"corpus": place}
    folders |= {f"{name} {n}": path for name, paths in further.items() for n, path in enumerate(paths)}
    for name, each in folders.items():
        parts |= folder_parts(name, each, audio=resolved["audio"], progress=progress)
    if file != place:
        parts["table"] = file.name
    called = str(file) if file.is_absolute() else from_here(file)  # it decides how the manifest names the folder
    given = {name: value for name, value in plain.items() if name in options}
    for name, paths in further.items():
        named = [from_here(path) for path in paths]
        given[name] = named[0] if isinstance(resolved[name], Path) else named
    call = {"corpus": corpus, "folder": called, "out": from_here(Path(out)), "options": given}
    return Provenance("data prepare", parts, call)


def _paths(value: Any) -> list[Path]:
    """The paths in the value of an option: itself, or its entries."""
    values = value if isinstance(value, Iterable) and not isinstance(value, str | bytes) else [value]
    return [one for one in values if isinstance(one, Path)]
