"""Reading recordings: wav, flac, ogg, opus and mp3; one channel, at the rate asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from sertk.errors import AudioError

SILENCE = 1e-4
"""A recording whose peak stays below this (-80 dB of full scale) is silent."""

LONGEST_SECONDS = 4 * 3600.0
"""A longer recording is refused before memory is asked for: headers can promise anything."""

MOST_SAMPLES = round(LONGEST_SECONDS) * 48_000 * 2
"""So is one of more samples over all channels: the longest in stereo at 48 kHz, 5.5 GB once read."""

BLOCK_FRAMES = 1 << 20


@dataclass(frozen=True)
class AudioInfo:
    """What a recording's header says. seconds: duration. sample_rate: in Hz."""

    sample_rate: int
    channels: int
    frames: int

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.frames / self.sample_rate


def audio_info(path: Path) -> AudioInfo:
    """Read a recording's header. Raises AudioError for a missing, empty or non-audio file."""
    try:
        if not path.is_file():
            raise AudioError(f"{path}: there is no such recording")
        if path.stat().st_size == 0:
            raise AudioError(f"{path}: the file is empty")
        with soundfile.SoundFile(path) as file:
            return AudioInfo(file.samplerate, file.channels, file.frames)
    except (soundfile.SoundFileError, OSError, ValueError) as error:
        raise AudioError(f"{path}: not audio that can be read (wav, flac, ogg, opus or mp3): {error}") from None


def read_audio(
    path: Path, *, sample_rate: int = 16_000, start: float = 0.0, duration: float | None = None
) -> NDArray[np.float32]:
    """Read a recording as (samples,) float32 in -1..1, channels averaged, resampled where its rate differs.

    start, duration: the part to read, in seconds. Raises AudioError, naming the file, for a missing, empty,
    truncated, silent, non-finite or non-audio recording, and for a part that lies outside it.
    """
    if not (0 <= start < math.inf and (duration is None or 0 < duration < math.inf)):
        raise AudioError(
            f"{path}: start {start} s and duration {duration} s must be finite, start >= 0, duration > 0"
        )
    info = audio_info(path)
    if start + (duration or 0) > info.seconds + 1:
        raise AudioError(f"{path}: ends at {info.seconds:.3f} s, before {start:g} s + {duration} s: truncated?")
    first = round(start * info.sample_rate)
    count = info.frames - first if duration is None else round(duration * info.sample_rate)
    if count <= 0 or first >= info.frames:
        raise AudioError(f"{path}: nothing to read from {start:g} s on: the recording has {info.seconds:.3f} s")
    if first + count > info.frames + _slack(info):
        raise AudioError(f"{path}: ends at {info.seconds:.3f} s, before {start:g} s + {duration} s: truncated?")
    samples = read_samples(path, info, first, min(count, info.frames - first))  # (frames, channels)
    try:
        cut = _is_cut(path)
    except OSError as error:
        raise AudioError(f"{path}: reading stopped before the end: {error}") from None
    if len(samples) < min(count, info.frames - first) or cut:
        raise AudioError(
            f"{path}: truncated: it ends after {len(samples)} samples, before the end that its own structure promises"
        )
    mono = samples.mean(axis=1, dtype=np.float32)
    if not np.isfinite(mono).all():
        raise AudioError(f"{path}: has samples that are not finite numbers")
    if np.abs(mono).max() < SILENCE:
        raise AudioError(f"{path}: silent: the peak is below {SILENCE:g} of full scale")
    if info.sample_rate != sample_rate:
        mono = soxr.resample(mono, info.sample_rate, sample_rate)
    if len(mono) == 0:
        raise AudioError(f"{path}: too short: no sample is left of {len(samples)} at {sample_rate} Hz")
    return np.ascontiguousarray(mono, dtype=np.float32)


def read_samples(path: Path, info: AudioInfo, first: int, count: int) -> NDArray[np.float32]:
    """Read frames as (frames, channels) float32, as many as there are: memory grows with what is read, not promised.

    Raises AudioError, before anything is read, for more than LONGEST_SECONDS or MOST_SAMPLES, and for bad audio.
    """
    if count > LONGEST_SECONDS * info.sample_rate or count * info.channels > MOST_SAMPLES:
        raise AudioError(
            f"{path}: {count / info.sample_rate:.0f} s of {info.channels} channels at {info.sample_rate} Hz are more "
            f"than {LONGEST_SECONDS:.0f} s, or than {MOST_SAMPLES:,} samples; cut it up"
        )
    blocks = [np.empty((0, info.channels), np.float32)]
    try:
        with soundfile.SoundFile(path) as file:
            file.seek(first)
            while count > 0 and len(block := file.read(min(count, BLOCK_FRAMES), dtype="float32", always_2d=True)):
                blocks.append(block)
                count -= len(block)
    except (soundfile.SoundFileError, OSError, ValueError) as error:
        raise AudioError(f"{path}: reading stopped before the end: {error}") from None
    return np.concatenate(blocks)


def _slack(info: AudioInfo) -> int:
    """A duration written with three decimals may point this many samples behind the end."""
    return max(1, info.sample_rate // 500)


def _is_cut(path: Path) -> bool:
    """Whether a WAV or Ogg file ends before its own structure does: libsndfile reads what is there without a word."""
    with open(path, "rb") as file:
        head = file.read(12)
        if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
            return _is_cut_wav(file, path.stat().st_size)
        file.seek(0)
        return head[:4] == b"OggS" and _is_cut_ogg(file, path.stat().st_size)


def _is_cut_wav(file: BinaryIO, size: int) -> bool:
    """Whether the data chunk is longer than the file. RF64 has its length in a `ds64` chunk before it."""
    long = 0
    while len(chunk := file.read(8)) == 8:
        length = int.from_bytes(chunk[4:], "little")
        if chunk[:4] == b"ds64":
            long = int.from_bytes(file.read(16)[8:], "little")
            length -= 16
        if chunk[:4] == b"data":
            length = long if length == 0xFFFFFFFF else length
            return file.tell() + length > size + 1
        file.seek(length + length % 2, 1)
    return True


def _is_cut_ogg(file: BinaryIO, size: int) -> bool:
    """Whether the last page is cut, or is not marked as the end of its stream (RFC 3533)."""
    ended = False
    while len(head := file.read(27)) == 27 and head[:4] == b"OggS":
        ended = bool(head[5] & 4)
        length = sum(file.read(head[26]))
        if file.seek(length, 1) > size:
            return True
    return not ended or head[:4] == b"OggS"
