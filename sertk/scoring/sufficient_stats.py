"""Sufficient statistics: every metric is a function of sums over utterances, which makes the bootstrap fast.

A block is an (N, K) array with one row per utterance. A metric is a function of the block's column sums, (..., K) to
(...). Each block is summed by speaker once; a resample of speakers is then one product of its counts with these sums.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr

from sertk.scoring.bootstrap import FEWEST
from sertk.scoring.metrics import (
    BINS,
    Array,
    Metric,
    accuracy,
    balanced_macro_f1,
    ccc,
    ece,
    f1_of,
    macro_f1,
    mean_ccc,
    of_sums,
    ratio,
    soft_f1,
    uar,
)
from sertk.scoring.truth import AlignedPredictions

TOO_FEW_OF_A_CLASS = 2.0
"""Each class must occur with more effective speakers than these for UAR and balanced macro-F1 to have an interval.

Of recall only the speakers who have the class tell anything: with one such speaker intervals cover in .66 to .83,
with two in .84 to .94, with three in .92 to .99.
"""
STRATA = ("low", "mid", "high")
"""Terciles of the entropy of the votes."""


@dataclass(frozen=True)
class StatMetric:
    """A metric: the block it reads, the function of its sums, and which way is better.

    classes: those of which each must occur with more than `too_few` effective speakers for the metric to have an
    interval.
    """

    block: str
    value: Metric
    higher_is_better: bool = True
    classes: tuple[int, ...] = ()
    too_few: float = 0.0


@dataclass(frozen=True)
class SufficientStats:
    """The blocks of one system on N utterances and the metrics that can be read from them."""

    blocks: Mapping[str, Array]
    measures: Mapping[str, StatMetric]

    def values(self) -> dict[str, float]:
        """Each metric on all utterances."""
        totals = {name: block.sum(axis=0) for name, block in self.blocks.items()}
        return {
            name: float(measure.value(totals[measure.block], totals[measure.block]))
            for name, measure in self.measures.items()
        }


def sufficient_stats(aligned: AlignedPredictions) -> SufficientStats:
    """Prepare every metric that the labels at hand allow."""
    truth, classes = aligned.truth, len(aligned.truth.labels)
    probabilities = normalised(aligned.predictions.emotion)
    blocks: dict[str, Array] = {}
    measures: dict[str, StatMetric] = {}
    agreed = truth.consensus >= 0
    if agreed.any():
        confusion = confusion_rows(truth.consensus, aligned.predictions.predicted, classes)
        blocks["confusion"] = confusion
        blocks["calibration"] = calibration_rows(truth.consensus, probabilities)
        measures["macro_f1"] = StatMetric("confusion", macro_f1)
        measures["micro_f1"] = StatMetric(
            "confusion", partial(of_sums, accuracy)
        )  # equal where each utterance has one class
        every = tuple(int(index) for index in np.unique(truth.consensus[agreed]))
        measures["uar"] = StatMetric("confusion", uar, classes=every, too_few=TOO_FEW_OF_A_CLASS)
        measures["accuracy"] = StatMetric("confusion", partial(of_sums, accuracy))
        measures["balanced_macro_f1"] = StatMetric(
            "confusion", balanced_macro_f1, classes=every, too_few=TOO_FEW_OF_A_CLASS
        )
        for index, name in enumerate(truth.labels.names):
            measures[f"f1:{name}"] = StatMetric(
                "confusion", partial(f1_of, index), classes=(index,), too_few=FEWEST - 1e-6
            )
        for index, name in enumerate(("brier", "log_loss"), start=1):
            measures[name] = StatMetric("calibration", partial(ratio, index), higher_is_better=False)
        measures["ece"] = StatMetric("calibration", partial(of_sums, ece), higher_is_better=False)
    voted = truth.voted
    if voted.any():
        blocks["votes"] = vote_rows(truth.votes, probabilities)
        for index, name in enumerate(("js_divergence", "kl_divergence"), start=1):
            measures[name] = StatMetric("votes", partial(ratio, index), higher_is_better=False)
        measures["soft_f1"] = StatMetric("votes", soft_f1)
    if (voted & agreed).sum() >= len(STRATA):
        strata = terciles(np.where(voted & agreed, entropy(truth.votes), np.nan))
        for index, name in enumerate(STRATA):
            if (strata == index).any():
                blocks[f"confusion:{name}"] = confusion * (strata == index)[:, None]
                measures[f"macro_f1:{name}_entropy"] = StatMetric(f"confusion:{name}", macro_f1)
    parts: list[str] = []
    for name in aligned.attribute_names:
        rows = attribute_rows(*aligned.attribute(name))
        if rows.any():
            blocks[f"attribute:{name}"] = rows
            measures[f"ccc:{name}"] = StatMetric(f"attribute:{name}", partial(of_sums, ccc))
            parts.append(f"attribute:{name}")
    if len(parts) > 1:
        blocks["attributes"] = np.concatenate([blocks[part] for part in parts], axis=1)
        measures["mean_ccc"] = StatMetric("attributes", partial(of_sums, mean_ccc))
    return SufficientStats(blocks, measures)


def normalised(probabilities: Array) -> Array:
    """Rows that sum to 1 exactly, from rows that nearly do."""
    return np.asarray(probabilities / probabilities.sum(axis=1, keepdims=True), dtype=np.float64)


def entropy(votes: Array) -> Array:
    """(N,) entropy of the rows of (N, C) shares, in bits."""
    logs = np.log2(votes, out=np.zeros_like(votes), where=votes > 0)
    return np.asarray(-(votes * logs).sum(axis=1))


def terciles(values: Array) -> NDArray[np.int64]:
    """(N,) 0, 1 or 2 by thirds of the values that are there, equal values together; -1 for NaN."""
    known = np.isfinite(values)
    if not known.any():
        return np.full(len(values), -1)
    edges = np.quantile(values[known], [1 / 3, 2 / 3])
    return np.where(known, np.searchsorted(edges, np.where(known, values, 0.0), side="left"), -1)


def confusion_rows(truth: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> Array:
    """(N, C * C): a 1 at true * C + predicted; nothing without a true class."""
    rows = np.zeros((len(truth), classes * classes))
    agreed = np.flatnonzero(truth >= 0)
    rows[agreed, truth[agreed] * classes + predicted[agreed]] = 1
    return rows


def calibration_rows(truth: NDArray[np.int64], probabilities: Array) -> Array:
    """(N, 3 + 3 * BINS): 1, Brier score, log loss; for each bin of confidence 1, confidence, whether right."""
    count, classes = probabilities.shape
    rows = np.zeros((count, 3 + 3 * BINS))
    agreed = np.flatnonzero(truth >= 0)
    chosen, true = probabilities[agreed], truth[agreed]
    rows[agreed, 0] = 1
    rows[agreed, 1] = np.square(chosen - np.eye(classes)[true]).sum(axis=1)
    smallest = np.finfo(np.float64).eps
    rows[agreed, 2] = -np.log(np.clip(chosen[np.arange(len(agreed)), true], smallest, 1))
    confidence = chosen.max(axis=1)
    bins = 3 + 3 * np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    rows[agreed, bins] = 1
    rows[agreed, bins + 1] = confidence
    rows[agreed, bins + 2] = chosen.argmax(axis=1) == true
    return rows


def vote_rows(votes: Array, probabilities: Array) -> Array:
    """(N, 3 + 3 * C): 1, Jensen-Shannon divergence (bits), KL(votes || predicted) (nats); min, votes, predicted."""
    voted = np.isfinite(votes).all(axis=1)
    rows = np.zeros((len(votes), 3 + 3 * votes.shape[1]))
    shares, given = votes[voted], probabilities[voted]
    middle = (shares + given) / 2
    divergence = (rel_entr(shares, middle) + rel_entr(given, middle)).sum(axis=1) / 2 / np.log(2)
    kl = rel_entr(shares, np.clip(given, np.finfo(np.float64).eps, 1)).sum(axis=1)
    ones = np.ones(len(shares))
    rows[voted] = np.column_stack([ones, divergence, kl, np.minimum(shares, given), shares, given])
    return rows


def attribute_rows(truth: Array, predicted: Array) -> Array:
    """(N, 6): 1, x, y, x^2, y^2, xy, of the utterances that have both, moved to where rounding does no harm."""
    both = np.isfinite(truth) & np.isfinite(predicted)
    if not both.any():
        return np.zeros((len(truth), 6))
    centre = truth[both].mean()  # the coefficient does not change when both are moved alike
    x, y = np.where(both, truth - centre, 0.0), np.where(both, predicted - centre, 0.0)
    return np.column_stack([both.astype(np.float64), x, y, x * x, y * y, x * y])
