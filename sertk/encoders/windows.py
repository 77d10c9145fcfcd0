"""Long recordings in overlapping windows, and their frames joined as if there had been no windows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sertk.errors import EncoderError


def window_samples(seconds: float, sample_rate: int, stride: int) -> int:
    """A duration as a whole number of frames, in samples. stride: samples a frame."""
    return round(seconds * sample_rate / stride) * stride


def windows(samples: int, *, window: int, overlap: int) -> list[tuple[int, int]]:
    """Part (samples,) into [start, stop) windows of `window` samples, the last one between `overlap` and that."""
    step = window - overlap
    starts = [0, *range(step, samples - overlap, step)]
    return [(start, min(start + window, samples)) for start in starts]


def join(parts: Sequence[Tensor], *, step: int, overlap: int) -> Tensor:
    """Join the (T', D) frames of windows to (T, D); neighbours part in the middle of what they share.

    step, overlap: in frames.
    """
    kept: list[Tensor] = []
    for number, part in enumerate(parts):
        first = overlap // 2 if number else 0
        last = step + overlap // 2 if number < len(parts) - 1 else len(part)
        kept.append(part[first:last])
    return torch.cat(kept)  # (T, D)


def check_windows(window_seconds: float | None, overlap_seconds: float, frame_seconds: float) -> None:
    """Raise EncoderError for windows that cannot be joined: too short, or more overlap than step."""
    if overlap_seconds < 4 * frame_seconds:
        raise EncoderError(f"overlap_seconds = {overlap_seconds:g} is too short: give {4 * frame_seconds:g} or more")
    if window_seconds is not None and not window_seconds >= 2 * overlap_seconds:
        raise EncoderError(
            f"window_seconds = {window_seconds:g} must be at least twice overlap_seconds = {overlap_seconds:g}"
        )
