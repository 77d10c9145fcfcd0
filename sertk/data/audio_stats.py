"""What the sound of recordings is like: peak, clipping, offset, length, and a digest of the samples."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sertk.data.audio import SILENCE, read_part
from sertk.data.manifest import Manifest, Utterance
from sertk.errors import AudioError

THREADS = 4
CLIPPED_LEVEL, CLIPPED_RUN, STEP = 0.98, 4, 2.0**-15
"""So many samples in a row, this near full scale and a step of 16 bits apart at most, are cut off: no voice is flat.

What a lossy codec makes of clipping is no longer flat; it shows as samples above full scale.
"""
OFFSET = 0.01
"""A mean so far from zero (-40 dB) is an offset of the recorder."""
SHORT_SECONDS = 0.3
"""A shorter recording hardly holds a syllable."""
OVER = 1.0 + 1e-6
QUIET = 0.05
"""Below this share of the peak a recording has not begun."""


@dataclass(frozen=True, slots=True)
class AudioStats:
    """What one recording is like. error: why it cannot be used, and nothing else is known then.

    digest: of its samples. peak: of full scale. clipped: number of samples in clipped runs. offset: the mean
    sample of the channel where it is farthest from zero. lead: seconds before the first sound. remark: what was done
    to read it, or "".
    """

    id: str
    sample_rate: int = 0
    channels: int = 0
    seconds: float = 0.0
    digest: str = ""
    peak: float = 0.0
    clipped: int = 0
    offset: float = 0.0
    lead: float = 0.0
    remark: str = ""
    error: str | None = None


ODD: Mapping[str, Callable[[AudioStats], bool]] = {
    "silent": lambda one: one.peak < SILENCE,
    "over_full_scale": lambda one: one.peak > OVER,
    "clipped": lambda one: one.clipped > 0,
    "offset": lambda one: abs(one.offset) > OFFSET,
    "short": lambda one: one.seconds < SHORT_SECONDS,
    "no_length": lambda one: bool(one.remark),
}
"""What may be wrong with the sound of a recording that can be used."""


def audio_stats(manifest: Manifest, *, threads: int = THREADS) -> Iterator[AudioStats]:
    """Read each utterance's recording whole, in order; a bad one is listed with its error, not raised."""
    located = manifest.located()
    with ThreadPoolExecutor(threads) as pool:
        for begin in range(0, len(located), 64 * threads):
            yield from pool.map(audio_stats_of, located[begin : begin + 64 * threads])


def audio_stats_of(utterance: Utterance) -> AudioStats:
    """Read one utterance, whose `audio` is an absolute path."""
    try:
        info, samples = read_part(Path(utterance.audio), start=utterance.start, duration=utterance.duration)
    except AudioError as error:
        return AudioStats(utterance.id, error=str(error))
    person = str(info.sample_rate).encode()
    return AudioStats(
        utterance.id,
        info.sample_rate,
        info.channels,
        len(samples) / info.sample_rate,
        hashlib.blake2b(samples.tobytes(), digest_size=16, person=person).hexdigest(),
        float(np.abs(samples).max()),
        clipped_samples(samples),
        float(max(samples.mean(axis=0, dtype=np.float64), key=abs)),
        leading_samples(samples) / info.sample_rate,
        info.remark,
    )


def clipped_samples(samples: NDArray[np.float32]) -> int:
    """Count the samples of (frames, channels) that are in flat runs near full scale."""
    count = 0
    for channel in samples.T:
        level = np.abs(channel)
        flat = (np.abs(np.diff(channel)) <= STEP) & (level[1:] >= CLIPPED_LEVEL) & (level[:-1] >= CLIPPED_LEVEL)
        edges = np.flatnonzero(np.diff(flat, prepend=False, append=False))  # where runs begin and end, in turn
        lengths = edges[1::2] - edges[::2] + 1
        count += int(lengths[lengths >= CLIPPED_RUN].sum())
    return count


def leading_samples(samples: NDArray[np.float32]) -> int:
    """Count the samples of (frames, channels) before the first that is louder than `QUIET` of the peak."""
    level = np.abs(samples).max(axis=1)
    return int((level > QUIET * level.max()).argmax())
