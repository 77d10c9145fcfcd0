"""Sound from a stream, such as standard input: raw samples of a stated format, or a WAV file as it arrives."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from sertk.data.containers import HEADER_BYTES, MOST_CHUNKS, PLACEHOLDERS
from sertk.data.sound import Sound
from sertk.errors import AudioError

Encoding = Literal["u8", "s16le", "s32le", "f32le"]
ENCODINGS: dict[Encoding, tuple[str, float, float]] = {
    "u8": ("u1", 128.0, 128.0),
    "s16le": ("<i2", 0.0, 32768.0),
    "s32le": ("<i4", 0.0, 2147483648.0),
    "f32le": ("<f4", 0.0, 1.0),
}
"""By name as in FFmpeg: the type of a sample, what silence is, and full scale."""
_OF_WAV: dict[tuple[int, int], Encoding] = {(1, 8): "u8", (1, 16): "s16le", (1, 32): "s32le", (3, 32): "f32le"}
_EXTENSIBLE = 0xFFFE
_MOST_SKIPPED = 1 << 20
BLOCK_SECONDS = 0.1


@dataclass(frozen=True)
class StreamFormat:
    """How a stream without a header is to be read. sample_rate: in Hz."""

    sample_rate: int = 16_000
    channels: int = 1
    encoding: Encoding = "s16le"


def stream_sound(
    stream: BinaryIO,
    form: StreamFormat,
    *,
    remark: Callable[[str], None] = lambda _: None,
    stall_s: float = 10.0,
) -> Sound:
    """Read a stream as it arrives. One that begins as a WAV file does is read by its own header instead of `form`.

    remark: called when nothing has come for `stall_s` seconds, which changes nothing, and when the stream ends in the
    middle of a frame, whose bytes are left out. Raises AudioError for an empty stream and for a header that cannot be
    used.
    """
    reader = _Reader(stream, remark, stall_s)
    start = reader.exactly(4)
    length = None
    if start in (b"RIFF", b"RF64"):
        form, length = _wav_header(reader)
    else:
        reader.back(start)
    if not 1000 <= form.sample_rate <= 768_000 or not 1 <= form.channels <= 64:
        raise AudioError(f"the stream has {form.channels} channels at {form.sample_rate} Hz: not sound")
    if not start:
        raise AudioError("the stream is empty: no sound came before it ended")
    return Sound("stream", form.sample_rate, _blocks(reader, form, length, remark))


def _blocks(
    reader: _Reader, form: StreamFormat, left: int | None, remark: Callable[[str], None]
) -> Iterator[NDArray[np.float32]]:
    """(frames, channels) as they arrive. left: bytes of samples that the header promises."""
    kind, zero, scale = ENCODINGS[form.encoding]
    frame = np.dtype(kind).itemsize * form.channels
    most = max(1, round(BLOCK_SECONDS * form.sample_rate)) * frame
    rest = b""
    while (left is None or left > 0) and (data := reader.some(most if left is None else min(most, left))):
        left = None if left is None else left - len(data)
        data = rest + data
        whole = len(data) // frame * frame
        rest = data[whole:]
        if whole:
            values = np.frombuffer(data[:whole], dtype=kind).astype(np.float32)
            yield ((values - zero) / scale).astype(np.float32).reshape(-1, form.channels)
    if rest:
        remark(f"the stream ended in the middle of a frame: {len(rest)} of {frame} bytes are left out")
    if left:
        remark(f"the stream ended {left} bytes before the length that its header promises")


class _Reader:
    """Bytes as soon as there are any."""

    def __init__(self, stream: BinaryIO, remark: Callable[[str], None], stall_s: float) -> None:
        self._stream = getattr(stream, "raw", stream)  # which gives what there is instead of waiting for more
        self._before = b""
        self._remark, self._stall_s = remark, stall_s

    def some(self, most: int) -> bytes:
        """At least one byte, or none at the end; Ctrl-C ends the stream."""
        if self._before:
            data, self._before = self._before[:most], self._before[most:]
            return data
        try:
            self._note_stall()
            return self._stream.read(most) or b""
        except KeyboardInterrupt:
            return b""

    def exactly(self, count: int) -> bytes:
        """So many bytes, or fewer at the end."""
        data = b""
        while len(data) < count and (more := self.some(count - len(data))):
            data += more
        return data

    def back(self, data: bytes) -> None:
        """Give bytes again."""
        self._before = data + self._before

    def _note_stall(self) -> None:
        try:
            number = self._stream.fileno()
        except (OSError, AttributeError):  # in memory
            return
        if not select.select([number], [], [], self._stall_s)[0]:
            self._remark(f"no sound has come for {self._stall_s:g} s; waiting for more")


def _wav_header(reader: _Reader) -> tuple[StreamFormat, int | None]:
    """The format, and how many bytes of samples follow; None for a placeholder."""
    if reader.exactly(8)[4:] != b"WAVE":
        raise AudioError("the stream begins as a RIFF file does and is no WAV file")
    form = None
    for _ in range(MOST_CHUNKS):
        name, size = reader.exactly(4), reader.exactly(4)
        length = int.from_bytes(size, "little")
        if name == b"data" and form is not None:
            placed = length == 0 or any(0 <= value - length <= HEADER_BYTES for value in PLACEHOLDERS)
            return form, None if placed else length
        if len(size) < 4 or length > _MOST_SKIPPED:
            break
        content = reader.exactly(length + length % 2)
        if name == b"fmt " and len(content) >= 16:
            code, channels, rate, bits = (
                int.from_bytes(content[a:b], "little") for a, b in ((0, 2), (2, 4), (4, 8), (14, 16))
            )
            code = int.from_bytes(content[24:26], "little") if code == _EXTENSIBLE else code
            if (code, bits) not in _OF_WAV:
                raise AudioError(
                    f"the stream is a WAV file of format {code} with {bits} bits: 8, 16 or 32-bit PCM and 32-bit "
                    f"floats can be read as they arrive; convert it: ffmpeg -i - -f wav -c:a pcm_s16le -"
                )
            form = StreamFormat(rate, channels, _OF_WAV[code, bits])
    raise AudioError("the stream begins as a WAV file does, and its header cannot be read")
