"""Label sets, and how raters' votes become targets.

A label set's order is read from a header or a card, never assumed: teams order the same classes differently.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sertk.data.ids import name_fault
from sertk.errors import LabelError, did_you_mean

OTHER = "Other"
"""The vote for an emotion outside the label set: always allowed in votes, never a class."""

TargetPolicy = Literal["soft", "majority"]
OtherPolicy = Literal["drop", "uniform"]
NO_AGREEMENT = -1
"""The consensus index of an utterance whose raters did not agree on a class of the label set."""


@dataclass(frozen=True)
class LabelSet:
    """The emotion classes, in the order of every array with a C axis; none where there are attributes alone.

    letters: one a class, or empty.
    """

    names: tuple[str, ...]
    letters: str = ""

    def __post_init__(self) -> None:
        if len(self.names) == 1 or len(set(self.names)) != len(self.names):
            raise LabelError(f"a label set needs two or more distinct names, or none, got {list(self.names)}")
        if fault := next((fault for name in self.names if (fault := name_fault("class", name))), None):
            raise LabelError(fault)
        if OTHER in self.names:
            raise LabelError(f"{OTHER!r} is the vote outside the label set and cannot be one of its classes")
        if self.letters and not len(set(self.letters)) == len(self.letters) == len(self.names):
            raise LabelError(f"{len(self.names)} classes need as many distinct letters, got {self.letters!r}")

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """The position of a class. Raises LabelError with the nearest name for one outside the set."""
        try:
            return self.names.index(name)
        except ValueError:
            hint = did_you_mean(name, self.names)
            known = ", ".join(self.names)
            raise LabelError(f"there is no class {name!r}. {hint}The label set is: {known}.") from None

    def letter(self, name: str) -> str:
        """The one-letter code of a class."""
        return self.letters[self.index(name)]


def soft_target(
    votes: Mapping[str, float], labels: LabelSet, *, other: OtherPolicy = "drop"
) -> NDArray[np.float64] | None:
    """Normalise primary votes to (C,) probabilities; None when no vote is left to normalise.

    other: `drop` leaves votes for `Other` out; `uniform` spreads each of them over all classes.
    Raises LabelError for a vote outside the label set or a count that is none.
    """
    mass = np.zeros(len(labels))
    for name, count in votes.items():
        if not 0 <= count < math.inf:
            raise LabelError(f"{count!r} votes for {name!r}: a count must be a finite number, 0 or more")
        if name != OTHER:
            mass[labels.index(name)] += count
        elif other == "uniform":
            mass += count / len(labels)
    total = mass.sum()
    return mass / total if total > 0 else None


@dataclass(frozen=True)
class LabelTable:
    """The labels of N utterances: all that samplers and losses see of a corpus.

    ids: N utterance ids. targets: (N, C) probabilities. consensus: (N,) class index, NO_AGREEMENT without one.
    attributes: (N, A) on their own scale, NaN where missing. ranges: (lowest, highest) of each attribute.
    frames: (N,) length of the longest modality. speakers: N names, None where unknown.
    """

    ids: tuple[str, ...]
    labels: LabelSet
    targets: NDArray[np.float64]
    consensus: NDArray[np.int64]
    attributes: NDArray[np.float64]
    attribute_names: tuple[str, ...]
    ranges: tuple[tuple[float, float], ...]
    frames: NDArray[np.int64]
    speakers: tuple[str | None, ...]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def class_mass(self) -> NDArray[np.float64]:
        """(C,) summed soft mass of each class, f_c in MEDUSA's class weights."""
        return self.targets.sum(axis=0)  # type: ignore[no-any-return]

    @property
    def prior(self) -> NDArray[np.float64]:
        """(C,) share of the soft mass of each class."""
        return self.class_mass / self.class_mass.sum()  # type: ignore[no-any-return]

    def take(self, rows: NDArray[np.int64]) -> LabelTable:
        """The table of some rows, in the order given."""
        return LabelTable(
            ids=tuple(self.ids[row] for row in rows),
            labels=self.labels,
            targets=self.targets[rows],
            consensus=self.consensus[rows],
            attributes=self.attributes[rows],
            attribute_names=self.attribute_names,
            ranges=self.ranges,
            frames=self.frames[rows],
            speakers=tuple(self.speakers[row] for row in rows),
        )

    def with_rows(self, other: LabelTable) -> LabelTable:
        """This table and another of the same classes and attributes behind it."""
        return replace(
            self,
            ids=self.ids + other.ids,
            targets=np.concatenate([self.targets, other.targets]),
            consensus=np.concatenate([self.consensus, other.consensus]),
            attributes=np.concatenate([self.attributes, other.attributes]),
            frames=np.concatenate([self.frames, other.frames]),
            speakers=self.speakers + other.speakers,
        )


def unlabelled_table(ids: Sequence[str], labels: LabelSet, frames: Sequence[int]) -> LabelTable:
    """A table for utterances whose labels nobody knows, such as those of Test3: uniform targets, no consensus."""
    count = len(ids)
    return LabelTable(
        ids=tuple(ids),
        labels=labels,
        targets=np.full((count, len(labels)), 1 / max(len(labels), 1)),
        consensus=np.full(count, NO_AGREEMENT, dtype=np.int64),
        attributes=np.empty((count, 0)),
        attribute_names=(),
        ranges=(),
        frames=np.array(frames, dtype=np.int64),
        speakers=(None,) * count,
    )


def consensus_index(emotion: str | None, labels: LabelSet) -> int:
    """The class index of a consensus label; NO_AGREEMENT for None and for `Other`."""
    return NO_AGREEMENT if emotion is None or emotion == OTHER else labels.index(emotion)
