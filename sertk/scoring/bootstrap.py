"""Intervals from resampling speakers: utterances of one speaker are not independent, so whole speakers are resampled.

The interval is the expanded percentile interval (Hesterberg, "What teachers should know about the bootstrap", 2015,
section 4): quantiles of the bootstrap distribution at levels widened from the normal to Student's t, because
percentiles of few clusters are too narrow. The degrees of freedom are Kish's effective number of speakers less one,
since a few speakers who say most of the utterances carry no more than a few. Below `FEWEST` effective speakers there
is no interval. `benchmarks/bootstrap_coverage.py` measures it beside other kinds, and what the limits are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

Array = NDArray[np.float64]
LEVEL = 0.95
FEWEST = 5.0
"""Effective clusters below which an interval covers too rarely to be shown: of 4 speakers .87, of 5 .91, of 6 .93."""
CHUNK = 4_000_000
"""How many drawn clusters are held in memory at once."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval; no bounds (None) where too few speakers tell how far it varies."""

    value: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        return self._text(".3f")

    def signed(self) -> str:
        """The text of a difference, with its sign."""
        return self._text("+.3f")

    def _text(self, form: str) -> str:
        if self.value != self.value:
            return "–"
        bounds = "" if self.low is None or self.high is None else f" [{self.low:{form}}, {self.high:{form}}]"
        return f"{self.value:{form}}{bounds}"

    def as_dict(self) -> dict[str, float | None]:
        """JSON values: NaN becomes None."""
        return {"value": finite(self.value), "low": self.low, "high": self.high}


@dataclass(frozen=True)
class Clusters:
    """What a metric rests on: clusters that have utterances of it, Kish's effective number, and whether it is enough.

    enough: whether an interval can be given.
    """

    count: int
    effective: float
    enough: bool

    @staticmethod
    def of(sizes: Array) -> Clusters:
        """Those of (S,) utterances a cluster; enough from `FEWEST` effective clusters on."""
        effective = effective_clusters(sizes)
        return Clusters(int((sizes > 0).sum()), effective, effective >= FEWEST - 1e-9)

    def levels(self) -> tuple[float, float]:
        """The factor by which a deviation is too small, sqrt(S / (S - 1)), and Student's degrees of freedom."""
        return float(np.sqrt(self.count / (self.count - 1))), max(self.effective - 1, 1.0)


def finite(value: float) -> float | None:
    """The value, or None for NaN, which JSON has no word for."""
    return None if np.isnan(value) else float(value)


def clusters_of(speakers: Sequence[str | None]) -> NDArray[np.int64]:
    """(N,) cluster number of each utterance: one a speaker, one an utterance whose speaker is unknown."""
    numbers: dict[object, int] = {}
    return np.array(
        [numbers.setdefault((row,) if name is None else name, len(numbers)) for row, name in enumerate(speakers)],
        dtype=np.int64,
    )


def sums_by_cluster(rows: Array, clusters: NDArray[np.int64]) -> Array:
    """(N, K) rows to (S, K) sums over each cluster."""
    sums = np.zeros((int(clusters.max()) + 1, rows.shape[1]))
    for column in range(rows.shape[1]):
        sums[:, column] = np.bincount(clusters, weights=rows[:, column], minlength=len(sums))
    return sums


def resampled_totals(sums: Array, *, draws: int, seed: int) -> Array:
    """(S, K) sums of clusters to (draws, K) totals of S clusters drawn with replacement."""
    count = len(sums)
    generator = np.random.default_rng(seed)
    totals = np.empty((draws, sums.shape[1]))
    step = max(1, CHUNK // count)
    for first in range(0, draws, step):
        part = min(step, draws - first)
        drawn = generator.integers(0, count, size=(part, count)) + count * np.arange(part)[:, None]
        times = np.bincount(drawn.ravel(), minlength=part * count).reshape(part, count)
        totals[first : first + part] = times.astype(np.float64) @ sums
    return totals


def effective_clusters(sizes: Array) -> float:
    """Kish's effective number of clusters, (sum n)^2 / sum n^2: their number when all are of one size."""
    return float(sizes.sum() ** 2 / np.square(sizes).sum()) if sizes.any() else 0.0


def interval(value: float, drawn: Array, clusters: Clusters) -> Interval:
    """The expanded percentile interval, where there are enough clusters. drawn: (draws,) bootstrap values.

    Draws in which the metric is undefined (NaN) are left out.
    """
    drawn = drawn[np.isfinite(drawn)]
    if not clusters.enough or not len(drawn) or np.isnan(value):
        return Interval(value, None, None)
    return Interval(value, *expanded_percentile(drawn, clusters))


def expanded_percentile(drawn: Array, clusters: Clusters) -> tuple[float, float]:
    """Bounds from (draws,) values, of two clusters or more."""
    factor, freedom = clusters.levels()
    reach = float(ndtr(-factor * stdtrit(freedom, 0.5 + LEVEL / 2)))
    low, high = np.quantile(drawn, [reach, 1 - reach])
    return float(low), float(high)


def p_value(drawn: Array, clusters: Clusters) -> float | None:
    """Two-sided p-value of "no difference": the level at which the interval of the differences just touches 0.

    Where every draw is on one side this is an upper bound; more draws would tell how much smaller it is. None where
    there is no interval.
    """
    drawn = drawn[np.isfinite(drawn)]
    if not clusters.enough or not len(drawn):
        return None
    factor, freedom = clusters.levels()
    below = (drawn < 0).sum() + (drawn == 0).sum() / 2
    share = (min(below, len(drawn) - below) + 0.5) / (len(drawn) + 1)  # never 0: draws are finite
    return float(2 * stdtr(freedom, ndtri(share) / factor))


def bootstrap_rows(
    metric: Callable[[NDArray[np.int64]], float], clusters: NDArray[np.int64], *, draws: int, seed: int
) -> Interval:
    """The interval of any metric, computed afresh on the rows of each draw. metric: (n,) row numbers to a value.

    For metrics that are no function of sums; those that are go through `resampled_totals`, far faster.
    """
    order = np.argsort(clusters, kind="stable")
    sizes = np.bincount(clusters)
    members = np.split(order, np.cumsum(sizes)[:-1])
    generator = np.random.default_rng(seed)
    drawn = np.empty(draws)
    for draw in range(draws):
        chosen = generator.integers(0, len(members), size=len(members))
        drawn[draw] = metric(np.concatenate([members[cluster] for cluster in chosen]))
    return interval(metric(np.arange(len(clusters))), drawn, Clusters.of(sizes.astype(np.float64)))
