"""Made-up recordings on disk for the suites of encoders and transcribers."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from sertk.data.manifest import Utterance
from sertk.data.recording import Recording

RATE = 16_000
SECONDS = (1.3, 0.4, 2.1, 0.9)
TEXTS = ("I told you that it's fine", "never", "you really do mind the gap, don't you", "what a day")
SHORT_SECONDS = 0.012
SHORT_TEXTS = ("a", "", None)
LONG_SECONDS = 12.0
LONG_WORDS = 160
OTHER_TEXT = "nobody knows what will happen next but we have to try it again"


@contextmanager
def made_up_recordings() -> Iterator[list[Recording]]:
    """Four recordings of 0.4 to 2.1 s at 16 kHz, each with words, which NAME.txt beside NAME.wav holds too."""
    with tempfile.TemporaryDirectory() as folder:
        yield [
            _written(Path(folder), f"made-up-{number}", seconds, text, number)
            for number, (seconds, text) in enumerate(zip(SECONDS, TEXTS, strict=True))
        ]


@contextmanager
def short_recordings() -> Iterator[list[Recording]]:
    """Three recordings of 12 ms: with one letter, with an empty transcript, and with none."""
    with tempfile.TemporaryDirectory() as folder:
        yield [
            _written(Path(folder), f"short-{number}", SHORT_SECONDS, text, number)
            for number, text in enumerate(SHORT_TEXTS)
        ]


def samples_of(recordings: list[Recording]) -> list[NDArray[np.float32]]:
    """A copy of the samples of each, to see later whether they were changed."""
    return [recording.waveform(RATE).copy() for recording in recordings]


def long_recording(folder: Path) -> Recording:
    """A recording of twelve seconds with 160 words."""
    words = " ".join(TEXTS).split()
    text = " ".join(words[number % len(words)] for number in range(LONG_WORDS))
    return _written(folder, "long", LONG_SECONDS, text, 5)


def with_words(recording: Recording, text: str | None) -> Recording:
    """The same recording with another transcript, or without one."""
    return Recording(replace(recording.utterance, text=text))


def with_other_last_words(recording: Recording) -> Recording:
    """The same recording with other words in place of its last tenth."""
    words = (recording.utterance.text or "").split()
    return with_words(recording, " ".join([*words[: -len(words) // 10], *OTHER_TEXT.split()]))


def with_other_last_sound(recording: Recording, folder: Path) -> Recording:
    """The same recording with noise in place of its last sixth."""
    samples = recording.waveform(RATE).copy()
    last = len(samples) // 6
    samples[-last:] = _noise(last)
    return Recording(replace(recording.utterance, audio=_saved(folder / "other-end.wav", samples)))


def with_other_sound(recording: Recording, folder: Path) -> Recording:
    """A recording of the same length and the same words that sounds otherwise."""
    path = _saved(folder / f"{recording.id}.wav", _noise(len(recording.waveform(RATE))))
    return Recording(replace(recording.utterance, audio=path))


def without_sound(recording: Recording, folder: Path) -> Recording:
    """The same recording, whose file is missing."""
    return Recording(replace(recording.utterance, audio=str(folder / "missing.wav")))


def described_otherwise(recording: Recording) -> Recording:
    """The same sound and words, described otherwise: another speaker, other labels, another split."""
    described = replace(
        recording.utterance,
        speaker="somebody",
        gender="Female",
        split="test",
        text_source="made up",
        votes={"Angry": 3.0},
        raters=({"rater": "somebody", "emotion": "Angry"},),
        emotion="Angry",
        attributes={"arousal": 7.0},
    )
    return Recording(described)


def elsewhere(recording: Recording, folder: Path) -> Recording:
    """The same sound and words in another file, under another id and of another language, described otherwise."""
    path = shutil.copy(recording.utterance.audio, folder / f"elsewhere-{recording.id}.wav")
    utterance = described_otherwise(recording).utterance
    return Recording(replace(utterance, id=f"elsewhere-{recording.id}", audio=str(path), language="de"))


def _noise(count: int) -> NDArray[np.float32]:
    return np.random.default_rng(99).normal(0, 0.2, count).astype(np.float32)


def _saved(path: Path, samples: NDArray[np.float32]) -> str:
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    return str(path)


def _written(folder: Path, id: str, seconds: float, text: str | None, seed: int) -> Recording:
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    swell = 0.5 - 0.4 * np.cos(2 * np.pi * time / seconds)
    voice = sum(np.sin(2 * np.pi * harmonic * (110 + 40 * seed) * time) / harmonic for harmonic in range(1, 12))
    path = folder / f"{id}.wav"
    soundfile.write(path, 0.1 * swell * voice + rng.normal(0, 0.01, len(time)), RATE, subtype="PCM_16")
    if text is not None:
        path.with_suffix(".txt").write_text(text + "\n", encoding="utf-8")
    return Recording(Utterance(id=id, audio=str(path), sample_rate=RATE, language="en", text=text))
