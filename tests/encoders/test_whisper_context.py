"""Whisper's encoder at the utterance's length: equal to a model that was built for so many positions."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

pytest.importorskip("transformers", reason="needs the extra hf")

from sertk.compat import import_transformers
from sertk.data.recording import Recording
from sertk.encoders.hf_speech import SpeechEncoder, hf_speech
from sertk.errors import EncoderError
from sertk.tensors import Padded

Tiny = Callable[[str], Path]
Speech = Callable[..., Recording]

SAMPLES = [17_000, 40_001, 900, 40_001, 31_234]


def shorter_model(folder: Path, recording: Recording, context: int) -> Tensor:
    """(T, D) of a Whisper whose configuration has the positions of `context` samples alone."""
    transformers = import_transformers()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    whole = transformers.WhisperModel.from_pretrained(folder).eval()
    config = transformers.AutoConfig.from_pretrained(folder, max_source_positions=context // 320)
    short = transformers.WhisperModel(config).eval()
    weights = {
        name: value[: context // 320] if name == "encoder.embed_positions.weight" else value
        for name, value in whole.state_dict().items()
    }
    short.load_state_dict(weights)
    samples = recording.waveform()
    mel = extractor(samples, sampling_rate=16_000, return_tensors="pt")["input_features"][..., : context // 160]
    with torch.inference_mode():
        frames = short.get_encoder()(mel).last_hidden_state[0]
    return frames[: math.ceil(len(samples) / 320)]


def alone(encoder: SpeechEncoder, recording: Recording) -> Tensor:
    return encoder(Padded.of([encoder.prepare(recording)])).sequence(0)


def test_frames_are_those_of_a_model_for_that_length(tiny: Tiny, speech: Speech) -> None:
    encoder = hf_speech(model=str(tiny("whisper")), layers="last", context="utterance")
    # 31,234 samples and half a second are 39,234: 0.24 s is 3,840 samples, eleven times that 42,240
    assert encoder.front.context(31_234) == 42_240
    recording = speech(31_234)
    torch.testing.assert_close(
        alone(encoder, recording), shorter_model(tiny("whisper"), recording, 42_240), atol=1e-5, rtol=0
    )


def test_frames_do_not_depend_on_the_batch(tiny: Tiny, speech: Speech) -> None:
    encoder = hf_speech(model=str(tiny("whisper")), context="utterance")
    encoder.alone_on_cpu = False  # as on a GPU: utterances of one context together
    recordings = [speech(length, seed) for seed, length in enumerate(SAMPLES)]
    batch = encoder(Padded.of([encoder.prepare(recording) for recording in recordings]))
    for row, recording in enumerate(recordings):
        torch.testing.assert_close(batch.sequence(row), alone(encoder, recording), atol=1e-4, rtol=0)


def test_utterances_of_one_context_are_encoded_together(tiny: Tiny, speech: Speech) -> None:
    encoder = hf_speech(model=str(tiny("whisper")), layers="last", context="utterance")
    encoder.alone_on_cpu = False  # as on a GPU
    shapes: list[tuple[int, int]] = []
    encoder.model.register_forward_pre_hook(lambda _, given: shapes.append((len(given[0]), given[0].shape[2])))
    lengths = [
        16_000,
        40_000,
    ] * 20  # 26,880 and 49,920 samples with the margin, 168 and 312 frames of the spectrogram
    encoder(Padded.of([encoder.prepare(speech(length, seed)) for seed, length in enumerate(lengths)]))
    assert shapes == [(20, 168), (20, 312)]


def test_a_batch_of_short_contexts_is_no_larger_than_one_of_whole_windows(tiny: Tiny, speech: Speech) -> None:
    encoder = hf_speech(model=str(tiny("whisper")), layers="last", context="utterance")
    encoder.alone_on_cpu = False
    sizes: list[int] = []
    encoder.model.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    encoder(Padded.of([encoder.prepare(speech(160_000))] * 17))
    assert sizes == [16, 1]  # 10.56 s: two in a window, eight windows at once


def test_the_whole_window_is_there_again_afterwards(tiny: Tiny, speech: Speech) -> None:
    encoder = hf_speech(model=str(tiny("whisper")), context="utterance")
    alone(encoder, speech(16_000))
    assert encoder.model.config.max_source_positions == 1500
    assert encoder.model.embed_positions.num_embeddings == 1500


def test_a_recording_of_more_than_the_window_is_encoded_in_whole_windows(tiny: Tiny, speech: Speech) -> None:
    recording = speech(31 * 16_000)
    short, whole = (hf_speech(model=str(tiny("whisper")), context=c) for c in ("utterance", "window"))
    frames = alone(short, recording)
    assert frames.shape == (31 * 50, short.dim)
    torch.testing.assert_close(frames[:1400], alone(whole, recording)[:1400], atol=1e-5, rtol=0)


def test_context_and_margin_are_in_the_fingerprint(tiny: Tiny) -> None:
    folder = str(tiny("whisper"))
    encoders = [
        hf_speech(model=folder),
        hf_speech(model=folder, context="utterance"),
        hf_speech(model=folder, context="utterance", margin_seconds=1.0),
    ]
    assert len({encoder.fingerprint for encoder in encoders}) == 3


def test_what_has_no_window_to_shorten_is_refused(tiny: Tiny) -> None:
    with pytest.raises(EncoderError, match="a 'wavlm' has none"):
        hf_speech(model=str(tiny("wavlm")), context="utterance")
    with pytest.raises(EncoderError, match="keep_padding keeps it"):
        hf_speech(model=str(tiny("whisper")), context="utterance", keep_padding=True)
    with pytest.raises(EncoderError, match="must be 0 or more"):
        hf_speech(model=str(tiny("whisper")), context="utterance", margin_seconds=-1.0)
