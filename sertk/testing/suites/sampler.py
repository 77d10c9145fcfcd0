"""What every sampler keeps: `(table, seed, /, *, options)` to batches of rows, decided by seed and epoch alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from sertk.contracts import Sampler
from sertk.data.labels import NO_AGREEMENT, LabelTable
from sertk.testing.suites.base import Subject, global_seeds, require
from sertk.testing.suites.made_up import COUNTS, a_table

BATCH = 4
EPOCHS = 100
"""Epochs within which every utterance has to come."""

SEEDS = (0, 1, 2, 3, 101, 1001)
DISTANT_EPOCHS = (0, 1, 2, 3, 100, 1000)
"""Epochs that sums and products of a seed and an epoch would confuse."""

Batches = list[list[int]]


def rows(subject: Subject) -> None:
    """Batches are lists of row numbers (ints) of the table."""
    table = a_table()
    for batch in _epoch(_built(subject, table), 0):
        require(isinstance(batch, list), f"a batch should be a list of ints, got a {type(batch).__name__}")
        for row in batch:
            require(type(row) is int, f"a row should be an int, got a {type(row).__name__}: call .tolist() on arrays")
            require(0 <= row < len(table), f"rows should be from 0 to {len(table) - 1}, got {row}")


def batch_sizes(subject: Subject) -> None:
    """No batch is empty, and none is larger than the option `batch_size`, if there is one."""
    sampler = _built(subject, a_table())
    for epoch in range(3):
        sizes = [len(batch) for batch in _epoch(sampler, epoch)]
        require(min(sizes) > 0, f"epoch {epoch} has an empty batch, its sizes are {sizes}: leave it out")
        if subject.takes("batch_size"):
            largest = subject.options.get("batch_size", BATCH)
            require(
                max(sizes) <= largest, f"epoch {epoch} has a batch of {max(sizes)} rows, batch_size allows {largest}"
            )


def length(subject: Subject) -> None:
    """`len` is the number of batches in the current epoch, at least one."""
    sampler = _built(subject, a_table())
    for epoch in range(3):
        sampler.set_epoch(epoch)
        announced = len(sampler)
        count = len(list(sampler))
        require(announced == count, f"epoch {epoch}: len should be the {count} batches that come, got {announced}")
        require(count > 0, f"epoch {epoch} has no batch")


def epochs_differ(subject: Subject) -> None:
    """Each epoch samples again."""
    sampler = _built(subject, a_table())
    drawn = [_epoch(sampler, epoch) for epoch in range(4)]
    for epoch in range(1, 4):
        require(
            drawn[epoch] not in drawn[:epoch],
            f"epoch {epoch} draws the same as one before it: `set_epoch` should decide, too",
        )


def seeds_differ(subject: Subject) -> None:
    """No epoch of one seed equals an epoch of another. With `seed + epoch`, seed 1 and epoch 1 would equal seed 2 and
    epoch 0.
    """
    drawn: list[tuple[int, int, Batches]] = []
    for seed in SEEDS:
        sampler = _built(subject, a_table(), seed=seed)
        for epoch in DISTANT_EPOCHS:
            batches = _epoch(sampler, epoch)
            for other_seed, other_epoch, others in drawn:
                require(
                    batches != others,
                    f"seed {seed} draws in epoch {epoch} what seed {other_seed} draws in epoch {other_epoch}: seed a "
                    f"generator with both numbers, as np.random.default_rng([seed, epoch]) does",
                )
            drawn.append((seed, epoch, batches))


def repeatable(subject: Subject) -> None:
    """Batches depend only on seed and epoch: reading them twice, or in part, gives the same ones."""
    one, other = _built(subject, a_table()), _built(subject, a_table())
    for epoch in range(3):
        first = _epoch(one, epoch)
        require(list(one) == first, f"epoch {epoch}, read twice, gives other batches: make the generator in __iter__")
        next(iter(one))
        require(list(one) == first, f"epoch {epoch}, after an interrupted reading, gives other batches")
        require(_epoch(other, epoch) == first, f"epoch {epoch} of an equal sampler has other batches")


def resume(subject: Subject) -> None:
    """A new sampler that is set to epoch k gives the same batches as one that went through all epochs before it."""
    table = a_table()
    undisturbed = _built(subject, table)
    drawn = [_epoch(undisturbed, epoch) for epoch in range(6)]
    for epoch in (5, 2):
        require(
            _epoch(_built(subject, table), epoch) == drawn[epoch],
            f"epoch {epoch} of a fresh sampler is another than after {epoch} epochs: keep no state of the generator",
        )


def global_random_state(subject: Subject) -> None:
    """Batches do not depend on global random states."""
    drawn: list[Batches] = []
    for seed in (1, 2):
        with global_seeds(seed):
            drawn.append(_epoch(_built(subject, a_table()), 0))
    require(
        drawn[0] == drawn[1],
        "another global seed of random, NumPy or torch gives other batches: draw from a generator of seed and epoch",
    )


def coverage(subject: Subject) -> None:
    """Over a hundred epochs, every utterance with a consensus occurs, and therefore every class."""
    table = a_table()
    sampler = _built(subject, table)
    seen: set[int] = set()
    for epoch in range(EPOCHS):
        seen.update(row for batch in _epoch(sampler, epoch) for row in batch)
    wanted = {row for row in range(len(table)) if table.consensus[row] != NO_AGREEMENT}
    missing = sorted(wanted - seen)
    require(
        not missing,
        f"{len(missing)} of {len(wanted)} utterances never come in {EPOCHS} epochs, among them row {missing[:1]}",
    )


def few_utterances(subject: Subject) -> None:
    """A table with one utterance per class, fewer than a batch, gives at least one batch."""
    table = a_table(dict.fromkeys((index for index in COUNTS if index != NO_AGREEMENT), 1))
    sampler = _built(subject, table, batch_size=16)
    batches = _epoch(sampler, 0)
    require(len(batches) > 0, f"{len(table)} utterances and batch_size 16 give no batch: give a smaller one")
    require(len(batches) == len(sampler), f"len should be the {len(batches)} batches that come, got {len(sampler)}")
    require(all(0 <= row < len(table) for batch in batches for row in batch), f"of {len(table)} rows come {batches}")


def table_unchanged(subject: Subject) -> None:
    """The table is not changed."""
    table, wanted = a_table(), a_table()
    _epoch(_built(subject, table), 0)
    for name in ("targets", "consensus", "attributes", "frames"):
        same = np.array_equal(getattr(table, name), getattr(wanted, name), equal_nan=name != "consensus")
        require(same, f"`{name}` of the table was changed in place: work on a copy")


CONTRACTS = (
    rows,
    batch_sizes,
    length,
    epochs_differ,
    seeds_differ,
    repeatable,
    resume,
    global_random_state,
    coverage,
    few_utterances,
    table_unchanged,
)


def _built(subject: Subject, table: LabelTable, *, seed: int = 1, batch_size: int = BATCH) -> Sampler:
    given: dict[str, Any] = {}
    if subject.takes("batch_size") and "batch_size" not in subject.options:
        given["batch_size"] = batch_size
    sampler: Sampler = subject.build(table, seed, **given)
    return sampler


def _epoch(sampler: Sampler, epoch: int) -> Batches:
    sampler.set_epoch(epoch)
    return list(sampler)
