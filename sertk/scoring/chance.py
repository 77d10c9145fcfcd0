"""What a system gets that listens to nothing: the most common class always, or the classes by their shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DRAWS, SEED, BELOW = 1000, 1, 0.975


@dataclass(frozen=True)
class Chance:
    """Scores without listening. share: of the most common class, `most`. present: number of classes that occur.

    guess: macro-F1 and UAR alike of labels dealt out at random, on average; high: 97.5 % of such guesses have less.
    """

    most: str
    share: float
    present: int
    guess: float
    high: float

    def sentences(self) -> list[str]:
        """What pages say of it."""
        macro = 2 * self.share / (1 + self.share) / self.present
        balanced = 2 / (self.present + 1) / self.present
        return [
            f"Always answering {self.most}: macro-F1 {macro:.3f}, micro-F1 {self.share:.3f}, UAR "
            f"{1 / self.present:.3f}, balanced macro-F1 {balanced:.3f}.",
            f"The true labels in a random order: macro-F1 and UAR {self.guess:.3f} on average, below {self.high:.3f} "
            f"in {BELOW:.1%} of {DRAWS} draws.",
        ]


def chance(names: Sequence[str], support: Sequence[int]) -> Chance:
    """What guessing gets on utterances of which `support` are of each class, one or more in all.

    Random guesses are the true labels in a random order, so that every class is answered as often as it occurs.
    """
    counts = np.array([count for count in support if count], dtype=np.int64)
    true = np.repeat(np.arange(len(counts)), counts)
    generator = np.random.default_rng(SEED)
    recalls = np.empty((DRAWS, len(counts)))
    for draw in range(DRAWS):
        right = generator.permutation(true) == true
        recalls[draw] = np.bincount(true, weights=right, minlength=len(counts)) / counts
    uar = recalls.mean(axis=1)  # and macro-F1: with as many answers as utterances of a class, precision is recall
    most = int(np.argmax(support))
    high = float(np.quantile(uar, BELOW))
    return Chance(names[most], support[most] / len(true), len(counts), float(uar.mean()), high)
