"""Figures of merit: macro-F1, recall, concordance. By hand: scikit-learn takes longer to import than torch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sertk.errors import DataError

Indices = NDArray[np.integer[Any]]
Reals = NDArray[np.floating[Any]]


def macro_f1(truth: Indices, predicted: Indices, classes: int) -> float:
    """F1 averaged over the classes that occur in truth or prediction, as scikit-learn does; (N,) indices.

    Raises DataError for an index outside 0..classes-1, or for no utterance at all.
    """
    right, true, answered = _counts(truth, predicted, classes)
    return _mean_f1(right, true + answered, true + answered > 0)


def uar(truth: Indices, predicted: Indices, classes: int) -> float:
    """Unweighted average recall: recall averaged over the classes that occur in truth; (N,) indices.

    Raises DataError for an index outside 0..classes-1, or for no utterance at all.
    """
    right, true, _ = _counts(truth, predicted, classes)
    return float((right[true > 0] / true[true > 0]).mean())


def ccc(truth: Reals, predicted: Reals) -> float:
    """Concordance correlation coefficient of (N,) values with population moments (Lin, 1989).

    0 where both are constant. Raises DataError for no values or for NaN: select the present values first.
    """
    if not len(truth) or np.isnan(truth).any() or np.isnan(predicted).any():
        raise DataError(f"concordance needs values without NaN, got {len(truth)}: leave missing attributes out")
    x, y = truth.astype(np.float64), predicted.astype(np.float64)
    covariance = ((x - x.mean()) * (y - y.mean())).mean()
    spread = x.var() + y.var() + (x.mean() - y.mean()) ** 2
    return float(2 * covariance / spread) if spread > 0 else 0.0


def balanced_macro_f1(consensus: Indices, predicted: Indices, classes: int, *, draws: int, seed: int) -> float:
    """Mean macro-F1 over balanced draws: each takes the smallest class's count of every class that occurs.

    The classes of the mean are those of all utterances, in every draw. MEDUSA's selection score (arXiv 2506.09556).
    consensus: (N,) class indices; utterances without
    agreement are left out by the caller. Draws repeat by seed, so two models are compared on the same ones.
    Raises DataError for an index outside 0..classes-1, or for no utterance at all.
    """
    _check(consensus, predicted, classes)
    by_class = [np.flatnonzero(consensus == index) for index in np.unique(consensus)]
    count = min(len(rows) for rows in by_class)
    random = np.random.default_rng(seed)
    _, true, answered = _counts(consensus, predicted, classes)
    scores = []
    for _ in range(draws):
        rows = np.concatenate([random.choice(rows, count, replace=False) for rows in by_class])
        right, drawn, answers = _counts(consensus[rows], predicted[rows], classes)
        scores.append(_mean_f1(right, drawn + answers, true + answered > 0))
    return float(np.mean(scores))


def _mean_f1(right: Reals, occurrences: Reals, among: NDArray[np.bool_]) -> float:
    """Mean F1 of some classes, (C,) each; 0 for one that neither occurs nor is answered here."""
    return float((2 * right[among] / np.maximum(occurrences[among], 1)).mean())


def _counts(truth: Indices, predicted: Indices, classes: int) -> tuple[Reals, Reals, Reals]:
    """(C,) each: how often a class was answered rightly, how often it is true, how often it was answered."""
    _check(truth, predicted, classes)
    right, true, answered = (
        np.bincount(rows, minlength=classes) for rows in (truth[truth == predicted], truth, predicted)
    )
    return right.astype(np.float64), true.astype(np.float64), answered.astype(np.float64)


def _check(truth: Indices, predicted: Indices, classes: int) -> None:
    if not len(truth):
        raise DataError("there is no utterance with a consensus label to score: check the split")
    for name, values in (("truth", truth), ("prediction", predicted)):
        if values.min() < 0 or values.max() >= classes:
            raise DataError(f"class indices of the {name} must be in 0..{classes - 1}, got {np.unique(values)}")
