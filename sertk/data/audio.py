"""Reading recordings in every format that libsndfile reads: one channel, at the rate asked for."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from sertk.data.containers import is_cut, open_sound
from sertk.data.formats import how_to_convert, is_other_sound, of_windows
from sertk.errors import AudioError

SILENCE = 1e-4
"""A recording whose peak stays below this (-80 dB of full scale) is silent."""

LARGEST_PEAK = 16.0
"""A recording with a larger sample (24 dB above full scale) holds integers written as floats, and is refused."""

LONGEST_SECONDS = 4 * 3600.0
"""A longer recording is refused before memory is asked for: headers can promise anything."""

UNKNOWN_FRAMES = 1 << 36
"""libsndfile gives such numbers for a FLAC that was written to a pipe: without a length it cannot be read."""

MOST_SAMPLES = round(LONGEST_SECONDS) * 48_000 * 2
"""So is one of more samples over all channels: the longest in stereo at 48 kHz, 5.5 GB once read."""

BLOCK_FRAMES = 1 << 20


@dataclass(frozen=True)
class AudioInfo:
    """What a recording's header says. sample_rate: in Hz. remark: what was done where it does not say it, or ""."""

    sample_rate: int
    channels: int
    frames: int
    remark: str = ""

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.frames / self.sample_rate


def audio_info(path: Path) -> AudioInfo:
    """Read a recording's header. Raises AudioError for a missing, empty or non-audio file."""
    try:
        if not path.is_file():
            raise AudioError(f"{path}: there is no such recording{of_windows(path)}")
        if path.stat().st_size == 0:
            raise AudioError(f"{path}: the file is empty")
        with open_sound(path) as (file, remark):
            info = AudioInfo(file.samplerate, file.channels, file.frames, remark)
    except (soundfile.SoundFileError, OSError, ValueError, TypeError) as error:  # TypeError: raw, without its rate
        hint = how_to_convert(path) if is_other_sound(path) else "wav, flac, ogg, opus, mp3 and others can be"
        raise AudioError(f"{path}: not audio that can be read; {hint}: {error}") from None
    if info.frames >= UNKNOWN_FRAMES:
        raise AudioError(f"{path}: its header does not say how long it is; {how_to_convert(path)}")
    return info


def read_audio(
    path: Path,
    *,
    sample_rate: int = 16_000,
    start: float = 0.0,
    duration: float | None = None,
    remark: Callable[[str], None] = lambda _: None,
) -> NDArray[np.float32]:
    """Read a recording as (samples,) float32, full scale -1..1, channels averaged, resampled where its rate differs.

    start, duration: the part to read, in seconds. remark: called with what was done to a recording that is read all
    the same. Raises AudioError, naming the file, for a missing, empty, truncated, silent, non-finite or non-audio
    recording, for samples that are no parts of full scale, and for a part that is outside it.
    """
    info, samples = read_part(path, start=start, duration=duration)
    if info.remark:
        remark(info.remark)
    mono = samples.mean(axis=1, dtype=np.float32)
    if np.abs(mono).max() < SILENCE:
        raise AudioError(f"{path}: silent: the peak is below {SILENCE:g} of full scale")
    if info.sample_rate != sample_rate:
        mono = soxr.resample(mono, info.sample_rate, sample_rate)
    if len(mono) == 0:
        raise AudioError(f"{path}: too short: no sample is left of {len(samples)} at {sample_rate} Hz")
    return np.ascontiguousarray(mono, dtype=np.float32)


def resampled(samples: NDArray[Any], sample_rate: int, to: int) -> NDArray[np.float32]:
    """Samples (samples,) or (samples, channels) in -1..1 as mono float32 at a rate, the same one or another.

    Raises
    ------
    AudioError
        For another number of dimensions, integers, or a rate that is not positive.
    """
    if samples.ndim not in (1, 2) or not np.issubdtype(samples.dtype, np.floating):
        raise AudioError(
            f"samples are floats in -1..1, (samples,) or (samples, channels); got {samples.dtype} of shape "
            f"{samples.shape}: divide 16-bit integers by 32768"
        )
    if sample_rate <= 0:
        raise AudioError(f"the sample rate is a number of samples per second, got {sample_rate}")
    mono = np.asarray(samples if samples.ndim == 1 else samples.mean(axis=1), dtype=np.float32)
    return mono if sample_rate == to else np.asarray(soxr.resample(mono, sample_rate, to), dtype=np.float32)


def read_part(
    path: Path, *, start: float = 0.0, duration: float | None = None
) -> tuple[AudioInfo, NDArray[np.float32]]:
    """Read a part as it is, (frames, channels) at its own rate. Raises AudioError as `read_audio`, silence aside."""
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
        cut = is_cut(path)
    except OSError as error:
        raise AudioError(f"{path}: reading stopped before the end: {error}") from None
    if len(samples) < min(count, info.frames - first) or cut:
        raise AudioError(
            f"{path}: truncated: it ends after {len(samples)} samples, before the end that its own structure promises"
        )
    check_samples(str(path), samples)
    return info, samples


def check_samples(name: str, samples: NDArray[Any]) -> None:
    """Raise AudioError for samples that are not finite, or so large that they are integers and no parts of 1."""
    if not np.isfinite(samples).all():
        raise AudioError(f"{name}: has samples that are not finite numbers")
    peak = max(float(samples.max(initial=0)), -float(samples.min(initial=0)))
    if peak > LARGEST_PEAK:
        raise AudioError(
            f"{name}: the peak is {peak:g} where full scale is 1: integers written as floats. Divide the samples "
            f"by their own full scale (32768 for 16 bits) and write it again"
        )


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
        with open_sound(path) as (file, _):
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
