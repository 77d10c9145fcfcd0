"""Running work here or on many machines: one interface, `Engine`, whatever is behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

from sertk.errors import SertkError

EngineName = Literal["local", "ray"]


@dataclass(frozen=True)
class Needs:
    """What one task needs of a machine while it runs. gpus: a part of one where tasks share it."""

    cpus: float = 1.0
    gpus: float = 0.0


ONE_CORE = Needs()


class Engine(Protocol):
    """Calls a function for many tasks and gives the results in the order of the tasks."""

    def __call__(
        self, function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], *, needs: Needs = ONE_CORE
    ) -> list[Any]:
        """Raise the first failure, when what runs has ended and what has not begun is given up."""
        ...


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
        from sertk.engine.local import LocalEngine

        return LocalEngine(jobs)
    from sertk.engine.ray import RayEngine

    return RayEngine(jobs, address)
