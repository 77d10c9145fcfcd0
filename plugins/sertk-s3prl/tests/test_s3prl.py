from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

pytest.importorskip("s3prl", reason="needs s3prl: pip install sertk-s3prl")

from sertk_s3prl.encoder import s3prl
from sertk_s3prl.remedy import s3prl_at_work

from sertk.compat import import_torchaudio, import_transformers
from sertk.contracts import Encoder
from sertk.data.manifest import Utterance
from sertk.data.recording import Recording
from sertk.errors import EncoderError
from sertk.tensors import Padded
from sertk.testing import checks
from sertk.testing.tiny_models import tiny_speech

os.environ["HF_HUB_OFFLINE"] = "1"

pytestmark = pytest.mark.filterwarnings("ignore:At least one mel filterbank has all zero values")


def noise(samples: int, seed: int = 0) -> Recording:
    wave = np.random.default_rng(seed).uniform(-0.3, 0.3, samples).astype(np.float32)
    return Recording(Utterance(f"u{seed}", "none.wav"), {16_000: wave})


def alone(encoder: Encoder, recording: Recording) -> Tensor:
    prepared = encoder.prepare(recording)
    assert isinstance(prepared, Tensor)
    return encoder(Padded.of([prepared])).sequence(0)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("tiny")
    return {name: tiny_speech(root / name, name) for name in ("wavlm", "wav2vec2", "hubert")}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("upstream", "dim"),
    [("fbank", 240), ("fbank_no_cmvn", 240), ("mfcc", 39), ("mel", 80), ("linear", 201), ("spectrogram", 257)],
)
def test_upstreams_without_weights_give_100_frames_a_second_whatever_the_batch(upstream: str, dim: int) -> None:
    encoder: Encoder = s3prl(upstream=upstream)
    assert (encoder.dim, encoder.frames_per_second, encoder.batching) == (dim, 100.0, "single")
    recordings = [noise(length, seed) for seed, length in enumerate((16_000, 24_001, 9_999))]
    batch = encoder(Padded.of([encoder.prepare(r) for r in recordings]))  # type: ignore[misc]
    for row, recording in enumerate(recordings):
        frames = batch.sequence(row)
        assert frames.shape == (math.ceil(len(recording.waveform()) / 160), dim)
        assert torch.equal(frames, alone(encoder, recording))


def test_frames_are_those_of_s3prl() -> None:
    with s3prl_at_work():
        from s3prl.nn import S3PRLUpstream

        plain = S3PRLUpstream("mfcc").eval()
    wave = torch.tensor(noise(20_000).waveform())
    states, lengths = plain(wave[None], torch.tensor([20_000]))
    assert torch.equal(alone(s3prl(upstream="mfcc"), noise(20_000)), states[-1][0, : int(lengths[-1])])


@pytest.mark.parametrize(("upstream", "name"), [("hf_wav2vec2_custom", "wav2vec2"), ("hf_hubert_custom", "hubert")])
@pytest.mark.parametrize("layers", ["last", 1, "last4_sum", "all"])
def test_a_local_checkpoint_gives_the_models_states(
    upstream: str, name: str, layers: Any, folders: dict[str, Path]
) -> None:
    encoder = s3prl(upstream=upstream, checkpoint=str(folders[name]), layers=layers)
    frames = alone(encoder, noise(16_000))
    assert frames.shape == (50, encoder.dim)  # transformers gives 49; s3prl repeats the last
    assert torch.equal(frames[49], frames[48])
    transformers = import_transformers()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folders[name])
    model = transformers.AutoModel.from_pretrained(folders[name]).eval()
    inputs = extractor(noise(16_000).waveform(), sampling_rate=16_000, return_tensors="pt")
    with torch.inference_mode():
        states = model(inputs["input_values"], output_hidden_states=True).hidden_states
    wanted = {"last": states[-1], 1: states[1], "last4_sum": sum(states[-4:]), "all": torch.cat(states, -1)}[layers]
    torch.testing.assert_close(frames[:49], wanted[0], atol=1e-4, rtol=0)


