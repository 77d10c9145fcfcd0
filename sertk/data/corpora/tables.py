"""Rows of the tables that corpora are handed out with, checked: every message names the file and the line."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sertk.errors import DataError, did_you_mean


@dataclass(frozen=True)
class Row:
    """One line of a table. place: file and line, for messages."""

    place: str
    cells: Mapping[str, str]

    def text(self, column: str) -> str:
        """A cell that must not be empty. Raises DataError."""
        if not self.cells[column]:
            raise DataError(f"{self.place}: {column} is empty")
        return self.cells[column]

    def number(self, column: str) -> float:
        """A cell as a number. Raises DataError."""
        try:
            return float(self.cells[column])
        except ValueError:
            raise DataError(f"{self.place}: {column} must be a number, got {self.cells[column]!r}") from None


def read_table(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """Give the rows of a CSV file with a header. Raises DataError for a missing file or column, or a ragged row."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            for name in columns:
                if name not in header:
                    hint = did_you_mean(name, header)
                    raise DataError(f"{path}: has no column {name!r}. {hint}Columns: {', '.join(header)}.")
            for cells in reader:
                place = f"{path}, line {reader.line_num}"
                if len(cells) != len(header):
                    raise DataError(f"{place}: {len(cells)} cells under {len(header)} columns")
                yield Row(place, {name: cell.strip() for name, cell in zip(header, cells, strict=True)})
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
