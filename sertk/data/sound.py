"""A recording or a stream that is read once, in blocks; only the part that is still needed is kept in memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from sertk.data.audio import BLOCK_FRAMES, audio_info, check_samples
from sertk.data.containers import is_cut, open_sound
from sertk.errors import AudioError, DataError


@dataclass(frozen=True)
class Segment:
    """A part of a recording, as segmenters give it.

    start_s, end_s: the part that the result is for. speech: whether to run the model; without, it is "no speech".
    encoded_s: what the model reads instead of this part, such as a window around it. speaker, text: where known.
    """

    start_s: float
    end_s: float
    speech: bool = True
    encoded_s: tuple[float, float] | None = None
    speaker: str | None = None
    text: str | None = None

    @property
    def read_s(self) -> tuple[float, float]:
        """What the model reads."""
        return self.encoded_s or (self.start_s, self.end_s)


class Sound:
    """A recording whose blocks arrive in order.

    blocks: (frames, channels) or (frames,) at `sample_rate`. path: of a file. received_s: the seconds read so far.
    """

    def __init__(
        self, name: str, sample_rate: int, blocks: Iterator[NDArray[np.float32]], *, path: Path | None = None
    ) -> None:
        self.name = name
        self.sample_rate = sample_rate
        self.path = path
        self._source = blocks
        self._kept: list[NDArray[np.float32]] = []
        self._first = self._end = self._read = 0  # samples: forgotten, received, given out by `blocks`
        self.ended = False

    @property
    def received_s(self) -> float:
        """Seconds of sound that have arrived."""
        return self._end / self.sample_rate

    def blocks(self, sample_rate: int | None = None) -> Iterator[NDArray[np.float32]]:
        """(samples,) mono blocks to the end, at the recording's own rate or another. For a single reader."""
        rate = sample_rate or self.sample_rate
        stream = soxr.ResampleStream(self.sample_rate, rate, 1, dtype="float32") if rate != self.sample_rate else None
        while self._read < self._end or self._pull():
            block = self._samples(self._read, self._end)
            self._read = self._end
            yield block if stream is None else stream.resample_chunk(block)
        if stream is not None:
            yield stream.resample_chunk(np.empty(0, np.float32), last=True)

    def cut(self, start_s: float, end_s: float) -> NDArray[np.float32]:
        """(samples,) mono of a part at the recording's own rate; blocks up to its end are read. Shorter at the end.

        Raises DataError for a part that was forgotten.
        """
        first, end = (round(seconds * self.sample_rate) for seconds in (start_s, end_s))
        while self._end < end and self._pull():
            pass
        if first < self._first:
            raise DataError(
                f"{self.name}: segments are given in the order of their starts: {start_s:g} s comes after "
                f"{self._first / self.sample_rate:g} s"
            )
        return self._samples(first, min(end, self._end))

    def forget(self, before_s: float) -> None:
        """Let go of what is before a time."""
        before = min(round(before_s * self.sample_rate), self._end)
        while self._kept and self._first + len(self._kept[0]) <= before:
            self._first += len(self._kept.pop(0))

    def skip(self, to_s: float = math.inf) -> None:
        """Read up to a time, or to the end, and keep nothing of what is before."""
        while self.received_s < to_s and self._pull():
            self.forget(min(to_s, self.received_s))

    def _pull(self) -> bool:
        block = next(self._source, None)
        if block is None:
            self.ended = True
            return False
        check_samples(self.name, block)
        mono = np.asarray(block if block.ndim == 1 else block.mean(axis=1, dtype=np.float32), dtype=np.float32)
        self._kept.append(mono)
        self._end += len(mono)
        return True

    def _samples(self, first: int, end: int) -> NDArray[np.float32]:
        parts, position = [], self._first
        for block in self._kept:
            if position < end and position + len(block) > first:
                parts.append(block[max(0, first - position) : end - position])
            position += len(block)
        return np.concatenate(parts) if parts else np.empty(0, np.float32)


@contextmanager
def open_recording(path: Path) -> Iterator[Sound]:
    """Open a file to read it in blocks.

    Raises AudioError, at once or while it is read, for what cannot be read or ends before its own structure does.
    """
    info = audio_info(path)
    try:
        if is_cut(path):
            raise AudioError(f"{path}: truncated: it ends before the end that its own structure promises")
        with open_sound(path) as (file, _):
            yield Sound(str(path), info.sample_rate, _read_blocks(path, file, info.frames), path=path)
    except (soundfile.SoundFileError, OSError, ValueError) as error:
        raise AudioError(f"{path}: reading stopped before the end: {error}") from None


def _read_blocks(path: Path, file: soundfile.SoundFile, frames: int) -> Iterator[NDArray[np.float32]]:
    left = frames
    while left > 0 and len(block := file.read(min(left, BLOCK_FRAMES), dtype="float32", always_2d=True)):
        left -= len(block)
        yield block
    if left > 0:
        raise AudioError(f"{path}: truncated: it ends {left} samples before the end that its header promises")
