"""Predictions of several test parts as one: every utterance once, by a model that was not trained on its speaker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sertk.ensemble.predictions import Predictions
from sertk.errors import DataError
from sertk.files import sha256_file, sha256_json
from sertk.provenance import Provenance, from_here, read_record

REVISION = 1
"""Raised when the same predictions of folds are pooled into others."""


def pool_provenance(verb: str, parts: Mapping[str, Path]) -> Provenance:
    """What pooled predictions are made from: the file of each fold, by name.

    Where a fold's model read other recordings of a test speaker, that is a part too, as in the fold's own record.
    """
    made = {"revision": str(REVISION), "folds": sha256_json([*parts])}
    made |= {f"fold {name}": sha256_file(path) for name, path in parts.items()}
    records = [record for path in parts.values() if (record := read_record(path))]
    speakers = [
        value for record in records for part, value in record.made.parts.items() if part.endswith(".speakers")
    ]
    if speakers:
        made["pooled.speakers"] = sha256_json(speakers)
    reads = [from_here(path) for path in parts.values()]
    return Provenance(verb, made, {"predictions": dict(zip(parts, reads, strict=True))}, reads)


def pool(parts: Sequence[Predictions]) -> Predictions:
    """One after the other. Raises DataError for an utterance in two of them, and for other attributes."""
    first = parts[0]
    parts = [part.reordered(first.labels) for part in parts]
    if any(part.attribute_names != first.attribute_names for part in parts):
        raise DataError("predictions of two folds have other attributes, so they cannot be pooled")
    return Predictions(
        tuple(name for part in parts for name in part.ids),
        first.labels,
        np.concatenate([part.emotion for part in parts]),
        np.concatenate([part.attributes for part in parts]),
        first.attribute_names,
    )
