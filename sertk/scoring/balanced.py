"""Macro-F1 on class-balanced draws of the test utterances: MEDUSA's in-house test (arXiv 2506.09556, section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sertk.errors import DataError
from sertk.scoring.metrics import macro_f1


@dataclass(frozen=True)
class BalancedScore:
    """Mean and standard deviation of macro-F1 over balanced draws. per_class: utterances of each class in a draw."""

    mean: float
    deviation: float
    per_class: int
    draws: int
    seed: int

    def as_dict(self) -> dict[str, float | int]:
        """JSON values."""
        return dict(vars(self))


def balanced_draws(
    confusion: Sequence[Sequence[int]] | NDArray[np.int64], *, draws: int = 1000, seed: int = 1
) -> BalancedScore:
    """Draw as many utterances of every class as the rarest has, without replacement, and average macro-F1.

    confusion: (C, C) counts, rows true; all that a draw needs, since the predicted classes of a drawn row are
    multivariate hypergeometric. Classes that are never true are not drawn. Macro-F1 averages over the classes that
    are true or predicted in the table, the same in every draw.
    Raises DataError when no class has an utterance.
    """
    table = np.asarray(confusion, dtype=np.int64)
    present = np.flatnonzero(table.sum(axis=1))
    if not len(present):
        raise DataError("balanced draws need utterances with a consensus")
    least = int(table.sum(axis=1)[present].min())
    generator = np.random.default_rng(seed)
    drawn = np.zeros((draws, *table.shape), dtype=np.int64)
    for row in present:
        drawn[:, row] = generator.multivariate_hypergeometric(table[row], least, size=draws)
    values = macro_f1(drawn.reshape(draws, -1).astype(np.float64), table.reshape(-1).astype(np.float64))
    return BalancedScore(float(values.mean()), float(values.std()), least, draws, seed)
