"""The files of the 2025 challenge of Interspeech on MSP-Podcast: written from predictions, and checked line by line.

task1.csv: `FileName,EmoClass`, a letter. task2.csv: `FileName,EmoAct,EmoVal,EmoDom`, within 1 to 7. Both sorted by
FileName, each recording of the test set once.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from sertk.ensemble.predictions import Predictions, some
from sertk.errors import DataError, Fault
from sertk.files import parse_json, write_text
from sertk_msp_podcast.labels import MSP_PODCAST

TASKS = {
    "task1.csv": ("FileName", "EmoClass"),
    "task2.csv": ("FileName", "EmoAct", "EmoVal", "EmoDom"),
}
"""The two files and their headers."""
ATTRIBUTES = ("arousal", "valence", "dominance")
LOWEST, HIGHEST = 1.0, 7.0
ENDING = ".wav"


def write_submission(predictions: Predictions, ids: Iterable[str], folder: Path) -> list[Path]:
    """Write task1.csv, and task2.csv where there are attributes; give the files. ids: the utterances of the test set.

    Raises LabelError for other classes than the challenge's, DataError for an utterance without a prediction and for
    an attribute that is missing.
    """
    names = sorted(ids, key=lambda name: name + ENDING)
    ordered = predictions.reordered(MSP_PODCAST).subset(names)
    letters = [[MSP_PODCAST.letters[index]] for index in ordered.predicted]
    written = [_write(folder / "task1.csv", names, letters)]
    if ordered.attribute_names:
        lacking = [name for name in ATTRIBUTES if name not in ordered.attribute_names]
        if lacking:
            raise DataError(f"task 2 needs {', '.join(ATTRIBUTES)}; the predictions lack {', '.join(lacking)}")
        columns = [ordered.attribute_names.index(name) for name in ATTRIBUTES]
        values = ordered.attributes[:, columns]
        empty = [name for name, row in zip(names, values.tolist(), strict=True) if any(map(math.isnan, row))]
        if empty:
            raise DataError(f"task 2 needs a value of each attribute; there is none for {some(empty)}")
        clipped = values.clip(LOWEST, HIGHEST).tolist()
        written.append(_write(folder / "task2.csv", names, [[f"{value:.6f}" for value in row] for row in clipped]))
    else:
        (folder / "task2.csv").unlink(missing_ok=True)  # of another system
    return written


def check_submission(folder: Path, ids: Iterable[str]) -> list[Fault]:
    """Find every fault of a folder's task1.csv and task2.csv, each with its line. A team may enter one task only."""
    names = [f"{name}{ENDING}" for name in ids]
    there = [task for task in TASKS if (folder / task).is_file()]
    if not there:
        return [Fault(str(folder), f"has neither {' nor '.join(TASKS)}")]
    return [fault for task in there for fault in _check(folder / task, names)]


def illegal_encoders(model: Path) -> list[str]:
    """The encoders of a model folder and its members that were trained on emotion labels, by their cards.

    Raises DataError where there is no card to tell.
    """
    cards = sorted(model.rglob("card.json"))
    if not (model / "card.json").is_file():
        raise DataError(f"{model} is not a model: it has no card.json, which says what its encoders were trained on")
    found: dict[str, None] = {}
    for card in cards:
        try:
            encoders = parse_json(card.read_text(encoding="utf-8")).get("encoders", {})
            found |= {spec["use"]: None for spec in encoders.values() if not spec.get("challenge_legal", True)}
        except (ValueError, AttributeError, KeyError, TypeError) as error:
            raise DataError(f"{card}: cannot be read as the card of a model: {error}") from None
    return list(found)


def _write(path: Path, names: Sequence[str], cells: Sequence[Sequence[str]]) -> Path:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(TASKS[path.name])
    writer.writerows([f"{name}{ENDING}", *row] for name, row in zip(names, cells, strict=True))
    write_text(path, text.getvalue())
    return path


def _check(path: Path, names: Sequence[str]) -> list[Fault]:
    def fault(line: int, message: str) -> Fault:
        return Fault(f"{path.name}, line {line}", message)

    data = path.read_bytes()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        return [fault(data.count(b"\n", 0, error.start) + 1, f"is not UTF-8: byte {data[error.start]:#04x}")]
    header, lines = TASKS[path.name], text.splitlines()
    if not text.strip():
        return [fault(1, f"the file is empty: it needs the header {','.join(header)} and {len(names)} rows")]
    if lines[0] != ",".join(header):
        return [fault(1, f"the header should be {','.join(header)}, got {lines[0][:80]!r}")]
    faults: list[Fault] = []
    wanted, seen, last = set(names), dict[str, int](), ""
    check_cell = _letter if path.name == "task1.csv" else _value
    for number, line in enumerate(lines[1:], start=2):
        name, *cells = line.split(",")  # there is nothing to quote in it
        if len(cells) + 1 != len(header):
            faults.append(fault(number, f"has {len(cells) + 1} columns, not the {len(header)} of {','.join(header)}"))
        if not name.endswith(ENDING):
            faults.append(fault(number, f"FileName should end in {ENDING}, got {name!r}"))
        elif name in seen:
            faults.append(fault(number, f"{name} is already in line {seen[name]}"))
        elif name not in wanted:
            faults.append(fault(number, f"{name} is not a recording of the test set"))
        if name < last:
            faults.append(fault(number, f"{name} should come before {last}: rows are sorted by FileName"))
        seen.setdefault(name, number)
        last = max(last, name)
        if len(cells) + 1 == len(header):
            faults += [fault(number, f"{name}: {column} {why}") for column, why in _cells(header, cells, check_cell)]
    missing = sorted(wanted - seen.keys())
    if missing:
        faults.append(fault(len(lines) + 1, f"ends without a row for {some(missing)}: {len(names)} rows are needed"))
    return faults


def _cells(
    header: Sequence[str], cells: Sequence[str], check_cell: Callable[[str], str | None]
) -> list[tuple[str, str]]:
    checked = ((column, check_cell(cell)) for column, cell in zip(header[1:], cells, strict=True))
    return [(column, why) for column, why in checked if why]


def _letter(cell: str) -> str | None:
    right = len(cell) == 1 and cell in MSP_PODCAST.letters
    return None if right else f"should be one of {' '.join(MSP_PODCAST.letters)}, got {cell!r}"


def _value(cell: str) -> str | None:
    try:
        right = LOWEST <= float(cell) <= HIGHEST
    except ValueError:
        right = False
    return None if right else f"should be a number from 1 to 7, got {cell!r}"
