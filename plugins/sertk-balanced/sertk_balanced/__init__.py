"""A balanced sampler for sertk: every class equally often."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sertk.data.labels import NO_AGREEMENT, LabelTable
from sertk.errors import DataError
from sertk.revisions import revision


@dataclass
class Balanced:
    """See `balanced`. groups: rows of each class, then those without agreement. counts: how many of each to draw."""

    groups: list[NDArray[np.int64]]
    counts: list[int]
    seed: int
    batch_size: int
    afresh: bool = True
    epoch: int = 0

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


@revision(1)
def balanced(
    table: LabelTable,
    seed: int,
    /,
    *,
    batch_size: Annotated[int, Field(ge=1)] = 16,
    no_agreement: Annotated[float, Field(ge=0)] = 1.0,
    afresh: bool = True,
) -> Balanced:
    """Draw every class as often as the smallest has utterances, afresh each epoch.

    The class of an utterance is its consensus. To these come `no_agreement` times as many utterances without one as
    of each class, or all there are if fewer. Within an epoch no utterance comes twice. batch_size: utterances.
    afresh: false draws the same utterances every epoch, in another order, as MEDUSA's released code does. Stage 2 of
    MEDUSA (arXiv 2506.09556). Raises DataError naming the classes that no utterance has.
    """
    groups = [np.flatnonzero(table.consensus == index) for index in range(len(table.labels))]
    empty = [name for name, rows in zip(table.labels.names, groups, strict=True) if not len(rows)]
    if empty:
        raise DataError(
            f"no utterance has the consensus {', '.join(empty)}, so no balanced subset of the {len(table.labels)} "
            f"classes can be drawn from {len(table)} utterances: add some, or take the class out of the label set"
        )
    smallest = min(len(rows) for rows in groups)
    disagreed = np.flatnonzero(table.consensus == NO_AGREEMENT)
    extra = min(round(no_agreement * smallest), len(disagreed))
    return Balanced([*groups, disagreed], [smallest] * len(groups) + [extra], seed, batch_size, afresh)
