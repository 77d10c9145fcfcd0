"""A small source-filter synthesiser: made-up speech whose voice follows arousal, valence and dominance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16000
FRAME = 512
HOP = FRAME // 2
FFT = 2 * FRAME

# First three formants in Hz of an adult male voice (Peterson and Barney 1952), one row a written vowel.
FORMANTS_HZ = {
    "a": (730.0, 1090.0, 2440.0),
    "e": (530.0, 1840.0, 2480.0),
    "i": (270.0, 2290.0, 3010.0),
    "o": (570.0, 840.0, 2410.0),
    "u": (300.0, 870.0, 2240.0),
    "y": (390.0, 1990.0, 2550.0),
}
BANDWIDTHS_HZ = (80.0, 110.0, 160.0, 250.0)
FOURTH_FORMANT_HZ = 3500.0


@dataclass(frozen=True)
class Voice:
    """What a speaker brings along: base pitch in Hz, formant scale, loudness in dB and breathiness (0 to 1)."""

    pitch_hz: float
    formant_scale: float
    loudness_db: float
    breathiness: float


def vowels_of(text: str) -> list[str]:
    """The written vowels of a text, one a syllable; a text without any counts as one "a"."""
    found: list[str] = []
    previous = ""
    for letter in text.lower():
        if letter in FORMANTS_HZ and previous not in FORMANTS_HZ:
            found.append(letter)
        previous = letter
    return found if found else ["a"]


def synthesize(
    voice: Voice,
    affect: Sequence[float],
    vowels: Sequence[str],
    seconds: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Speaks a row of vowels with a voice in an affective state.

    affect is (arousal, valence, dominance), each on the scale 1 to 7. Arousal raises pitch, pitch range, level and
    the weight of high frequencies; dominance lowers formants and pitch and steadies the voice; valence spreads the
    formants a little, as a smile does. Returns (samples,) at 16 kHz within -1 to 1, background noise included.
    """
    arousal, valence, dominance = (float(value) - 4.0 for value in affect)
    samples = round(seconds * SAMPLE_RATE)
    position = np.arange(samples) / samples * len(vowels)  # in syllables
    syllable = position.astype(np.int64)
    within = position - syllable

    accents = rng.normal(0.0, 0.5 + 0.12 * max(arousal, -3.0), len(vowels))  # semitones
    glide = rng.normal(-1.5 + 0.3 * valence, 1.0)  # semitones from start to end
    semitones = 1.3 * arousal - 0.4 * dominance + glide * position / len(vowels)
    semitones = semitones + accents[syllable] * np.sin(np.pi * within) * 2.0
    knots = np.arange(0, samples + 160, 160)  # jitter is drawn every 10 ms
    jitter = np.interp(np.arange(samples), knots, rng.normal(0.0, 1.0, len(knots)))
    semitones = semitones + jitter * max(0.05, 0.30 - 0.10 * dominance)
    pitch_hz = np.clip(voice.pitch_hz * 2.0 ** (semitones / 12.0), 50.0, 600.0)

    cycles = np.cumsum(pitch_hz) / SAMPLE_RATE
    pulses = np.diff(np.floor(cycles), prepend=0.0) * np.sqrt(SAMPLE_RATE / pitch_hz)
    breath = np.clip(voice.breathiness - 0.05 * dominance - 0.03 * arousal, 0.05, 0.8)
    source = (1.0 - breath) * pulses + breath * rng.normal(0.0, 1.0, samples)

    envelope = 0.15 + 0.85 * np.sin(np.pi * within) ** (1.2 - 0.12 * arousal)
    stress = 10.0 ** (rng.normal(0.0, 1.5 + 0.3 * dominance, len(vowels)) / 20.0)
    source = source * envelope * stress[syllable]

    formant_scale = voice.formant_scale * (1.0 - 0.025 * dominance)
    smile = np.array([1.0, 1.0 + 0.010 * valence, 1.0 + 0.006 * valence])
    table = np.array([FORMANTS_HZ[vowel] for vowel in vowels]) * formant_scale * smile  # (syllables, 3)
    tilt = 1.25 - 0.10 * arousal - 0.10 * dominance
    speech = _filter(source, syllable, table, FOURTH_FORMANT_HZ * formant_scale, tilt)

    level_db = -26.0 + 1.8 * arousal + 0.8 * dominance + voice.loudness_db + rng.normal(0.0, 1.0)
    speech = speech / np.sqrt(np.mean(speech**2)) * 10.0 ** (level_db / 20.0)
    noise_db = rng.uniform(-62.0, -50.0)
    speech = speech + rng.normal(0.0, 10.0 ** (noise_db / 20.0), samples)
    return np.asarray(np.tanh(speech), dtype=np.float64)


def _filter(
    source: NDArray[np.float64],
    syllable: NDArray[np.int64],
    table: NDArray[np.float64],
    fourth_formant_hz: float,
    tilt: float,
) -> NDArray[np.float64]:
    """Shapes each windowed frame of the source by the formants of its syllable and a spectral slope; overlap-adds."""
    samples = len(source)
    frames = samples // HOP + 2
    padded = np.zeros((frames + 1) * HOP)
    padded[HOP : HOP + samples] = source
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(FRAME) / FRAME)
    cut = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP][:frames] * window  # (T, FRAME)

    centre = np.clip(np.arange(len(cut)) * HOP, 0, samples - 1)
    formants = table[syllable[centre]]  # (T, 3)
    formants = np.concatenate([formants, np.full((len(cut), 1), fourth_formant_hz)], axis=1)  # (T, 4)
    bins_hz = np.arange(FFT // 2 + 1) * (SAMPLE_RATE / FFT)
    gain = np.maximum(bins_hz / 100.0, 1.0) ** -tilt * (bins_hz > 60.0)  # (bins,)
    response = np.broadcast_to(gain, (len(cut), len(bins_hz)))
    for index, bandwidth_hz in enumerate(BANDWIDTHS_HZ):
        ratio = bins_hz / formants[:, index, None]  # (T, bins)
        response = response / np.hypot(1.0 - ratio**2, ratio * bandwidth_hz / formants[:, index, None])
        response = response * (1.0 + ratio**2)  # so that the slope above the formants comes from tilt alone

    centred = np.pad(cut, ((0, 0), (HOP, HOP)))  # (T, FFT); the response is zero-phase and rings both ways
    shaped = np.fft.irfft(np.fft.rfft(centred, axis=1) * response, axis=1)  # (T, FFT)
    shaped = shaped.reshape(len(cut), FFT // HOP, HOP)
    out = np.zeros((len(cut) + FFT // HOP, HOP))
    for quarter in range(FFT // HOP):
        out[quarter : quarter + len(cut)] += shaped[:, quarter]
    return np.asarray(out.reshape(-1)[2 * HOP : 2 * HOP + samples], dtype=np.float64)
