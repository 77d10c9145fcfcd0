"""What the structure of WAV and Ogg files says that libsndfile does not tell: a cut end, a length never written."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import soundfile

PLACEHOLDERS = (0x7FFF_F000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)
"""What a writer that cannot go back leaves as the length of its data, less the size of its header or not; or 0."""
HEADER_BYTES = 128
MOST_CHUNKS = 10_000
"""Whoever has more before the samples means harm."""
NO_LENGTH = "the header has a placeholder for the length; read to the end of the file"


@dataclass(frozen=True)
class Chunk:
    """A part of a WAV file. position: of its first byte behind the name and the length."""

    name: bytes
    position: int
    length: int


def wav_chunks(file: BinaryIO) -> Iterator[Chunk]:
    """The chunks of a WAV file, RF64 too; nothing for another file. `data` is the last one that is given."""
    file.seek(0)
    head = file.read(12)
    if head[:4] not in (b"RIFF", b"RF64") or head[8:] != b"WAVE":
        return
    position, long = 12, 0
    for _ in range(MOST_CHUNKS):
        start = file.read(8)
        if len(start) < 8:
            return
        name, length = start[:4], int.from_bytes(start[4:], "little")
        position += 8
        if name == b"ds64":
            long = int.from_bytes(file.read(16)[8:], "little")
        if name == b"data":
            yield Chunk(name, position, long if head[:4] == b"RF64" and length == 0xFFFF_FFFF else length)
            return
        yield Chunk(name, position, length)
        position += length + length % 2
        file.seek(position)


def has_no_length(file: BinaryIO, data: Chunk, size: int) -> bool:
    """Whether the data of a WAV file of `size` bytes has a placeholder for its length."""
    if data.length == 0:
        return not _only_chunks(file, data.position, size)
    placed = any(0 <= value - data.length <= HEADER_BYTES for value in PLACEHOLDERS)
    return data.position + data.length > size and (placed or data.length == 0xFFFF_FFFF_FFFF_FFFF)


def is_cut(path: Path) -> bool:
    """Whether a WAV or Ogg file ends before its own structure does: libsndfile reads what is there without a word."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(12)
        if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
            data = _data(file)
            return data is None or (data.position + data.length > size + 1 and not has_no_length(file, data, size))
        file.seek(0)
        return head[:4] == b"OggS" and _is_cut_ogg(file, size)


@contextmanager
def open_sound(path: Path) -> Iterator[tuple[soundfile.SoundFile, str]]:
    """Open a recording; with a remark where its header does not say how long it is.

    libsndfile takes a WAV file whose length was never written (0) for an empty one: it is shown the true length.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        data = _data(file)
        source: Any = path
        remark = ""
        if data is not None and has_no_length(file, data, size):
            remark = NO_LENGTH
            if data.length == 0:
                length = min(size - data.position, 0xFFFF_FFFE)
                source = _Patched(file, data.position - 4, length.to_bytes(4, "little"))
        file.seek(0)
        with soundfile.SoundFile(source) as sound:
            yield sound, remark


class _Patched(io.RawIOBase):
    """A file of which some bytes are read as others."""

    def __init__(self, file: BinaryIO, position: int, patch: bytes) -> None:
        self._file = file
        self._patch = {position + offset: byte for offset, byte in enumerate(patch)}

    def readinto(self, buffer: Any) -> int:
        begin = self._file.tell()
        view = memoryview(buffer).cast("B")
        count = self._file.readinto(view)  # type: ignore[attr-defined]
        for position, byte in self._patch.items():
            if begin <= position < begin + count:
                view[position - begin] = byte
        return int(count)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _data(file: BinaryIO) -> Chunk | None:
    return next((chunk for chunk in wav_chunks(file) if chunk.name == b"data"), None)


def _only_chunks(file: BinaryIO, position: int, size: int) -> bool:
    """Whether from here to the end of the file there are whole chunks alone, as behind data that is empty."""
    while position + 8 <= size:
        file.seek(position)
        start = file.read(8)
        if not start[:4].decode("latin-1").isprintable():
            return False
        length = int.from_bytes(start[4:], "little")
        position += 8 + length + length % 2
    return position in (size, size + 1)


def _is_cut_ogg(file: BinaryIO, size: int) -> bool:
    """Whether the last page is cut, or is not marked as the end of its stream (RFC 3533)."""
    ended = False
    while len(head := file.read(27)) == 27 and head[:4] == b"OggS":
        ended = bool(head[5] & 4)
        length = sum(file.read(head[26]))
        if file.seek(length, 1) > size:
            return True
    return not ended or head[:4] == b"OggS"
