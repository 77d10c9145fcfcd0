from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sertk import registry
from sertk.batching.samplers import ByLength, Shuffle
from sertk.config.build import build
from sertk.config.schema import Use
from sertk.data.labels import LabelSet, LabelTable
from sertk.errors import ConfigError


def a_table(size: int) -> LabelTable:
    frames = np.random.default_rng(1).lognormal(5.5, 0.7, size).astype(np.int64) + 1  # skewed, as speech is
    return LabelTable(
        ids=tuple(f"u{row}" for row in range(size)),
        labels=LabelSet(("Angry", "Happy")),
        targets=np.full((size, 2), 0.5),
        consensus=np.zeros(size, dtype=np.int64),
        attributes=np.zeros((size, 0)),
        attribute_names=(),
        ranges=(),
        frames=frames,
        speakers=(None,) * size,
    )


def padding(table: LabelTable, batches: list[list[int]]) -> float:
    """Share of padding among all frames."""
    padded = sum(int(table.frames[batch].max()) * len(batch) for batch in batches)
    return 1 - table.frames.sum() / padded


SAMPLERS = [Shuffle, ByLength]


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("size", [1, 16, 17, 333])
def test_every_row_comes_once_an_epoch(sampler: Callable[..., Any], size: int) -> None:
    drawn = sampler(a_table(size), 1, batch_size=16)
    batches = list(drawn)
    assert len(batches) == len(drawn) == -(-size // 16)
    assert sorted(row for batch in batches for row in batch) == list(range(size))
    assert sum(len(batch) != 16 for batch in batches) <= 1


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_draws_differ_between_epochs_and_repeat_by_seed_and_epoch(sampler: Callable[..., Any]) -> None:
    table = a_table(200)

    def epoch(seed: int, number: int) -> list[list[int]]:
        drawn = sampler(table, seed)
        drawn.set_epoch(number)
        return list(drawn)

    assert epoch(1, 3) == epoch(1, 3)
    assert epoch(1, 3) != epoch(1, 4)
    assert epoch(1, 3) != epoch(2, 3)
    members = [{frozenset(batch) for batch in epoch(1, number)} for number in (0, 1)]
    assert len(members[0] & members[1]) <= 1  # batches of other utterances, not only in another order


def test_batches_by_length_have_far_less_padding() -> None:
    table = a_table(4000)
    random, sorted_pools = (padding(table, list(s(table, 1, batch_size=16))) for s in (Shuffle, ByLength))
    assert random > 0.4
    assert sorted_pools < 0.1
    small = padding(table, list(ByLength(table, 1, batch_size=16, pool=4)))
    assert sorted_pools < small < random


def test_batches_by_length_do_not_come_in_order_of_length() -> None:
    table = a_table(2000)
    means = [table.frames[batch].mean() for batch in ByLength(table, 1)]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.3


def test_samplers_are_found_by_name_and_their_options_are_checked() -> None:
    table = a_table(50)
    assert len(build(registry.samplers, Use(use="by_length", batch_size=10, pool=2), table, 1)) == 5
    assert len(build(registry.samplers, Use(use="shuffle", batch_size=10), table, 1)) == 5
    with pytest.raises(ConfigError, match="batch_size"):
        build(registry.samplers, Use(use="shuffle", batch_size=0), table, 1)
