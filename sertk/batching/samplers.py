"""Core's samplers. They see the label table only; draws depend on (seed, epoch) alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sertk.config.schema import Positive
from sertk.data.labels import LabelTable
from sertk.revisions import revision


@dataclass
class Shuffled:
    """Every row once an epoch, in batches of an order drawn afresh; see `shuffle` and `by_length`.

    pool: batches whose rows are sorted by length before they are cut; 1 leaves the order as drawn.
    """

    frames: NDArray[np.int64]
    seed: int
    batch_size: int
    pool: int
    epoch: int = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration draws."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.frames) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        random = np.random.default_rng([self.seed, self.epoch])
        order = random.permutation(len(self.frames))
        if self.pool == 1:
            yield from _cut(order, self.batch_size)
            return
        batches: list[list[int]] = []
        for start in range(0, len(order), self.pool * self.batch_size):
            pool = order[start : start + self.pool * self.batch_size]
            by_length = pool[np.argsort(self.frames[pool], kind="stable")]  # equal lengths stay in random order
            batches += _cut(by_length, self.batch_size)
        for index in random.permutation(len(batches)):
            yield batches[index]


@revision(1)
def shuffle(table: LabelTable, seed: int, /, *, batch_size: Positive = 16) -> Shuffled:
    """Draw every utterance once an epoch, in random order.

    batch_size: utterances; the last batch has what is left.
    """
    return Shuffled(table.frames, seed, batch_size, pool=1)


@revision(1)
def by_length(table: LabelTable, seed: int, /, *, batch_size: Positive = 16, pool: Positive = 64) -> Shuffled:
    """Draw every utterance once an epoch, in random batches of utterances of about equal length.

    batch_size: utterances. Shuffles, cuts into pools of `pool` batches, sorts each pool by length, cuts it into
    batches and shuffles the batches. A smaller pool is more random, a larger one pads less; no pool is larger than a
    quarter of the batches, or a small corpus would have the same batches every epoch. One batch of an epoch has what
    is left.
    """
    quarter = -(-len(table) // batch_size) // 4
    return Shuffled(table.frames, seed, batch_size, max(1, min(pool, quarter)))


def _cut(rows: NDArray[np.int64], size: int) -> list[list[int]]:
    return [rows[start : start + size].tolist() for start in range(0, len(rows), size)]
