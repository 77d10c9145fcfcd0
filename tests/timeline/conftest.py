"""A small model of random weights, and recordings of noise that changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sertk.cards import Card, EncoderSpec
from sertk.checkpoint import Checkpoint
from sertk.config.build import build
from sertk.config.schema import Experiment, Use
from sertk.models.classifier import build_classifier
from sertk.registry import encoders

RATE = 16_000
LABELS = ["Angry", "Happy", "Neutral", "Sad"]
RANGES = {"arousal": (1.0, 7.0), "valence": (1.0, 7.0)}


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model on the means and deviations of log-mel bands."""
    options = {"mels": 20, "normalise": "none", "pool": "mean_std"}
    encoder = build(encoders, Use.model_validate({"use": "logmel", **options}))
    spec = EncoderSpec("logmel", options, encoder.fingerprint, "speech", encoder.dim, encoder.frames_per_second)
    experiment = Experiment.model_validate(
        {
            "data": {"manifest": "none"},
            "features": {"speech": "none"},
            "fusion": {"use": "concat"},
            "head": {"attributes": list(RANGES)},
        }
    )
    network = build_classifier(
        experiment.fusion, experiment.head, dims={"speech": 40}, classes=4, ranges=[*RANGES.values()], seed=3
    )
    card = Card("random", LABELS, "AHNS", RANGES, {"speech": spec}, [0.25] * 4, {}, "none", {})
    folder = tmp_path_factory.mktemp("model") / "random"
    Checkpoint(experiment, card, dict(network.state_dict())).save(folder, {})
    return folder


@pytest.fixture(scope="session")
def noise() -> Callable[..., np.ndarray]:
    """(samples,) of noise whose colour and level change each two seconds, with digital silence from 9 to 13 s."""

    def make(seconds: float, seed: int = 0, rate: int = RATE) -> np.ndarray:
        rng = np.random.default_rng(seed)
        parts = []
        while sum(map(len, parts)) < seconds * rate:
            white = rng.normal(0, rng.uniform(0.02, 0.2), 2 * rate)
            parts.append(np.convolve(white, np.ones(size := int(rng.integers(1, 12))) / size, "same"))
        samples = np.concatenate(parts)[: round(seconds * rate)].clip(-1, 1)
        samples[9 * rate : 13 * rate] = 0
        return samples

    return make


@pytest.fixture(scope="session")
def recording(noise: Callable[..., np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 31.7 seconds, 16 bits, at 22.05 kHz."""
    path = tmp_path_factory.mktemp("recordings") / "long.wav"
    soundfile.write(path, noise(31.7, rate=22_050), 22_050, subtype="PCM_16")
    return path
