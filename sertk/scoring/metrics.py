"""Metrics as functions of sums over utterances, (..., K) to (...): of all utterances, or of one resample in each row.

Means over classes are over the classes of the whole sample, the same in every resample: a class that a resample
lacks counts 0. Left out it would lift the mean, and the interval would not cover the truth.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Metric = Callable[[Array, Array], Array]
"""(..., K) sums of a resample and (K,) sums of the whole sample to (...) values."""
BINS = 15
"""Equal-width confidence bins of the calibration error."""


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


def mean_ccc(sums: Array) -> Array:
    """Mean over attributes, six sums each."""
    return np.asarray(ccc(sums.reshape(*sums.shape[:-1], -1, 6)).mean(axis=-1))


def of_sums(metric: Callable[[Array], Array], sums: Array, _: Array) -> Array:
    """A metric in which no class can be missing."""
    return metric(sums)


def f1_of(index: int, sums: Array, whole: Array) -> Array:
    """F1 of one class, 0 where only `sums` lack it."""
    values, there = class_f1(sums)[..., index], np.isfinite(class_f1(whole)[..., index])
    return np.where(there, np.nan_to_num(values), np.nan)


def _class_soft_f1(sums: Array) -> Array:
    parts = sums[..., 3:].reshape(*sums.shape[:-1], 3, -1)  # (..., 3, C): min, votes, predicted
    return _divide(2 * parts[..., 0, :], parts[..., 1, :] + parts[..., 2, :])


def ratio(index: int, sums: Array, _: Array) -> Array:
    """A column divided by the first, the number of utterances."""
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
