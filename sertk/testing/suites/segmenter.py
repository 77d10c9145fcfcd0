"""What every segmenter keeps: `(*, options)` to a function of a sound that gives segments, each when it is final."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sertk.contracts import Segmenter
from sertk.data.sound import Segment, Sound
from sertk.testing.suites.base import Subject, global_seeds, require

RATE = 16_000
SECONDS = 21.3
SLACK_S = 1.0


def inside(subject: Subject) -> None:
    """Segments are within the recording, and each ends after it begins; so does what the model reads of it."""
    sound = _sound()
    for segment in _built(subject)(sound):
        for start, end in ((segment.start_s, segment.end_s), segment.read_s):
            require(0 <= start < end and math.isfinite(end), f"{segment} should have 0 <= start < end")
            require(end <= sound.received_s + 1e-3, f"{segment} ends after the {sound.received_s} s that were read")


def order(subject: Subject) -> None:
    """Segments are in the order of their starts, and of the starts of what the model reads."""
    segments = _segments(subject)
    for one, following in pairwise(segments):
        require(one.start_s <= following.start_s, f"{following} comes after {one}")
        require(one.read_s[0] <= following.read_s[0] + 1e-6, f"{following} reads from before {one}")


def blocks(subject: Subject) -> None:
    """Segments do not depend on the sizes of the blocks in which the sound arrives."""
    whole = _segments(subject)
    for size in (160, 1_237, 65_536):
        parts = [*_built(subject)(_sound(size))]
        require(_near(parts, whole), f"in blocks of {size} samples the segments are {parts}, not {whole}")


def causal(subject: Subject) -> None:
    """Segments that end well before the last sound are the same whatever that sound is."""
    segmenter = _built(subject)
    before = SECONDS - 6.0
    whole, other = ([*segmenter(_sound(samples=samples))] for samples in (_samples(), _with_other_end()))
    settled = [[s for s in found if max(s.end_s, s.read_s[1]) + segmenter.lag_s < before] for found in (whole, other)]
    require(_near(*settled), f"with another end, earlier segments are {settled[1]}, not {settled[0]}")


def lag(subject: Subject) -> None:
    """Each segment is given no later than `lag_s` after its end, beside the last ones."""
    segmenter = _built(subject)
    require(
        isinstance(segmenter.lag_s, int | float) and 0 <= segmenter.lag_s < 60,
        f"`lag_s` should be seconds, got {segmenter.lag_s!r}",
    )
    sound = _sound(160)
    for segment in segmenter(sound):
        late = sound.received_s - segment.end_s
        require(
            sound.ended or late <= segmenter.lag_s + SLACK_S,
            f"{segment} is given {late:.2f} s after its end, `lag_s` is {segmenter.lag_s:g}",
        )


def memory(subject: Subject) -> None:
    """Silence does not keep a segmenter from giving segments: one comes at least every 30 seconds."""
    silence = np.zeros(RATE * 100, np.float32)
    sound = _sound(RATE, silence)
    last = 0.0
    for segment in _built(subject)(sound):
        if sound.ended:
            break
        require(sound.received_s - last <= 31, f"no segment between {last:.1f} s and {sound.received_s:.1f} s")
        last = max(sound.received_s, segment.end_s)
    sound.skip()
    require(sound.received_s - last <= 31, f"no segment between {last:.1f} s and the end, {sound.received_s:.0f} s")


def repeatable(subject: Subject) -> None:
    """Two builds give the same segments, whatever the global random states, when called once or twice."""
    results = []
    for seed in (1, 2):
        with global_seeds(seed):
            segmenter = _built(subject)
            results += [[*segmenter(_sound())], [*segmenter(_sound())]]
    require(all(segments == results[0] for segments in results), f"four calls give {results}")


def short_input(subject: Subject) -> None:
    """12 ms of sound and none at all give segments within it, or none."""
    for samples in (_samples()[: RATE * 12 // 1000], _samples()[:0]):
        for segment in _built(subject)(_sound(samples=samples)):
            require(
                0 <= segment.start_s < segment.end_s <= len(samples) / RATE + 1e-6,
                f"{segment} of {len(samples) / RATE} s",
            )


CONTRACTS = (inside, order, blocks, causal, lag, memory, repeatable, short_input)


def _built(subject: Subject) -> Segmenter:
    segmenter: Segmenter = subject.build()
    return segmenter


def _segments(subject: Subject) -> list[Segment]:
    return [*_built(subject)(_sound())]


def _near(some: list[Segment], others: list[Segment]) -> bool:
    def times(segments: list[Segment]) -> list[float]:
        return [time for s in segments for time in (s.start_s, s.end_s, *s.read_s)]

    same = [(s.speech, s.speaker, s.text) for s in some] == [(s.speech, s.speaker, s.text) for s in others]
    return same and bool(np.allclose(times(some), times(others), atol=1e-3))


def _sound(size: int = 4_000, samples: NDArray[np.float32] | None = None) -> Sound:
    samples = _samples() if samples is None else samples

    def parts() -> Iterator[NDArray[np.float32]]:
        for first in range(0, len(samples), size):
            yield samples[first : first + size]

    return Sound("made-up", RATE, parts())


def _samples() -> NDArray[np.float32]:
    """Voice-like sound with two silences."""
    time = np.arange(round(SECONDS * RATE)) / RATE
    pitch = 130 + 20 * np.sin(2 * np.pi * 0.7 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    voice = sum(np.sin(harmonic * phase) / harmonic for harmonic in range(1, 20))
    loud = (np.sin(2 * np.pi * 3 * time) > -0.7) & ~((time > 5) & (time < 7.5)) & ~((time > 12) & (time < 13))
    return np.asarray(0.1 * voice * loud, dtype=np.float32)


def _with_other_end() -> NDArray[np.float32]:
    samples = _samples().copy()
    last = round((SECONDS - 6.0) * RATE)
    samples[last:] = np.random.default_rng(3).normal(0, 0.2, len(samples) - last)
    return samples
