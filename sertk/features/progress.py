"""How far an extraction is, over all processes that share it. No torch here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from sertk.features.index import part_suffix
from sertk.files import parse_json, write_text


@dataclass(frozen=True)
class Progress:
    """How far an extraction is. done, total: recordings. seconds, total_seconds: of audio. elapsed: seconds."""

    done: int = 0
    total: int = 0
    failed: int = 0
    seconds: float = 0.0
    total_seconds: float = 0.0
    elapsed: float = 0.0

    @property
    def hours_an_hour(self) -> float:
        """Hours of audio encoded in an hour."""
        return self.seconds / self.elapsed if self.elapsed > 0 else 0.0

    @property
    def seconds_left(self) -> float:
        """Time left at this rate, by audio duration."""
        if self.seconds <= 0:
            return float("inf")
        left = max(0.0, self.total_seconds - self.seconds)  # sums in another order differ in the last place
        return left * self.elapsed / self.seconds


def together(parts: Iterable[Progress]) -> Progress:
    """How far parts are that run side by side."""
    parts = [*parts]
    return _sum(parts, max((part.elapsed for part in parts), default=0.0))


def progress_file(store: Path, part: tuple[int, int]) -> Path:
    """Where a part says how far it is: in the first store that it fills, until it ends."""
    return store / f".progress{part_suffix(part)}.json"


def write_progress(path: Path, now: Progress) -> None:
    """Say how far a part is; that this cannot be said is no reason to stop."""
    with suppress(OSError):
        write_text(path, json.dumps(asdict(now)))


def read_progress(paths: Iterable[Path]) -> list[Progress]:
    """How far the parts are that have said so."""
    found = []
    for path in paths:
        with suppress(OSError, ValueError, TypeError):  # not there yet
            found.append(Progress(**parse_json(path.read_bytes())))
    return found


def _sum(parts: Sequence[Progress], elapsed: float) -> Progress:
    return Progress(
        done=sum(part.done for part in parts),
        total=sum(part.total for part in parts),
        failed=sum(part.failed for part in parts),
        seconds=sum(part.seconds for part in parts),
        total_seconds=sum(part.total_seconds for part in parts),
        elapsed=elapsed,
    )
