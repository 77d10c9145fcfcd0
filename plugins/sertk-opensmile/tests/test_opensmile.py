from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

pytest.importorskip("opensmile", reason="needs openSMILE: pip install sertk-opensmile")

import opensmile as smile
from sertk_opensmile.encoder import LICENCE, opensmile

from sertk.contracts import Encoder
from sertk.data.manifest import Utterance
from sertk.data.recording import Recording
from sertk.features.card import store_card
from sertk.tensors import Padded
from sertk.testing import checks

SHAPES = [("eGeMAPSv02", "lld", 25), ("eGeMAPSv02", "functionals", 88), ("ComParE_2016", "lld", 65)]
SHAPES += [("ComParE_2016", "functionals", 6373)]


def voice(samples: int, seed: int = 0) -> Recording:
    time = np.arange(samples) / 16_000
    pitch = 120 + 20 * np.sin(2 * np.pi * 3 * time)
    wave = 0.3 * np.sign(np.sin(2 * np.pi * np.cumsum(pitch) / 16_000)) * (0.6 + 0.4 * np.sin(2 * np.pi * 2 * time))
    noise = np.random.default_rng(seed).normal(0, 0.01, samples)
    return Recording(Utterance(f"u{seed}", "none.wav"), {16_000: (wave + noise).astype(np.float32)})


def prepared(encoder: Encoder, recording: Recording) -> Tensor:
    frames = encoder.prepare(recording)
    assert isinstance(frames, Tensor)
    return frames


@pytest.mark.parametrize(("features", "level", "dim"), SHAPES)
def test_values_are_openSMILEs_own(features: Any, level: Any, dim: int) -> None:
    encoder: Encoder = opensmile(features=features, level=level)
    own = smile.Smile(
        feature_set=getattr(smile.FeatureSet, features),
        feature_level=smile.FeatureLevel.LowLevelDescriptors if level == "lld" else smile.FeatureLevel.Functionals,
    ).process_signal(voice(24_000).waveform(), 16_000)
    frames = prepared(encoder, voice(24_000))
    assert frames.shape == own.shape
    assert encoder.dim == dim == frames.shape[1]
    assert np.array_equal(frames.numpy(), own.to_numpy(np.float32))
    assert encoder.frames_per_second == (100 if level == "lld" else 0)
    assert (len(frames) == 1) == (level == "functionals")


def test_a_batch_passes_frames_on_unchanged() -> None:
    encoder = opensmile(level="lld")
    frames = [prepared(encoder, voice(length, seed)) for seed, length in enumerate((16_000, 30_000, 9_000))]
    batch = encoder.to(torch.device("cpu"))(Padded.of(frames))
    for row, wanted in enumerate(frames):
        assert torch.equal(batch.sequence(row), wanted)


@pytest.mark.parametrize(("features", "level", "dim"), SHAPES)
def test_a_recording_of_a_hundredth_of_a_second_has_finite_values(features: Any, level: Any, dim: int) -> None:
    frames = prepared(opensmile(features=features, level=level), voice(160))
    assert frames.shape[1] == dim
    assert frames.isfinite().all()


def test_fingerprints_tell_options_apart() -> None:
    prints = {opensmile(features=f, level=v).fingerprint for f, v, _ in SHAPES}  # type: ignore[arg-type]
    assert len(prints | {opensmile(sample_rate=8_000).fingerprint}) == 5


def test_the_card_names_the_licence() -> None:
    card = store_card("opensmile", {}, opensmile())
    assert card.licence == LICENCE
    assert "non-commercial" in card.licence


@pytest.mark.real
@pytest.mark.skipif(not os.environ.get("SERTK_EMODB"), reason="needs the corpus: set SERTK_EMODB to its folder")
def test_emodb_recordings_give_what_openSMILE_gives_for_the_file() -> None:
    recordings = sorted((Path(os.environ["SERTK_EMODB"]) / "audio").glob("*.flac"))[::40]
    assert recordings
    own = smile.Smile(feature_set=smile.FeatureSet.eGeMAPSv02, feature_level=smile.FeatureLevel.Functionals)
    encoder = opensmile()
    for path in recordings:
        frames = prepared(encoder, Recording(Utterance(path.stem, str(path))))
        assert np.array_equal(frames.numpy(), own.process_file(str(path)).to_numpy(np.float32))


@pytest.mark.parametrize("level", ["lld", "functionals"])
def test_contract(level: str) -> None:
    for check in checks("encoder", "opensmile", options={"level": level}, other={"features": "ComParE_2016"}):
        check()
