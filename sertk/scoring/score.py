"""Score one system: all metrics with intervals, classes, confusions and the reliability table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from sertk.errors import DataError
from sertk.scoring.bootstrap import (
    Clusters,
    Interval,
    clusters_of,
    effective_clusters,
    finite,
)
from sertk.scoring.metrics import BINS
from sertk.scoring.resample import METHOD, Speakers, intervals
from sertk.scoring.sufficient_stats import sufficient_stats
from sertk.scoring.truth import AlignedPredictions


@dataclass(frozen=True)
class ClassScore:
    """One class. support: utterances that are of it; predicted: utterances said to be.

    clusters: speakers who have an utterance of it, and utterances of it without a known speaker; effective_clusters:
    Kish's number of them.
    """

    name: str
    precision: float
    recall: float
    f1: Interval
    support: int
    predicted: int
    clusters: int
    effective_clusters: float

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        rates = {"precision": finite(self.precision), "recall": finite(self.recall), "f1": self.f1.as_dict()}
        return {**vars(self), **rates}


@dataclass(frozen=True)
class ReliabilityBin:
    """Utterances whose confidence lies in (low, high]: its mean, and the share that is right."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Score:
    """What a system is worth on the utterances that it and the truth share.

    metrics: by name, each with its interval. confusion: rows true, columns predicted, counts of utterances.
    utterances: all; consensus, voted: those with a consensus class, with votes. effective_clusters: Kish's number of
    speakers, and of utterances alone. unknown_speakers: utterances without a speaker, each resampled alone.
    missing: what was not scored. joined: how predictions were joined, where their ids were not the manifest's.
    """

    metrics: Mapping[str, Interval]
    classes: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    reliability: tuple[ReliabilityBin, ...]
    utterances: int
    consensus: int
    voted: int
    speakers: int
    effective_clusters: float
    unknown_speakers: int
    averaged_over: tuple[str, ...]
    missing: Mapping[str, tuple[str, ...]]
    draws: int
    seed: int
    joined: str = ""

    @property
    def who(self) -> Speakers:
        """The speakers of all its utterances."""
        return Speakers(self.speakers, self.unknown_speakers)

    @property
    def resampled(self) -> str:
        """What was resampled for the intervals: speakers, or utterances where none is known."""
        return self.who.resampled

    @property
    def method(self) -> str:
        """How the intervals were made, for people; "" where there are none."""
        if all(metric.low is None for metric in self.metrics.values()):
            return ""
        return f"{METHOD} over {self.resampled}, {self.draws} draws, seed {self.seed}"


def score(aligned: AlignedPredictions, *, draws: int = 1000, seed: int = 1) -> Score:
    """Score predictions against the truth, with 95 % intervals from `draws` resamples of speakers.

    Macro-F1 averages over the classes that are true or predicted somewhere (`averaged_over`), as scikit-learn does;
    in every resample over the same ones.
    Raises DataError where nothing can be scored: no consensus, no votes and no attribute.
    """
    made = sufficient_stats(aligned)
    if not made.measures:
        raise DataError("none of these utterances has a consensus, votes or attributes to score against")
    truth, labels = aligned.truth, aligned.truth.labels
    clusters = clusters_of(truth.speakers)
    metrics = intervals(made, clusters, draws=draws, seed=seed)
    agreed = truth.consensus >= 0
    true, predicted = truth.consensus[agreed], aligned.predictions.predicted[agreed]
    table = np.zeros((len(labels), len(labels)), dtype=np.int64)
    if agreed.any():
        table = confusion_matrix(true, predicted, labels=range(len(labels)))
    sizes, who = np.bincount(clusters).astype(np.float64), Speakers.of(truth.speakers)
    return Score(
        metrics={name: one for name, one in metrics.items() if not name.startswith("f1:")},
        classes=_classes(true, predicted, clusters[agreed], labels.names, metrics) if agreed.any() else (),
        confusion=tuple(tuple(int(count) for count in row) for row in table),
        reliability=_reliability(made.blocks["calibration"].sum(axis=0)) if agreed.any() else (),
        utterances=len(truth),
        consensus=int(agreed.sum()),
        voted=int(truth.voted.sum()),
        speakers=who.known,
        effective_clusters=effective_clusters(sizes),
        unknown_speakers=who.unknown,
        averaged_over=tuple(
            name for name, seen in zip(labels.names, table.sum(axis=0) + table.sum(axis=1), strict=True) if seen
        ),
        missing={"in the scored splits": aligned.unknown, "in the predictions": aligned.unpredicted},
        draws=draws,
        seed=seed,
        joined=aligned.joined,
    )


def _classes(
    true: NDArray[np.int64],
    predicted: NDArray[np.int64],
    clusters: NDArray[np.int64],
    names: tuple[str, ...],
    metrics: Mapping[str, Interval],
) -> tuple[ClassScore, ...]:
    order = range(len(names))
    precision, recall, _, support = precision_recall_fscore_support(
        true, predicted, labels=order, zero_division=np.nan
    )
    answers = np.bincount(predicted, minlength=len(names))
    rests_on = [Clusters.of(np.bincount(clusters[true == index]).astype(np.float64)) for index in order]
    return tuple(
        ClassScore(
            name=names[i],
            precision=float(precision[i]),
            recall=float(recall[i]),
            f1=metrics[f"f1:{names[i]}"],
            support=int(support[i]),
            predicted=int(answers[i]),
            clusters=rests_on[i].count,
            effective_clusters=rests_on[i].effective,
        )
        for i in order
    )


def _reliability(sums: NDArray[np.float64]) -> tuple[ReliabilityBin, ...]:
    """The bins that have utterances, from the sums of `calibration_rows`."""
    bins = enumerate(sums[3:].reshape(BINS, 3).tolist())
    return tuple(
        ReliabilityBin(index / BINS, (index + 1) / BINS, round(count), confidence / count, right / count)
        for index, (count, confidence, right) in bins
        if count
    )
