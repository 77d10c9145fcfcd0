"""Work on a Ray cluster: the same functions, on any machine that has the same files under the same paths."""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from sertk.engine.base import ONE_CORE, Needs
from sertk.errors import SertkError

RETRIES = 3
"""How often a task is given to another worker when its own was lost."""


@dataclass(frozen=True)
class RayEngine:
    """Tasks of a Ray cluster.

    A task runs in a worker process, in the folder and with the environment's settings of the caller. When the
    worker is lost (killed, out of memory, its machine gone) that task alone begins again elsewhere, up to three
    times, and goes on from what its folder has; an error that the task itself raises is not tried again. Files go
    through a file system that all machines share. jobs: cores, where Ray starts here because no address is given.
    Raises SertkError where Ray is not installed or does not answer.
    """

    jobs: int
    address: str | None = None

    def __call__(
        self, function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], *, needs: Needs = ONE_CORE
    ) -> list[Any]:
        """Call the function for every task; results in order."""
        if not tasks:
            return []
        ray = _import_ray()
        started = not ray.is_initialized()
        if started:
            self._start(ray)
        try:
            return _run(ray, function, tasks, needs)
        finally:
            if started:
                ray.shutdown()

    def _start(self, ray: ModuleType) -> None:
        runtime = {"env_vars": {name: value for name in _KEPT if (value := os.environ.get(name)) is not None}}
        try:
            if self.address is None:
                ray.init(
                    address="local",
                    num_cpus=self.jobs,
                    include_dashboard=False,
                    log_to_driver=True,
                    logging_level="warning",
                    runtime_env=runtime,
                )
            else:
                ray.init(address=self.address, log_to_driver=True, logging_level="warning", runtime_env=runtime)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            where = f"at {self.address!r}" if self.address else "here"
            raise SertkError(f"no Ray cluster {where}: {error}. `ray start --head` starts one") from error


_KEPT = ("OMP_NUM_THREADS", "HF_HUB_OFFLINE", "HF_HOME", "TOKENIZERS_PARALLELISM", "SERTK_PLUGINS", "SERTK_MODELS")
"""Settings that tasks must have as the caller has them."""


def _import_ray() -> ModuleType:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # Ray's coming default; else it warns
    try:
        return importlib.import_module("ray")
    except ImportError:
        raise SertkError("--engine ray needs Ray: pip install 'sertk[ray]'") from None


def _run(ray: ModuleType, function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], needs: Needs) -> list[Any]:
    remote = ray.remote(num_cpus=needs.cpus, num_gpus=needs.gpus, max_retries=RETRIES, retry_exceptions=False)(
        _in_folder
    )
    folder = str(Path.cwd())
    waiting = [remote.remote(folder, function, task) for task in tasks]
    places = {reference: place for place, reference in enumerate(waiting)}
    results: list[Any] = [None] * len(tasks)
    failure: BaseException | None = None
    while waiting:
        done, waiting = ray.wait(waiting, num_returns=1)
        for reference in done:
            try:
                results[places[reference]] = ray.get(reference)
            except ray.exceptions.TaskCancelledError:
                continue
            except ray.exceptions.RayTaskError as error:
                failure = failure or error.cause
            except ray.exceptions.RayError as error:
                lost = f"task {places[reference] + 1} of {len(tasks)} lost its worker {RETRIES + 1} times"
                failure = failure or SertkError(f"{lost} (out of memory?): {str(error).splitlines()[0]}")
        if failure is not None:
            for reference in waiting:
                ray.cancel(reference, force=False)
    if failure is not None:
        raise failure
    return results


def _in_folder(folder: str, function: Callable[..., Any], task: tuple[Any, ...]) -> Any:
    os.chdir(folder)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return function(*task)
