"""What is known of the utterances that were predicted: consensus, votes, attributes, and who speaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sertk.data.labels import NO_AGREEMENT, LabelSet, consensus_index, soft_target
from sertk.data.manifest import Manifest, Utterance
from sertk.ensemble.by_ending import nearly, under_ids
from sertk.ensemble.predictions import Predictions, some
from sertk.errors import DataError, LabelError


@dataclass(frozen=True, eq=False)
class Truth:
    """The labels of N utterances, to score predictions against.

    consensus: (N,) class index, NO_AGREEMENT without one. votes: (N, C) shares of the raters, NaN rows without.
    attributes: (N, A), NaN where missing. seconds: (N,), NaN where the manifest has no duration.
    corpora: of a manifest of several, else empty.
    """

    ids: tuple[str, ...]
    labels: LabelSet
    consensus: NDArray[np.int64]
    votes: NDArray[np.float64]
    attributes: NDArray[np.float64]
    attribute_names: tuple[str, ...]
    speakers: tuple[str | None, ...]
    genders: tuple[str | None, ...]
    seconds: NDArray[np.float64]
    corpora: tuple[str | None, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def without_classes(self) -> Truth:
        """The attributes alone, for systems that predict nothing else."""
        consensus, votes = np.full(len(self), NO_AGREEMENT, dtype=np.int64), np.empty((len(self), 0))
        return replace(self, labels=LabelSet(()), consensus=consensus, votes=votes)

    @property
    def voted(self) -> NDArray[np.bool_]:
        """(N,) whether there are votes for classes."""
        return np.isfinite(self.votes).all(axis=1) & np.full(len(self), bool(self.labels))

    def take(self, rows: NDArray[np.int64]) -> Truth:
        """The truth of some rows, in the order given."""
        return Truth(
            tuple(self.ids[row] for row in rows),
            self.labels,
            self.consensus[rows],
            self.votes[rows],
            self.attributes[rows],
            self.attribute_names,
            tuple(self.speakers[row] for row in rows),
            tuple(self.genders[row] for row in rows),
            self.seconds[rows],
            tuple(self.corpora[row] for row in rows) if self.corpora else (),
        )


@dataclass(frozen=True, eq=False)
class AlignedPredictions:
    """Predictions beside the truth: the same utterances and classes, in the same order.

    unknown: predicted ids that are not in the truth. unpredicted: ids of the truth without a prediction. joined: how,
    where the ids were not the same.
    """

    truth: Truth
    predictions: Predictions
    unknown: tuple[str, ...] = ()
    unpredicted: tuple[str, ...] = ()
    joined: str = ""

    def __len__(self) -> int:
        return len(self.truth)

    def take(self, rows: NDArray[np.int64]) -> AlignedPredictions:
        """Some of the utterances."""
        truth = self.truth.take(rows)
        return AlignedPredictions(truth, self.predictions.subset(truth.ids))

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """The attributes that both have."""
        return tuple(name for name in self.predictions.attribute_names if name in self.truth.attribute_names)

    def attribute(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(N,) true and (N,) predicted values of an attribute, NaN where missing."""
        true = self.truth.attributes[:, self.truth.attribute_names.index(name)]
        return true, self.predictions.attributes[:, self.predictions.attribute_names.index(name)]


def truth_of(manifest: Manifest, utterances: Sequence[Utterance]) -> Truth:
    """Gather the labels of utterances. Raises DataError for an id twice or a label outside the manifest's set."""
    labels, names = manifest.labels, tuple(manifest.ranges)
    ids = tuple(utterance.id for utterance in utterances)
    if len(set(ids)) != len(ids):
        raise DataError("an id occurs twice in the manifest: `sertk data audit` names it")
    consensus = np.full(len(ids), NO_AGREEMENT, dtype=np.int64)
    votes = np.full((len(ids), len(labels)), np.nan)
    for row, utterance in enumerate(utterances):
        try:
            consensus[row] = consensus_index(utterance.emotion, labels)
            shares = soft_target(utterance.votes, labels)
        except LabelError as error:
            raise LabelError(f"utterance {utterance.id}: {error}") from None
        if shares is not None:
            votes[row] = shares
    values = [[utterance.attributes.get(name, np.nan) for name in names] for utterance in utterances]
    return Truth(
        ids=ids,
        labels=labels,
        consensus=consensus,
        votes=votes,
        attributes=np.array(values, dtype=np.float64).reshape(len(ids), len(names)),
        attribute_names=names,
        speakers=tuple(utterance.speaker for utterance in utterances),
        genders=tuple(utterance.gender for utterance in utterances),
        seconds=np.array([np.nan if u.duration is None else u.duration for u in utterances], dtype=np.float64),
        corpora=tuple(u.corpus for u in utterances) if any(u.corpus for u in utterances) else (),
    )


def align(truth: Truth, predictions: Predictions) -> AlignedPredictions:
    """Put predictions beside the truth by id, in the truth's order of utterances and classes; list what is missing.

    Paths are taken for the ids that they end with where no predicted id is one of the truth. Raises DataError when
    they share no utterance and LabelError when they differ in their classes. Predictions without classes are put
    beside the attributes alone.
    """
    truth = truth if predictions.labels else truth.without_classes()
    predictions, joined = under_ids(predictions.reordered(truth.labels), truth.ids)
    predicted, known = set(predictions.ids), set(truth.ids)
    rows = np.array([row for row, name in enumerate(truth.ids) if name in predicted], dtype=np.int64)
    unknown = tuple(name for name in predictions.ids if name not in known)
    if not len(rows):
        near = nearly(unknown, truth.ids)
        hint = f"; {near[0][0]!r} differs from {near[0][1]!r} only in spaces or case" if near else ""
        raise DataError(
            f"no utterance to score has a prediction: predicted are {some(unknown)}; to score are "
            f"{some(truth.ids)}{hint}"
        )
    aligned = truth.take(rows)
    unpredicted = tuple(name for name in truth.ids if name not in predicted)
    return AlignedPredictions(aligned, predictions.subset(aligned.ids), unknown, unpredicted, joined)
