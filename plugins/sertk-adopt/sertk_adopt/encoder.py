"""Speech encoders whose waveforms are normalised by mean and deviation of a corpus."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sertk.encoders.hf_layers import Layers
from sertk.encoders.hf_speech import SpeechEncoder, hf_speech
from sertk.files import sha256_json
from sertk.revisions import revision as revised

REVISION = 1
SMALLEST = 1e-6
"""Added to the deviation."""


@revised(REVISION)
def corpus_normalised(
    *,
    model: str,
    mean: float,
    deviation: float,
    revision: str | None = None,
    layers: Layers = "last",
    challenge_legal: bool | None = None,
) -> SpeechEncoder:
    """WavLM, HuBERT or wav2vec 2.0 on waveforms that are normalised by mean and deviation of a corpus.

    What `hf_speech` gives, but for (x - mean) / (deviation + 1e-6) in place of the checkpoint's own normalisation.

    Parameters
    ----------
    model
        Hub id (owner/name), or a folder with config.json, preprocessor_config.json and safetensors weights.
    mean
        Of the samples of the corpus.
    deviation
        Of the samples of the corpus.
    revision
        Branch, tag or commit of the hub's checkpoint.
    layers
        As for `hf_speech`.
    challenge_legal
        Whether the challenge allows the checkpoint; None decides by name and labels.

    Raises
    ------
    EncoderError
        For a checkpoint that `hf_speech` does not take.
    """
    encoder = hf_speech(model=model, revision=revision, layers=layers, challenge_legal=challenge_legal)
    encoder.front = replace(encoder.front, extractor=Normalised(mean, deviation))
    options = ["corpus_normalised", REVISION, mean, deviation]
    encoder.fingerprint = sha256_json([*options, encoder.fingerprint])
    return encoder


@dataclass(frozen=True)
class Normalised:
    """A feature extractor: (samples,) to `input_values` (1, samples)."""

    mean: float
    deviation: float

    def __call__(self, samples: NDArray[np.float32], **_: Any) -> dict[str, NDArray[np.float32]]:
        """What `prepare` of the encoder calls."""
        values = (samples - np.float32(self.mean)) / np.float32(self.deviation + SMALLEST)
        return {"input_values": values[None].astype(np.float32)}
