"""The encoder: openSMILE's values as they are, nothing scaled, nothing left out."""

from __future__ import annotations

import importlib
import warnings
from importlib import metadata
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sertk.config.schema import Positive
from sertk.data.recording import Recording
from sertk.errors import AudioError, EncoderError
from sertk.files import sha256_json
from sertk.revisions import revision
from sertk.tensors import Padded

if TYPE_CHECKING:
    from sertk.contracts import Batching, Modality

LICENCE = "openSMILE: audEERING Research License Agreement, non-commercial research; binds features made with it"

REVISION = 1
"""Raised whenever the values for the same recording change."""

SHORTEST_SECONDS = 0.1
"""openSMILE has no values for less; shorter recordings are followed by silence up to here."""

LEVELS = {"lld": "LowLevelDescriptors", "functionals": "Functionals"}


@revision(REVISION)
def opensmile(
    *,
    features: Literal["eGeMAPSv02", "ComParE_2016"] = "eGeMAPSv02",
    level: Literal["lld", "functionals"] = "functionals",
    stack: Positive = 1,
    sample_rate: Positive = 16_000,
) -> OpenSmile:
    """eGeMAPSv02 or ComParE 2016 of openSMILE, by frame or as functionals; for non-commercial research only.

    The values have very different scales: standardise them (the fusion `concat` has an option), and store
    functionals as float32, for some are beyond float16.

    Parameters
    ----------
    features
        Which set of descriptors.
    level
        `functionals`: one frame per utterance, 88 (eGeMAPSv02) or 6,373 (ComParE_2016) values. `lld`: 100 frames per
        second of 25 or 65 low-level descriptors.
    stack
        So many successive frames become one, side by side, at a rate that much lower.
    sample_rate
        What recordings are resampled to first, in Hz.

    Raises
    ------
    EncoderError
        Where openSMILE is not installed, and for a stack that makes no frames.

    References
    ----------
    Eyben et al. 2016, "The Geneva minimalistic acoustic parameter set (GeMAPS)"; Schuller et al. 2016, "The
    INTERSPEECH 2016 computational paralinguistics challenge"; Eyben et al. 2010, "openSMILE".
    """
    if stack < 1 or (stack > 1 and level == "functionals"):
        raise EncoderError(f"opensmile: stack {stack} of {level}: needs stack >= 1, and functionals are one frame")
    try:
        smile: Any = importlib.import_module("opensmile")
    except (ImportError, OSError) as error:
        raise EncoderError(f"opensmile cannot be imported ({error}): pip install sertk-opensmile") from error
    extractor = smile.Smile(
        feature_set=getattr(smile.FeatureSet, features), feature_level=getattr(smile.FeatureLevel, LEVELS[level])
    )
    return OpenSmile(extractor, features, level, stack, sample_rate)


class OpenSmile:
    """An `Encoder` that does its work in `prepare`, on the CPU; a call passes the frames on."""

    def __init__(self, extractor: Any, features: str, level: str, stack: int, sample_rate: int) -> None:
        self._extractor = extractor
        self._stack = stack
        self._sample_rate = sample_rate
        self.modality: Modality = "speech"
        self.dim = len(extractor.feature_names) * stack
        self.frames_per_second = 0.0 if level == "functionals" else 100.0 / stack
        self.fingerprint = sha256_json(
            ["opensmile", REVISION, features, level, stack, sample_rate, metadata.version("opensmile")]
        )
        self.batching: Batching = "padded"
        self.challenge_legal = True
        self.licence = LICENCE

    @property
    def names(self) -> list[str]:
        """What each of the D values is, in order; with a stack, frame after frame."""
        return list(self._extractor.feature_names) * self._stack

    def prepare(self, recording: Recording) -> Tensor:
        """(T, dim) float32. Raises AudioError for a recording that openSMILE has no finite values for."""
        samples = recording.waveform(self._sample_rate)
        lacking = round(SHORTEST_SECONDS * self._sample_rate) - len(samples)
        if lacking > 0:
            samples = np.concatenate([samples, np.zeros(lacking, np.float32)])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns where it fills with NaN, which is found below
            values = self._extractor.process_signal(samples, self._sample_rate).to_numpy(np.float32)  # (T, dim)
        if not np.isfinite(values).all():
            raise AudioError(f"{recording.id}: openSMILE gives values that are not finite")
        return torch.tensor(_stacked(values, self._stack))

    def __call__(self, inputs: Padded) -> Padded:
        """(B, T, dim) as prepared."""
        return inputs

    def to(self, device: torch.device) -> OpenSmile:
        """Stay on the CPU: there are no weights to move."""
        return self


def _stacked(frames: NDArray[np.float32], stack: int) -> NDArray[np.float32]:
    """(T, D) to (T // stack, D * stack); of fewer frames than `stack`, the last is repeated."""
    short = max(0, stack - len(frames))
    whole = np.concatenate([frames, frames[-1:].repeat(short, axis=0)])
    count = len(whole) // stack
    return whole[: count * stack].reshape(count, -1)  # (T // stack, D * stack)
