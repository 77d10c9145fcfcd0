"""labels_consensus in its forms, labels.txt with both in one, and the consensus drawn again from the raters."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sertk.data.corpora.csv_records import csv_records
from sertk.data.ids import id_fault
from sertk.data.labels import OTHER
from sertk.errors import DataError, Fault
from sertk_msp_podcast.labels import MSP_PODCAST
from sertk_msp_podcast.rating import ATTRIBUTES, Rating, on_scale, parse_packed, shortened
from sertk_msp_podcast.ratings import TEXT_FORM, Ratings, is_row, read_json, utterance_id

COLUMNS = ("EmoAct", "EmoVal", "EmoDom")
CLASSES: dict[str, str | None] = {
    **dict(zip(MSP_PODCAST.letters, MSP_PODCAST.names, strict=True)),
    "O": OTHER,
    "X": None,
}
"""Letter to class; X, where the raters did not agree, to None."""
SPLITS = {name: name for name in ("train", "development", "test1", "test2", "test3")} | {"validation": "development"}
_HEAD = re.compile(r"\s*([^;]+?\.wav)\s*;\s*([A-Z])\s*;\s*A:([^;]*);\s*V:([^;]*);\s*D:([^;]*);?\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Consensus:
    """What the corpus says of one utterance. split, speaker and gender are None where it does not say."""

    emotion: str | None
    attributes: Mapping[str, float]
    speaker: str | None = None
    gender: str | None = None
    split: str | None = None


@dataclass
class ConsensusLabels:
    """The consensus by utterance id. missing: how many rows have no value of an attribute that could be read."""

    form: str
    by_id: dict[str, Consensus] = field(default_factory=dict)
    missing: Counter[str] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)

    def add(self, name: str, place: str, fields: Mapping[str, Any]) -> None:
        """Take one row, or list it as a fault: a name that stands twice, a letter or split that is not known."""
        key = utterance_id(name)
        try:
            if fault := id_fault(key):
                raise ValueError(f"{fault}; row left out")
            if key in self.by_id:
                raise ValueError("the file occurs twice; the first row is kept")
            letter = str(fields["EmoClass"]).strip().upper()
            if letter not in CLASSES:
                raise ValueError(f"EmoClass should be one of {', '.join(CLASSES)}, got {letter!r}; row left out")
            split = known(fields.get("Split_Set"))
            if split is not None and split.lower() not in SPLITS:
                raise ValueError(f"Split_Set should be one of {', '.join(SPLITS)}, got {split!r}; row left out")
        except ValueError as error:
            self.faults.append(Fault(place, f"{name}: {error}"))
            return
        attributes = {}
        for attribute, column in zip(ATTRIBUTES, COLUMNS, strict=True):
            value = known(fields.get(column))
            if value is None:
                self.missing[attribute] += 1
                continue
            try:
                attributes[attribute] = on_scale(value)
            except ValueError as error:
                self.missing[attribute] += 1
                self.faults.append(Fault(place, f"{name}: {column} {error}; value left out"))
        gender = known(fields.get("Gender"))
        self.by_id[key] = Consensus(
            emotion=CLASSES[letter],
            attributes=attributes,
            speaker=known(fields.get("SpkrID")),
            gender=gender.lower() if gender else None,
            split=SPLITS[split.lower()] if split else None,
        )


def read_consensus(path: Path) -> ConsensusLabels:
    """Read labels_consensus.csv or .json. Raises DataError where it has no FileName or EmoClass."""
    if path.suffix.lower() == ".json":
        labels = ConsensusLabels("JSON")
        for name, fields in read_json(path).items():
            if "EmoClass" not in fields:
                raise DataError(f"{path}, {name}: has no EmoClass; its keys are {', '.join(fields)}")
            labels.add(name, f"{path.name}, {name}", fields)
        return labels
    rows = csv_records(path, is_row=is_row)
    header = next(rows, None)
    columns = [name.strip() for name in (header.cells if header else None) or []]
    if not {"FileName", "EmoClass"} <= set(columns):
        raise DataError(
            f"{path}, line 1: needs the columns FileName and EmoClass, got {','.join(columns) or 'nothing'}"
        )
    labels = ConsensusLabels("CSV")
    for row in rows:
        place = f"{path.name}, line {row.number}"
        if row.cells is None:
            what = f"a quote is not closed in {shortened(row.text.strip())!r}"
            labels.faults.append(Fault(place, f"{what}; row left out"))
        elif len(row.cells) != len(columns):
            what = f"{len(row.cells)} cells under {len(columns)} columns"
            labels.faults.append(Fault(place, f"{what}; row left out"))
        else:
            fields = dict(zip(columns, row.cells, strict=True))
            labels.add(fields["FileName"], place, fields)
    return labels


def read_text(path: Path) -> tuple[ConsensusLabels, Ratings]:
    """Read labels.txt: the consensus of a file, then a packed line for each rater, then an empty line."""
    labels, ratings = ConsensusLabels(TEXT_FORM), Ratings(TEXT_FORM)
    current = ""
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            place = f"{path.name}, line {number}"
            if not line.strip():
                current = ""
            elif head := _HEAD.fullmatch(line):
                current = head[1]
                labels.add(current, place, dict(zip(("EmoClass", *COLUMNS), head.groups()[1:], strict=True)))
            else:
                ratings.rows += 1
                try:
                    if not current:
                        raise ValueError(f"a rater's line without a file above it: {shortened(line.strip())!r}")
                    ratings.by_id[utterance_id(current)].append(parse_packed(line))
                except ValueError as error:
                    ratings.faults.append(Fault(place, f"{error}; row left out"))
    return labels, ratings


def consensus_of(ratings: Sequence[Rating]) -> Consensus:
    """The most frequent primary vote, None for a tie; the mean of the ratings given, to the corpus's own decimals."""
    counts = Counter(rating.vote for rating in ratings)
    best = max(counts.values(), default=0)
    winners = [vote for vote, count in counts.items() if count == best]
    attributes = {}
    for name, values in zip(ATTRIBUTES, zip(*(rating[3:] for rating in ratings), strict=True), strict=False):
        given = [value for value in values if value == value]
        if given:
            attributes[name] = math.fsum(given) / len(given)
    return Consensus(winners[0] if len(winners) == 1 else None, attributes)


def known(value: Any) -> str | None:
    """A text, None for nothing and for `Unknown`."""
    text = "" if value is None else str(value).strip()
    return None if text.lower() in ("", "unknown", "nan", "none") else text
