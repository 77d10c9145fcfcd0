"""How long work says how far it is: a function that opens a bar, or does nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Advance(Protocol):
    """Says that so many more items are done; total: of so many, where that was not known before."""

    def __call__(self, count: int = 1, pace: str = "", *, total: int | None = None) -> None: ...  # noqa: D102


class Bars(Protocol):
    """Opens a bar for a piece of work."""

    def __call__(self, what: str, total: int | None = None) -> AbstractContextManager[Advance]: ...  # noqa: D102


@contextmanager
def silent(what: str, total: int | None = None) -> Iterator[Advance]:
    """Show nothing."""

    def advance(count: int = 1, pace: str = "", *, total: int | None = None) -> None:
        pass

    yield advance


def duration(seconds: float) -> str:
    """Seconds as a person reads them: `3.2 s`, `4:05`, `1:02:03`; `unknown` for what is not a finite number."""
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
