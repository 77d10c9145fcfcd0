"""What the rows of a table say of emotion: a label, votes by class, or a list of votes; each written in one way."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sertk.data.corpora.report import CorpusReport
from sertk.data.corpora.tables import Row
from sertk.data.labels import OTHER
from sertk.errors import DataError, Fault, did_you_mean

MOST_CLASSES = 50
"""So many labels are no classes any more, but names or sentences."""


@dataclass(frozen=True)
class Labels:
    """The classes of a table, and of each row the votes by class and the label, None without one."""

    names: tuple[str, ...]
    votes: list[dict[str, float]]
    emotions: list[str | None]


def read_labels(
    path: Path, rows: Sequence[Row], emotion: str | None, votes: Sequence[str], report: CorpusReport
) -> Labels:
    """Read the labels of all rows. votes: a column for each class, or one with a list of them in each cell.

    Classes are the columns of votes; else what the label's column has, where a vote for another class counts as
    `Other`; without that column, all that has votes. A row without a label has that of most votes. Raises DataError.
    """
    given = [row.cells[emotion] if emotion else "" for row in rows]
    if emotion and not any(given) and not votes:
        raise DataError(f"{path}: the column {emotion!r} is empty in all rows")
    if len(votes) > 1:
        counted = [_counts(row, votes) for row in rows]
        spelling = {name.casefold(): name for name in votes}
        for row, label in zip(rows, given, strict=True):
            if label and label.casefold() not in {*spelling, OTHER.casefold()}:
                listed = f"{did_you_mean(label, votes)}Classes: {', '.join(votes)}"
                raise DataError(f"{row.place}: {emotion} is {label!r}, which has no column of votes. {listed}")
    else:
        counted = [_listed(row, votes[0]) if votes else {} for row in rows]
        spelling = _spelling(given if any(given) else [name for each in counted for name in each], report)
        if not spelling:
            raise DataError(f"{path}: the column {votes[0]!r} is empty in all rows")
        for row, each in zip(rows, counted, strict=True):
            for name in each:
                if name.casefold() not in {*spelling, OTHER.casefold()}:
                    report.add("vote for no class", [Fault(row.place, f"{name!r} counts as {OTHER}")])
    names = tuple(dict.fromkeys(votes)) if len(votes) > 1 else tuple(sorted(set(spelling.values())))
    if len(names) > MOST_CLASSES:
        raise DataError(
            f"{path}: the label has {len(names)} values, such as {names[0]!r} and {names[1]!r}: no classes"
        )
    joined = [_joined(each, spelling) for each in counted]
    labels = [_label(label, spelling) or _most(each) for label, each in zip(given, joined, strict=True)]
    lacking = [row.place for row, label, each in zip(rows, labels, joined, strict=True) if not (label or each)]
    report.add_ids("no label", lacking, "has no label and no votes; kept, and not trained on")
    return Labels(names, joined, labels)


def _counts(row: Row, votes: Sequence[str]) -> dict[str, float]:
    counted = {name: row.number(name) for name in votes if row.cells[name]}
    if negative := next((name for name, count in counted.items() if count < 0), None):
        raise DataError(f"{row.place}: {counted[negative]:g} votes for {negative}")
    return counted


def _listed(row: Row, column: str) -> dict[str, float]:
    """The votes in one cell: `Angry;Happy;Angry`, a list of JSON, or an object with counts."""
    cell = row.cells[column]
    try:
        value = json.loads(cell) if cell.startswith(("[", "{")) else re.split(r"[;|,]", cell)
    except ValueError:
        value = re.split(r"[;|,]", cell.strip("[]"))
    if isinstance(value, dict):
        if not all(type(count) in (int, float) and 0 <= count < float("inf") for count in value.values()):
            raise DataError(f"{row.place}: {column} should have a count for each class, got {cell}")
        return {str(name).strip(): float(count) for name, count in value.items()}
    if not all(isinstance(vote, str) for vote in value):
        raise DataError(f"{row.place}: {column} should be a list of classes, got {cell}")
    return dict(Counter(name for vote in value if (name := vote.strip(" '\""))))


def _spelling(labels: Sequence[str], report: CorpusReport) -> dict[str, str]:
    """By label in lower case the most frequent of the ways to write it."""
    ways: dict[str, Counter[str]] = defaultdict(Counter)
    for label in labels:
        if label:
            ways[" ".join(label.casefold().split())][label] += 1
    spelling: dict[str, str] = {}
    for key, counts in ways.items():
        spelling[key] = best = min(counts, key=lambda way: (-counts[way], way))
        others = [f"{way!r} ({count})" for way, count in counts.items() if way != best]
        if others:
            report.add("label in several ways", [Fault(best, f"also written {', '.join(others)}; joined")])
    return spelling


def _label(label: str, spelling: Mapping[str, str]) -> str | None:
    key = " ".join(label.casefold().split())
    return spelling.get(key, OTHER) if key else None


def _joined(votes: Mapping[str, float], spelling: Mapping[str, str]) -> dict[str, float]:
    joined: dict[str, float] = {}
    for name, count in votes.items():
        if count:
            known = _label(name, spelling) or OTHER
            joined[known] = joined.get(known, 0.0) + float(count)
    return joined


def _most(votes: Mapping[str, float]) -> str | None:
    most = [name for name, count in votes.items() if count == max(votes.values())]
    return most[0] if len(most) == 1 else None
