"""How far raters agree: Krippendorff's alpha (Content Analysis, 2004, chapter 11) and the entropy of their votes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def nominal_alpha(votes: NDArray[np.float64]) -> float:
    """Krippendorff's alpha of votes (N, C), one row an utterance; NaN where it has no value.

    Rows of fewer than two votes say nothing and are left out. 1: all agree, 0: as chance would have it.
    """
    raters = votes.sum(axis=1)
    votes, raters = votes[raters >= 2], raters[raters >= 2]  # (U, C), (U,)
    total = raters.sum()
    if total == 0:
        return np.nan
    observed = ((raters**2 - (votes**2).sum(axis=1)) / (raters - 1)).sum() / total
    expected = (total**2 - (votes.sum(axis=0) ** 2).sum()) / (total * (total - 1))
    return _alpha(observed, expected)


def interval_alpha(values: NDArray[np.float64], units: NDArray[np.int64]) -> float:
    """Krippendorff's alpha of ratings (K,) on an interval scale; units (K,): which utterance each is of.

    NaN ratings and utterances of fewer than two are left out; NaN where nothing or no difference is left.
    """
    units, values = units[~np.isnan(values)], values[~np.isnan(values)]
    if len(values) == 0:
        return np.nan
    _, units = np.unique(units, return_inverse=True)
    raters = np.bincount(units)
    several = raters[units] >= 2
    units, values = units[several], values[several]
    total = len(values)
    if total == 0:
        return np.nan
    values = values - values.mean()  # the differences stay, the sums of squares keep their digits
    raters = np.bincount(units).astype(np.float64)
    sums, squares = np.bincount(units, values), np.bincount(units, values**2)
    there = raters >= 2
    raters, sums, squares = raters[there], sums[there], squares[there]
    observed = ((2 * raters * squares - 2 * sums**2) / (raters - 1)).sum() / total
    expected = (2 * total * squares.sum() - 2 * sums.sum() ** 2) / (total * (total - 1))
    return _alpha(observed, expected)


def mean_entropy(votes: NDArray[np.float64]) -> float:
    """The mean over utterances of the entropy of their votes (N, C), in bits; NaN without votes."""
    raters = votes.sum(axis=1, keepdims=True)
    shares = votes[raters[:, 0] > 0] / raters[raters > 0][:, None]  # (U, C)
    if len(shares) == 0:
        return np.nan
    bits = -shares * np.log2(shares, out=np.zeros_like(shares), where=shares > 0)
    return float(bits.sum(axis=1).mean())


def _alpha(observed: float, expected: float) -> float:
    return float(1 - observed / expected) if expected > 0 else np.nan
