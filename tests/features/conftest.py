from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from sertk.data.manifest import Utterance
from sertk.data.recording import Recording

WORDS = ["I", "told", "you", "that", "it's", "fine", "really", "never", "mind", "the", "gap"]


def make_voice(seconds: float, seed: int, rate: int = 16_000) -> np.ndarray:
    generator = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    tone = np.sin(2 * np.pi * generator.uniform(100, 3000) * time) * generator.uniform(0.1, 0.5)
    return (tone + generator.normal(0, 0.02, len(time))).astype(np.float32)


@pytest.fixture(scope="session")
def voices(tmp_path_factory: pytest.TempPathFactory) -> list[Recording]:
    """Thirty recordings of 0.01 to 1.6 s at 16 kHz with transcripts, some empty."""
    folder = tmp_path_factory.mktemp("voices")
    generator = np.random.default_rng(3)
    recordings = []
    for number in range(30):
        seconds = 0.01 if number == 7 else float(generator.uniform(0.05, 1.6))
        path = folder / f"u{number:02d}.wav"
        soundfile.write(path, make_voice(seconds, number), 16_000, subtype="PCM_16")
        text = "" if number % 10 == 0 else " ".join(generator.choice(WORDS, size=int(generator.integers(1, 9))))
        recordings.append(Recording(Utterance(id=f"u{number:02d}", audio=str(path), text=text)))
    return recordings


@pytest.fixture
def bad_recordings(tmp_path: Path, voices: list[Recording]) -> dict[str, Recording]:
    """Six recordings that cannot be used, by what is wrong with them."""
    good = Path(voices[0].utterance.audio).read_bytes()
    paths = {name: tmp_path / f"{name}.wav" for name in ("missing", "empty", "truncated", "silent", "text", "header")}
    paths["empty"].write_bytes(b"")
    paths["truncated"].write_bytes(good[: len(good) // 2])
    soundfile.write(paths["silent"], np.zeros(16_000, dtype=np.float32), 16_000)
    paths["text"].write_text("This is no recording, whatever its name says.\n" * 20)
    paths["header"].write_bytes(good[:30])
    return {name: Recording(Utterance(id=name, audio=str(path), text="words")) for name, path in paths.items()}
