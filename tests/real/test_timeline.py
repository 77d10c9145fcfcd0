"""Real speech of known places over time: where it is detected, and the same probabilities by every way."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

import sertk
from sertk.data.audio import read_audio
from sertk.data.sound import open_recording
from sertk.inference.over_time import results

pytestmark = [pytest.mark.real, pytest.mark.plugins]
RATE = 16_000


@pytest.fixture
def session(emodb: Path, tmp_path: Path) -> tuple[Path, list[tuple[float, float]]]:
    """Twelve clips of EMO-DB with two seconds of faint noise between them, and where they are."""
    rng = np.random.default_rng(0)
    files = sorted((emodb / "audio").iterdir())
    parts, places, done = [], [], 0.0
    for path in files[:: len(files) // 12][:12]:
        clip = read_audio(path, sample_rate=RATE)
        parts += [rng.normal(0, 1e-4, 2 * RATE), clip]
        places.append((done + 2, done + 2 + len(clip) / RATE))
        done = places[-1][1]
    soundfile.write(tmp_path / "session.wav", np.concatenate(parts), RATE, subtype="PCM_16")
    return tmp_path / "session.wav", places


def test_speech_is_detected_where_it_is(session: tuple[Path, list[tuple[float, float]]]) -> None:
    from sertk_vad import Speech

    path, places = session
    with open_recording(path) as sound:
        segments = [segment for segment in Speech()(sound) if segment.speech]
    times = np.arange(0, sound.received_s, 0.01)
    truth, found = (
        np.any([(times >= start) & (times < end) for start, end in spans], axis=0)
        for spans in (places, [(s.start_s, s.end_s) for s in segments])
    )
    assert (truth & ~found).sum() / truth.sum() < 0.15  # clips begin and end with a moment of silence
    assert (~truth & found).sum() / truth.sum() < 0.05


@pytest.mark.parametrize("segmenter", ["windows", "speech"])
def test_a_span_has_the_same_probabilities_by_every_way(
    segmenter: str, session: tuple[Path, list[tuple[float, float]]], tmp_path: Path
) -> None:
    from sertk.config.build import build
    from sertk.config.schema import Use
    from sertk.registry import segmenters

    path, _ = session
    model = sertk.load("small", device="cpu")
    component = build(segmenters, Use(use=segmenter))
    with open_recording(path) as sound:
        read = {(s.start_s, s.end_s): s.read_s for s in component(sound)}
    with open_recording(path) as sound:
        spans = [span for span in results(model, sound, component) if span.posterior]
    samples, _ = soundfile.read(path, dtype="int16")
    streamed = sertk.live(model, io.BytesIO(samples.tobytes()), segmenter=segmenter, smooth=0.0)
    live = [each.span for each in streamed if each.span.posterior]
    assert len(live) == len(spans) > 10
    for span, other in zip(spans, live, strict=True):
        first, end = (round(seconds * RATE) for seconds in read[span.start_s, span.end_s])
        soundfile.write(tmp_path / "cut.wav", samples[first:end], RATE, subtype="PCM_16")
        alone = [*model.predict(tmp_path / "cut.wav").probabilities.values()]
        assert span.posterior == pytest.approx(alone, abs=1e-4)
        assert other.posterior == pytest.approx(alone, abs=1e-4)
