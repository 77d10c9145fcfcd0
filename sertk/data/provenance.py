"""What the verbs of `sertk data` make their outputs from: the planners of `split`, `fix`, `map` and `audit`."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sertk.data.formats import AUDIO_SUFFIXES
from sertk.data.label_map import read_label_map, shipped_maps
from sertk.data.manifest import Manifest
from sertk.digests import file_digests
from sertk.errors import DataError
from sertk.files import sha256_json
from sertk.provenance import RECORD, Provenance, from_here, options_as_parts

SPLIT, FIX, AUDIT, MAP, MERGE = 1, 2, 3, 1, 1
"""The revisions of the verbs: each is raised when its outputs change for the same inputs."""

REPORT = ".report.jsonl"
"""The ending of the side file that lists faults."""

TABLES = frozenset({".csv", ".tsv", ".txt", ".json", ".jsonl", ".gz", ".yaml", ".parquet"})
"""The endings of the label files that readers of corpora read."""

FEW = 20
"""A folder's files of one ending are a part each when there are no more."""

Progress = Callable[[int], object]


def split_provenance(
    manifest: str, out: str, part: str, into: str, share: float, seed: int, join: bool = False
) -> Provenance:
    """Plan `sertk data split`."""
    options = {"split": part, "into": into, "share": share, "seed": seed, **({"join": True} if join else {})}
    parts = {"revision": str(SPLIT), **manifest_parts(Manifest.read(Path(manifest)), Path(out))}
    parts |= options_as_parts("options", options)
    call = {"part": part, "into": into, "share": share, "seed": seed, "join": join}
    return _of_manifest("data split", parts, manifest, call | {"out": from_here(Path(out))})


def fix_provenance(manifest: str, out: str, audio: bool) -> Provenance:
    """Plan `sertk data fix`, which asks of recordings only if they are there."""
    corpus = Manifest.read(Path(manifest), any_names=True)
    parts = {"revision": str(FIX), **manifest_parts(corpus, Path(out)), "options.audio": str(audio)}
    if audio:
        parts["recordings that are missing"] = sha256_json(_missing(corpus))
    return _of_manifest("data fix", parts, manifest, {"out": from_here(Path(out)), "audio": audio})


def map_provenance(manifest: str, out: str, map: str) -> Provenance:
    """Plan `sertk data map`."""
    parts = {"revision": str(MAP), **manifest_parts(Manifest.read(Path(manifest)), Path(out))}
    parts["map"] = read_label_map(map).digest
    return _of_manifest("data map", parts, manifest, {"out": from_here(Path(out)), "map": map_from_here(map)})


def merge_provenance(
    manifests: Sequence[str],
    out: str,
    map: str | None = None,
    names: Sequence[str] = (),
    scale: Sequence[float] | None = None,
) -> Provenance:
    """Plan `sertk data merge`."""
    parts = {"revision": str(MERGE)}
    for number, path in enumerate(manifests, start=1):
        found = manifest_parts(Manifest.read(Path(path)), Path(out))
        parts |= {f"{part} {number}": value for part, value in found.items()}
    parts |= options_as_parts("options", {"names": [*names], "range": scale and [*scale]})
    parts |= {} if map is None else {"map": read_label_map(map).digest}
    reads = tuple(from_here(Path(path)) for path in manifests)
    call = {"manifests": [*reads], "out": from_here(Path(out)), "map": None if map is None else map_from_here(map)}
    return Provenance("data merge", parts, call | {"names": [*names], "scale": scale and [*scale]}, reads)


def map_from_here(map: str) -> str:
    """A label map as records have it: the name of a shipped one, or the path of a file."""
    return map if map in shipped_maps() else from_here(Path(map))


def audit_provenance(manifest: str, audio: bool, *, progress: Progress | None = None) -> Provenance:
    """Plan `sertk data audit --html`."""
    corpus = Manifest.read(Path(manifest), any_names=True)
    parts = {"revision": str(AUDIT), "manifest": corpus.fingerprint, "options.audio": str(audio)}
    if audio:
        parts["recordings"] = recordings_digest(corpus, progress=progress)
    return _of_manifest("data audit", parts, manifest, {"audio": audio})


def manifest_parts(corpus: Manifest, out: Path) -> dict[str, str]:
    """A manifest as parts, and how the one that is made of it at `out` names the folder of the recordings."""
    return {"manifest": corpus.fingerprint, "recordings are in": corpus.audio_folder(out)}


def recordings_digest(manifest: Manifest, *, progress: Progress | None = None) -> str:
    """A digest of the content of all recordings, by utterance."""
    paths = [(utterance.id, Path(utterance.audio)) for utterance in manifest.located()]
    files = file_digests((path for _, path in paths), progress=progress)
    return sha256_json([[id, files[path]] for id, path in paths])


def folder_parts(name: str, folder: Path, *, audio: bool, progress: Progress | None = None) -> dict[str, str]:
    """The content of a corpus's folder as parts: a file each, or one of all files of a folder and an ending.

    A single file, which an option may name too, is one part. audio: whether recordings are read too. What sertk made,
    which has a record, is not of the corpus.
    """
    if folder.is_file():
        return {name: str(file_digests([folder])[folder])}
    endings = TABLES | AUDIO_SUFFIXES if audio else TABLES
    paths = [path for path in corpus_files(folder) if path.suffix.lower() in endings]
    digests = file_digests(paths, progress=progress)
    groups: dict[str, dict[str, str | None]] = defaultdict(dict)
    for path in paths:
        inside = path.relative_to(folder)
        groups[f"{inside.parent / '*'}{path.suffix.lower()}"][str(inside)] = digests[path]
    parts: dict[str, str] = {}
    for group, files in sorted(groups.items()):
        if len(files) <= FEW:
            parts |= {f"{name} {file}": str(digest) for file, digest in files.items()}
        else:
            parts[f"{name} {group}"] = f"{len(files)} files {sha256_json(sorted(files.items()))}"
    return parts


def corpus_files(folder: Path) -> Iterator[Path]:
    """All files below a folder in the order of their names, but hidden ones and what sertk made."""
    seen: set[tuple[int, int]] = set()
    for above, folders, names in os.walk(folder, followlinks=True):
        stat = Path(above).stat()
        if (stat.st_dev, stat.st_ino) in seen:  # a link to a folder that it is in
            folders.clear()
            continue
        seen.add((stat.st_dev, stat.st_ino))
        made = tuple(n.removesuffix(RECORD) for n in names if n.endswith(f".{RECORD}"))
        folders[:] = sorted(n for n in folders if not n.startswith(".") and not Path(above, n, RECORD).is_file())
        kept = (n for n in sorted(names) if not n.startswith(".") and n != RECORD and not f"{n}.".startswith(made))
        yield from (Path(above, n) for n in kept)


def _missing(manifest: Manifest) -> list[str]:
    missing = []
    for utterance in manifest:
        try:
            missing += [] if manifest.audio_path(utterance).is_file() else [utterance.id]
        except DataError:  # it climbs out of the manifest's folder
            missing.append(utterance.id)
    return missing


def _of_manifest(verb: str, parts: Mapping[str, str], manifest: str, call: Mapping[str, Any]) -> Provenance:
    read = from_here(Path(manifest))
    return Provenance(verb, parts, {"manifest": read, **call}, (read,))
