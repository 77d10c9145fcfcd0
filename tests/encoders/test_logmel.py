from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sertk.config.schema import Use
from sertk.data.manifest import Utterance
from sertk.data.recording import Recording
from sertk.encoders.logmel import logmel
from sertk.errors import EncoderError
from sertk.registry import encoders
from sertk.tensors import Padded


def waves(*seconds: float, rate: int = 16_000) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(max(1, round(s * rate)), generator=generator) * 0.1 for s in seconds]


def test_it_is_registered() -> None:
    assert encoders.get(Use(use="logmel").use) is logmel


@pytest.mark.parametrize(
    "options", [{}, {"stack": 3}, {"normalise": "none"}, {"normalise": "gain"}, {"mels": 128, "hop_ms": 12.5}]
)
def test_an_utterance_does_not_see_its_batch(options: dict[str, object]) -> None:
    encoder = logmel(**options)  # type: ignore[arg-type]
    sequences = waves(0.3, 1.7, 0.001, 0.03, 0.025, 1.0)
    together = encoder(Padded.of(sequences))
    for row, sequence in enumerate(sequences):
        alone = encoder(Padded.of([sequence]))
        assert together.lengths[row] == alone.lengths[0] >= 1
        assert (together.sequence(row) - alone.sequence(0)).abs().max() < 1e-5
    assert (together.data[~together.mask] == 0).all()


def test_whatever_stands_behind_the_end_is_not_heard() -> None:
    encoder = logmel(normalise="none")
    padded = Padded.of(waves(0.3, 1.0))
    spoilt = padded.data.clone()
    spoilt[0, int(padded.lengths[0]) :] = 1e3
    spoiled = encoder(Padded(spoilt, padded.lengths))
    assert torch.equal(spoiled.sequence(0), encoder(padded).sequence(0))


def test_frames_lie_within_the_samples() -> None:
    encoder = logmel()
    lengths = torch.tensor([1, 399, 400, 559, 560, 16_000])
    padded = Padded(torch.randn(6, 16_000, generator=torch.Generator().manual_seed(0)), lengths)
    assert encoder(padded).lengths.tolist() == [1, 1, 1, 1, 2, 98]
    assert encoder.frames_per_second == 100
    assert encoder.dim == 80


@pytest.mark.parametrize(("count", "frames"), [(1, 98), (2, 49), (3, 32), (98, 1), (200, 1)])
def test_stacking_lowers_the_rate_and_widens(count: int, frames: int) -> None:
    plain = logmel(mels=10)(Padded.of(waves(1.0))).sequence(0)
    encoder = logmel(mels=10, stack=count)
    stacked = encoder(Padded.of(waves(1.0)))
    assert stacked.lengths.tolist() == [frames]
    assert encoder.dim == 10 * count
    assert encoder.frames_per_second == pytest.approx(100 / count)
    whole = min(98, frames * count)
    unstacked = stacked.sequence(0).reshape(-1, 10)
    assert torch.allclose(unstacked[:whole], plain[:whole], atol=1e-6)
    assert torch.allclose(unstacked[whole:], plain[-1].expand(len(unstacked) - whole, 10), atol=1e-6)


def test_a_tone_rises_in_the_band_of_its_frequency() -> None:
    encoder = logmel(mels=40, normalise="none")
    top = 2595 * math.log10(1 + 8000 / 700)
    bottom = 2595 * math.log10(1 + 20 / 700)
    for hertz in (200, 1000, 3000, 6000):
        wave = torch.sin(2 * math.pi * hertz * torch.arange(16_000) / 16_000)
        band = int(encoder(Padded.of([wave])).sequence(0).mean(0).argmax())
        expected = (2595 * math.log10(1 + hertz / 700) - bottom) / (top - bottom) * 41 - 1
        assert abs(band - expected) <= 1


def test_without_gain_a_louder_recording_is_the_same() -> None:
    encoder = logmel(normalise="gain")
    quiet, long = waves(0.5, 1.25)
    frames = encoder(Padded.of([quiet, 7 * quiet, long]))
    torch.testing.assert_close(frames.sequence(0), frames.sequence(1), atol=1e-4, rtol=0)
    torch.testing.assert_close(encoder(Padded.of([quiet])).sequence(0), frames.sequence(0), atol=1e-5, rtol=0)
    assert abs(float(frames.sequence(2).mean())) < 1e-4
    plain = logmel(normalise="none")(Padded.of([quiet])).sequence(0)
    torch.testing.assert_close(frames.sequence(0), plain - plain.mean(), atol=1e-4, rtol=0)


def test_each_band_is_normalised_over_the_utterance() -> None:
    frames = logmel()(Padded.of(waves(2.0, 1.0)))
    for row in range(2):
        assert frames.sequence(row).mean(0).abs().max() < 1e-5
        assert (frames.sequence(row).std(0, correction=0) - 1).abs().max() < 1e-4


def test_digital_silence_is_finite() -> None:
    frames = logmel()(Padded.of([torch.zeros(8000), torch.cat([torch.zeros(4000), *waves(0.2)])]))
    assert frames.data.isfinite().all()
    assert (frames.sequence(0) == 0).all()


@pytest.mark.parametrize("mels", [8, 80, 128, 256])
def test_no_band_is_empty(mels: int) -> None:
    frames = logmel(mels=mels, normalise="none")(Padded.of(waves(0.5)))
    assert frames.data.min() > -20  # the floor lies at -23


def test_the_fingerprint_tells_options_apart() -> None:
    options: list[dict[str, object]] = [
        {}, {"mels": 40}, {"sample_rate": 8000}, {"window_ms": 20.0}, {"hop_ms": 5.0}, {"stack": 2}, {"normalise": "none"}
    ]  # fmt: skip
    fingerprints = [logmel(**chosen).fingerprint for chosen in options]  # type: ignore[arg-type]
    assert len(set(fingerprints)) == len(options)
    assert logmel().fingerprint == fingerprints[0]


def test_it_prepares_at_its_own_rate() -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)
    recording = Recording(Utterance(id="a", audio="a.wav"), {8000: samples})
    assert logmel(sample_rate=8000).prepare(recording).shape == (8000,)


def test_half_precision_does_not_reach_it() -> None:
    encoder, batch = logmel(), Padded.of(waves(0.5))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(encoder(batch).data, encoder(batch).data.float())
        assert encoder(batch).data.dtype == torch.float32


@pytest.mark.parametrize(
    "options", [{"mels": 0}, {"stack": 0}, {"hop_ms": 0.0}, {"hop_ms": 30.0}, {"sample_rate": 10}]
)
def test_options_that_make_no_frames_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(EncoderError, match="logmel: mels"):
        logmel(**options)  # type: ignore[arg-type]
