"""Tables of anybody's corpus: which column says what, by its usual names or by the name that is given."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sertk.data.corpora.csv_records import csv_records
from sertk.data.corpora.tables import Row, read_table
from sertk.errors import DataError, did_you_mean
from sertk.files import parse_json

USUAL = {
    "file": ("file", "path", "filename", "file_name", "filepath", "audio", "wav", "recording"),
    "emotion": ("emotion", "label", "class", "category"),
    "speaker": ("speaker", "speaker_id", "spk", "spk_id", "actor"),
    "text": ("text", "transcript", "transcription", "sentence"),
    "gender": ("gender", "sex"),
    "language": ("language", "lang"),
    "split": ("split", "subset", "partition"),
    **{name: (name,) for name in ("arousal", "valence", "dominance")},
}
"""By what a column says, the names that it usually has, in any case."""
TABLES = (".csv", ".tsv", ".txt", ".jsonl")


def find_table(folder: Path, name: str) -> Path:
    """The table of a corpus: the one that is named, or the only one in its folder. Raises DataError."""
    if name:
        path = folder / name
        if not path.is_file():
            raise DataError(f"{path}: there is no such file. Name the table of {folder} with --table")
        return path
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in TABLES[:2] + TABLES[3:])
    if len(found) != 1:
        names = ", ".join(path.name for path in found[:8])
        what = (
            f"has {len(found)} tables ({names}): name one"
            if found
            else "has no table (*.csv, *.tsv, *.jsonl): name it"
        )
        raise DataError(f"{folder}: {what} with --table")
    return found[0]


def read_rows(path: Path) -> tuple[list[str], Iterator[Row]]:
    """The columns of a table, and its rows. Raises DataError for a file that is none, and for a bad row."""
    if path.suffix.lower() == ".jsonl":
        rows = list(_json_rows(path))
        columns = list(dict.fromkeys(name for row in rows for name in row.cells))
        return columns, (Row(row.place, dict.fromkeys(columns, "") | dict(row.cells)) for row in rows)
    first = next(csv_records(path), None)
    columns = [name.strip() for name in (first.cells if first else None) or []]
    if not any(columns):
        raise DataError(f"{path}: is empty: its first line should name the columns")
    if twice := [name for name, count in Counter(columns).items() if count > 1]:
        raise DataError(f"{path}: two columns are called {twice[0]!r}")
    return columns, read_table(path, ())


def chosen_columns(path: Path, columns: Sequence[str], named: Mapping[str, str]) -> dict[str, str]:
    """Which column says what. named: those that were given by name; empty for one that is to be found.

    Raises DataError for a name that the table does not have, and where several columns could be meant.
    """
    found: dict[str, str] = {}
    for what, usual in USUAL.items():
        if name := named.get(what, ""):
            if name not in columns:
                listed = ", ".join(columns)
                raise DataError(f"{path}: has no column {name!r}. {did_you_mean(name, columns)}Columns: {listed}.")
            found[what] = name
            continue
        fitting = [column for column in columns if column.lower() in usual]
        if len(fitting) > 1:
            raise DataError(f"{path}: {' and '.join(fitting)} could both be the {what}: name it with --{what}")
        if fitting:
            found[what] = fitting[0]
    return found


def _json_rows(path: Path) -> Iterator[Row]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8: {error}") from None
    for number, line in enumerate(lines, start=1):
        place = f"{path}, line {number}"
        if not line.strip():
            continue
        try:
            value = parse_json(line)
        except ValueError as error:
            raise DataError(f"{place}: is not JSON: {error}") from None
        if not isinstance(value, dict):
            raise DataError(f"{place}: should be an object with the columns as keys")
        yield Row(place, {str(key): _text(cell) for key, cell in value.items()})


def _text(cell: object) -> str:
    """A value of JSON as a cell of a table has it."""
    if cell is None:
        return ""
    return cell.strip() if isinstance(cell, str) else json.dumps(cell)
