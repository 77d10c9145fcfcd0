"""The segmenter `windows`: parts of equal length, whatever is in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np
from pydantic import Field

from sertk.data.sound import Segment, Sound
from sertk.revisions import revision

Seconds = Annotated[float, Field(ge=0.1, le=600)]


@revision(1)
class Windows:
    """Windows of equal length, a step apart; each gives the result for the step in its middle.

    The first window also covers the recording's beginning. The last one ends with the recording, so that it is as
    long as the others. A step whose level is below `silence_db` has no speech.

    Parameters
    ----------
    length
        Of what the model reads, in seconds.
    hop
        From one window to the next, in seconds; at most the length.
    silence_db
        RMS level, in dB of full scale, below which a step is "no speech".

    Raises
    ------
    ValueError
        For a hop above the length.
    """

    def __init__(self, *, length: Seconds = 3.0, hop: Seconds = 1.5, silence_db: float = -60.0) -> None:
        if hop > length:
            raise ValueError(f"hop {hop:g} is above length {length:g}: sound between windows would be left out")
        self.length, self.hop, self.silence_db = length, hop, silence_db

    @property
    def lag_s(self) -> float:
        """How long after its end a segment is final."""
        return (self.length - self.hop) / 2

    def __call__(self, sound: Sound, /) -> Iterator[Segment]:
        """Segments in their order, each as soon as its window is complete."""
        done, number = 0.0, 0
        for _ in sound.blocks():
            while sound.received_s >= (end := number * self.hop + self.length):
                middle = end - self.length / 2
                yield self._segment(sound, (done, middle + self.hop / 2), (end - self.length, end))
                done = middle + self.hop / 2
                number += 1
        if sound.received_s > done + 1e-6:
            end = sound.received_s
            yield self._segment(sound, (done, end), (max(0.0, end - self.length), end))

    def _segment(self, sound: Sound, part: tuple[float, float], read: tuple[float, float]) -> Segment:
        samples = sound.cut(*part)
        power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
        return Segment(*part, speech=power > 10 ** (self.silence_db / 10), encoded_s=read)
