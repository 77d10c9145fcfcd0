"""From a recording to spans: the same probabilities everywhere, nothing left out, nothing kept."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

import sertk
from sertk.data.sound import Segment, Sound, open_recording
from sertk.errors import AudioError, DataError, SertkWarning
from sertk.inference.over_time import Rules, decided, merged, results
from sertk.segmenters.windows import Windows
from sertk.timelines.spans import Span

AS_IT_IS = {"smooth": 0.0, "confidence": 0.0}


def raw(path: Path) -> bytes:
    samples, _ = soundfile.read(path, dtype="int16")
    return samples.tobytes()


def test_a_span_has_the_probabilities_of_the_cut_file_in_the_timeline_and_live(
    model: Path, recording: Path, tmp_path: Path
) -> None:
    loaded = sertk.load(model, device="cpu")
    windows = Windows()
    with open_recording(recording) as sound:
        segments = list(windows(sound))
    with open_recording(recording) as sound:
        spans = [*results(loaded, sound, windows)]
    live = [each.span for each in sertk.live(loaded, io.BytesIO(raw(recording)), sample_rate=22_050, **AS_IT_IS)]

    assert [(span.start_s, span.end_s) for span in spans] == [(each.start_s, each.end_s) for each in segments]
    assert [(span.start_s, span.end_s) for span in live] == [(each.start_s, each.end_s) for each in segments]
    samples, rate = soundfile.read(recording, dtype="int16")
    compared = 0
    for segment, span, streamed in zip(segments, spans, live, strict=True):
        assert (span.posterior is None) == (streamed.posterior is None) == (not segment.speech)
        if span.posterior is None or streamed.posterior is None:
            continue
        first, end = (round(seconds * rate) for seconds in segment.read_s)
        soundfile.write(tmp_path / "cut.wav", samples[first:end], rate, subtype="PCM_16")
        alone = loaded.predict(tmp_path / "cut.wav")
        assert span.posterior == pytest.approx([*alone.probabilities.values()], abs=1e-5)
        assert streamed.posterior == pytest.approx(span.posterior, abs=1e-5)
        assert span.attributes == pytest.approx([*alone.attributes.values()], abs=1e-4)
        compared += 1
    assert compared > 10


def test_smoothed_results_are_the_same_live_and_of_the_finished_file(model: Path, recording: Path) -> None:
    loaded = sertk.load(model, device="cpu")
    with open_recording(recording) as sound:
        spans = [*decided(results(loaded, sound, Windows()), loaded.checkpoint.card.labels, Rules())]
    live = [*sertk.live(loaded, io.BytesIO(raw(recording)), sample_rate=22_050)]
    assert len(live) == len(spans)
    for one, other in zip(live, spans, strict=True):
        assert (one.span.start_s, one.span.end_s, one.span.label) == (other.start_s, other.end_s, other.label)
        assert one.span.posterior == pytest.approx(other.posterior, abs=1e-5)


def test_spans_follow_each_other_from_the_beginning_to_the_end(model: Path, recording: Path) -> None:
    (found,) = sertk.timeline(model, recording).timelines
    assert found.spans[0].start_s == 0
    assert found.spans[-1].end_s == pytest.approx(found.duration_s) == pytest.approx(31.7, abs=1e-3)
    for one, following in zip(found.spans, found.spans[1:], strict=False):
        assert one.end_s == pytest.approx(following.start_s)
        assert (one.state, one.label) != (following.state, following.label)
    assert [span for span in found.spans if span.state == "no speech" and 9 < span.start_s < 12]


def test_a_recording_is_read_in_blocks_and_only_what_is_needed_is_kept(model: Path) -> None:
    kept = []

    def blocks() -> object:
        rng = np.random.default_rng(1)
        for _ in range(60 * 30):
            yield rng.normal(0, 0.1, 16_000).astype(np.float32)
            kept.append(sum(map(len, sound._kept)))

    sound = Sound("half an hour", 16_000, blocks())
    spans = [*results(sertk.load(model, device="cpu"), sound, Windows(length=10, hop=10))]
    assert len(spans) == 180
    assert max(kept) <= 20 * 16_000


def test_equal_neighbours_are_merged_and_short_spans_join_the_one_before() -> None:
    def span(start: float, end: float, label: str | None, speaker: str | None = None) -> Span:
        state = "emotion" if label else "no speech"
        posterior = (0.9, 0.1) if label == "a" else (0.2, 0.8)
        return Span(start, end, state, label, posterior if label else None, None, speaker, None)

    spans = [span(0, 2, "a"), span(2, 4, "a"), span(4, 4.2, "b"), span(4.2, 6, "a"), span(6, 9, "b")]
    assert [(each.start_s, each.end_s, each.label) for each in merged(spans, 0.5)] == [(0, 6, "a"), (6, 9, "b")]
    assert len(merged(spans, 0.0)) == 4
    speakers = [span(0, 2, "a", "A"), span(1, 3, "a", "B"), span(2, 4, "a", "A")]
    assert [(each.start_s, each.end_s, each.speaker) for each in merged(speakers, 0.5)] == [(0, 4, "A"), (1, 3, "B")]
    first = [span(0, 0.2, "b"), span(0.2, 3, "a")]
    assert [(each.start_s, each.end_s, each.label) for each in merged(first, 0.5)] == [(0, 3, "a")]


def test_smoothing_is_a_mean_over_the_neighbours_of_a_speaker_alone() -> None:
    spans = [
        Span(0, 2, "emotion", "a", (1.0, 0.0), (), "A", None),
        Span(2, 4, "emotion", "b", (0.0, 1.0), (), "A", None),
        Span(2, 4, "emotion", "a", (1.0, 0.0), (), "B", None),
        Span(4, 6, "emotion", "a", (1.0, 0.0), (), "A", None),
    ]
    found = [*decided(spans, ["a", "b"], Rules(smooth_s=4.0))]
    assert found[1].posterior == pytest.approx((0.5, 0.5))  # 1 + 0.5 + 0.5
    assert found[0].posterior == pytest.approx((2 / 3, 1 / 3))
    assert found[2].posterior == (1.0, 0.0)
    unsure = [*decided(spans, ["a", "b"], Rules(smooth_s=4.0, confidence=0.6))]
    assert [span.state for span in unsure] == ["emotion", "unsure", "emotion", "emotion"]


def test_what_is_between_segments_is_no_speech(model: Path) -> None:
    class Two:
        lag_s = 0.0

        def __call__(self, sound: Sound, /) -> object:
            yield Segment(1.0, 2.0, speaker="A", text="hello")
            yield Segment(3.0, 3.5, speaker="B")

    samples = np.random.default_rng(0).normal(0, 0.1, 5 * 16_000).astype(np.float32)
    sound = Sound("x", 16_000, iter([samples]))
    spans = [*results(sertk.load(model, device="cpu"), sound, Two())]
    times = [(span.start_s, span.end_s, span.state == "no speech", span.speaker) for span in spans]
    assert times == [
        (0, 1, True, None),
        (1, 2, False, "A"),
        (2, 3, True, None),
        (3, 3.5, False, "B"),
        (3.5, 5, True, None),
    ]
    assert spans[1].text == "hello"


def test_segments_out_of_order_are_refused(model: Path) -> None:
    class Backwards:
        lag_s = 0.0

        def __call__(self, sound: Sound, /) -> object:
            yield Segment(3.0, 4.0)
            yield Segment(0.5, 1.0)

    blocks = iter(np.random.default_rng(0).normal(0, 0.1, (50, 1600)).astype(np.float32))
    with pytest.raises(DataError, match="in the order of their starts"):
        [*results(sertk.load(model, device="cpu"), Sound("x", 16_000, blocks), Backwards())]


def header(samples: bytes, *, promised: int | None = None, rate: int = 22_050) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(samples)
    content = bytearray(file.getvalue())
    if promised is not None:
        content[40:44] = promised.to_bytes(4, "little")
    return bytes(content)


@pytest.mark.parametrize("promised", [None, 0, 0xFFFF_FFFF])
def test_a_wav_file_is_read_from_a_stream_by_its_own_header(
    promised: int | None, model: Path, recording: Path
) -> None:
    loaded = sertk.load(model, device="cpu")
    plain = [*sertk.live(loaded, io.BytesIO(raw(recording)), sample_rate=22_050)]
    found = [*sertk.live(loaded, io.BytesIO(header(raw(recording), promised=promised)))]
    assert [each.span for each in found] == [each.span for each in plain]


def test_a_header_that_promises_hours_and_a_cut_frame_are_reported(model: Path, noise: Callable[..., object]) -> None:
    samples = (np.asarray(noise(4.0)) * 32767).astype("<i2").tobytes()
    with pytest.warns(SertkWarning) as warned:
        found = [*sertk.live(model, io.BytesIO(header(samples, promised=900_000_000)[:-1]), **AS_IT_IS)]
    assert found[-1].span.end_s == pytest.approx(4.0 * 16_000 / 22_050, abs=1e-3)
    messages = " ".join(str(each.message) for each in warned)
    assert "in the middle of a frame: 1 of 2 bytes" in messages
    assert "before the length that its header promises" in messages


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty"), (b"RIFF1234AVI ", "no WAV file"), (b"RIFF1234WAVEfmt ", "cannot be read")],
)
def test_a_stream_that_is_no_sound_is_refused(content: bytes, message: str, model: Path) -> None:
    with pytest.raises(AudioError, match=message):
        [*sertk.live(model, io.BytesIO(content))]


def test_a_stream_that_stalls_is_waited_for(model: Path, noise: Callable[..., object]) -> None:
    read, write = os.pipe()
    samples = (np.asarray(noise(6.0)) * 32767).astype("<i2").tobytes()

    def feed() -> None:
        with os.fdopen(write, "wb") as out:
            out.write(samples[:100_001])
            out.flush()
            time.sleep(0.5)
            out.write(samples[100_001:])

    feeder = threading.Thread(target=feed)
    feeder.start()
    with os.fdopen(read, "rb") as stream, pytest.warns(SertkWarning, match="no sound has come for 0.2 s"):
        found = [*sertk.live(model, stream, stall=0.2, **AS_IT_IS)]
    feeder.join()
    whole = [*sertk.live(model, io.BytesIO(samples), **AS_IT_IS)]
    assert [each.span for each in found] == [each.span for each in whole]


def test_a_live_span_is_printed_while_the_stream_goes_on(model: Path, noise: Callable[..., object]) -> None:
    command = [str(Path(sys.executable).with_name("sertk")), "timeline", str(model), "--live", "-", "--smooth", "0"]
    samples = (np.asarray(noise(6.0)) * 32767).astype("<i2").tobytes()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(samples[: 5 * 32_000])
        process.stdin.flush()
        first = process.stdout.readline()  # the stream is still open
        process.stdin.close()
        rest = process.stdout.read().decode().splitlines()
    assert b'"end_s": 2.25' in first
    assert b'"lag_s": 0.' in first
    assert len(rest) == 2
    assert process.returncode == 0