def test_a_recording_of_a_hundredth_of_a_second_has_frames() -> None:
    frames = alone(s3prl(upstream="fbank_no_cmvn"), noise(160))
    assert frames.shape == (1, 240)
    assert frames.isfinite().all()


def test_the_fingerprint_follows_weights_and_options(folders: dict[str, Path], tmp_path: Path) -> None:
    other = tiny_speech(tmp_path / "other", "wav2vec2", seed=5)
    given = {"upstream": "hf_wav2vec2_custom", "checkpoint": str(folders["wav2vec2"])}
    prints = [
        s3prl(**given).fingerprint,  # type: ignore[arg-type]
        s3prl(**given, layers=0).fingerprint,  # type: ignore[arg-type]
        s3prl(upstream="hf_wav2vec2_custom", checkpoint=str(other)).fingerprint,
        s3prl(upstream="fbank").fingerprint,
        s3prl(upstream="mfcc").fingerprint,
    ]
    assert len(set(prints)) == 5
    assert s3prl(**given).fingerprint == prints[0]  # type: ignore[arg-type]
    moved = shutil.copytree(folders["wav2vec2"], tmp_path / "moved")
    assert s3prl(upstream="hf_wav2vec2_custom", checkpoint=str(moved)).fingerprint == prints[0]
    settings = json.loads((moved / "preprocessor_config.json").read_text())
    (moved / "preprocessor_config.json").write_text(json.dumps({**settings, "do_normalize": False}))
    assert s3prl(upstream="hf_wav2vec2_custom", checkpoint=str(moved)).fingerprint != prints[0]


@pytest.mark.parametrize(
    ("upstream", "checkpoint", "words"),
    [
        ("fbnk", None, ["no upstream 'fbnk'", "Did you mean 'fbank'?"]),
        ("hf_wav2vec2_custom", None, ["needs a `checkpoint`"]),
        ("wavlm_local", "nowhere.pt", ["there is no such checkpoint"]),
        ("hf_wav2vec2_custom", "wavlm", ["holds a 'wavlm'", "hf_speech"]),
        ("hf_hubert_custom", "wav2vec2", ["holds a 'wav2vec2'"]),
    ],
)
def test_what_would_fail_or_be_read_wrong_is_refused(
    upstream: str, checkpoint: str | None, words: list[str], folders: dict[str, Path]
) -> None:
    given = str(folders.get(checkpoint, checkpoint)) if checkpoint else None
    with pytest.raises(EncoderError) as caught:
        s3prl(upstream=upstream, checkpoint=given)
    for word in words:
        assert word in str(caught.value)


def test_a_checkpoint_with_code_in_it_is_refused_and_not_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"

    class Trap:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return Path.touch, (ran,)  # type: ignore[return-value]

    torch.save({"Config": Trap()}, tmp_path / "trap.pt")
    with pytest.raises(EncoderError, match="cannot be loaded"):
        s3prl(upstream="mockingjay_local", checkpoint=str(tmp_path / "trap.pt"))
    assert not ran.exists()


def test_torchaudio_is_left_as_it_was() -> None:
    torchaudio = import_torchaudio()
    before = set(vars(torchaudio))
    s3prl(upstream="fbank")
    assert set(vars(torchaudio)) == before
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ


def test_the_remedy_is_still_needed() -> None:
    program = "from sertk.compat import import_torchaudio; import_torchaudio(); import s3prl.hub, s3prl.nn"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True)
    gone = "set_audio_backend" in done.stderr or "sox_effects" in done.stderr
    assert gone, (
        "s3prl imports beside this torchaudio by itself: sertk_s3prl/remedy.py needs its two stand-ins no longer. "
        "Keep them only if older versions are still supported"
    )


@pytest.mark.parametrize("upstream", ["fbank", "mfcc"])
def test_contract(upstream: str) -> None:
    for check in checks("encoder", "s3prl", options={"upstream": upstream}, other={"upstream": "linear"}):
        check()
