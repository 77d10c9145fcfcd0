"""labels_detailed in each of its forms: told apart by their header, read to the same ratings."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from sertk.data.corpora.csv_records import csv_records, delimiter_of
from sertk.errors import DataError, Fault
from sertk.files import parse_json
from sertk_msp_podcast.rating import SECONDARY, Rating, parse_packed, rating_of, shortened

COLUMNS = ("EmoClass_Major", "EmoClass_Second", "EmoAct", "EmoVal", "EmoDom")
FORMS: dict[tuple[str, ...], str] = {
    ("FileName", "EmoDetail"): "packed EmoDetail (1.7 to 1.12 and the 2025 challenge)",
    ("FileName", "Workers", *COLUMNS): "a column for each field, Workers (1.6)",
    ("FileName", "WorkerID", *COLUMNS): "a column for each field, WorkerID (2.0)",
}
JSON_FORM = "JSON by file and worker"
TEXT_FORM = "labels.txt"
_ROW = re.compile(r"""\s*"?[^",;]*\.wav\s*"?\s*[,;]""", re.IGNORECASE)
_QUOTED = re.compile(r'"|[^,;"]*[,;]"')
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


def read_json(path: Path) -> Mapping[str, Any]:
    """Read an object by file name. Raises DataError for anything else."""
    try:
        read = parse_json(path.read_text(encoding="utf-8-sig", errors="replace"))
    except ValueError as error:
        raise DataError(f"{path}: not JSON: {error}") from None
    if not isinstance(read, dict) or not all(isinstance(value, dict) for value in read.values()):
        raise DataError(f"{path}: should be an object of objects by file name")
    return read


def is_row(line: str) -> bool:
    """Whether a line begins with the name of a recording, as rows do and no continued field does."""
    return _ROW.match(line) is not None


def _read_csv(path: Path) -> Ratings:
    first = next(csv_records(path), None)
    named = [name.strip() for name in (first.cells if first else None) or []]
    form = next((form for columns, form in FORMS.items() if _same(columns, named)), None)
    if first is None or form is None:
        known = "; ".join(",".join(columns) for columns in FORMS)
        raise DataError(f"{path}, line 1: the header should be one of: {known}. Got {','.join(named) or 'nothing'}.")
    delimiter, packed = delimiter_of(first.text), len(named) == 2
    rows = csv_records(path, is_row=is_row, may_be_quoted=_may_be_quoted if packed else lambda _: True)
    next(rows)
    ratings = Ratings(form)
    for row in rows:
        ratings.rows += 1
        name, _, text = row.text.rstrip("\r\n").partition(delimiter)
        try:
            if row.cells is None:
                raise ValueError(f"a quote is not closed in {shortened(row.text.strip())!r}")
            if not packed:
                name, rating = row.cells[0], _from_columns(row.cells)
            else:
                name, text = (*row.cells, "")[:2] if _may_be_quoted(row.text) else (name, text)
                rating = parse_packed(text)
        except ValueError as error:
            ratings.faults.append(Fault(f"{path.name}, line {row.number}", f"{name}: {error}; row left out"))
        else:
            ratings.by_id[utterance_id(name)].append(rating)
    return ratings


def _may_be_quoted(line: str) -> bool:
    """Whether name or packed text is in quotes; if not, quotes and commas are a rater's."""
    return _QUOTED.match(line) is not None


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
