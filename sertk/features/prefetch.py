"""Threads that work ahead of their reader, by a bounded number of items."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch
from threadpoolctl import threadpool_limits

Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetch(
    items: Iterable[Item], work: Callable[[Item], Result], *, ahead: int = 2, threads: int = 1
) -> Generator[Result, None, None]:
    """Give `work(item)` of each item in order, at most `ahead` of them computed beforehand, `threads` at a time.

    Raises what `work` raises, at its turn. Closing the iterator stops the threads after the items at hand.
    """
    pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="sertk-prefetch", initializer=_one_core)
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _one_core() -> None:
    """Keep a thread's tensor operations on one core.

    With a team of its own beside the reader's, more threads than cores would be at work, and OpenMP then puts them
    to sleep between operations: encoding on two cores took a fifth longer (benchmarks/extract.py).
    """
    torch.get_num_threads()  # sets this thread's count to the process's, once
    threadpool_limits(1, user_api="openmp")
