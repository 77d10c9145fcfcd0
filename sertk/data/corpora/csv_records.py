"""Rows of CSV files as people save them: one odd quote costs its own row, never those behind it."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sertk.errors import DataError

MOST_LINES = 20
"""So many lines may a row have whose fields go on in the next line."""


OPEN: list[str] = []
"""In the place of the cells of a row that goes on, known by identity."""


@dataclass(frozen=True)
class Record:
    """One row. number: of its first line. text: as it is in the file. cells: None where its quotes do not close."""

    number: int
    text: str
    cells: list[str] | None


def csv_records(
    path: Path,
    *,
    is_row: Callable[[str], bool] = lambda _: False,
    may_be_quoted: Callable[[str], bool] = lambda _: True,
) -> Iterator[Record]:
    """The rows of a CSV file, separated as its first line is (`delimiter_of`).

    A field in quotes may go on in the next lines, up to MOST_LINES, but not into a line that `is_row` knows as the
    beginning of a row. Where it does not end there, or the row has other cells than the first one, the line is a row
    without cells, and the next line begins anew. may_be_quoted: whether quotes in a line are those of CSV. Bytes that
    are not UTF-8 become U+FFFD. Raises DataError for a file that cannot be read.
    """
    try:
        with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
            yield from _records(file, is_row, may_be_quoted)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def delimiter_of(header: str) -> str:
    """What separates the cells of a file: commas, or semicolons or tabs where its first line has more of them."""
    return max((",", ";", "\t"), key=header.count)


def _records(
    lines: Iterable[str], is_row: Callable[[str], bool], may_be_quoted: Callable[[str], bool]
) -> Iterator[Record]:
    numbered = enumerate(lines, start=1)
    ahead: deque[tuple[int, str]] = deque()  # lines that were looked at and not taken
    delimiter, width = ",", 0
    while (first := ahead.popleft() if ahead else next(numbered, None)) is not None:
        number, text = first
        if not width:
            delimiter = delimiter_of(text)
        if '"' not in text or not may_be_quoted(text):
            cells: list[str] | None = text.rstrip("\r\n").split(delimiter)
        else:
            cells = _cells([text], delimiter)
        if cells is OPEN:
            number_of_lines, cells = _continued(text, ahead, numbered, is_row, delimiter, width)
            for _ in range(number_of_lines):
                text += ahead.popleft()[1]
        width = width or len(cells or ())
        if text.strip():
            yield Record(number, text, cells)


def _continued(
    text: str,
    ahead: deque[tuple[int, str]],
    numbered: Iterator[tuple[int, str]],
    is_row: Callable[[str], bool],
    delimiter: str,
    width: int,
) -> tuple[int, list[str] | None]:
    """How many of the next lines a row with an open quote takes, and its cells; 0 and None where it never closes."""
    lines = [text]
    while len(lines) < MOST_LINES:
        if len(ahead) < len(lines):
            more = next(numbered, None)
            if more is None:
                break
            ahead.append(more)
        line = ahead[len(lines) - 1][1]
        if is_row(line):
            break
        lines.append(line)
        cells = _cells(lines, delimiter)
        if cells is not OPEN:
            return (len(lines) - 1, cells) if cells and len(cells) == (width or len(cells)) else (0, None)
    return 0, None


def _cells(lines: list[str], delimiter: str) -> list[str] | None:
    """The cells of one row; OPEN where a quote is not closed, None where it cannot be read."""
    try:
        return _parse(lines, delimiter, strict=True)
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            return OPEN
    if len(lines) > 1:
        return None
    try:
        return _parse(lines, delimiter, strict=False)  # something behind a quoted field
    except csv.Error:
        return None


def _parse(lines: list[str], delimiter: str, *, strict: bool) -> list[str] | None:
    reader = csv.reader(lines, delimiter=delimiter, strict=strict)
    cells = next(reader, None)
    return cells if next(reader, None) is None else None
