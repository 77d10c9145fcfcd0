"""Manifests out, in the formats of other libraries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sertk.api.remarks import warn, warn_of_edited
from sertk.data.audio import AudioInfo
from sertk.data.headers import read_headers
from sertk.data.manifest import Manifest
from sertk.errors import AudioError, DataError, LeftOutWarning
from sertk.files import remove, sha256_json
from sertk.outputs import making_in, refuse_foreign
from sertk.provenance import Provenance, from_here, is_current, read_record
from sertk_corpora import audformat_out, lhotse_out
from sertk_corpora.audformat_library import library

VERB, REVISIONS = "export", {"audformat": 1, "lhotse": 1}
"""The verb, and for each format a revision, raised when its outputs change for the same inputs."""
Write = Callable[[Manifest, Mapping[str, AudioInfo], Path], None]


@dataclass(frozen=True)
class Exported:
    """A folder that was written or found up to date, with so many utterances and files of sound."""

    folder: Path
    up_to_date: bool
    utterances: int
    recordings: int


def write_lhotse(manifest: str | Path, folder: str | Path, *, force: bool = False) -> Exported:
    """Write a manifest as `recordings.jsonl.gz` and `supervisions.jsonl.gz` of lhotse.

    Emotion, votes, raters, split, fold and attributes stand in `custom` of a supervision; `custom.sertk` has the
    label set and the ranges. Recordings are named by their absolute paths.

    Parameters
    ----------
    manifest
        The manifest.
    folder
        The folder to write.
    force
        Write again what is up to date.

    Raises
    ------
    SertkError
        DataError for recordings that cannot be read; OutputError for a folder with other files.
    """
    return _export("lhotse", Path(manifest), Path(folder), lambda _: lhotse_out.FILES, lhotse_out.write_files, force)


def write_audformat(manifest: str | Path, folder: str | Path, *, force: bool = False) -> Exported:
    """Write a manifest as a database of audformat: `db.yaml`, and a table for each split.

    Tables are filewise where every utterance is a whole recording, else segmented. The speaker scheme says gender and
    language. Recordings are named by their absolute paths, those below the folder by their paths from there. The
    raters' own rows are left out.

    Parameters
    ----------
    manifest
        The manifest.
    folder
        The folder to write.
    force
        Write again what is up to date.

    Raises
    ------
    SertkError
        DataError without the library audformat, for recordings that cannot be read, and for what the library refuses;
        OutputError for a folder with other files.
    """
    library()
    names, write = audformat_out.file_names, audformat_out.write_files
    made = _export("audformat", Path(manifest), Path(folder), names, write, force)
    if not made.up_to_date and (count := sum(bool(u.raters) for u in Manifest.read(Path(manifest)))):
        warn(f"the raters' own rows of {count:,} utterances are left out; their votes are kept", LeftOutWarning)
    return made


def provenance(manifest: str, out: str, format: str) -> Provenance:
    """Plan `sertk export`."""
    corpus = Manifest.read(Path(manifest))
    return _provenance(corpus, _headers(corpus), Path(manifest), Path(out), format)


def _export(
    format: str,
    source: Path,
    folder: Path,
    names: Callable[[Manifest], Sequence[str]],
    write: Write,
    force: bool,
) -> Exported:
    refuse_foreign(folder, VERB)
    corpus = Manifest.read(source)
    infos = _headers(corpus)
    made = _provenance(corpus, infos, source, folder, format)
    if not force and is_current(folder, made):
        return Exported(folder, True, len(corpus), len(infos))
    before = read_record(folder)
    now = names(corpus)
    with making_in(folder, made, now) as edited:
        for name in set(before.files if before else ()) - {*now}:  # of another format, or of splits that are no more
            remove(folder / name)
        write(corpus, infos, folder)
    warn_of_edited(edited)
    return Exported(folder, False, len(corpus), len(infos))


def _headers(corpus: Manifest) -> dict[str, AudioInfo]:
    """The headers of all recordings, by their absolute paths. Raises DataError where one cannot be read."""
    paths = dict.fromkeys(u.audio for u in corpus.located())
    found = dict(zip(paths, read_headers(map(Path, paths)), strict=True))
    bad = [str(info) for info in found.values() if isinstance(info, AudioError)]
    if bad:
        raise DataError(
            f"{len(bad):,} of {len(found):,} recordings cannot be read, the first: {bad[0]}. "
            f"`sertk data fix` drops such utterances."
        )
    return {path: info for path, info in found.items() if isinstance(info, AudioInfo)}


def _provenance(corpus: Manifest, infos: Mapping[str, AudioInfo], source: Path, out: Path, format: str) -> Provenance:
    sizes: list[Any] = [[path, info.sample_rate, info.channels, info.frames] for path, info in infos.items()]
    parts = {"revision": str(REVISIONS[format]), "manifest": corpus.fingerprint, "options.format": format}
    parts["paths and sizes of recordings"] = sha256_json(sizes)
    reads = from_here(source)
    return Provenance(VERB, parts, {"manifest": reads, "out": from_here(out), "format": format}, (reads,))
