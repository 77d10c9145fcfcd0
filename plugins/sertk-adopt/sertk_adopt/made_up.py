"""Ten made-up recordings, on which a head that has learnt something is not equally unsure of everything."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sertk.data.manifest import Utterance
from sertk.data.recording import Recording
from sertk.inference.model import load

COUNT, SECONDS, RATE = 10, 2.0, 16_000


def recordings() -> list[Recording]:
    """Tones with overtones and noise, of ten pitches and loudnesses."""
    found = []
    times = np.arange(int(SECONDS * RATE)) / RATE
    for number in range(COUNT):
        generator = np.random.default_rng(number)
        pitch = 90 * 1.15**number * (1 + 0.05 * np.sin(2 * np.pi * (1 + number / 3) * times))
        phase = 2 * np.pi * np.cumsum(pitch) / RATE
        tone = sum(np.sin(k * phase) / k for k in range(1, 9))
        loud = (0.02 + 0.03 * number) * (1 + np.sin(2 * np.pi * (1.5 + number / 4) * times)) / 2
        wave = loud * (tone + 0.3 * generator.standard_normal(len(times)))
        samples = np.clip(wave, -1, 1).astype(np.float32)
        found.append(Recording(Utterance(f"made-up-{number}", "made-up"), {RATE: samples}))
    return found


def least_certain(folder: Path) -> float:
    """The mean entropy of a model's class probabilities on them, in nats."""
    predictions, _ = load(folder, device="cpu").predict_recordings(recordings())
    shares = np.clip(predictions.emotion, 1e-12, 1)  # (N, C)
    return float(-(shares * np.log(shares)).sum(axis=1).mean())
