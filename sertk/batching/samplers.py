"""Core's samplers. They see the label table only; draws depend on (seed, epoch) alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from sertk.config.schema import Positive
from sertk.data.labels import LabelTable
from sertk.revisions import revision


@revision(1)
class Shuffle:
    """Draw every utterance once per epoch, in random order.

    Parameters
    ----------
    batch_size
        Utterances in a batch; the last batch has what is left.
    """

    def __init__(self, table: LabelTable, seed: int, /, *, batch_size: Positive = 16) -> None:
        self.frames = table.frames
        self.seed = seed
        self.batch_size = batch_size
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration draws."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.frames) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(len(self.frames))
        yield from _cut(order, self.batch_size)


@revision(1)
class ByLength:
    """Draw every utterance once per epoch, in random batches of utterances of about equal length.

    Shuffles, cuts into pools of `pool` batches, sorts each pool by length, cuts it into batches and shuffles the
    batches. No pool is larger than a quarter of the batches, or a small corpus would have the same batches every
    epoch. One batch of an epoch has what is left.

    Parameters
    ----------
    batch_size
        Utterances in a batch.
    pool
        Batches in a pool. A smaller pool is more random, a larger one pads less.
    """

    def __init__(self, table: LabelTable, seed: int, /, *, batch_size: Positive = 16, pool: Positive = 64) -> None:
        quarter = -(-len(table) // batch_size) // 4
        self.frames = table.frames
        self.seed = seed
        self.batch_size = batch_size
        self.pool = max(1, min(pool, quarter))
        self.epoch = 0

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


def _cut(rows: NDArray[np.int64], size: int) -> list[list[int]]:
    return [rows[start : start + size].tolist() for start in range(0, len(rows), size)]
