from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sertk.features.card import StoreCard
from sertk.features.plan import batches, bytes_needed
from sertk.features.prefetch import prefetch


@given(
    st.dictionaries(st.text(min_size=1), st.floats(0, 1e4), max_size=60),
    st.floats(0.1, 500),
    st.integers(1, 20),
)
def test_batches_hold_every_id_once_within_the_budget(lengths: dict[str, float], budget: float, most: int) -> None:
    plan = batches(lengths, frame_budget=budget, max_batch=most)
    assert sorted(key for batch in plan for key in batch) == sorted(lengths)
    for batch in plan:
        assert 1 <= len(batch) <= most
        assert len(batch) == 1 or len(batch) * max(lengths[key] for key in batch) <= budget * (1 + 1e-9)
    assert plan == batches(dict(reversed(lengths.items())), frame_budget=budget, max_batch=most)


def test_space_follows_rate_width_and_dtype() -> None:
    card = StoreCard("e", {}, "f", "speech", 1024, 50.0, "float16")
    assert bytes_needed(card, [10.0, 0.01]) == (501 + 2) * 2048
    int8 = StoreCard("e", {}, "f", "speech", 1024, 50.0, "int8")
    assert bytes_needed(int8, [10.0]) == 501 * (1024 + 4)
    functionals = StoreCard("e", {}, "f", "speech", 88, 0.0, "float32")
    assert bytes_needed(functionals, [10.0, 20.0]) == 2 * 88 * 4


def test_prefetch_keeps_order_and_its_bound() -> None:
    started: list[int] = []

    def work(item: int) -> int:
        started.append(item)
        assert threading.current_thread() is not threading.main_thread()
        return item * item

    results = prefetch(range(20), work, ahead=3)
    assert next(results) == 0
    time.sleep(0.05)
    assert len(started) <= 4
    assert list(results) == [n * n for n in range(1, 20)]


def test_prefetch_raises_at_the_turn_of_what_failed() -> None:
    results = prefetch([1, 0, 2], lambda item: 1 / item)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_closing_prefetch_ends_its_thread() -> None:
    results = prefetch(range(1000), lambda item: item)
    next(results)
    results.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("sertk-prefetch")]
