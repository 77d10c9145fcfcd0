"""labels_detailed in each of its forms: told apart by their header, read to the same ratings."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from sertk.data.corpora.msp_podcast.rating import SECONDARY, Rating, parse_packed, rating_of
from sertk.errors import DataError, Fault
from sertk.files import parse_json

COLUMNS = ("EmoClass_Major", "EmoClass_Second", "EmoAct", "EmoVal", "EmoDom")
FORMS: dict[tuple[str, ...], str] = {
    ("FileName", "EmoDetail"): "packed EmoDetail (1.7 to 1.12 and the 2025 challenge)",
    ("FileName", "Workers", *COLUMNS): "a column for each field, Workers (1.6)",
    ("FileName", "WorkerID", *COLUMNS): "a column for each field, WorkerID (2.0)",
}
JSON_FORM = "JSON by file and worker"
TEXT_FORM = "labels.txt"
_WORDS = {word.lower() for word in SECONDARY} | {"dissapointed", ""}


@dataclass
class Ratings:
    """The raters' rows by utterance id, in the order of the file. rows: how many there were, with the faulty ones."""

    form: str
    by_id: dict[str, list[Rating]] = field(default_factory=lambda: defaultdict(list))
    rows: int = 0
    faults: list[Fault] = field(default_factory=list)


@lru_cache(maxsize=1024)
def utterance_id(file_name: str) -> str:
    """The file's name without folder and `.wav`."""
    name = file_name.strip().replace("\\", "/").rpartition("/")[2]
    return name[:-4] if name.lower().endswith(".wav") else name


def read_detailed(path: Path) -> Ratings:
    """Read labels_detailed.csv or .json. Raises DataError for a file of no known form; a faulty row is listed."""
    return _read_json(path) if path.suffix.lower() == ".json" else _read_csv(path)


def csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and cells. Bytes that are no UTF-8 are kept as a mark. Raises DataError for what is no CSV."""
    with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.reader(file)
        try:
            for cells in reader:
                if cells:
                    yield reader.line_num, cells
        except csv.Error as error:
            raise DataError(f"{path}, line {reader.line_num}: not CSV: {error}") from None


def read_json(path: Path) -> Mapping[str, Any]:
    """Read an object by file name. Raises DataError for anything else."""
    try:
        read = parse_json(path.read_text(encoding="utf-8-sig", errors="replace"))
    except ValueError as error:
        raise DataError(f"{path}: not JSON: {error}") from None
    if not isinstance(read, dict) or not all(isinstance(value, dict) for value in read.values()):
        raise DataError(f"{path}: should be an object of objects by file name")
    return read


def _read_csv(path: Path) -> Ratings:
    rows = csv_rows(path)
    _, header = next(rows, (0, []))
    named = [name.strip() for name in header]
    form = next((form for columns, form in FORMS.items() if _same(columns, named)), None)
    if form is None:
        known = "; ".join(",".join(columns) for columns in FORMS)
        raise DataError(f"{path}, line 1: the header should be one of: {known}. Got {','.join(named) or 'nothing'}.")
    packed = len(named) == 2
    ratings = Ratings(form)
    for number, cells in _packed_rows(path) if packed else rows:
        ratings.rows += 1
        try:
            rating = parse_packed(cells[1]) if packed else _from_columns(cells)
        except ValueError as error:
            ratings.faults.append(Fault(f"{path.name}, line {number}", f"{cells[0]}: {error}; row left out"))
        else:
            ratings.by_id[utterance_id(cells[0])].append(rating)
    return ratings


def _packed_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line numbers, file names and packed texts, in quotes or not; if not, quotes and commas are a rater's."""
    with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
        numbered = enumerate(file, start=1)
        next(numbered, None)
        for number, line in numbered:
            name, _, text = line.rstrip("\r\n").partition(",")
            if line.startswith('"') or text.startswith('"'):
                while line.count('"') % 2:  # the text goes on in the next line
                    _, more = next(numbered, (0, '"'))
                    line += more
                with suppress(csv.Error):  # what is no CSV stays as it is, and is listed as a fault
                    name, text = (*next(csv.reader(line.splitlines(keepends=True))), "")[:2]
            if name:
                yield number, [name, text]


def _same(columns: Sequence[str], named: Sequence[str]) -> bool:
    return [name.lower() for name in columns] == [name.lower() for name in named]


def _from_columns(cells: list[str]) -> Rating:
    """A row of columns.

    Where commas in free text made more cells, the secondary emotions are the known words at their end.
    """
    if len(cells) < 7:
        raise ValueError(f"{len(cells)} cells under 7 columns")
    middle = cells[2:-3]
    begin = 1
    if len(middle) > 2 and middle[0].strip().lower().startswith("other"):
        begin = len(middle) - 1
        while begin > 1 and middle[begin - 1].strip().lower() in _WORDS:
            begin -= 1
    fields = dict(zip(COLUMNS, [",".join(middle[:begin]), ",".join(middle[begin:]), *cells[-3:]], strict=True))
    return rating_of(cells[1], fields)


def _read_json(path: Path) -> Ratings:
    ratings = Ratings(JSON_FORM)
    for name, workers in read_json(path).items():
        for worker, fields in workers.items():
            ratings.rows += 1
            try:
                ratings.by_id[utterance_id(name)].append(rating_of(worker, fields))
            except (ValueError, TypeError, KeyError) as error:
                reason = f"lacks {error}" if isinstance(error, KeyError) else str(error)
                ratings.faults.append(Fault(f"{path.name}, {name}, {worker}", f"{reason}; row left out"))
    return ratings
