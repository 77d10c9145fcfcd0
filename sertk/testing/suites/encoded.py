"""How the checks of encoders build one and run it, by the way that `sertk extract` takes."""

from __future__ import annotations

import torch
from torch import Tensor

from sertk.contracts import Encoder
from sertk.data.recording import Recording
from sertk.errors import SertkError
from sertk.features.card import store_card
from sertk.features.encode import BatchEncoder, Input, Prepared
from sertk.tensors import Padded
from sertk.testing.suites.base import BrokenError, Subject

CPU = torch.device("cpu")


def built(subject: Subject) -> Encoder:
    """The encoder under test."""
    encoder: Encoder = subject.build()
    return encoder


def encoded(encoder: Encoder, recordings: list[Recording]) -> list[Tensor]:
    """(T, dim) of each recording. Raises BrokenError for one that is refused."""
    prepared = Prepared()
    for recording in recordings:
        try:
            prepared.inputs[recording.id] = encoder.prepare(recording)
        except SertkError as error:
            raise BrokenError(f"{recording.id} ({recording.utterance.text!r}) was refused: {error}") from error
    run = BatchEncoder(encoder, store_card("made_up", {}, encoder, dtype="float32"), CPU, "float32")
    frames, failed = run(prepared)
    if failed:
        raise BrokenError("; ".join(f"{id} has no frames: {reason}" for id, reason in failed.items()))
    return [frames[recording.id] for recording in recordings]


def single(prepared: Input) -> Padded | dict[str, Padded]:
    """A batch of one."""
    if isinstance(prepared, Tensor):
        return Padded.of([prepared])
    return {name: Padded.of([tensor]) for name, tensor in prepared.items()}
