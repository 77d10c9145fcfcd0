"""Rows of the tables that corpora are handed out with, checked: every message names the file and the line."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sertk.data.corpora.csv_records import csv_records
from sertk.errors import DataError, did_you_mean

_COMMA = re.compile(r"[+-]?\d+,\d+")


@dataclass(frozen=True)
class Row:
    """One line of a table. place: file and line, for messages. folder: where its paths start, in the corpus's."""

    place: str
    cells: Mapping[str, str]
    folder: Path = Path()

    def text(self, column: str) -> str:
        """A cell that must not be empty. Raises DataError."""
        if not self.cells[column]:
            raise DataError(f"{self.place}: {column} is empty")
        return self.cells[column]

    def number(self, column: str) -> float:
        """A cell as a finite number, with a decimal point or comma. Raises DataError."""
        try:
            return decimal(self.cells[column])
        except ValueError:
            raise DataError(f"{self.place}: {column} must be a number, got {self.cells[column]!r}") from None

    def path(self, column: str) -> Path:
        """A cell as a path, with the slashes of this system. Raises DataError for an empty one."""
        return self.folder / self.text(column).replace("\\", "/")


def decimal(text: str) -> float:
    """A finite number with a decimal point or, as spreadsheets write it in many countries, a comma.

    Raises ValueError for anything else.
    """
    text = text.strip()
    number = float(text.replace(",", ".") if _COMMA.fullmatch(text) else text)
    if not math.isfinite(number):
        raise ValueError(f"{text!r} is not a finite number")
    return number


def read_table(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """Give the rows of a CSV file with a header. Raises DataError for a missing file or column, or a bad row."""
    records = csv_records(path)
    first = next(records, None)
    header = [name.strip() for name in (first.cells if first else None) or []]
    for name in columns:
        if name not in header:
            hint = did_you_mean(name, header)
            raise DataError(f"{path}: has no column {name!r}. {hint}Columns: {', '.join(header)}.")
    for record in records:
        place = f"{path}, line {record.number}"
        if record.cells is None:
            raise DataError(f"{place}: a quote is not closed in this row")
        if len(record.cells) != len(header):
            raise DataError(f"{place}: {len(record.cells)} cells under {len(header)} columns")
        if "\ufffd" in record.text:
            raise DataError(f"{place}: is not UTF-8: save the table as UTF-8")
        yield Row(place, {name: cell.strip() for name, cell in zip(header, record.cells, strict=True)})
