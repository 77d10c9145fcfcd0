"""A balanced sampler for sertk: every class equally often."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sertk.data.labels import NO_AGREEMENT, LabelTable
from sertk.errors import DataError
from sertk.revisions import revision


@revision(1)
class Balanced:
    """Draw every class as often as the smallest has utterances, afresh each epoch.

    The class of an utterance is its consensus. Within an epoch no utterance is drawn twice.

    Parameters
    ----------
    batch_size
        Utterances in a batch.
    no_agreement
        How many times as many utterances without a consensus are drawn as of each class, or all there are if fewer.
    afresh
        False draws the same utterances every epoch, in another order, as MEDUSA's released code does.

    Raises
    ------
    DataError
        Naming the classes that no utterance has.

    References
    ----------
    MEDUSA (arXiv 2506.09556), stage 2.
    """

    def __init__(
        self,
        table: LabelTable,
        seed: int,
        /,
        *,
        batch_size: Annotated[int, Field(ge=1)] = 16,
        no_agreement: Annotated[float, Field(ge=0)] = 1.0,
        afresh: bool = True,
    ) -> None:
        groups = [np.flatnonzero(table.consensus == index) for index in range(len(table.labels))]
        empty = [name for name, rows in zip(table.labels.names, groups, strict=True) if not len(rows)]
        if empty:
            raise DataError(
                f"no utterance has the consensus {', '.join(empty)}, so no balanced subset of the "
                f"{len(table.labels)} classes can be drawn from {len(table)} utterances: add some, or take the class "
                f"out of the label set"
            )
        smallest = min(len(rows) for rows in groups)
        disagreed = np.flatnonzero(table.consensus == NO_AGREEMENT)
        extra = min(round(no_agreement * smallest), len(disagreed))
        self.groups: list[NDArray[np.int64]] = [*groups, disagreed]
        self.counts = [smallest] * len(groups) + [extra]
        self.seed = seed
        self.batch_size = batch_size
        self.afresh = afresh
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration draws."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-sum(self.counts) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        random = np.random.default_rng([self.seed, self.epoch])
        draws = random if self.afresh else np.random.default_rng([self.seed, 0])
        drawn = [
            draws.choice(rows, count, replace=False) for rows, count in zip(self.groups, self.counts, strict=True)
        ]
        order = random.permutation(np.concatenate(drawn))
        for start in range(0, len(order), self.batch_size):
            yield order[start : start + self.batch_size].tolist()
