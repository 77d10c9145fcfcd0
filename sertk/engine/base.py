"""What every engine does, and what a task may ask of a machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


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
