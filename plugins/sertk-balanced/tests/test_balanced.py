from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from sertk_balanced import Balanced

from sertk import registry
from sertk.config.build import build
from sertk.config.schema import Use
from sertk.data.labels import NO_AGREEMENT, LabelSet, LabelTable
from sertk.errors import DataError

CLASSES = ("Angry", "Happy", "Sad")


def a_table(counts: dict[int, int]) -> LabelTable:
    consensus = np.repeat(list(counts), list(counts.values())).astype(np.int64)
    size = len(consensus)
    return LabelTable(
        ids=tuple(f"u{row}" for row in range(size)),
        labels=LabelSet(CLASSES),
        targets=np.full((size, 3), 1 / 3),
        consensus=consensus,
        attributes=np.zeros((size, 0)),
        attribute_names=(),
        ranges=(),
        frames=np.ones(size, dtype=np.int64),
        speakers=(None,) * size,
    )


TABLE = a_table({0: 40, 1: 7, 2: 19, NO_AGREEMENT: 25})


def rows_of(sampler: object, epoch: int) -> list[int]:
    sampler.set_epoch(epoch)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    return [row for batch in batches for row in batch]


@pytest.mark.parametrize(("no_agreement", "extra"), [(1.0, 7), (0.5, 4), (0.0, 0), (9.0, 25)])
def test_an_epoch_has_exactly_the_smallest_count_of_each_class(no_agreement: float, extra: int) -> None:
    sampler = Balanced(TABLE, 1, batch_size=4, no_agreement=no_agreement)
    for epoch in range(5):
        rows = rows_of(sampler, epoch)
        counts = Counter(TABLE.consensus[rows].tolist())
        assert counts == Counter({0: 7, 1: 7, 2: 7, NO_AGREEMENT: extra})
        assert len(set(rows)) == len(rows)


def test_draws_differ_between_epochs_and_repeat_by_seed_and_epoch() -> None:
    first, again = Balanced(TABLE, 1), Balanced(TABLE, 1)
    epochs = [rows_of(first, epoch) for epoch in range(4)]
    assert len({frozenset(rows) for rows in epochs}) == 4
    assert rows_of(again, 2) == epochs[2]  # without having drawn the epochs before
    assert rows_of(Balanced(TABLE, 2), 2) != epochs[2]


def test_over_many_epochs_every_utterance_comes() -> None:
    sampler = Balanced(TABLE, 1)
    assert {row for epoch in range(60) for row in rows_of(sampler, epoch)} == set(range(len(TABLE)))


def test_classes_are_mixed_within_batches() -> None:
    sampler = Balanced(TABLE, 1, batch_size=14, no_agreement=0.0)
    assert len(set(TABLE.consensus[next(iter(sampler))])) == 3


def test_a_class_without_utterances_is_named() -> None:
    with pytest.raises(DataError, match=r"consensus Happy, .*33 utterances"):
        Balanced(a_table({0: 4, 2: 9, NO_AGREEMENT: 20}), 1)


def test_the_sampler_is_found_by_name() -> None:
    sampler = build(registry.samplers, Use(use="balanced", batch_size=8), TABLE, 5)
    assert [len(batch) for batch in sampler] == [8, 8, 8, 4]


def test_draws_that_are_not_afresh_have_the_same_utterances_in_another_order() -> None:
    sampler = Balanced(TABLE, 1, afresh=False)
    first, second = rows_of(sampler, 0), rows_of(sampler, 1)
    assert sorted(first) == sorted(second)
    assert first != second
    assert sorted(first) == sorted(rows_of(Balanced(TABLE, 1), 0))
