"""The segmenter `spans`: parts from a file, such as the turns of a diarizer or the words of a recogniser."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import Field

from sertk.data.sound import Segment, Sound
from sertk.errors import DataError
from sertk.revisions import revision
from sertk.timelines.readers import READERS, read_segments

SLACK_S = 0.5
"""A span may end so much after the recording does; it is cut then."""
LEAST_READ_S = 0.1
"""Of a shorter span the model reads so much, from its beginning on."""


@revision(1)
class Spans:
    """Spans that a file names, with their speakers and words; what is between them is "no speech".

    Files are RTTM (`.rttm`), CSV with columns `start` and `end` (`.csv`), segments of Whisper and whisperX (`.json`),
    and labels of Audacity (`.txt`). Where spans of one speaker overlap, the later one begins where the other ends.

    Parameters
    ----------
    source
        A file of spans; or a folder, in which that of `call.wav` is `call.rttm`, `call.csv` and so on. By default it
        is beside the recording.
    longest
        In seconds; a longer span is cut up into equal parts.
    """

    unkeyed = ("source",)  # what the file contains counts, not where it is
    lag_s = 0.0

    def __init__(self, *, source: str | None = None, longest: Annotated[float, Field(ge=1, le=60)] = 15.0) -> None:
        self.source, self.longest = source, longest

    def files(self, recording: Path) -> Sequence[Path]:
        """The file of spans of a recording."""
        return [self._file(recording)]

    def __call__(self, sound: Sound, /) -> Iterator[Segment]:
        """Segments in the order of their starts. Raises DataError for spans that are not of this recording."""
        if sound.path is None and (self.source is None or Path(self.source).is_dir()):
            raise DataError(f"{sound.name} has no name: give the file of its spans with source")
        file = self._file(sound.path or Path(sound.name))
        for segment in _cut_up(_apart(read_segments(file)), self.longest):
            start, end = segment.start_s, segment.end_s
            sound.skip(start)
            sound.cut(start, end)
            if end > sound.received_s + SLACK_S:
                raise DataError(
                    f"{file}: the span from {start:g} to {end:g} s is outside of {sound.name}, which has "
                    f"{sound.received_s:.2f} s: are these the spans of another recording?"
                )
            if start < (end := min(end, sound.received_s)):
                yield replace(segment, end_s=end, encoded_s=(start, max(end, start + LEAST_READ_S)))

    def _file(self, recording: Path) -> Path:
        place = recording.parent if self.source is None else Path(self.source)
        if not place.is_dir():
            return place
        names = [place / f"{recording.stem}{ending}" for ending in READERS]
        found = [name for name in names if name.is_file()]
        if len(found) != 1:
            wrong = f"several files of spans: {', '.join(map(str, found))}" if found else "no file of spans"
            raise DataError(f"{recording}: {wrong}; looked for {', '.join(name.name for name in names)} in {place}")
        return found[0]


def _apart(segments: Sequence[Segment]) -> Iterator[Segment]:
    """Let the spans of each speaker follow each other; the words of one inside another are added to it."""
    last: dict[str | None, int] = {}
    found: list[Segment] = []
    for segment in segments:
        before = found[last[segment.speaker]] if segment.speaker in last else None
        if before is not None and segment.end_s <= before.end_s:
            text = " ".join(filter(None, (before.text, segment.text))) or None
            found[last[segment.speaker]] = replace(before, text=text)
            continue
        if before is not None and segment.start_s < before.end_s:
            segment = replace(segment, start_s=before.end_s)
        last[segment.speaker] = len(found)
        found.append(segment)
    return iter(sorted(found, key=lambda segment: (segment.start_s, segment.end_s)))


def _cut_up(segments: Iterator[Segment], longest: float) -> Iterator[Segment]:
    parts = []
    for segment in segments:
        count = math.ceil((segment.end_s - segment.start_s) / longest - 1e-9)
        step = (segment.end_s - segment.start_s) / max(1, count)
        for number in range(max(1, count)):
            start = segment.start_s + number * step
            end = segment.end_s if number == count - 1 else start + step
            parts.append(replace(segment, start_s=start, end_s=max(end, start + 1e-6)))
    yield from sorted(parts, key=lambda part: (part.start_s, part.end_s))
