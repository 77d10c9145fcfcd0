"""What a submission is made from: the planner of `sertk submit`."""

from __future__ import annotations

from pathlib import Path

from sertk.data.manifest import Manifest
from sertk.ensemble.predictions import Predictions
from sertk.errors import DataError
from sertk.files import sha256_file, sha256_json
from sertk.provenance import Provenance, from_here
from sertk_msp_podcast.submission import illegal_encoders

REVISION = 1
"""Raised when submissions change for the same inputs."""


def submit_provenance(
    predictions: str, manifest: str, split: str, model: str | None, allow_illegal: bool
) -> Provenance:
    """Plan `sertk submit`: predictions, the ids of the test split, and what the challenge forbids of the model."""
    ids = [utterance.id for utterance in Manifest.read(Path(manifest)).split(split)]
    illegal = illegal_encoders(Path(model)) if model else []
    if illegal and not allow_illegal:
        raise DataError(
            f"{model} uses {', '.join(illegal)}, trained on emotion labels, which the challenge forbids. "
            f"Use another model, or --allow-illegal for a submission that does not enter the challenge."
        )
    path = Path(predictions)
    if not path.is_file():
        Predictions.read(path)  # which says so
    parts = {"revision": str(REVISION), "predictions": sha256_file(path), "ids": sha256_json(ids)}
    reads = [from_here(Path(read)) for read in (predictions, manifest, model) if read is not None]
    call = {"predictions": reads[0], "manifest": reads[1], "split": split, "allow_illegal": allow_illegal}
    return Provenance("submit", parts, call | {"model": reads[2] if model else None}, tuple(reads))
