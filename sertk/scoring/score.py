"""Score one system: all metrics with intervals, classes, confusions and the reliability table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from sertk.errors import DataError
from sertk.scoring.bootstrap import (
    LEVEL,
    Interval,
    clusters_of,
    effective_clusters,
    finite,
    interval,
    resampled_totals,
    sums_by_cluster,
)
from sertk.scoring.tallies import BINS, Tally, tally
from sertk.scoring.truth import Case

METHOD = "expanded percentile bootstrap over speakers"


@dataclass(frozen=True)
class ClassScore:
    """One class. support: utterances that are of it; predicted: utterances said to be."""

    name: str
    precision: float
    recall: float
    f1: Interval
    support: int
    predicted: int

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        rates = {"precision": finite(self.precision), "recall": finite(self.recall), "f1": self.f1.as_dict()}
        return {"name": self.name, **rates, "support": self.support, "predicted": self.predicted}


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
    utterances: all; consensus, voted: those with a consensus class, with votes. effective_speakers: Kish's number.
    unknown_speakers: utterances without a speaker, each resampled alone. missing: what was not scored.
    """

    metrics: Mapping[str, Interval]
    classes: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    reliability: tuple[ReliabilityBin, ...]
    utterances: int
    consensus: int
    voted: int
    speakers: int
    effective_speakers: float
    unknown_speakers: int
    averaged_over: tuple[str, ...]
    missing: Mapping[str, tuple[str, ...]]
    draws: int
    seed: int

    def as_dict(self) -> dict[str, Any]:
        """JSON values, with how the intervals were made."""
        made = {"method": METHOD, "level": LEVEL, "draws": self.draws, "seed": self.seed}
        return {
            **asdict(self),
            "metrics": {name: one.as_dict() for name, one in self.metrics.items()},
            "classes": [one.as_dict() for one in self.classes],
            "interval": made,
        }


def score(case: Case, *, draws: int = 1000, seed: int = 1) -> Score:
    """Score predictions against the truth, with 95 % intervals from `draws` resamples of speakers.

    Macro-F1 averages over the classes that are true or predicted somewhere (`averaged_over`), as scikit-learn does.
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
    sizes = np.bincount(clusters).astype(np.float64)
    return Score(
        metrics={name: one for name, one in metrics.items() if not name.startswith("f1:")},
        classes=_classes(true, predicted, labels.names, metrics) if agreed.any() else (),
        confusion=tuple(tuple(int(count) for count in row) for row in table),
        reliability=_reliability(made.blocks["calibration"].sum(axis=0)) if agreed.any() else (),
        utterances=len(truth),
        consensus=int(agreed.sum()),
        voted=int(np.isfinite(truth.votes).all(axis=1).sum()),
        speakers=len({name for name in truth.speakers if name is not None}),
        effective_speakers=effective_clusters(sizes),
        unknown_speakers=sum(name is None for name in truth.speakers),
        averaged_over=tuple(
            name for name, seen in zip(labels.names, table.sum(axis=0) + table.sum(axis=1), strict=True) if seen
        ),
        missing={"in the manifest": case.unknown, "in the predictions": case.unpredicted},
        draws=draws,
        seed=seed,
    )


def intervals(made: Tally, clusters: NDArray[np.int64], *, draws: int, seed: int) -> dict[str, Interval]:
    """Every metric of a tally with its interval; all from the same resamples."""
    values = made.values()
    if not clusters.any():  # one cluster: nothing to resample
        return {name: Interval(value, None, None) for name, value in values.items()}
    drawn, sizes = resampled(made, clusters, draws=draws, seed=seed)
    return {name: interval(values[name], drawn[name], sizes[name]) for name in made.measures}


def resampled(
    made: Tally, clusters: NDArray[np.int64], *, draws: int, seed: int
) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
    """For every metric its (draws,) bootstrap values and the (S,) number of utterances it has of each cluster."""
    sums = {name: sums_by_cluster(block, clusters) for name, block in made.blocks.items()}
    totals = resampled_totals(np.concatenate([*sums.values()], axis=1), draws=draws, seed=seed)
    ends = np.cumsum([block.shape[1] for block in sums.values()])[:-1]
    parts = dict(zip(sums, np.split(totals, ends, axis=1), strict=True))
    counted = {
        name: np.asarray(np.bincount(clusters[block.any(axis=1)], minlength=len(sums[name])), dtype=np.float64)
        for name, block in made.blocks.items()
    }
    drawn = {name: measure.value(parts[measure.block]) for name, measure in made.measures.items()}
    return drawn, {name: counted[measure.block] for name, measure in made.measures.items()}


def _classes(
    true: NDArray[np.int64], predicted: NDArray[np.int64], names: tuple[str, ...], metrics: Mapping[str, Interval]
) -> tuple[ClassScore, ...]:
    order = range(len(names))
    precision, recall, _, support = precision_recall_fscore_support(
        true, predicted, labels=order, zero_division=np.nan
    )
    said = np.bincount(predicted, minlength=len(names))
    return tuple(
        ClassScore(
            names[i], float(precision[i]), float(recall[i]), metrics[f"f1:{names[i]}"], int(support[i]), int(said[i])
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
