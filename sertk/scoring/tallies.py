"""Every metric as a function of sums over utterances, which is what makes the bootstrap fast.

A block is an (N, K) array with one row an utterance; a metric is a function of the block's column sums, (..., K) to
(...). Summing a block by speaker once, a resample of speakers is one product of its counts with these sums.

Means over classes are over the classes of the whole sample, the same in every resample: a class that a resample
lacks counts 0. Left out it would lift the mean, and the interval would not cover the truth.
"""

# Longer than others: every metric is here once, beside the sums that it is a function of.
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr

from sertk.scoring.bootstrap import FEWEST
from sertk.scoring.truth import Case

Array = NDArray[np.float64]
BINS = 15
"""Equal-width confidence bins of the calibration error."""
TOO_FEW_OF_A_CLASS = 2.0
"""Each class must occur with more effective speakers than these for UAR and balanced macro-F1 to have an interval.

Of recall only the speakers who have the class tell anything: with one such speaker intervals cover in .66 to .83,
with two in .84 to .94, with three in .92 to .99.
"""
STRATA = ("low", "mid", "high")
"""Terciles of the entropy of the votes."""


Metric = Callable[[Array, Array], Array]
"""(..., K) sums of a resample and (K,) sums of the whole sample to (...) values."""


@dataclass(frozen=True)
class Measure:
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
class Tally:
    """The blocks of one system on N utterances and the metrics that can be read from them."""

    blocks: Mapping[str, Array]
    measures: Mapping[str, Measure]

    def values(self) -> dict[str, float]:
        """Each metric on all utterances."""
        totals = {name: block.sum(axis=0) for name, block in self.blocks.items()}
        return {
            name: float(measure.value(totals[measure.block], totals[measure.block]))
            for name, measure in self.measures.items()
        }


def tally(case: Case) -> Tally:
    """Prepare every metric that the labels at hand allow."""
    truth, classes = case.truth, len(case.truth.labels)
    probabilities = normalised(case.predictions.emotion)
    blocks: dict[str, Array] = {}
    measures: dict[str, Measure] = {}
    agreed = truth.consensus >= 0
    if agreed.any():
        confusion = confusion_rows(truth.consensus, case.predictions.predicted, classes)
        blocks["confusion"] = confusion
        blocks["calibration"] = calibration_rows(truth.consensus, probabilities)
        measures["macro_f1"] = Measure("confusion", macro_f1)
        measures["micro_f1"] = Measure(
            "confusion", partial(_of_sums, accuracy)
        )  # equal where each utterance has one class
        every = tuple(int(index) for index in np.unique(truth.consensus[agreed]))
        measures["uar"] = Measure("confusion", uar, classes=every, too_few=TOO_FEW_OF_A_CLASS)
        measures["accuracy"] = Measure("confusion", partial(_of_sums, accuracy))
        measures["balanced_macro_f1"] = Measure(
            "confusion", balanced_macro_f1, classes=every, too_few=TOO_FEW_OF_A_CLASS
        )
        for index, name in enumerate(truth.labels.names):
            measures[f"f1:{name}"] = Measure(
                "confusion", partial(_f1_of, index), classes=(index,), too_few=FEWEST - 1e-6
            )
        for index, name in enumerate(("brier", "log_loss"), start=1):
            measures[name] = Measure("calibration", partial(_ratio, index), higher_is_better=False)
        measures["ece"] = Measure("calibration", partial(_of_sums, ece), higher_is_better=False)
    voted = np.isfinite(truth.votes).all(axis=1)
    if voted.any():
        blocks["votes"] = vote_rows(truth.votes, probabilities)
        for index, name in enumerate(("js_divergence", "kl_divergence"), start=1):
            measures[name] = Measure("votes", partial(_ratio, index), higher_is_better=False)
        measures["soft_f1"] = Measure("votes", soft_f1)
    if (voted & agreed).sum() >= len(STRATA):
        strata = terciles(np.where(voted & agreed, entropy(truth.votes), np.nan))
        for index, name in enumerate(STRATA):
            if (strata == index).any():
                blocks[f"confusion:{name}"] = confusion * (strata == index)[:, None]
                measures[f"macro_f1:{name}_entropy"] = Measure(f"confusion:{name}", macro_f1)
    parts: list[str] = []
    for name in case.attribute_names:
        rows = attribute_rows(*case.attribute(name))
        if rows.any():
            blocks[f"attribute:{name}"] = rows
            measures[f"ccc:{name}"] = Measure(f"attribute:{name}", partial(_of_sums, ccc))
            parts.append(f"attribute:{name}")
    if len(parts) > 1:
        blocks["attributes"] = np.concatenate([blocks[part] for part in parts], axis=1)
        measures["mean_ccc"] = Measure("attributes", partial(_of_sums, _mean_ccc))
    return Tally(blocks, measures)


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


