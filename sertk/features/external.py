"""Feature stores of arrays that another program made. Nobody can make such features of a recording again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from sertk.data.manifest import Manifest
from sertk.errors import DataError
from sertk.escapes import escaped
from sertk.features.arrays import Arrays, array_digest, open_arrays
from sertk.features.card import EXTERNAL, IMPORT, StoreCard
from sertk.features.writer import StoreWriter
from sertk.files import atomic_folder, sha256_json, write_sums
from sertk.provenance import Provenance, from_here, options_as_parts, write_record

REVISION = 1
"""Raised when stores differ for the same arrays."""

Stored = Literal["float32", "float16"]
_NUMPY: dict[Stored, Any] = {"float32": np.float32, "float16": np.float16}


@dataclass(frozen=True)
class Options:
    """What the store's card says of the arrays."""

    name: str
    modality: str
    dtype: Stored
    frames_per_second: float


def provenance(*, source: str, manifest: str, out: str, options: Mapping[str, Any]) -> Provenance:
    """Plan `sertk data features`. Raises DataError where the arrays were given in Python."""
    if not source:
        raise DataError("its arrays were given in Python, so only that program can tell whether they are the same")
    return provenance_of(open_arrays(source), source, Path(manifest), Path(out), Options(**options))


def provenance_of(arrays: Arrays, source: str, manifest: Path, out: Path, options: Options) -> Provenance:
    """What a store is made from: the arrays, the options, the manifest's ids. source: "" for arrays of Python."""
    ids = sorted(utterance.id for utterance in Manifest.read(manifest))
    parts = {"revision": str(REVISION), "arrays": arrays.digest, "ids": sha256_json(ids)}
    parts |= options_as_parts("options", vars(options))
    read = from_here(manifest)
    call = {"source": source and from_here(Path(source)), "manifest": read, "out": from_here(out)}
    return Provenance(IMPORT, parts, call | {"options": vars(options)}, (read,))


@dataclass(frozen=True)
class Matched:
    """Ids of the arrays that are stored, of utterances without an array, and of arrays without an utterance."""

    known: list[str]
    lacking: list[str]
    unknown: list[str]


def match(arrays: Arrays, manifest: Manifest) -> Matched:
    """Match arrays to utterances by id. Raises DataError where none is of an utterance."""
    wanted = [utterance.id for utterance in manifest]
    there = set(arrays.ids)
    known = [id for id in wanted if id in there]
    if not known:
        raise DataError(
            f"{arrays.name}: none of its {len(there)} arrays has the id of an utterance: it has {_some(arrays.ids)}, "
            f"the manifest {_some(wanted)}; name the arrays by the ids of the manifest"
        )
    lacking = [id for id in wanted if id not in there]
    return Matched(known, lacking, sorted(there.difference(wanted)))


def write_store(
    out: Path, arrays: Arrays, manifest: Manifest, matched: Matched, options: Options, made: Provenance
) -> StoreCard:
    """Write a whole store, or nothing. Raises DataError, naming the utterance, for an array unlike the first."""
    first = arrays.frames(matched.known[0])
    # The name stands for the program that made the arrays: a model that is trained on some of its utterances reads
    # others too. Which numbers each utterance has is in its own digest.
    card = StoreCard(
        encoder=EXTERNAL,
        options={"name": options.name},
        fingerprint=sha256_json([EXTERNAL, options.name, options.modality, first.shape[-1]]),
        modality=options.modality,
        dim=first.shape[-1],
        frames_per_second=options.frames_per_second,
        dtype=options.dtype,
        challenge_legal=False,  # nobody can vouch for how they were made
    )
    audio = {utterance.id: utterance.audio for utterance in manifest}
    with atomic_folder(out) as temporary:
        with StoreWriter(temporary, card, made=made) as writer:
            for id in matched.known:
                frames = _fitting(arrays, id, matched.known[0], first, options.dtype)
                writer.add(id, torch.from_numpy(frames), array_digest(frames))
            for id in matched.lacking:
                writer.fail(id, audio[id], f"has no array in {arrays.name}", "")
            for id in matched.unknown:
                writer.remark(id, "is no utterance of the manifest: its array is not stored")
        for path in temporary.glob(".lock*"):
            path.unlink()
        write_record(temporary, made, place=out)
        write_sums(temporary)
    return card


def _fitting(arrays: Arrays, id: str, first_id: str, first: NDArray[Any], dtype: Stored) -> NDArray[Any]:
    """(T, D) of an utterance in the type of the store."""
    array = arrays.frames(id)
    where, other = f"{arrays.name}: utterance {escaped(id)}", f"that of {escaped(first_id)} has {first.shape}"
    if array.ndim != first.ndim:
        raise DataError(f"{where}: an array of shape {array.shape}, {other}: all need as many dimensions")
    if array.shape[-1] != first.shape[-1]:
        raise DataError(f"{where}: an array of shape {array.shape}, {other}: all need the same width D")
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(np.atleast_2d(array).astype(_NUMPY[dtype]))
    if not np.isfinite(stored).all():
        larger = "store it as float32" if dtype == "float16" else "scale it"
        raise DataError(f"{where}: {float(np.abs(array).max()):g} is too large for {dtype}: {larger}")
    return stored


def _some(ids: Any) -> str:
    return ", ".join(escaped(id) for id in sorted(ids)[:3]) + (", ..." if len(ids) > 3 else "")
