"""Work on this machine: the same function over many tasks, some at a time, each in a process of its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

from sertk.engine.base import ONE_CORE, Needs
from sertk.errors import SertkError


@dataclass(frozen=True)
class LocalEngine:
    """Processes of this machine, `jobs` at a time. What a task needs is not looked at: `jobs` decides."""

    jobs: int

    def __call__(
        self, function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], *, needs: Needs = ONE_CORE
    ) -> list[Any]:
        """Call the function for every task, here and one after another where that needs no other process."""
        if self.jobs == 1 or len(tasks) < 2:
            return [function(*task) for task in tasks]
        return run_tasks(function, tasks, jobs=self.jobs)


def run_tasks(function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], *, jobs: int) -> list[Any]:
    """Call `function(*task)` for every task, `jobs` at a time; give the results in the order of the tasks.

    Every task has a fresh process, so that nothing of one is left for the next. The first failure stops what has
    not begun and is raised when those that run have ended. Raises SertkError for a process that was killed.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, max_tasks_per_child=1) as pool:
        futures: list[Future[Any]] = [pool.submit(function, *task) for task in tasks]
        pending = set(futures)
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            if any(future.exception() for future in done):
                pool.shutdown(wait=True, cancel_futures=True)
                break
    for future in futures:
        if future.cancelled():
            continue
        error = future.exception()
        if isinstance(error, BrokenProcessPool):
            raise SertkError("a process of this job was killed (out of memory?): run it again with fewer --jobs")
        if error:
            raise error
    return [future.result() for future in futures]
