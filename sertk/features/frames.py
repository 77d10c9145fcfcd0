"""Frames as a store keeps them: in one of four types, int8 with a scale a frame."""

from __future__ import annotations

import torch
from torch import Tensor

from sertk.data.ids import id_fault
from sertk.errors import StoreError
from sertk.features.card import Dtype
from sertk.features.index import SCALE

DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}


def as_stored(utterance: str, frames: Tensor, *, dim: int, dtype: Dtype) -> dict[str, Tensor]:
    """The tensors of (T, dim) of an utterance, by key. Raises StoreError for what a store cannot keep."""
    if fault := id_fault(utterance):
        raise StoreError(f"utterance {utterance!r}: {fault}")
    if frames.ndim != 2 or frames.shape[0] < 1 or frames.shape[1] != dim:
        raise StoreError(f"utterance {utterance}: features of shape {tuple(frames.shape)}, the card says (T, {dim})")
    if dtype == "int8":
        if utterance.endswith(SCALE):
            raise StoreError(f"utterance {utterance}: in int8 stores an id cannot end in {SCALE!r}")
        frames = frames.detach().cpu().float()
        scale = frames.abs().amax(dim=1) / 127  # (T,)
        encoded = (frames / scale.clamp_min(torch.finfo().tiny)[:, None]).round().to(torch.int8)  # (T, D)
        tensors = {utterance: encoded, utterance + SCALE: scale}
        finite = bool(scale.isfinite().all())
    else:
        # A copy, so that neither a padded batch nor what the caller does next hangs on it.
        encoded = frames.detach().to(device="cpu", dtype=DTYPES[dtype], copy=True)
        tensors = {utterance: encoded}
        finite = bool(encoded.isfinite().all())
    if not finite:
        raise StoreError(f"utterance {utterance}: NaN or infinite once stored as {dtype}")
    return {key: tensor.contiguous() for key, tensor in tensors.items()}
