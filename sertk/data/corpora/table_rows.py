"""The rows of anybody's corpus: of one table, of one table for each split, or of a folder for each class."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sertk.data.corpora.csv_records import csv_records
from sertk.data.corpora.recordings import files_below
from sertk.data.corpora.tables import Row, read_table
from sertk.data.formats import AUDIO_SUFFIXES
from sertk.errors import DataError
from sertk.files import parse_json

TABLES = (".csv", ".tsv", ".jsonl")
SPREADSHEETS = (".xlsx", ".xls", ".ods", ".numbers")
PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("dev", "development", "val", "valid", "validation", "held_out", "heldout"), "held_out"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}
"""The splits of the recipes, by what tables and folders call them."""


@dataclass(frozen=True)
class Rows:
    """All rows of a corpus. path: of the table, or of the folder, for messages. tables: the files that were read.

    form: what they are, in words. base: the folder of the corpus.
    """

    path: Path
    base: Path
    columns: list[str]
    rows: list[Row]
    tables: list[Path]
    form: str


def corpus_rows(place: Path, name: str) -> Rows:
    """Read a table, or the tables of a folder, or its folders where it has no table. name: of the table in it.

    Raises DataError for what is no table, for a bad row, and where it is not clear which table is meant.
    """
    if place.is_file() or name:
        path = place if place.is_file() else place / name
        if place.is_file() and name:
            raise DataError(f"{place}: is a table itself: leave out --table {name}")
        if not path.is_file():
            raise DataError(f"{path}: there is no such file. Name the table of {place} with --table")
        return _of_table(path, path.parent if place.is_file() else place)
    if not place.is_dir():
        raise DataError(f"{place}: there is no such table or folder")
    tables = [path for path in sorted(place.iterdir()) if path.suffix.lower() in TABLES and path.is_file()]
    if len(tables) == 1:
        return _of_table(tables[0], place)
    if tables:
        names = ", ".join(path.name for path in tables[:8])
        raise DataError(f"{place}: has {len(tables)} tables ({names}): name one with --table")
    return _of_splits(place) or _of_classes(place)


def _of_table(path: Path, base: Path) -> Rows:
    columns, rows = read_rows(path)
    listed = list(rows)
    return Rows(path, base, columns, listed, [path], f"{len(listed):,} rows")


def _of_splits(place: Path) -> Rows | None:
    """A table in each of several folders that are named as splits are."""
    folders = [each for each in sorted(place.iterdir()) if each.is_dir() and each.name.lower() in PARTS]
    tables = [path for each in folders for path in sorted(each.iterdir()) if path.suffix.lower() in TABLES]
    if not tables:
        return None
    columns: list[str] = []
    rows: list[Row] = []
    for table in tables:
        found, read = read_rows(table)
        columns += [name for name in found if name not in columns]
        split = table.parent.name
        rows += [
            replace(row, cells={"split": split, **row.cells}, folder=table.parent.relative_to(place)) for row in read
        ]
    columns += ["split"] if "split" not in columns else []
    rows = [replace(row, cells=dict.fromkeys(columns, "") | dict(row.cells)) for row in rows]
    if twice := [folder for folder, count in Counter(table.parent for table in tables).items() if count > 1]:
        raise DataError(f"{twice[0]}: has several tables: leave one of them")
    names = ", ".join(table.parent.name for table in tables)
    return Rows(place, place, columns, rows, tables, f"{len(rows):,} rows; a table in each of the splits {names}")


def _of_classes(place: Path) -> Rows:
    """A folder for each class, which may be in a folder for each split."""
    inside = [each for each in sorted(place.iterdir()) if each.is_dir() and not each.name.startswith(".")]
    split = bool(inside) and all(each.name.lower() in PARTS for each in inside)
    rows = []
    for entry in files_below(inside, ""):
        path = Path(entry.path).relative_to(place)
        if path.suffix.lower() not in AUDIO_SUFFIXES or entry.is_dir() or len(path.parts) < 2 + split:
            continue
        cells = {"file": path.as_posix(), "emotion": path.parts[split]} | ({"split": path.parts[0]} if split else {})
        rows.append(Row(str(place / path), cells))
    classes = sorted({row.cells["emotion"] for row in rows})
    if len(classes) < 2:
        sheets = [path.name for path in sorted(place.iterdir()) if path.suffix.lower() in SPREADSHEETS]
        what = f"{sheets[0]} is a spreadsheet: save it as CSV (UTF-8)" if sheets else "name it with --table"
        raise DataError(f"{place}: has no table (*.csv, *.tsv, *.jsonl), and no folder for each class: {what}")
    if all(any(sign.isdigit() for sign in name) for name in classes):
        raise DataError(
            f"{place}: has no table (*.csv, *.tsv, *.jsonl), and its folders do not look like classes: "
            f"{', '.join(classes[:6])}. Write a table with the columns file, emotion, speaker"
        )
    form = f"no table: {len(classes)} folders are the classes ({', '.join(classes[:12])}); {len(rows):,} recordings"
    return Rows(place, place, [*rows[0].cells], rows, [], form)


def read_rows(path: Path) -> tuple[list[str], Iterator[Row]]:
    """The columns of a table, and its rows. Raises DataError for a file that is none, and for a bad row."""
    lines = _text_of(path)
    if path.suffix.lower() == ".jsonl":
        rows = list(_json_rows(path, lines))
        columns = list(dict.fromkeys(name for row in rows for name in row.cells))
        return columns, (Row(row.place, dict.fromkeys(columns, "") | dict(row.cells)) for row in rows)
    first = next(csv_records(path), None)
    columns = [name.strip() for name in (first.cells if first else None) or []]
    if not any(columns):
        raise DataError(f"{path}: is empty: its first line should name the columns")
    _refuse_twice(path, columns)
    return columns, read_table(path, ())


def _text_of(path: Path) -> str:
    """The text of a table. Raises DataError, naming the line, for what is not text in UTF-8."""
    if path.suffix.lower() in SPREADSHEETS:
        raise DataError(f"{path}: is a spreadsheet: save it as CSV (UTF-8)")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise DataError(f"{path}: is a spreadsheet, whatever its name: save it as CSV (UTF-8)")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path}: is UTF-16: save it as CSV (UTF-8)")
    bad = content.find(b"\0")
    if bad >= 0:
        number = content.count(b"\n", 0, bad) + 1
        raise DataError(f"{path}, line {number}: has a zero byte: this is no text")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}, line {number}: is not UTF-8: save the table as UTF-8") from None


def _json_rows(path: Path, text: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), start=1):
        place = f"{path}, line {number}"
        if not line.strip():
            continue
        try:
            value = parse_json(line)
        except ValueError as error:
            raise DataError(f"{place}: is not JSON: {error}") from None
        if not isinstance(value, dict):
            raise DataError(f"{place}: should be an object with the columns as keys")
        _refuse_twice(place, [str(key).strip() for key in value])
        yield Row(place, {str(key).strip(): _cell(cell) for key, cell in value.items()})


def _refuse_twice(place: Path | str, columns: Sequence[str]) -> None:
    if twice := [name for name, count in Counter(columns).items() if count > 1]:
        what = f"two columns are called {twice[0]!r}" if twice[0] else "two columns have no name"
        raise DataError(f"{place}: {what}")


def _cell(value: object) -> str:
    """A value of JSON as a cell of a table has it."""
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
