"""Score one system: all metrics with intervals, classes, confusions and the reliability table."""

# Longer than others: one score has many parts, which are gathered here and nowhere else.
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from sertk.errors import DataError
from sertk.scoring.bootstrap import (
    LEVEL,
    Clusters,
    Interval,
    clusters_of,
    effective_clusters,
    finite,
    interval,
    resampled_totals,
    sums_by_cluster,
)
from sertk.scoring.remarks import remarks
from sertk.scoring.tallies import BINS, Measure, Tally, class_support, tally
from sertk.scoring.truth import Case

METHOD = "expanded percentile bootstrap"
ONE_BY_ONE = "utterances"
"""What is resampled where no speaker is known."""
RULE = "means over classes are over the same classes in every resample; one that a resample lacks counts 0"
"""A sentence for beside the figures."""


@dataclass(frozen=True)
class Speakers:
    """Who says the utterances of a sample. known: speakers; unknown: utterances whose speaker is not known."""

    known: int
    unknown: int

    @staticmethod
    def of(names: Sequence[str | None]) -> Speakers:
        """Those of (N,) speakers' names."""
        return Speakers(len({*names} - {None}), sum(name is None for name in names))

    @property
    def resampled(self) -> str:
        """What is resampled: speakers, or utterances where no speaker is known."""
        if not self.known:
            return ONE_BY_ONE
        return f"speakers and {self.unknown} utterances of unknown speakers" if self.unknown else "speakers"

    def __str__(self) -> str:
        """Such as `12 speakers`, to follow "utterances of"."""
        if not self.known:
            return "unknown speakers"
        return f"{self.known} speaker" + "s" * (self.known != 1) + f" ({self.unknown} unknown)" * bool(self.unknown)


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

    def as_dict(self) -> dict[str, Any]:
        """JSON values, with how the intervals were made and what limits them."""
        made = {"method": METHOD, "resampled": self.resampled, "classes": RULE}
        return {
            **asdict(self),
            "metrics": {name: one.as_dict() for name, one in self.metrics.items()},
            "classes": [one.as_dict() for one in self.classes],
            "interval": made | {"level": LEVEL, "draws": self.draws, "seed": self.seed},
            "remarks": list(remarks(self)),
        }


def score(case: Case, *, draws: int = 1000, seed: int = 1) -> Score:
    """Score predictions against the truth, with 95 % intervals from `draws` resamples of speakers.

    Macro-F1 averages over the classes that are true or predicted somewhere (`averaged_over`), as scikit-learn does;
    in every resample over the same ones.
    Raises DataError where nothing can be scored: no consensus, no votes and no attribute.
    """
    made = tally(case)
    if not made.measures:
        raise DataError("none of these utterances has a consensus, votes or attributes to score against")
    truth, labels = case.truth, case.truth.labels
    clusters = clusters_of(truth.speakers)
    metrics = intervals(made, clusters, draws=draws, seed=seed)
    agreed = truth.consensus >= 0
    true, predicted = truth.consensus[agreed], case.predictions.predicted[agreed]
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
        voted=int(np.isfinite(truth.votes).all(axis=1).sum()),
        speakers=who.known,
        effective_clusters=effective_clusters(sizes),
        unknown_speakers=who.unknown,
        averaged_over=tuple(
            name for name, seen in zip(labels.names, table.sum(axis=0) + table.sum(axis=1), strict=True) if seen
        ),
        missing={"in the scored splits": case.unknown, "in the predictions": case.unpredicted},
        draws=draws,
        seed=seed,
        joined=case.joined,
    )


def intervals(made: Tally, clusters: NDArray[np.int64], *, draws: int, seed: int) -> dict[str, Interval]:
    """Every metric of a tally with its interval; all from the same resamples."""
    values, results = made.values(), resampled(made, clusters, draws=draws, seed=seed)
    return {name: interval(values[name], metric.drawn, metric.clusters) for name, metric in results.items()}


@dataclass(frozen=True)
class Resampled:
    """A metric's (draws,) bootstrap values, and what it rests on."""

    drawn: NDArray[np.float64]
    clusters: Clusters


def resampled(made: Tally, clusters: NDArray[np.int64], *, draws: int, seed: int) -> dict[str, Resampled]:
    """Every metric on the same resamples of clusters. clusters: (N,) numbers from 0."""
    sums = {name: sums_by_cluster(block, clusters) for name, block in made.blocks.items()}
    totals = resampled_totals(np.concatenate([*sums.values()], axis=1), draws=draws, seed=seed)
    ends = np.cumsum([block.shape[1] for block in sums.values()])[:-1]
    parts = dict(zip(sums, np.split(totals, ends, axis=1), strict=True))
    results = {}
    for name, measure in made.measures.items():
        whole = sums[measure.block].sum(axis=0)
        rests_on = _rests_on(measure, made.blocks[measure.block], sums[measure.block], clusters)
        results[name] = Resampled(measure.value(parts[measure.block], whole), rests_on)
    return results


def _rests_on(
    measure: Measure, block: NDArray[np.float64], sums: NDArray[np.float64], clusters: NDArray[np.int64]
) -> Clusters:
    """The clusters of a metric: (N, K) rows that have something in its block. sums: (S, K) of each cluster."""
    counted = np.bincount(clusters[block.any(axis=1)], minlength=len(sums)).astype(np.float64)
    every = Clusters.of(counted)
    if not measure.classes:
        return every
    support = class_support(sums)[:, list(measure.classes)].T  # (of the classes, S)
    fewest = min((effective_clusters(sizes) for sizes in support if sizes.any()), default=0.0)
    return replace(every, enough=every.enough and fewest > measure.too_few + 1e-9)


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
    said = np.bincount(predicted, minlength=len(names))
    rests_on = [Clusters.of(np.bincount(clusters[true == index]).astype(np.float64)) for index in order]
    return tuple(
        ClassScore(
            name=names[i],
            precision=float(precision[i]),
            recall=float(recall[i]),
            f1=metrics[f"f1:{names[i]}"],
            support=int(support[i]),
            predicted=int(said[i]),
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
