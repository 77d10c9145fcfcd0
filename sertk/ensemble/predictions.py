"""Predictions as files: what a system says of each utterance, from sertk or from anywhere else.

    id,emotion,Angry,Sad,Happy,arousal,valence
    utt-1,Sad,0.1,0.7,0.2,2.5,3.25

CSV has one probability column a class and one column an attribute; without classes it has no `emotion`. JSON lines
hold the same fields, one object a line. Columns are matched by name, so their order does not matter and another
team's file can be read as it is.
"""

# Longer than others: one file format, read strictly and written, each fault with its place.
from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sertk.data.labels import NO_AGREEMENT, LabelSet
from sertk.errors import DataError, LabelError, did_you_mean
from sertk.files import atomic_path, parse_json

if TYPE_CHECKING:
    import pandas as pd

SUM_TOLERANCE = 1e-3
"""How far the probabilities of an utterance may sum from 1."""
ATTRIBUTES = ("arousal", "activation", "valence", "dominance", "intensity")
"""Columns that are attributes by their bare name; any other attribute is written as `attribute:NAME`."""
PREFIX = "attribute:"
RESERVED = ("id", "emotion")


@dataclass(frozen=True, eq=False)
class Predictions:
    """What one system says of N utterances.

    emotion: (N, C) probabilities in the order of `labels`. attributes: (N, A) on their own scale, NaN where the
    system says nothing. Raises DataError for ids that stand twice, shapes that do not fit, or rows of `emotion`
    that are no probabilities. Models of attributes alone have no classes.
    """

    ids: tuple[str, ...]
    labels: LabelSet
    emotion: NDArray[np.float64]
    attributes: NDArray[np.float64]
    attribute_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        count, classes, attributes = len(self.ids), len(self.labels), len(self.attribute_names)
        if self.emotion.shape != (count, classes) or self.attributes.shape != (count, attributes):
            raise DataError(
                f"{count} ids, {classes} classes and {attributes} attributes need emotion {(count, classes)} and "
                f"attributes {(count, attributes)}, got {self.emotion.shape} and {self.attributes.shape}"
            )
        if len(set(self.ids)) != count:
            twice = next(name for name in self.ids if self.ids.count(name) > 1)
            raise DataError(f"the id {twice!r} occurs twice in the predictions: ids must be unique")
        if not classes:
            return
        if not (self.emotion >= 0).all() or (np.abs(self.emotion.sum(axis=1) - 1) > SUM_TOLERANCE).any():
            bad = ~(self.emotion >= 0).all(axis=1) | (np.abs(self.emotion.sum(axis=1) - 1) > SUM_TOLERANCE)
            row = int(bad.argmax())
            raise DataError(f"{self.ids[row]}: {_not_probabilities(self.emotion[row])}")

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        """Such as `Predictions(120 utterances; Angry, Happy, Sad; arousal, valence)`."""
        about = [f"{len(self)} utterances", ", ".join(self.labels.names), ", ".join(self.attribute_names)]
        return f"Predictions({'; '.join(text for text in about if text)})"

    def to_frame(self) -> pd.DataFrame:
        """A pandas frame with the columns of a predictions file: id, emotion, classes, attributes.

        Raises
        ------
        ImportError
            Without pandas: `pip install 'sertk[frames]'`.
        """
        import pandas as pd

        columns: dict[str, Any] = {"id": self.ids}
        if self.labels:
            columns["emotion"] = [self.labels.names[best] for best in self.predicted]
        columns |= dict(zip(self.labels.names, self.emotion.T, strict=True))
        return pd.DataFrame(columns | dict(zip(self.attribute_names, self.attributes.T, strict=True)))

    @staticmethod
    def from_frame(frame: pd.DataFrame, *, labels: LabelSet | None = None) -> Predictions:
        """Predictions from a frame of the form of `to_frame`.

        Parameters
        ----------
        frame
            `id`, a column of probabilities for each class, and attributes.
        labels
            The classes, in the order wanted; without it, every column that is not id, emotion or an attribute.

        Raises
        ------
        DataError
            For what is no table of probabilities by id.
        """
        rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
        return _parse("the frame", enumerate(rows, start=1), labels, what="row")

    @property
    def predicted(self) -> NDArray[np.int64]:
        """(N,) index of the most probable class; the first of equals; NO_AGREEMENT without classes."""
        if not self.labels:
            return np.full(len(self), NO_AGREEMENT, dtype=np.int64)
        return np.asarray(self.emotion.argmax(axis=1), dtype=np.int64)

    def reordered(self, labels: LabelSet) -> Predictions:
        """The same predictions in another order of the same classes. Raises LabelError for other classes."""
        if set(labels.names) != set(self.labels.names):
            raise LabelError(
                f"these predictions are over {', '.join(self.labels.names)}; asked for were {', '.join(labels.names)}"
            )
        columns = [self.labels.index(name) for name in labels.names]
        return Predictions(self.ids, labels, self.emotion[:, columns], self.attributes, self.attribute_names)

    def subset(self, ids: Sequence[str]) -> Predictions:
        """The predictions of some utterances, in the order given. Raises DataError listing the ids it lacks."""
        row_of = {name: row for row, name in enumerate(self.ids)}
        lacking = [name for name in ids if name not in row_of]
        if lacking:
            raise DataError(f"no prediction for {some(lacking)}")
        rows = [row_of[name] for name in ids]
        return Predictions(tuple(ids), self.labels, self.emotion[rows], self.attributes[rows], self.attribute_names)

    @staticmethod
    def read(path: Path, *, labels: LabelSet | None = None) -> Predictions:
        """Read `*.csv` or `*.jsonl`. labels: the classes, in the order wanted; without it, the file's own.

        Without `labels` every column is a class but id, emotion, the usual attributes and `attribute:...`.
        Raises DataError naming file and line for whatever is not a table of probabilities by id.
        """
        try:
            with open(path, encoding="utf-8-sig", newline="") as file:
                numbered = _csv_rows(path, file) if _is_csv(path) else _jsonl_rows(path, file)
                return _parse(path, numbered, labels)
        except FileNotFoundError:
            raise DataError(f"there is no predictions file {path}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: cannot be read as predictions: {error}") from None

    def write(self, path: Path) -> None:
        """Write `*.csv` or `*.jsonl`, whole or not at all; what is read back is equal, bit for bit."""
        for name in self.labels.names:
            if name in RESERVED or name in ATTRIBUTES or name.startswith(PREFIX) or name != name.strip():
                raise DataError(f"{path}: a class cannot be called {name!r} in a predictions file")
        for name in self.attribute_names:
            if name in RESERVED or name in self.labels.names or name != name.strip() or not name:
                raise DataError(f"{path}: an attribute cannot be called {name!r} in a predictions file")
        columns = [name if name in ATTRIBUTES else PREFIX + name for name in self.attribute_names]
        header = [*(RESERVED if self.labels else RESERVED[:1]), *self.labels.names, *columns]
        as_csv = _is_csv(path)
        with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            if as_csv:
                writer.writerow(header)
            for name, row, best, values in zip(
                self.ids, self.emotion.tolist(), self.predicted, self.attributes.tolist(), strict=True
            ):
                numbers = [*row, *(None if math.isnan(value) else value for value in values)]
                cells = [name, *([self.labels.names[best]] if self.labels else []), *numbers]
                if as_csv:
                    writer.writerow(["" if cell is None else cell for cell in cells])
                else:
                    file.write(json.dumps(dict(zip(header, cells, strict=True)), ensure_ascii=False) + "\n")


