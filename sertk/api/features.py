"""Make a feature store of arrays that another program computed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from sertk.api.remarks import warn
from sertk.checkpoint import refuse_additions
from sertk.data.ids import name_fault
from sertk.data.manifest import Manifest
from sertk.errors import LeftOutWarning, UsageError
from sertk.features.arrays import open_arrays
from sertk.features.card import IMPORT
from sertk.features.external import Options, Stored, match, provenance_of, write_store
from sertk.features.making import refuse_foreign_store
from sertk.locks import sole_writer
from sertk.outputs import refuse_collisions
from sertk.provenance import is_current


@dataclass(frozen=True)
class StoredFeatures:
    """A feature store that `store_features` wrote or found up to date.

    utterances: in it. dim: D. lacking: utterances without an array. unknown: arrays without an utterance.
    """

    out: Path
    up_to_date: bool = False
    utterances: int = 0
    dim: int = 0
    lacking: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def store_features(
    name: str,
    source: str | Path | Mapping[str, NDArray[Any]],
    *,
    manifest: str | Path,
    out: str | Path,
    modality: str = "speech",
    dtype: Stored = "float32",
    frames_per_second: float = 0.0,
    force: bool = False,
) -> StoredFeatures:
    """Make a feature store of arrays that another program computed.

    Models train on it as on any store, and predict a corpus by its manifest. They cannot predict a recording, since
    sertk cannot compute the features.

    Parameters
    ----------
    name
        Of the features: it stands for the program and settings that made them. Other features need another name.
    source
        A folder of `.npy` files named by utterance id, with folders inside where ids have slashes; a file `*.npz` or
        `*.safetensors` with an array for each id; a file `*.csv` with a column `id` and columns of numbers; or a
        dictionary of arrays by id. Arrays are (D,), or (T, D) for T frames, of float16, float32 or float64.
    manifest
        The manifest of the corpus.
    out
        The folder of the store.
    modality
        `speech`, or `text`.
    dtype
        `float32`, or `float16`: how the numbers are stored.
    frames_per_second
        Of arrays (T, D); 0 where frames are no time steps.
    force
        Write again what is up to date.

    Returns
    -------
    StoredFeatures
        Utterances without an array are listed in `report.jsonl` of the store, arrays without an utterance in
        `remarks.jsonl`. A LeftOutWarning counts both.

    Raises
    ------
    SertkError
        DataError, naming the utterance, for an array of another width, of another number of dimensions, or with NaN
        or infinity, and where no array is of an utterance; OutputError for a folder that something else made.
    """
    if fault := name_fault("name", name):
        raise UsageError(fault)
    if modality not in ("speech", "text"):
        raise UsageError(f"--modality is speech or text, got {modality!r}")
    if dtype not in ("float32", "float16"):
        raise UsageError(f"--dtype is float32 or float16, got {dtype!r}")
    if not (math.isfinite(frames_per_second) and frames_per_second >= 0):
        raise UsageError(f"--frames-per-second is 0 or more, got {frames_per_second}")
    place, table = Path(out), Path(manifest)
    path = "" if isinstance(source, Mapping) else str(source)
    refuse_collisions([place], [table, *([Path(path)] if path else [])])
    refuse_foreign_store(place, IMPORT)
    refuse_additions(place)
    options = Options(name, modality, dtype, float(frames_per_second))
    arrays = open_arrays(source)
    made = provenance_of(arrays, path, table, place, options)
    if not force and is_current(place, made):
        return StoredFeatures(place, up_to_date=True)
    corpus = Manifest.read(table)
    matched = match(arrays, corpus)
    with sole_writer(place):
        card = write_store(place, arrays, corpus, matched, options, made)
    if matched.lacking:
        many = f"{len(matched.lacking):,} of {len(corpus):,} utterances have no array"
        warn(f"{many}: listed in {place / 'report.jsonl'}", LeftOutWarning)
    if matched.unknown:
        many = f"{len(matched.unknown):,} of {len(arrays.ids):,} arrays are of no utterance"
        warn(f"{many}: listed in {place / 'remarks.jsonl'}", LeftOutWarning)
    return StoredFeatures(
        place,
        utterances=len(matched.known),
        dim=card.dim,
        lacking=tuple(matched.lacking),
        unknown=tuple(matched.unknown),
    )
