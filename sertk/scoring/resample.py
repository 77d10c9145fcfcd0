"""Resample the speakers of a sample once for all its metrics, and say what was resampled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sertk.scoring.bootstrap import (
    Clusters,
    Interval,
    effective_clusters,
    interval,
    resampled_totals,
    sums_by_cluster,
)
from sertk.scoring.metrics import class_support
from sertk.scoring.sufficient_stats import StatMetric, SufficientStats

METHOD = "expanded percentile bootstrap"
ONE_BY_ONE = "utterances"
"""What is resampled where no speaker is known."""
RULE = "means over classes use the same classes in every resample; a class that a resample lacks counts as 0"
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


def intervals(made: SufficientStats, clusters: NDArray[np.int64], *, draws: int, seed: int) -> dict[str, Interval]:
    """Every metric with its interval; all from the same resamples."""
    values, results = made.values(), resampled(made, clusters, draws=draws, seed=seed)
    return {name: interval(values[name], metric.drawn, metric.clusters) for name, metric in results.items()}


@dataclass(frozen=True)
class Resampled:
    """A metric's (draws,) bootstrap values, and what it rests on."""

    drawn: NDArray[np.float64]
    clusters: Clusters


def resampled(made: SufficientStats, clusters: NDArray[np.int64], *, draws: int, seed: int) -> dict[str, Resampled]:
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
    measure: StatMetric, block: NDArray[np.float64], sums: NDArray[np.float64], clusters: NDArray[np.int64]
) -> Clusters:
    """The clusters of a metric: (N, K) rows that have something in its block. sums: (S, K) of each cluster."""
    counted = np.bincount(clusters[block.any(axis=1)], minlength=len(sums)).astype(np.float64)
    every = Clusters.of(counted)
    if not measure.classes:
        return every
    support = class_support(sums)[:, list(measure.classes)].T  # (of the classes, S)
    fewest = min((effective_clusters(sizes) for sizes in support if sizes.any()), default=0.0)
    return replace(every, enough=every.enough and fewest > measure.too_few + 1e-9)
