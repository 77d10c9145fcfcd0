"""Made-up recordings on disk for the suites of encoders and transcribers."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
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
