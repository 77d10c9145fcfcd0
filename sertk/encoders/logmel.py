"""Log-mel frames: an encoder without weights, for tests, baselines and small corpora."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import torch
from pydantic import Field
from torch import Tensor, nn

from sertk.compat import import_torchaudio
from sertk.config.schema import Positive
from sertk.data.recording import Recording
from sertk.encoders.pooled import VALUES, Pool, pooled
from sertk.errors import EncoderError
from sertk.files import sha256_json
from sertk.revisions import revision
from sertk.tensors import Padded

if TYPE_CHECKING:
    from sertk.contracts import Batching, Modality

REVISION = 1
"""Raised whenever the frames for the same recording change."""

Milliseconds: TypeAlias = Annotated[float, Field(gt=0)]

FLOOR = 1e-10
"""The least mel power, so that digital silence has a logarithm."""

LEAST_DEVIATION = 1e-2
"""Normalising divides by no less, so that a band that does not move stays near 0."""


@revision(REVISION)
def logmel(
    *,
    mels: Positive = 80,
    sample_rate: Annotated[int, Field(ge=1000)] = 16_000,
    window_ms: Milliseconds = 25.0,
    hop_ms: Milliseconds = 10.0,
    stack: Positive = 1,
    normalise: Literal["utterance", "gain", "none"] = "utterance",
    pool: Pool = "none",
) -> LogMel:
    """Log-mel filterbank frames, computed without weights or download.

    Frames are within the samples; a recording shorter than a window gives one frame.

    Parameters
    ----------
    mels
        HTK triangles from 20 Hz to half of `sample_rate`.
    sample_rate
        What recordings are resampled to, in Hz.
    window_ms
        Length of a window, in ms.
    hop_ms
        From one window to the next, in ms.
    stack
        So many successive frames become one of width `mels * stack`, at a rate that much lower.
    normalise
        `utterance` gives each band of an utterance mean 0 and deviation 1. `gain` takes the utterance's mean over all
        bands and frames from it, so that how loud it was recorded does not matter.
    pool
        One frame per utterance: the `mean` of its frames, or `mean_std`, their mean and standard deviation side by
        side; for normalise = "none".

    Raises
    ------
    EncoderError
        For options that make no frames.
    """
    if mels < 1 or stack < 1 or sample_rate < 1000 or not 0 < hop_ms <= window_ms:
        raise EncoderError(
            f"logmel: mels {mels}, stack {stack}, sample_rate {sample_rate}, window_ms {window_ms:g}, hop_ms "
            f"{hop_ms:g}: needs mels >= 1, stack >= 1, sample_rate >= 1000 and 0 < hop_ms <= window_ms"
        )
    if pool != "none" and normalise == "utterance":
        raise EncoderError(f"logmel: pool = {pool!r} of normalised frames is 0 and 1: set normalise = 'none'")
    return LogMel(mels, sample_rate, window_ms, hop_ms, stack, normalise, pool)


class LogMel(nn.Module):
    """Waveforms (B, samples) to (B, T, dim); no frame sees another utterance or its padding."""

    modality: Modality = "speech"
    batching: Batching = "padded"
    challenge_legal = True

    def __init__(
        self,
        mels: int,
        sample_rate: int,
        window_ms: float,
        hop_ms: float,
        stack: int,
        normalise: str,
        pool: Pool = "none",
    ) -> None:
        super().__init__()
        self.dim = mels * stack * VALUES.get(pool, 1)
        made = ["logmel", REVISION, mels, sample_rate, float(window_ms), float(hop_ms), stack, normalise]
        self.fingerprint = sha256_json(made if pool == "none" else [*made, pool])
        self._sample_rate = sample_rate
        self._window = round(sample_rate * window_ms / 1000)
        self._hop = round(sample_rate * hop_ms / 1000)
        self._stack = stack
        self._normalise = normalise
        self._pool = pool
        self.frames_per_second = sample_rate / (self._hop * stack) if pool == "none" else 0.0
        self._fft = _fft_size(mels, sample_rate, self._window)
        spectrogram = import_torchaudio().transforms.MelSpectrogram(
            sample_rate=sample_rate,
            n_fft=self._fft,
            win_length=self._window,
            hop_length=self._hop,
            f_min=LOWEST_HZ,
            n_mels=mels,
            center=False,
        )
        self._spectrogram: nn.Module = spectrogram
        self.requires_grad_(False)
        self.eval()

    def prepare(self, recording: Recording) -> Tensor:
        """(samples,) of one recording. Raises AudioError for a bad recording."""
        return torch.from_numpy(recording.waveform(self._sample_rate))

    def forward(self, inputs: Padded) -> Padded:
        """Waveforms (B, samples) to (B, T, dim)."""
        lengths = _frames(inputs.lengths, self._window, self._hop)  # (B,)
        with torch.autocast(inputs.data.device.type, enabled=False):
            mels = self._mels(inputs.data.float(), int(lengths.max()))  # (B, T, mels)
            mels = mels * _mask(lengths, mels)
            if self._normalise == "utterance":
                mels = _normalised(mels, lengths)
            elif self._normalise == "gain":
                level = mels.double().sum(dim=(1, 2)) / (lengths * mels.shape[2])  # (B,)
                mels = (mels - level.float()[:, None, None]) * _mask(lengths, mels)
            frames = _stacked(mels, lengths, self._stack)
            if self._pool == "none":
                return frames
            return Padded.of([pooled(frames.sequence(row), self._pool) for row in range(len(frames))])

    def _mels(self, waveforms: Tensor, frames: int) -> Tensor:
        # The window stands in the middle of the transform: so much zero before and behind puts the first window
        # on the first sample.
        before = (self._fft - self._window) // 2
        size = (frames - 1) * self._hop + self._fft
        padded = nn.functional.pad(waveforms, (before, max(0, size - before - waveforms.shape[1])))[:, :size]
        power: Tensor = self._spectrogram(padded)  # (B, mels, T)
        return power.clamp_min(FLOOR).log().transpose(1, 2)  # (B, T, mels)


LOWEST_HZ = 20.0


def _fft_size(mels: int, sample_rate: int, window: int) -> int:
    """The least power of two that holds the window and leaves no triangle between two bins."""
    low, high = (2595 * math.log10(1 + hertz / 700) for hertz in (LOWEST_HZ, sample_rate / 2))
    narrowest = (high - low) / (mels + 1) * math.log(10) / 2595 * (700 + LOWEST_HZ)  # Hz, half a triangle's base
    return 1 << math.ceil(math.log2(max(window, sample_rate / narrowest)))


def _frames(samples: Tensor, window: int, hop: int) -> Tensor:
    """(B,) frames whose window lies within the samples, at least one."""
    return ((samples - window).clamp_min(0) // hop) + 1


def _mask(lengths: Tensor, frames: Tensor) -> Tensor:
    steps = torch.arange(frames.shape[1], device=frames.device)
    return (steps[None, :] < lengths[:, None]).unsqueeze(-1)  # (B, T, 1)


def _normalised(frames: Tensor, lengths: Tensor) -> Tensor:
    mask = _mask(lengths, frames)
    count = lengths[:, None, None]
    # Sums in float64 do not hang on how much padding they run over.
    centred = (frames - (frames.double().sum(1, keepdim=True) / count).float()) * mask
    deviation = (centred.double().square().sum(1, keepdim=True) / count).sqrt().float()  # (B, 1, D)
    return centred / deviation.clamp_min(LEAST_DEVIATION)


def _stacked(frames: Tensor, lengths: Tensor, stack: int) -> Padded:
    """(B, T, D) to (B, T // stack, D * stack); of fewer frames than `stack`, the last is repeated."""
    if stack == 1:
        return Padded(frames, lengths)
    steps = max(frames.shape[1], stack)
    index = torch.arange(steps, device=frames.device)[None, :].expand(len(frames), -1)  # (B, T)
    short = (lengths < stack)[:, None]
    index = torch.where(short, index.minimum(lengths[:, None] - 1), index).clamp_max(frames.shape[1] - 1)
    whole = steps // stack
    gathered = frames.gather(1, index[:, : whole * stack, None].expand(-1, -1, frames.shape[2]))
    stacked = gathered.reshape(len(frames), whole, -1)  # (B, T // stack, D * stack)
    fewer = (lengths // stack).clamp_min(1)
    return Padded(stacked * _mask(fewer, stacked), fewer)
