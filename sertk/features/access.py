"""Who may write to a feature store, and what is said where the disk refuses. No torch here."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sertk.errors import StoreError
from sertk.features.index import part_suffix
from sertk.locks import locked


@contextmanager
def writers_lock(folder: Path, part: tuple[int, int]) -> Iterator[None]:
    """Hold a store for one writer, or one part of it; parts share `.lock` and exclude a writer of the whole."""
    with ExitStack() as locks:
        locks.enter_context(locked(folder / ".lock", folder, shared=part[1] > 1))
        if part[1] > 1:
            locks.enter_context(locked(folder / f".lock{part_suffix(part)}", folder))
            for path in folder.glob(".lock-*of*"):
                if not path.name.endswith(f"of{part[1]}"):  # of a process that counts its parts otherwise
                    with locked(path, folder):
                        pass
        yield


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn what the disk refuses into a StoreError that says what to do."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        advice = "make room" if full else f"see that {os.fspath(folder)} can be written"
        raise StoreError(
            f"{folder}: cannot write the store: {error}. What was written before is complete: "
            f"{advice} and extract again to go on."
        ) from error
