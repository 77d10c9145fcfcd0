"""Samplers broken on purpose, each in one way: the suite names the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from sertk.data.labels import LabelTable

Broken = Callable[..., set[str]]


class Sound:
    """Every row once an epoch, shuffled. Each mutant below changes one thing."""

    def __init__(self, table: LabelTable, seed: int, batch_size: int) -> None:
        self.table, self.seed, self.batch_size, self.epoch = table, seed, batch_size, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def random(self) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.epoch])

    def order(self) -> np.ndarray:
        return self.random().permutation(len(self.table))

    def __len__(self) -> int:
        return -(-len(self.table) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        order = self.order()
        for start in range(0, len(order), self.batch_size):
            yield order[start : start + self.batch_size].tolist()


class SameOrderEachEpoch(Sound):
    def random(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)


class SameSubsetEachEpoch(Sound):
    def order(self) -> np.ndarray:
        subset = np.random.default_rng(self.seed).permutation(len(self.table))[: len(self.table) // 2]
        return self.random().permutation(subset)

    def __len__(self) -> int:
        return -(-(len(self.table) // 2) // self.batch_size)


class SeedIgnored(Sound):
    def random(self) -> np.random.Generator:
        return np.random.default_rng(self.epoch)


class SeedPlusEpoch(Sound):
    def random(self) -> np.random.Generator:
        return np.random.default_rng(self.seed + self.epoch)


class SeedPlusThousandEpochs(Sound):
    def random(self) -> np.random.Generator:
        return np.random.default_rng(self.seed + 1000 * self.epoch)


class SeedTimesThousand(Sound):
    def random(self) -> np.random.Generator:
        return np.random.default_rng(1000 * self.seed + self.epoch)


class SeedXorEpoch(Sound):
    def random(self) -> np.random.Generator:
        return np.random.default_rng(self.seed ^ self.epoch)


class RandomStateKept(Sound):
    def __init__(self, table: LabelTable, seed: int, batch_size: int) -> None:
        super().__init__(table, seed, batch_size)
        self.kept = np.random.default_rng(seed)

    def random(self) -> np.random.Generator:
        return self.kept


class EpochCountedByItself(Sound):
    def __iter__(self) -> Iterator[list[int]]:
        yield from super().__iter__()
        self.epoch += 1


class GlobalRandomState(Sound):
    def order(self) -> np.ndarray:
        return np.random.permutation(len(self.table))


class LastBatchUncounted(Sound):
    def __len__(self) -> int:
        return len(self.table) // self.batch_size


class OneBasedRows(Sound):
    def order(self) -> np.ndarray:
        return super().order() + 1


class RareClassNeverDrawn(Sound):
    def order(self) -> np.ndarray:
        order = super().order()
        return order[self.table.consensus[order] != 0]

    def __len__(self) -> int:
        return -(-int((self.table.consensus != 0).sum()) // self.batch_size)


class TooLargeBatches(Sound):
    def __init__(self, table: LabelTable, seed: int, batch_size: int) -> None:
        super().__init__(table, seed, batch_size + 1)


class DropsTheLastBatch(Sound):
    def __iter__(self) -> Iterator[list[int]]:
        yield from (batch for batch in super().__iter__() if len(batch) == self.batch_size)

    def __len__(self) -> int:
        return len(self.table) // self.batch_size


class ArraysForLists(Sound):
    def __iter__(self) -> Iterator[list[int]]:
        yield from (np.array(batch) for batch in super().__iter__())


class SortsTheTable(Sound):
    def order(self) -> np.ndarray:
        self.table.frames.sort()
        return super().order()


def of(sampler: type[Sound]) -> Callable[..., Sound]:
    def made_up(table: LabelTable, seed: int, /, *, batch_size: int = 16) -> Sound:
        return sampler(table, seed, batch_size)

    return made_up


MUTANTS = [
    (SameOrderEachEpoch, "epochs_differ"),
    (SameSubsetEachEpoch, "coverage"),
    (SeedIgnored, "seeds_differ"),
    (RandomStateKept, "resume"),
    (EpochCountedByItself, "repeatable"),
    (GlobalRandomState, "global_random_state"),
    (LastBatchUncounted, "length"),
    (OneBasedRows, "rows"),
    (RareClassNeverDrawn, "coverage"),
    (TooLargeBatches, "batch_sizes"),
    (DropsTheLastBatch, "few_utterances"),
    (ArraysForLists, "rows"),
    (SortsTheTable, "table_unchanged"),
]


def test_a_sound_sampler_breaks_nothing(broken: Broken) -> None:
    assert broken("sampler", of(Sound)) == set()


@pytest.mark.parametrize("mutant", [SeedPlusEpoch, SeedPlusThousandEpochs, SeedTimesThousand, SeedXorEpoch])
def test_seeds_and_epochs_are_compared_crosswise(broken: Broken, mutant: type[Sound]) -> None:
    assert broken("sampler", of(mutant)) == {"seeds_differ"}


@pytest.mark.parametrize(("mutant", "contract"), MUTANTS, ids=[mutant.__name__ for mutant, _ in MUTANTS])
def test_a_mutant_is_caught(broken: Broken, mutant: type[Sound], contract: str) -> None:
    assert contract in broken("sampler", of(mutant))
