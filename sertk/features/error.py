"""What computing in less than float32 costs: measured on a few recordings, for the card of the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from sertk.data.recording import Recording
from sertk.errors import AudioError, EncoderError
from sertk.features.card import Precision, StoreCard
from sertk.features.encode import BatchEncoder, Prepared

if TYPE_CHECKING:
    from sertk.contracts import Encoder

RECORDINGS = 4
"""How many recordings are measured."""


def error_to_float32(
    encoder: Encoder,
    reference: Encoder,
    card: StoreCard,
    recordings: Sequence[Recording],
    *,
    device: torch.device,
    precision: Precision,
) -> float | None:
    """The largest relative difference, in the Frobenius norm, of an utterance's frames from those of float32.

    Of the first recordings that can be used, the rounding of the store's own type included; None where there are
    none. encoder: as it is used, under autocast to `precision`. reference: the same with float32 weights.
    """
    used = BatchEncoder(encoder, card, device, precision)
    plain = BatchEncoder(reference, card, device, "float32")
    errors: list[float] = []
    for recording in recordings:
        try:
            inputs = Prepared({recording.id: encoder.prepare(recording.copy())})
        except (AudioError, EncoderError):
            continue
        mine, wanted = (run(inputs)[0].get(recording.id) for run in (used, plain))
        if mine is not None and wanted is not None and (size := float(wanted.float().norm())) > 0:
            errors.append(float((mine.float() - wanted.float()).norm()) / size)
        if len(errors) == RECORDINGS:
            break
    return max(errors, default=None)
