"""Running work here or on many machines: one interface, `Engine`, whatever is behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sertk.engine.base import Engine, Needs
from sertk.engine.local import LocalEngine
from sertk.engine.ray import RayEngine
from sertk.errors import SertkError

EngineName = Literal["local", "ray"]


def engine(name: str, *, jobs: int = 1, address: str | None = None) -> Engine:
    """The engine of a name: `local`, `jobs` processes of this machine at a time, or `ray`, a cluster's.

    address: of a running Ray cluster (`auto` finds the one of this machine); without it Ray starts here with `jobs`
    cores. Raises SertkError for another name, for an address with `local`, and where Ray is not installed.
    """
    if name not in get_args(EngineName):
        raise SertkError(f"--engine is {' or '.join(get_args(EngineName))}, got {name!r}")
    if name == "local":
        if address is not None:
            raise SertkError("--address is for --engine ray; the local engine runs on this machine")
        return LocalEngine(jobs)
    return RayEngine(jobs, address)


@dataclass(frozen=True)
class Placement:
    """Where the tasks of a function run.

    Parameters
    ----------
    engine
        `local`, or `ray` for a cluster.
    jobs
        Tasks at a time, each in a process of its own.
    address
        Of a running Ray cluster; without it Ray starts here with `jobs` cores.
    gpus
        GPUs of each task on Ray; 1 without it where the device is a GPU.
    """

    engine: str = "local"
    jobs: int = 1
    address: str | None = None
    gpus: float | None = None

    @property
    def here(self) -> bool:
        """Whether tasks run one after another in this process."""
        return self.engine == "local" and self.jobs == 1

    def run(
        self,
        function: Callable[..., Any],
        tasks: Sequence[tuple[Any, ...]],
        *,
        device: str | None = None,
        cpus: int = 1,
    ) -> list[Any]:
        """Call a function for every task; give the results in the order of the tasks.

        Raises
        ------
        SertkError
            For another engine, an address with `local`, and where Ray is not installed; what a task raises.
        """
        on_gpu = (device or "auto").startswith("cuda")
        needs = Needs(cpus=float(max(1, cpus)), gpus=self.gpus if self.gpus is not None else float(on_gpu))
        return self.check()(function, tasks, needs=needs)

    def check(self) -> Engine:
        """The engine. Raises SertkError, as `run` does, before any work."""
        return engine(self.engine, jobs=self.jobs, address=self.address)


HERE = Placement()