def class_f1(sums: Array) -> Array:
    """(..., C * C) confusions to (..., C) F1; NaN for a class neither true nor predicted."""
    table = _square(sums)
    both = table.sum(axis=-1) + table.sum(axis=-2)
    return _divide(2 * np.diagonal(table, axis1=-2, axis2=-1), both)


def class_recall(sums: Array) -> Array:
    """(..., C * C) confusions to (..., C) recall; NaN for a class that is never true."""
    table = _square(sums)
    return _divide(np.diagonal(table, axis1=-2, axis2=-1), table.sum(axis=-1))


def class_support(sums: Array) -> Array:
    """(..., C * C) confusions to (..., C) utterances that are of each class."""
    return np.asarray(_square(sums).sum(axis=-1))


def macro_f1(sums: Array, whole: Array) -> Array:
    """Mean F1 of the classes that are true or predicted in the whole sample; 0 for one that `sums` lack."""
    return _mean_over_classes(class_f1(sums), class_f1(whole))


def uar(sums: Array, whole: Array) -> Array:
    """Unweighted average recall: of the classes that are true in the whole sample; 0 for one that `sums` lack."""
    return _mean_over_classes(class_recall(sums), class_recall(whole))


def accuracy(sums: Array) -> Array:
    """Share of utterances whose class is right."""
    table = _square(sums)
    return _divide(np.trace(table, axis1=-2, axis2=-1), table.sum(axis=(-2, -1)))


def balanced_macro_f1(sums: Array, whole: Array) -> Array:
    """Macro-F1 with every true class weighing the same: what balanced draws of the utterances tend to."""
    return macro_f1(balanced(sums), balanced(whole))


def balanced(sums: Array) -> Array:
    """Confusions whose rows sum to 1, or to 0 where a class is never true."""
    table = _square(sums)
    shares = _divide(table, np.broadcast_to(table.sum(axis=-1, keepdims=True), table.shape))
    return np.nan_to_num(shares).reshape(sums.shape)


def ece(sums: Array) -> Array:
    """Expected calibration error: mean distance of confidence and accuracy over the bins (Guo et al. 2017, eq. 3)."""
    bins = sums[..., 3:].reshape(*sums.shape[:-1], BINS, 3)
    return _divide(np.abs(bins[..., 1] - bins[..., 2]).sum(axis=-1), sums[..., 0])


def soft_f1(sums: Array, whole: Array) -> Array:
    """Macro-F1 of soft labels: mean over classes of 2 sum min(p, q) / sum (p + q); 1 when prediction is the votes."""
    return _mean_over_classes(_class_soft_f1(sums), _class_soft_f1(whole))


def ccc(sums: Array) -> Array:
    """Concordance correlation coefficient (Lin 1989), with population moments; NaN where both are constant."""
    count = sums[..., 0]
    x, y, xx, yy, xy = (_divide(sums[..., column], count) for column in range(1, 6))
    spread = (xx - x * x) + (yy - y * y) + np.square(x - y)
    return _divide(2 * (xy - x * y), np.where(spread > 1e-12, spread, 0.0))


def _mean_ccc(sums: Array) -> Array:
    return np.asarray(ccc(sums.reshape(*sums.shape[:-1], -1, 6)).mean(axis=-1))


def _of_sums(metric: Callable[[Array], Array], sums: Array, _: Array) -> Array:
    """A metric in which no class can be missing."""
    return metric(sums)


def _f1_of(index: int, sums: Array, whole: Array) -> Array:
    """F1 of one class, 0 where only `sums` lack it."""
    values, there = class_f1(sums)[..., index], np.isfinite(class_f1(whole)[..., index])
    return np.where(there, np.nan_to_num(values), np.nan)


def _class_soft_f1(sums: Array) -> Array:
    parts = sums[..., 3:].reshape(*sums.shape[:-1], 3, -1)  # (..., 3, C): min, votes, predicted
    return _divide(2 * parts[..., 0, :], parts[..., 1, :] + parts[..., 2, :])


def _ratio(index: int, sums: Array, _: Array) -> Array:
    return _divide(sums[..., index], sums[..., 0])


def _square(sums: Array) -> Array:
    classes = round(sums.shape[-1] ** 0.5)
    return sums.reshape(*sums.shape[:-1], classes, classes)


def _divide(above: Array, below: Array) -> Array:
    quotient = np.full(np.shape(below), np.nan)
    return np.asarray(np.divide(above, below, out=quotient, where=below > 0))


def _mean_over_classes(values: Array, whole: Array) -> Array:
    """(..., C) values to the mean over the classes that (C,) `whole` has; NaN stands for a class that is not there.

    A class that only `values` lack counts 0; where they lack all, there is no mean.
    """
    there, defined = np.isfinite(whole), np.isfinite(values)
    total = np.where(there & defined, values, 0.0).sum(axis=-1)
    return _divide(total, np.where(defined.any(axis=-1), there.sum(), 0))