def some(names: Sequence[str], *, shown: int = 5) -> str:
    """The first of many names and how many more there are, for messages."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def _is_csv(path: Path) -> bool:
    if path.suffix not in (".csv", ".jsonl"):
        raise DataError(f"{path}: predictions are *.csv or *.jsonl")
    return path.suffix == ".csv"


def _csv_rows(path: Path, lines: Iterable[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.reader(lines, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if len(set(header)) != len(header):
            raise DataError(f"{path}, line 1: a column occurs twice")
        for cells in reader:
            if cells and len(cells) != len(header):
                raise DataError(f"{path}, line {reader.line_num}: {len(cells)} cells under {len(header)} columns")
            if cells:
                yield reader.line_num, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: not CSV: {error}") from None


def _jsonl_rows(path: Path, lines: Iterable[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(lines, start=1):
        try:
            row = parse_json(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{path}, line {number}: not JSON: {error.msg}") from None
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {number}: needs an object, got {line.strip()[:40]}")
        yield number, row


def _parse(
    path: Path | str, rows: Iterable[tuple[int, Mapping[str, Any]]], labels: LabelSet | None, *, what: str = "line"
) -> Predictions:
    ids: dict[str, int] = {}
    emotion: list[list[float]] = []
    attributes: list[list[float]] = []
    columns: list[str] = []
    values: list[str] = []
    for number, row in rows:
        place = f"{path}, {what} {number}"
        if not columns:
            columns = [*row]
            labels, values = _roles(path, columns, labels)
        elif row.keys() != set(columns):
            raise DataError(f"{place}: has the fields {', '.join(row)}; the first has {', '.join(columns)}")
        assert labels is not None
        name = row["id"]
        if not isinstance(name, str) or not name:
            raise DataError(f"{place}: the id must be a text that is not empty, got {name!r}")
        if name in ids:
            raise DataError(f"{place}: the id {name!r} is already in line {ids[name]}: ids must be unique")
        ids[name] = number
        probabilities = [_number(place, label, row[label]) for label in labels.names]
        unsound = any(not value >= 0 for value in probabilities)
        if labels and (unsound or not abs(math.fsum(probabilities) - 1) <= SUM_TOLERANCE):
            raise DataError(f"{place}: {name}: {_not_probabilities(probabilities)}")
        if row.get("emotion"):
            _check_emotion(place, str(row["emotion"]), probabilities, labels)
        emotion.append(probabilities)
        attributes.append([_number(place, value, row[value]) for value in values])
    if labels is None or not ids:
        raise DataError(f"{path}: has no predictions: a header `id,emotion,CLASS,...` and a line for each utterance")
    return Predictions(
        tuple(ids),
        labels,
        np.array(emotion, dtype=np.float64).reshape(len(ids), len(labels)),
        np.array(attributes, dtype=np.float64).reshape(len(ids), len(values)),
        tuple(value.removeprefix(PREFIX) for value in values),
    )


def _roles(path: Path | str, columns: Sequence[str], labels: LabelSet | None) -> tuple[LabelSet, list[str]]:
    """Which columns are classes and which are attributes."""
    if "id" not in columns:
        raise DataError(f"{path}: has no column `id`. {did_you_mean('id', columns)}Columns: {', '.join(columns)}.")
    rest = [name for name in columns if name not in RESERVED]
    names = [name for name in rest if name not in ATTRIBUTES and not name.startswith(PREFIX)]
    if rest and not names and (labels is None or not any(name in rest for name in labels.names)):
        labels = LabelSet(())
    elif labels is None:
        try:
            labels = LabelSet(tuple(names))
        except LabelError as error:
            raise DataError(f"{path}: the header gives no label set: {error}") from None
    for name in labels.names:
        if name not in columns:
            hint = did_you_mean(name, rest)
            raise DataError(f"{path}: has no column for the class {name!r}. {hint}Columns: {', '.join(columns)}.")
    return labels, [name for name in rest if name not in labels.names]


def _number(place: str, column: str, cell: Any) -> float:
    """A number; NaN for an empty cell, which only attributes may have."""
    if cell is None or cell == "":
        return math.nan
    try:
        if isinstance(cell, bool | list | dict):
            raise ValueError
        return float(cell)
    except ValueError:
        raise DataError(f"{place}: {column} must be a number, got {cell!r}") from None


def _not_probabilities(row: Sequence[float] | NDArray[np.float64]) -> str:
    if any(not value >= 0 for value in row):
        return "a probability is missing, not a number or below 0: every class needs one"
    return f"the probabilities sum to {math.fsum(row):.6g}, not to 1 within {SUM_TOLERANCE:g}"


def _check_emotion(place: str, emotion: str, probabilities: Sequence[float], labels: LabelSet) -> None:
    try:
        chosen = probabilities[labels.index(emotion)]
    except LabelError as error:
        raise DataError(f"{place}: {error}") from None
    if chosen < max(probabilities) - SUM_TOLERANCE:
        best = labels.names[max(range(len(labels)), key=lambda index: probabilities[index])]
        raise DataError(
            f"{place}: says {emotion!r}, but {best!r} is more probable. Leave out `emotion` or correct it."
        )
