"""Headers of many recordings at once: rate, channels and length, without reading a sample."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sertk.data.audio import AudioInfo, audio_info
from sertk.errors import AudioError

THREADS = 8
_CHUNK = 2048
_BEGINNING = 4096
_UNKNOWN_LENGTH = (0, 0xFFFFFFFF)
"""What a WAV writer that cannot go back leaves as the length of its data."""


def read_headers(paths: Iterable[Path], *, threads: int = THREADS) -> Iterator[AudioInfo | AudioError]:
    """Read the header of each recording, in order; the error in the place of one that cannot be used."""
    with ThreadPoolExecutor(threads) as pool:
        chunk: list[Path] = []
        for path in paths:
            chunk.append(path)
            if len(chunk) == _CHUNK:
                yield from pool.map(_header, chunk, chunksize=64)
                chunk = []
        yield from pool.map(_header, chunk, chunksize=64)


def header(path: Path) -> AudioInfo:
    """Read a recording's header: of a plain WAV by hand, of anything else by libsndfile.

    Raises AudioError for a missing, empty or non-audio file, and for a WAV that ends before its header says.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(_BEGINNING)
            size = file.seek(0, 2)
    except OSError as error:
        raise AudioError(f"{path}: {error.strerror}") from None
    return _wav(path, head, size) or audio_info(path)


def _header(path: Path) -> AudioInfo | AudioError:
    try:
        info = header(path)
        return info if info.frames > 0 else AudioError(f"{path}: the header says that there are no samples")
    except AudioError as error:
        return error


def _wav(path: Path, head: bytes, size: int) -> AudioInfo | None:
    """The header of a PCM WAV whose chunks begin within `head`; None for whatever else it is."""
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    position, kind, channels, rate, block = 12, 0, 0, 0, 0
    while position + 8 <= len(head):
        name, length = head[position : position + 4], struct.unpack_from("<I", head, position + 4)[0]
        position += 8
        if name == b"fmt " and position + 16 <= len(head):
            kind, channels, rate, _, block = struct.unpack_from("<HHIIH", head, position)
        elif name == b"data":
            if kind != 1 or not block or not rate or length in _UNKNOWN_LENGTH:
                return None
            if position + length > size + 1:
                raise AudioError(
                    f"{path}: truncated: the header promises {length} bytes, {size - position} are there"
                )
            return AudioInfo(rate, channels, length // block)
        position += length + length % 2
    return None
