"""Predict a corpus from the feature stores that a model was trained on."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sertk.checkpoint import Checkpoint
from sertk.data.manifest import Utterance
from sertk.data.recording import Recording
from sertk.encoders.reads import reads_recordings, refuse_stale_leaves
from sertk.ensemble.members import infer_rows
from sertk.ensemble.predictions import Predictions
from sertk.errors import Fault
from sertk.inference.model import load
from sertk.inference.prediction import predictions_of


def predict_stores(
    checkpoint: Checkpoint, utterances: Sequence[Utterance], *, device: torch.device
) -> tuple[Predictions, list[Fault]]:
    """Predict utterances from the feature stores that the checkpoint's experiment names, in the order given.

    A model that has an encoder inside reads recordings instead. utterances: as `Manifest.located` gives them. One
    that a store lacks, or whose recording is bad, is left out and listed. Raises
    CheckpointError for features of another encoder, StoreError for those of other content than the utterances have
    now, EnsembleError where no utterance has features.
    """
    if checkpoint.folder is not None and reads_recordings(checkpoint.folder):
        return load(checkpoint.folder, device=str(device)).predict_recordings([Recording(u) for u in utterances])
    if checkpoint.folder is not None:
        refuse_stale_leaves(checkpoint.folder, utterances)
    found = infer_rows(checkpoint, [utterance.id for utterance in utterances], device)
    posteriors = torch.cat([*found.frames.values()])  # (N, C + A)
    faults = [Fault(id, f"has no features in {', '.join(names)}") for id, names in found.lacking.items()]
    return predictions_of(checkpoint, list(found.frames), posteriors), faults
