"""Headers of many recordings at once: rate, channels and length, without reading a sample."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from sertk.data.audio import AudioInfo, audio_info
from sertk.data.containers import NO_LENGTH, has_no_length, wav_chunks
from sertk.data.formats import of_windows
from sertk.errors import AudioError

THREADS = 8
_CHUNK = 2048


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
        if path.exists() and not path.is_file():  # a pipe would keep its reader waiting for ever
            raise AudioError(f"{path}: is not a regular file")
        with open(path, "rb") as file:
            info = _wav(path, file)
    except FileNotFoundError:
        raise AudioError(f"{path}: there is no such recording{of_windows(path)}") from None
    except (OSError, ValueError) as error:
        raise AudioError(f"{path}: {error.strerror if isinstance(error, OSError) else error}") from None
    return info or audio_info(path)


def _header(path: Path) -> AudioInfo | AudioError:
    try:
        info = header(path)
        return info if info.frames > 0 else AudioError(f"{path}: the header says that there are no samples")
    except AudioError as error:
        return error


def _wav(path: Path, file: BinaryIO) -> AudioInfo | None:
    """The header of a PCM WAV; None for whatever else it is."""
    kind, channels, rate, block = 0, 0, 0, 0
    for chunk in wav_chunks(file):
        if chunk.name == b"fmt " and len(fields := file.read(16)) == 16:
            kind, channels, rate, _, block, _ = struct.unpack("<HHIIHH", fields)
        if chunk.name != b"data":
            continue
        if kind != 1 or not block or not rate:
            return None
        size = os.fstat(file.fileno()).st_size
        there = size - chunk.position
        if has_no_length(file, chunk, size):
            return AudioInfo(rate, channels, there // block, NO_LENGTH)
        if chunk.length > there + 1:
            raise AudioError(f"{path}: truncated: the header promises {chunk.length} bytes, {there} are there")
        return AudioInfo(rate, channels, chunk.length // block)
    return None
