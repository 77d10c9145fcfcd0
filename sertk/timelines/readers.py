"""Spans from the files of diarizers, recognisers and annotators: when somebody speaks, who, and what."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sertk.data.sound import Segment
from sertk.errors import DataError
from sertk.files import parse_json

START = ("start", "start_s", "begin", "onset")
END = ("end", "end_s", "stop", "offset")


def read_segments(path: Path) -> list[Segment]:
    """The spans of a file, in the order of their starts. Raises DataError, with the line, for what is no span."""
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: files of spans are {', '.join(READERS)}")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 (byte {error.start})") from None
    items, parse = reader
    found = []
    place = "the whole file"
    try:
        for place, item in items(text):  # noqa: B007  # the error below names it
            row = parse(item)
            if row is None:
                continue
            start, end = float(row[0]), float(row[1])
            if not 0 <= start <= end < float("inf"):
                raise ValueError(f"from {start:g} to {end:g} s; times are seconds, 0 <= start <= end")
            if start < end:
                found.append(Segment(start, end, speaker=row[2] or None, text=(row[3] or "").strip() or None))
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise DataError(f"{path}, {place}: no span: {error}") from None
    return sorted(found, key=lambda segment: (segment.start_s, segment.end_s))


Row = tuple[Any, Any, str | None, str | None]
"""The start and end of a span, the speaker and the words."""


def _lines(text: str) -> Iterator[tuple[str, str]]:
    return ((f"line {number}", line) for number, line in enumerate(text.splitlines(), 1) if line.strip())


def _rttm(line: str) -> Row | None:
    """`SPEAKER file channel start duration <NA> <NA> name <NA> <NA>`; other types of lines are no turns."""
    fields = line.split()
    if fields[0] != "SPEAKER":
        return None
    if len(fields) < 8:
        raise ValueError(f"{len(fields)} fields, where RTTM has ten: {line}")
    return fields[3], float(fields[3]) + float(fields[4]), fields[7], None


def _audacity(line: str) -> Row | None:
    """`start TAB end TAB label`; a line with a backslash has the frequencies of the label before."""
    if line.startswith("\\"):
        return None
    start, end, *label = line.split("\t")
    return start, end, None, label[0] if label else None


def _csv_rows(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((f"line {number}", row) for number, row in enumerate(csv.DictReader(text.splitlines()), 2))


def _csv(row: Mapping[str, Any]) -> Row:
    """Columns start and end in seconds, with speaker and text where there are any."""
    return _first(row, START), _first(row, END), row.get("speaker"), row.get("text")


def _json_rows(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((f"segment {number}", row) for number, row in enumerate(parse_json(text)["segments"], 1))


def _whisper(row: Mapping[str, Any]) -> Row:
    """`segments` with start, end, text and, of whisperX, speaker."""
    return row["start"], row["end"], row.get("speaker"), row.get("text")


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    for name in names:
        if row.get(name) not in (None, ""):
            return row[name]
    raise ValueError(f"has no {names[0]}: columns are {', '.join(map(str, row))}")


Reader = tuple[Callable[[str], Iterator[tuple[str, Any]]], Callable[[Any], Row | None]]
READERS: dict[str, Reader] = {
    ".rttm": (_lines, _rttm),
    ".csv": (_csv_rows, _csv),
    ".json": (_json_rows, _whisper),
    ".txt": (_lines, _audacity),
}
"""By the ending of a file's name: what gives its items, each with its place, and what makes a span of one."""
