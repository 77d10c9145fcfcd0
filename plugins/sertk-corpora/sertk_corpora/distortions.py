"""What `sertk data augment` does to a recording: codecs, telephones, speed, level, noise and babble.

Each takes samples (samples,) float32 in -1..1, their rate, a strength, and a generator that makes all choices.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

Samples = NDArray[np.float32]
Others = Callable[[np.random.Generator], Samples]
"""Gives a recording of somebody else, at the same rate."""

CODEC_RATE, TELEPHONE_RATE = 16_000, 8_000
BAND = (300.0, 3400.0)
"""Of a telephone, in Hz."""
VOICES = (3, 6)
"""Fewest and most recordings in babble."""


@dataclass(frozen=True)
class Distortion:
    """One kind of distortion. low, high: strengths that are drawn from by default, in `unit`; both 0 without any."""

    low: float
    high: float
    unit: str
    apply: Callable[[Samples, int, float, np.random.Generator, Others], Samples]


def mp3(samples: Samples, rate: int, strength: float, _: np.random.Generator, others: Others) -> Samples:
    """As MP3 of so many kbit/s, at 16 kHz."""
    level = (160 - strength) / 152  # libsndfile's scale for this rate
    return _through(
        samples, rate, CODEC_RATE, "MP3", "MPEG_LAYER_III", compression_level=level, bitrate_mode="CONSTANT"
    )


def opus(samples: Samples, rate: int, strength: float, _: np.random.Generator, others: Others) -> Samples:
    """As Opus of so many kbit/s, at 16 kHz."""
    return _through(samples, rate, CODEC_RATE, "OGG", "OPUS", compression_level=(256 - strength) / 250)


def telephone(samples: Samples, rate: int, _: float, rng: np.random.Generator, others: Others) -> Samples:
    """8 kHz, 300 to 3400 Hz, mu-law."""
    return _through(_band(samples, rate), rate, TELEPHONE_RATE, "WAV", "ULAW")


def gsm(samples: Samples, rate: int, _: float, rng: np.random.Generator, others: Others) -> Samples:
    """8 kHz, 300 to 3400 Hz, GSM 6.10."""
    return _through(_band(samples, rate), rate, TELEPHONE_RATE, "WAV", "GSM610")


def speed(samples: Samples, rate: int, strength: float, _: np.random.Generator, others: Others) -> Samples:
    """Faster or slower by resampling, so that pitch changes too: so many percent of the speed."""
    return np.asarray(soxr.resample(samples, strength / 100, 1.0), dtype=np.float32)


def gain(samples: Samples, rate: int, strength: float, _: np.random.Generator, others: Others) -> Samples:
    """Louder or softer by so many dB."""
    return np.asarray(samples * 10 ** (strength / 20), dtype=np.float32)


def noise(samples: Samples, rate: int, strength: float, rng: np.random.Generator, others: Others) -> Samples:
    """Noise whose power falls by 0 to 6 dB per octave (white, pink, brown), at a signal-to-noise ratio in dB."""
    spectrum = np.fft.rfft(rng.standard_normal(len(samples)))
    frequencies = np.maximum(np.fft.rfftfreq(len(samples), 1 / rate), 20.0)
    coloured = np.fft.irfft(spectrum / frequencies ** rng.uniform(0, 1), len(samples))
    return _mixed(samples, coloured, strength)


def babble(samples: Samples, rate: int, strength: float, rng: np.random.Generator, others: Others) -> Samples:
    """Three to six recordings of others at once, at a signal-to-noise ratio in dB."""
    voices = np.zeros(len(samples))
    for _ in range(int(rng.integers(VOICES[0], VOICES[1] + 1))):
        voice = np.asarray(others(rng), dtype=np.float64)
        voices += np.roll(np.resize(voice / _power(voice) ** 0.5, len(samples)), int(rng.integers(len(samples))))
    return _mixed(samples, voices, strength)


DISTORTIONS: Mapping[str, Distortion] = {
    "mp3": Distortion(16, 64, "kbit/s", mp3),
    "opus": Distortion(8, 32, "kbit/s", opus),
    "telephone": Distortion(0, 0, "", telephone),
    "gsm": Distortion(0, 0, "", gsm),
    "speed": Distortion(90, 110, "%", speed),
    "gain": Distortion(-15, 5, "dB", gain),
    "noise": Distortion(5, 20, "dB", noise),
    "babble": Distortion(5, 20, "dB", babble),
}
BOUNDS = {"mp3": (9, 160), "opus": (6, 256), "speed": (50, 200), "gain": (-60, 40)}
"""The least and the largest strength that makes sense; of the others any that is finite."""


def _through(samples: Samples, rate: int, at: int, format: str, subtype: str, **options: float | str) -> Samples:
    """Write and read samples in memory; a length that the codec changed is restored."""
    file = io.BytesIO()
    before = np.clip(samples if rate == at else soxr.resample(samples, rate, at), -1, 1)
    with soundfile.SoundFile(file, "w", at, 1, format=format, subtype=subtype, **options) as writer:
        writer.write(before)
    file.seek(0)
    after, _ = soundfile.read(file, dtype="float32")
    after = np.pad(after[: len(before)], (0, max(0, len(before) - len(after))))
    return np.asarray(after if rate == at else soxr.resample(after, at, rate), dtype=np.float32)


def _band(samples: Samples, rate: int) -> Samples:
    high = min(BAND[1], 0.45 * rate)
    filter_ = butter(4, (BAND[0], high), "bandpass", fs=rate, output="sos")
    padding = min(3 * 27, len(samples) - 1)
    return np.asarray(sosfiltfilt(filter_, samples, padlen=max(0, padding)), dtype=np.float32)


def _mixed(samples: Samples, other: NDArray[np.float64], ratio: float) -> Samples:
    scale = (_power(samples) / _power(other) / 10 ** (ratio / 10)) ** 0.5
    return np.asarray(samples + scale * other, dtype=np.float32)


def _power(samples: NDArray[np.floating[Any]]) -> float:
    return max(float(np.mean(np.square(samples, dtype=np.float64))), 1e-12)
