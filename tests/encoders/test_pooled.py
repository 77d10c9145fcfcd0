"""One frame per utterance: numpy's means and deviations of the frames that the same encoder gives without `pool`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

pytest.importorskip("transformers", reason="needs the extra hf")

from sertk.data.recording import Recording
from sertk.encoders.hf_speech import SpeechEncoder, hf_speech
from sertk.encoders.logmel import logmel
from sertk.encoders.pooled import pooled
from sertk.errors import EncoderError
from sertk.files import sha256_json
from sertk.hub import find_checkpoint
from sertk.models.pooling import Inputs
from sertk.tensors import Padded
from sertk.testing import checks

Tiny = Callable[[str], Path]
Speech = Callable[..., Recording]

WIDTH, STATES = 32, 5
LENGTHS = [17_000, 40_001, 160, 40_001, 31_234]


def batch(encoder: SpeechEncoder, recordings: list[Recording]) -> Padded:
    return encoder(Padded.of([encoder.prepare(recording) for recording in recordings]))


def summary(frames: NDArray[np.float32], states: int) -> NDArray[np.float64]:
    """[mean of state 0, deviation of state 0, mean of state 1, ...] of (T, states * WIDTH)."""
    values = []
    for state in range(states):
        own = frames[:, state * WIDTH : (state + 1) * WIDTH].astype(np.float64)
        values += [own.mean(axis=0), own.std(axis=0)]
    return np.concatenate(values)


@pytest.mark.parametrize("name", ["wavlm", "hubert-group", "whisper"])
@pytest.mark.parametrize("layers", ["all", "last4_sum", 2])
def test_means_and_deviations_are_those_of_the_frames(name: str, layers: Any, tiny: Tiny, speech: Speech) -> None:
    whole = hf_speech(model=str(tiny(name)), layers=layers)
    encoder = hf_speech(model=str(tiny(name)), layers=layers, pool="mean_std")
    states = STATES if layers == "all" else 1
    assert (encoder.dim, encoder.frames_per_second) == (2 * states * WIDTH, 0.0)
    found = batch(encoder, [speech(31_234)])
    assert found.data.shape == (1, 1, encoder.dim)
    frames = batch(whole, [speech(31_234)]).sequence(0).numpy()
    np.testing.assert_allclose(found.data[0, 0].numpy(), summary(frames, states), atol=1e-5, rtol=0)


def test_the_mean_alone_is_half_as_wide(tiny: Tiny, speech: Speech) -> None:
    mean, both = (
        hf_speech(model=str(tiny("wavlm")), layers="all", pool=p)  # type: ignore[arg-type]
        for p in ("mean", "mean_std")
    )
    wanted = batch(both, [speech(20_000)]).data.reshape(STATES, 2, WIDTH)[:, 0]
    assert mean.dim == STATES * WIDTH
    torch.testing.assert_close(batch(mean, [speech(20_000)]).data.reshape(STATES, WIDTH), wanted)
    assert mean.fingerprint != both.fingerprint


@pytest.mark.parametrize(
    ("name", "context"),
    [("wavlm", "window"), ("data2vec-audio", "window"), ("whisper", "window"), ("whisper", "utterance")],
)
def test_pooled_frames_do_not_depend_on_the_batch(name: str, context: Any, tiny: Tiny, speech: Speech) -> None:
    encoder = hf_speech(model=str(tiny(name)), layers="all", pool="mean_std", context=context)
    encoder.alone_on_cpu = False  # as on a GPU
    recordings = [speech(length, seed) for seed, length in enumerate(LENGTHS)]
    together = batch(encoder, recordings)
    assert together.lengths.tolist() == [1] * len(LENGTHS)
    for row, recording in enumerate(recordings):
        torch.testing.assert_close(together.data[row], batch(encoder, [recording]).data[0], atol=1e-4, rtol=0)


def test_a_long_recording_is_pooled_over_its_joined_windows(tiny: Tiny, speech: Speech) -> None:
    options: dict[str, Any] = {"model": str(tiny("wavlm")), "layers": "all", "window_seconds": 2.0}
    frames = batch(hf_speech(**options), [speech(100_001)]).sequence(0).numpy()
    found = batch(hf_speech(**options, pool="mean_std"), [speech(100_001)]).data[0, 0].numpy()
    np.testing.assert_allclose(found, summary(frames, STATES), atol=1e-5, rtol=0)


def test_one_frame_has_no_deviation_and_large_values_keep_theirs() -> None:
    frame = torch.randn(1, 6)
    assert torch.equal(pooled(frame, "mean_std", states=3).reshape(3, 2, 2)[:, 0], frame.reshape(3, 2))
    assert torch.equal(pooled(frame, "mean_std", states=3).reshape(3, 2, 2)[:, 1], torch.zeros(3, 2))
    far = 60_000 + torch.tensor([[-1.0], [1.0]] * 500)  # squares of float16 or sums of it would be infinite
    assert pooled(far.half(), "mean_std").isfinite().all()
    torch.testing.assert_close(pooled(far, "mean_std"), torch.tensor([[60_000.0, 1.0]]))


def test_a_fusion_mixes_whole_states(tiny: Tiny, speech: Speech) -> None:
    encoder = hf_speech(model=str(tiny("wavlm")), layers="all", pool="mean_std")
    found = batch(encoder, [speech(20_000)])
    inputs = Inputs({"speech": encoder.dim}, input_layers=STATES)
    with torch.no_grad():
        inputs.mixers[0].scores.copy_(torch.tensor([-100.0, -100.0, 100.0, -100.0, -100.0]))  # type: ignore[index,union-attr,operator]
    one = hf_speech(model=str(tiny("wavlm")), layers=2, pool="mean_std")
    torch.testing.assert_close(inputs({"speech": found})["speech"].data, batch(one, [speech(20_000)]).data)


@pytest.mark.parametrize("name", ["wavlm", "whisper"])
def test_frames_are_averaged_by_five_and_the_last_over_what_is_left(name: str, tiny: Tiny, speech: Speech) -> None:
    whole = hf_speech(model=str(tiny(name)), layers="all")
    fewer = hf_speech(model=str(tiny(name)), layers="all", average=5)
    frames, found = (batch(encoder, [speech(20_001)]).sequence(0).numpy() for encoder in (whole, fewer))
    wanted = [frames[first : first + 5].mean(axis=0) for first in range(0, len(frames), 5)]
    np.testing.assert_allclose(found, wanted, atol=1e-6, rtol=0)
    assert (fewer.dim, fewer.frames_per_second) == (whole.dim, 10.0)
    assert fewer.fingerprint != whole.fingerprint
    with pytest.raises(EncoderError, match="average = 5 is a number of frames"):
        hf_speech(model=str(tiny(name)), average=5, pool="mean")


def test_the_default_of_average_leaves_the_keys_of_older_stores_alone(tiny: Tiny) -> None:
    one, five = (hf_speech(model=str(tiny("whisper")), average=n) for n in (1, 5))
    assert "average" in one.unkeyed
    assert one.fingerprint != five.fingerprint  # which holds it where it changes the frames


def test_none_leaves_the_fingerprint_as_it_is(tiny: Tiny) -> None:
    folder = str(tiny("wavlm"))
    options = {"layers": "last4_sum", "dtype": "float32", "attention": "auto", "window": None}
    before = find_checkpoint(folder).fingerprint({"encoder": ["hf_speech", 1], **options}, tokenizer=False)
    assert hf_speech(model=folder, pool="none").fingerprint == before
    assert hf_speech(model=folder, pool="mean").fingerprint != hf_speech(model=folder).fingerprint


def test_kept_padding_is_not_pooled(tiny: Tiny) -> None:
    with pytest.raises(EncoderError, match="pool = 'mean' is of the utterance's own frames"):
        hf_speech(model=str(tiny("whisper")), keep_padding=True, pool="mean")


def test_logmel_frames_are_pooled_too() -> None:
    options: dict[str, Any] = {"mels": WIDTH, "normalise": "none"}
    whole, encoder = logmel(**options), logmel(**options, pool="mean_std")
    waves = [torch.randn(length, generator=torch.Generator().manual_seed(length)) * 0.1 for length in LENGTHS]
    found = encoder(Padded.of(waves))
    assert (encoder.dim, encoder.frames_per_second) == (2 * WIDTH, 0.0)
    for row, wave in enumerate(waves):
        frames = whole(Padded.of([wave])).sequence(0).numpy()
        np.testing.assert_allclose(found.data[row, 0].numpy(), summary(frames, 1), atol=1e-4, rtol=0)
    assert len({whole.fingerprint, encoder.fingerprint, logmel(**options, pool="mean").fingerprint}) == 3
    with pytest.raises(EncoderError, match="set normalise = 'none'"):
        logmel(pool="mean")
    for check in checks("encoder", "logmel", options={**options, "pool": "mean_std"}, other={"pool": "mean"}):
        check()


def test_logmel_without_pool_keeps_its_fingerprint() -> None:
    before = sha256_json(["logmel", 1, 80, 16_000, 25.0, 10.0, 1, "utterance"])
    assert logmel(pool="none").fingerprint == before


@pytest.mark.parametrize("name", ["wavlm", "hubert-group", "whisper"])
def test_contract(name: str, tiny: Tiny) -> None:
    options = {"model": str(tiny(name)), "layers": "all", "pool": "mean_std"}
    for check in checks("encoder", "hf_speech", options=options, other={"pool": "mean"}):
        check()
    averaged = {"model": str(tiny(name)), "average": 5}
    for check in checks("encoder", "hf_speech", options=averaged, other={"average": 4}):
        check()
